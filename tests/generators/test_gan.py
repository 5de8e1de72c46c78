import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skal.generators import GAN
from skal.generators.adversarial import gan_classes
from skal.nets import GANS, ConvCritic, ConvGenerator, DenseCritic, DenseGenerator

from ..networks import DIGITS, HIDDEN, X, same_tensors, tiny_gan, weights
from .estimators import IMAGES, NARROW, fitted, image_gan

# Shapes and scales


def test_untrained_samples_lie_where_the_data_lie():
    """Output of a network as it is initialised lies around zero: around the means, for standardised features."""
    samples = tiny_gan(lr=1e-12).fit(X).sample(200)
    deviations = (samples - X.mean(0)) / X.std(0)
    assert np.abs(deviations).max() < 5
    assert np.abs(deviations.mean(0)).max() < 1


@pytest.mark.parametrize("range_", [(0.0, 1.0), (-1.0, 1.0)])
@pytest.mark.parametrize("bounds", [(0, 16), (-1.0, 1.0), (100.0, 100.5)])
def test_bounded_networks_generate_within_the_range_of_the_data(range_, bounds):
    class Extreme(ConvGenerator):
        """Saturated pixels, whose values are the ends of the range."""

        output_range = range_

        def forward(self, z):
            return super().forward(1e4 * z)

    low, high = bounds
    rows = low + (high - low) * DIGITS[:20] / 16
    gan = image_gan(architecture=(Extreme, ConvCritic)).fit(rows)
    samples = gan.sample(200)
    assert samples.min() == pytest.approx(low, abs=1e-9)
    assert samples.max() == pytest.approx(high, abs=1e-9)


def test_architecture_chosen_by_shape():
    def chosen(*shape):
        return next(name for name, pair in GANS.items() if pair == gan_classes("auto", shape))

    assert chosen(5) == "dense"
    assert chosen(1, 8, 8) == chosen(3, 15, 40) == "digits"
    assert chosen(1, 28, 28) == chosen(1, 16, 32) == "mnist"
    assert chosen(3, 32, 32) == chosen(1, 28, 40) == chosen(3, 48, 48) == "cifar"
    assert chosen(3, 64, 64) == chosen(1, 49, 20) == "celeba"


def test_transform_is_the_critics_embedding():
    gan = fitted("wgan_gp")
    scaled = torch.tensor((X - X.mean(0)) / X.std(0))
    with torch.no_grad():
        np.testing.assert_allclose(gan.transform(X), gan.critic_.embed(scaled).numpy(), rtol=1e-10)
        scores = gan.critic_.head(torch.tensor(gan.transform(X)))[:, 0]
        torch.testing.assert_close(scores, gan.critic_(scaled))


# Training


@pytest.mark.parametrize(
    ("loss", "terms"),
    [
        ("wgan_gp", {"wasserstein", "gradient_penalty"}),
        ("wgan_ct", {"wasserstein", "gradient_penalty", "consistency"}),
        ("dcgan", set()),
    ],
)
def test_history_has_records_of_100_steps(loss, terms):
    history = tiny_gan(loss, n_iter=203, n_critic=1).fit(X[:20]).history_
    assert history.keys() == {"critic_loss", "generator_loss", "step"} | terms
    assert history["step"].tolist() == [100, 200, 203]
    assert all(losses.shape == (3,) and np.isfinite(losses).all() for losses in history.values())
    if terms:
        total = history["gradient_penalty"] - history["wasserstein"] + history.get("consistency", 0)
        np.testing.assert_allclose(history["critic_loss"], total, rtol=1e-10)


def test_records_are_means_over_their_steps():
    class Steps(Callback):
        seen = []

        def on_batch_end(self, net, losses=None, **_):
            self.seen.append({name: loss.item() for name, loss in losses.items()})

    history = tiny_gan(n_iter=7, callbacks=[Steps()]).fit(X).history_
    assert len(Steps.seen) == 7
    for name in Steps.seen[0]:
        assert history[name].tolist() == pytest.approx([np.mean([step[name] for step in Steps.seen])])


def test_a_step_has_n_critic_batches_of_real_rows():
    class Batches(Callback):
        seen = []

        def on_batch_begin(self, net, batch=None, **_):
            self.seen.append(batch)

    tiny_gan(n_iter=3, n_critic=4, batch_size=5, callbacks=[Batches()]).fit(X)
    assert [batch.shape for batch in Batches.seen] == [(4 * 5, 3)] * 3
    rows = torch.cat([batch.reshape(-1, 3) for batch in Batches.seen])
    assert len(rows.unique(dim=0)) == 60  # the 60 rows once each


def test_defaults_of_the_papers():
    def net(*args, shape=(1, 28, 28), **params):
        return GAN(*args, **params)._make_net(shape, dtype=torch.float32, amp=False, seed=0, device="cpu")

    betas = "generator_optimizer__betas", "critic_optimizer__betas"
    for loss, n_critic, lr, expected in [
        ("wgan_gp", 5, 1e-4, (0.5, 0.9)),
        ("wgan_ct", 5, 1e-4, (0.5, 0.9)),
        ("dcgan", 1, 2e-4, (0.5, 0.999)),
    ]:
        made = net(loss)
        assert (made.n_critic, made.lr, made.noise, made.decay) == (n_critic, lr, 0, False)
        assert (made.batch_size, made.generator_share) == (64, 1)
        assert [getattr(made, name) for name in betas] == [expected] * 2
    made = net(architecture="residual", shape=(3, 8, 8))
    assert (made.n_critic, made.lr, made.noise, made.decay) == (5, 2e-4, 1 / 128, True)
    assert (made.batch_size, made.generator_share) == (64, 2)
    assert [getattr(made, name) for name in betas] == [(0.0, 0.9)] * 2
    made = net(n_critic=2, lr=0.5, optimizer_params={"eps": 1e-3})
    assert (made.n_critic, made.lr, made.critic_optimizer__eps) == (2, 0.5, 1e-3)
    assert not hasattr(made, betas[0])


def test_networks_of_the_losses():
    images = {"architecture": (ConvGenerator, ConvCritic), "n_iter": 1, **NARROW}

    def has_batch_norm(loss):
        parts = tiny_gan(loss, **images).fit(IMAGES).critic_.features
        return any(isinstance(part, nn.BatchNorm2d) for part in parts)

    assert has_batch_norm("dcgan")
    assert not has_batch_norm("wgan_gp")
    rates = {
        loss: {
            part.p
            for part in tiny_gan(loss, n_iter=1).fit(X).critic_.features
            if isinstance(part, nn.Dropout)
        }
        for loss in ("wgan_gp", "wgan_ct", "dcgan")
    }
    assert rates == {"wgan_gp": {0.0}, "wgan_ct": {0.5}, "dcgan": {0.0}}


def test_dropout_makes_the_consistency_term():
    def consistency(**critic):
        return tiny_gan("wgan_ct", critic_params={**HIDDEN, **critic}).fit(X).history_["consistency"]

    assert consistency() > 0
    assert consistency(dropout=0.0) == 0


def test_convolutional_dcgan():
    gan = GAN("dcgan", architecture="cifar", n_latent=2, n_iter=1, batch_size=4, random_state=0)
    gan.fit(np.random.default_rng(0).random((8, 1, 8, 8), dtype=np.float32))
    norms = [part for part in gan.critic_.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) == 2
    assert all(part.running_mean.abs().sum() > 0 for part in norms)
    samples = gan.sample(20)
    np.testing.assert_allclose(samples[:3], gan.decode(gan.sample_latents(20)[:3]), rtol=1e-5, atol=1e-6)


def test_features_have_the_statistics_of_real_rows_under_the_final_weights():
    """Those of training are averages of real and generated rows over the last steps."""
    critic_params = {"channels": (2, 3, 4), "dropout": 0.9}
    gan = image_gan(loss="dcgan", critic_params=critic_params, lr=0.3)
    gan.set_params(batch_size=len(IMAGES), n_iter=4).fit(IMAGES)
    norms = [part for part in gan.critic_.modules() if isinstance(part, nn.BatchNorm2d)]
    seen = []
    for norm in norms:
        norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].transpose(0, 1).flatten(1)))
    gan.transform(IMAGES)
    for norm, values in zip(norms, seen, strict=True):
        torch.testing.assert_close(norm.running_mean, values.mean(1), rtol=0.05, atol=0.05)
    torch.testing.assert_close(norms[0].running_mean, seen[0].mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norms[0].running_var, seen[0].var(1), rtol=1e-4, atol=1e-5)
    assert norms[0].momentum == 0.1
    assert not any(part.training for part in gan.critic_.modules())


def test_residual_networks_and_their_falling_learning_rate():
    class Rates(Callback):
        seen = []

        def on_batch_end(self, net, **_):
            self.seen.append(
                [net.generator_optimizer_.param_groups[0]["lr"], net.critic_optimizer_.param_groups[0]["lr"]]
            )

    narrow = {"generator_params": {"n_filters": 2}, "critic_params": {"n_filters": 2}}
    gan = GAN(
        architecture="residual", n_latent=2, n_iter=4, n_critic=1, batch_size=4, callbacks=[Rates()], **narrow
    )
    gan.fit(IMAGES[:10])
    np.testing.assert_allclose(Rates.seen, 2e-4 * np.repeat([[1], [0.75], [0.5], [0.25]], 2, axis=1))
    assert gan.sample(2).shape == (2, 1, 8, 8)
    assert gan.transform(IMAGES).shape == (40, 2)


def test_other_optimizers():
    gan = tiny_gan(optimizer=torch.optim.SGD, optimizer_params={"momentum": 0.5}, lr=1e-2).fit(X)
    for optimizer in (gan.net_.generator_optimizer_, gan.net_.critic_optimizer_):
        assert isinstance(optimizer, torch.optim.SGD)
        assert optimizer.param_groups[0]["momentum"] == 0.5
        assert optimizer.param_groups[0]["lr"] == 1e-2


def test_callbacks_are_used_in_copies():
    class Count(Callback):
        def __init__(self):
            self.n = 0

        def on_batch_end(self, net, **_):
            self.n += 1

    count = Count()
    gan = tiny_gan(n_iter=3, callbacks=[count]).fit(X)
    assert count.n == 0
    assert [callback.n for callback in gan.net_.callbacks if isinstance(callback, Count)] == [3]


def test_an_interrupt_keeps_what_was_learned():
    class Interrupt(Callback):
        steps = 0

        def on_batch_end(self, net, **_):
            self.steps += 1
            if self.steps == 150:
                raise KeyboardInterrupt

    gan = tiny_gan(n_iter=1000, n_critic=1, callbacks=[Interrupt()]).fit(X[:20])
    assert gan.history_["step"].tolist() == [100]
    assert not gan.generator_.training
    assert same_tensors(weights(gan), weights(tiny_gan(n_iter=150, n_critic=1).fit(X[:20])))


def test_fewer_rows_than_a_batch():
    gan = tiny_gan(batch_size=100).fit(X[:3])
    assert gan.sample(2).shape == (2, 3)
    assert gan.history_["step"].tolist() == [2]


def test_a_mixture_is_learnt():
    rng = np.random.default_rng(0)
    sides = rng.choice([-1, 1], (600, 1))
    rows = (sides * [2.0, 40.0] + rng.normal(size=(600, 2)) * [1, 10] + [5, 100]).astype(np.float32)
    wide = {"generator_params": {"hidden": (32,)}, "critic_params": {"hidden": (32,)}}
    settings = {
        "lr": 5e-3,
        "n_critic": 2,
        "batch_size": 64,
        "penalty": 1.0,
        "optimizer_params": {"betas": (0.0, 0.9)},
    }
    samples = tiny_gan(n_iter=200, **settings, **wide).fit(rows).sample(1000)
    unit = rows.std(0)  # in which the covariances are 1, 0.88 and 1
    assert np.abs((samples.mean(0) - rows.mean(0)) / unit).max() < 0.35
    np.testing.assert_allclose(np.cov((samples / unit).T), np.cov((rows / unit).T), atol=0.35)
    assert 0.35 < (samples[:, 1] < 100).mean() < 0.65


# Bad input, before any training


@pytest.fixture
def no_training(monkeypatch):
    """Whatever the test does must not reach the initialisation of a network."""

    def fail(*_, **__):
        raise AssertionError("a network was built")

    monkeypatch.setattr("skal.generators.gan_net.GANNet.initialize", fail)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("params", "rows", "error", "message"),
    [
        ({"architecture": ("dense",)}, X, ValueError, "two classes"),
        ({"architecture": (DenseGenerator, DenseCritic, DenseCritic)}, X, ValueError, "two classes"),
        ({"architecture": ("dense", "dense")}, X, ValueError, "two classes"),
        ({"loss": "gan"}, X, ValueError, "loss"),
        ({"n_iter": 0}, X, ValueError, "n_iter"),
        ({"penalty": -1.0}, X, ValueError, "penalty"),
    ],
)
def test_bad_input(params, rows, error, message):
    with pytest.raises(error, match=message):
        tiny_gan(**params).fit(rows)


def test_graphs_need_a_gpu(monkeypatch):
    monkeypatch.setattr("skal.generators.gan_net.GANNet.step", None)  # no step is made
    with pytest.raises(
        ValueError, match=r'cuda_graph=True needs a GPU, .* device="cpu"; use cuda_graph=False'
    ):
        tiny_gan(cuda_graph=True, device="cpu").fit(X)


@pytest.mark.gpu
@pytest.mark.parametrize("loss", ["wgan_gp", "wgan_ct", "dcgan"])
def test_graphs_learn(loss):
    gan = image_gan(loss=loss, cuda_graph=True).set_params(n_iter=20).fit(IMAGES)
    assert gan.n_iter_ == gan.history_["step"][-1] == 20
    assert np.isfinite(gan.sample(10)).all()
    assert not same_tensors(weights(gan), weights(image_gan(loss=loss).fit(IMAGES)))


def test_images_for_a_convolutional_network():
    with pytest.raises(ValueError, match="image_shape"):
        GAN(architecture="digits", n_iter=1).fit(X)


# How long it is trained.


@pytest.mark.parametrize(
    ("shape", "n_steps"),
    [((150, 4), 200), ((1797, 64), 1696), ((1797, 1, 8, 8), 1696), ((60_000, 784), 3000)],
)
def test_the_steps_follow_from_rows_and_columns(shape, n_steps):
    rows = np.broadcast_to(np.float32(0), shape)
    assert GAN()._length(rows) == {"n_iter": n_steps}
    assert GAN(n_iter=7)._length(rows) == {"n_iter": 7}


def test_auto_trains_as_long_as_it_says_and_tells_the_log(caplog):
    with caplog.at_level("INFO", logger="skal"):
        gan = tiny_gan(n_iter="auto", n_critic=1).fit(X[:20])
    assert gan.n_iter_ == gan.history_["step"][-1] == 200
    begun, ended = (record.getMessage() for record in caplog.records)
    assert begun == "GAN begins to train on 20 rows of shape (3,)"
    assert ended.startswith("GAN made 200 steps in ")


def test_plain_rows_are_learned_faster_than_images():
    def lr(shape, **params):
        return GAN(**params)._make_net(shape, dtype=torch.float32, amp=False, seed=0, device="cpu").lr

    assert (lr((3,)), lr((3,), lr=0.1), lr((1, 28, 28))) == (1e-3, 0.1, 1e-4)
