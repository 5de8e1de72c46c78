import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skal.access import as_torch
from skal.generators import GAN
from skal.generators.gan import gan_classes
from skal.nets import GANS, ConvCritic, ConvGenerator, DenseCritic, DenseGenerator

from ..networks import DIGITS, HIDDEN, X, generator_states, same_tensors, tiny_gan, weights

IMAGES = DIGITS[:40].astype(np.float32)
NARROW = {"generator_params": {"channels": (4, 2)}, "critic_params": {"channels": (2, 4)}}


def image_gan(**params):
    """A convolutional GAN of a few hundred weights."""
    params = {"architecture": (ConvGenerator, ConvCritic), **NARROW, **params}
    return GAN(n_latent=3, n_iter=2, batch_size=8, random_state=0, **params)


# Shapes and scales


def test_shapes_of_rows():
    gan = tiny_gan().fit(X)
    assert gan.sample(5).shape == (5, 3)
    assert gan.sample().shape == (1, 3)
    assert gan.sample_latents(4).shape == (4, 2)
    assert gan.decode(np.zeros((4, 2))).shape == (4, 3)
    assert gan.transform(X).shape == (60, 4)
    assert (gan.n_features_in_, gan.input_shape_, gan.n_latent_) == (3, (3,), 2)
    assert gan.get_feature_names_out().tolist() == ["gan0", "gan1", "gan2", "gan3"]


def test_every_layout_of_the_same_images_gives_the_same_answer():
    flat = IMAGES.reshape(40, 64)
    fits = {
        (1, 8, 8): image_gan().fit(IMAGES),
        (8, 8): image_gan().fit(IMAGES[:, 0]),
        (64,): image_gan(image_shape=(1, 8, 8)).fit(flat),
        (64, 0): image_gan(image_shape=(8, 8)).fit(flat),
    }
    first = fits[1, 8, 8]
    samples, features = first.sample(3), first.transform(IMAGES)
    assert features.shape == (40, 4 * 2 * 2)
    for (*shape, _), gan in zip([(1, 8, 8, 0), (8, 8, 0), (64, 0), (64, 0)], fits.values(), strict=True):
        assert gan.input_shape_ == (1, 8, 8)
        assert gan.n_features_in_ == 64
        assert same_tensors(weights(gan), weights(first))
        assert gan.sample(3).shape == (3, *shape)
        np.testing.assert_array_equal(gan.sample(3).reshape(3, 1, 8, 8), samples)
        for rows in (IMAGES, IMAGES[:, 0], flat):
            np.testing.assert_array_equal(gan.transform(rows), features)


def test_colour_images():
    colour = np.random.default_rng(0).random((12, 3, 9, 10), dtype=np.float32)
    gan = image_gan().fit(colour)
    assert gan.input_shape_ == (3, 9, 10)
    assert gan.sample(2).shape == (2, 3, 9, 10)


@pytest.mark.parametrize("loss", ["wgan_gp", "wgan_ct", "dcgan"])
def test_another_scale_of_the_data_is_another_scale_of_the_samples(loss):
    scale, shift = np.array([7.0, 0.01, 300.0]), np.array([-2.0, 5.0, 1e4])
    one, other = tiny_gan(loss).fit(X), tiny_gan(loss).fit(scale * X + shift)
    np.testing.assert_allclose(other.sample(20), scale * one.sample(20) + shift, rtol=1e-7)
    np.testing.assert_allclose(other.transform(scale * X + shift), one.transform(X), rtol=1e-6, atol=1e-8)
    for name, losses in one.history_.items():
        np.testing.assert_allclose(other.history_[name], losses, rtol=1e-6)


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


def test_bytes_count_from_0_to_255():
    images = (DIGITS[:20] * 5 + 30).astype(np.uint8)  # 30 to 110
    gan = image_gan().fit(images)
    assert gan.dtype_ == torch.float32
    with torch.no_grad():
        pixels = gan.generator_(torch.zeros(1, 3))
    np.testing.assert_allclose(gan.decode(np.zeros((1, 3))), 255 * pixels.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(gan.transform(images), gan.transform(images.astype(np.float32)))


@pytest.mark.parametrize(
    ("dtype", "given", "network"),
    [
        ("auto", np.float64, torch.float64),
        ("auto", np.float32, torch.float32),
        ("auto", np.int16, torch.float32),
        ("auto", ">f8", torch.float64),
        ("float32", np.float64, torch.float32),
        ("float64", np.float32, torch.float64),
    ],
)
def test_numbers_of_the_network(dtype, given, network):
    gan = tiny_gan(dtype=dtype).fit(X.astype(given))
    assert gan.dtype_ == network
    assert {weight.dtype for weight in (*gan.generator_.parameters(), *gan.critic_.parameters())} == {network}
    expected = np.float32 if network == torch.float32 else np.float64
    assert gan.sample().dtype == gan.transform(X).dtype == expected


def test_architecture_chosen_by_shape():
    def chosen(*shape):
        return next(name for name, pair in GANS.items() if pair == gan_classes("auto", shape))

    assert chosen(5) == "dense"
    assert chosen(1, 8, 8) == chosen(3, 15, 40) == "digits"
    assert chosen(1, 28, 28) == chosen(1, 16, 32) == "mnist"
    assert chosen(3, 32, 32) == chosen(1, 28, 40) == chosen(3, 48, 48) == "cifar"
    assert chosen(3, 64, 64) == chosen(1, 49, 20) == "celeba"


# The views that torch sees


def test_torch_views():
    gan = tiny_gan().fit(X)
    decoder, encoder = gan.torch_decoder(), as_torch(gan)
    z = torch.tensor(gan.sample_latents(5), requires_grad=True)
    rows = decoder(z)
    np.testing.assert_array_equal(rows.detach().numpy(), gan.decode(z.detach().numpy()))
    features = encoder(rows)
    np.testing.assert_array_equal(features.detach().numpy(), gan.transform(rows.detach().numpy()))
    direction = torch.randn(features.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((features * direction).sum(), z)
    expected = np.empty((5, 2))
    for place in np.ndindex(5, 2):
        shifted = np.zeros((5, 2))
        shifted[place] = 1e-6
        values = [
            (gan.transform(gan.decode(z.detach().numpy() + sign * shifted)) * direction.numpy()).sum()
            for sign in (1, -1)
        ]
        expected[place] = (values[0] - values[1]) / 2e-6
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7)
    for module in (decoder, encoder):
        assert not module.training
        assert not any(weight.requires_grad for weight in module.parameters())


def test_torch_views_are_copies():
    gan = tiny_gan().fit(X)
    before = gan.sample(5), gan.transform(X)
    for module in (gan.torch_decoder(), as_torch(gan)):
        assert list(module.parameters())
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.add_(1)
    np.testing.assert_array_equal(gan.sample(5), before[0])
    np.testing.assert_array_equal(gan.transform(X), before[1])
    assert any(weight.requires_grad for weight in gan.generator_.parameters())


def test_transform_is_the_critics_embedding():
    gan = tiny_gan().fit(X)
    scaled = torch.tensor((X - X.mean(0)) / X.std(0))
    with torch.no_grad():
        np.testing.assert_allclose(gan.transform(X), gan.critic_.embed(scaled).numpy(), rtol=1e-10)
        scores = gan.critic_.head(torch.tensor(gan.transform(X)))[:, 0]
        torch.testing.assert_close(scores, gan.critic_(scaled))


# Determinism


@pytest.mark.parametrize("loss", ["wgan_gp", "wgan_ct", "dcgan"])
def test_random_state_decides_everything(loss):
    states = generator_states()
    one, same, other = tiny_gan(loss).fit(X), tiny_gan(loss).fit(X), tiny_gan(loss, random_state=1).fit(X)
    for gan in (one, same):
        gan.transform(X)
        gan.sample(3)
        gan.sample_latents(2, 1)
        gan.torch_decoder()
    assert generator_states() == states
    assert same_tensors(weights(one), weights(same))
    np.testing.assert_array_equal(one.sample(3), same.sample(3))
    np.testing.assert_array_equal(one.sample(3), one.sample(3))
    assert not np.array_equal(one.sample(3), one.sample(3, random_state=7))
    np.testing.assert_array_equal(one.sample(3, random_state=7), one.decode(one.sample_latents(3, 7)))
    differing = {
        name for name, tensor in weights(one).items() if not torch.equal(tensor, weights(other)[name])
    }
    assert {"generator/layers.0.weight", "critic/head.weight"} <= differing
    assert not np.array_equal(one.sample(3, random_state=7), other.sample(3, random_state=7))


def test_without_random_state_every_call_is_different():
    gan = tiny_gan(random_state=None).fit(X)
    assert not np.array_equal(gan.sample(3), gan.sample(3))
    assert not same_tensors(weights(gan), weights(tiny_gan(random_state=None).fit(X)))
    rng = np.random.RandomState(0)
    gan = tiny_gan(random_state=rng).fit(X)
    assert not np.array_equal(gan.sample(3), gan.sample(3))
    assert same_tensors(weights(gan), weights(tiny_gan(random_state=np.random.RandomState(0)).fit(X)))


def test_data_are_not_changed():
    for rows in (X.copy(), IMAGES.copy()):
        before = rows.copy()
        (tiny_gan(architecture="dense") if rows.ndim == 2 else image_gan()).fit(rows).transform(rows)
        np.testing.assert_array_equal(rows, before)


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
    assert [batch.shape for batch in Batches.seen] == [(4, 5, 3)] * 3
    rows = torch.cat([batch.reshape(-1, 3) for batch in Batches.seen])
    assert len(rows.unique(dim=0)) == 60  # the 60 rows once each


def test_defaults_of_the_papers():
    def net(*args, shape=(3,), **params):
        return GAN(*args, **params)._make_net(shape, dtype=torch.float32, amp=False, seed=0, device="cpu")

    betas = "generator_optimizer__betas", "critic_optimizer__betas"
    for loss, n_critic, lr, expected in [
        ("wgan_gp", 5, 1e-4, (0.5, 0.9)),
        ("wgan_ct", 5, 1e-4, (0.5, 0.9)),
        ("dcgan", 1, 2e-4, (0.5, 0.999)),
    ]:
        made = net(loss)
        assert (made.n_critic, made.lr, made.noise, made.decay) == (n_critic, lr, 0, False)
        assert made.generator_batch_size == made.batch_size == 64
        assert [getattr(made, name) for name in betas] == [expected] * 2
    made = net(architecture="residual", shape=(3, 8, 8))
    assert (made.n_critic, made.lr, made.noise, made.decay) == (5, 2e-4, 1 / 128, True)
    assert (made.batch_size, made.generator_batch_size) == (64, 128)
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


def test_mixed_precision_on_the_cpu():
    gan = tiny_gan(amp=True).fit(X)
    exact = tiny_gan(dtype="float32").fit(X)
    assert gan.dtype_ == torch.float32
    assert gan.sample(5).dtype == np.float32
    np.testing.assert_allclose(gan.sample(20), exact.sample(20), rtol=0.1, atol=0.1 * X.std(0).max())
    assert not np.array_equal(gan.sample(20), exact.sample(20))


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
        ({}, X[:1], ValueError, "1 sample"),
        ({}, np.where(X > 8, np.nan, X), ValueError, "NaN"),
        ({}, np.where(X > 8, np.inf, X), ValueError, "infinity"),
        ({"image_shape": (1, 2, 2)}, X, ValueError, r"image_shape=\(1, 2, 2\) holds 4 numbers"),
        ({"image_shape": (3, 0)}, X, ValueError, "positive integers"),
        ({"architecture": ("dense",)}, X, ValueError, "two classes"),
        ({"architecture": (DenseGenerator, DenseCritic, DenseCritic)}, X, ValueError, "two classes"),
        ({"architecture": ("dense", "dense")}, X, ValueError, "two classes"),
        ({"architecture": (DenseGenerator((3,)), DenseCritic)}, X, TypeError, "instance of DenseGenerator"),
        ({"architecture": (DenseGenerator, DenseCritic((3,)))}, X, TypeError, "instance of DenseCritic"),
        ({"architecture": "mist"}, X, ValueError, "architecture"),
        ({"loss": "gan"}, X, ValueError, "loss"),
        ({"n_iter": 0}, X, ValueError, "n_iter"),
        ({"batch_size": 1}, X, ValueError, "batch_size"),
        ({"penalty": -1.0}, X, ValueError, "penalty"),
        ({"amp": True, "dtype": "float64"}, X, ValueError, "bfloat16"),
        ({"device": "cuda:99"}, X, ValueError, 'use "auto" or "cpu"'),
        ({"device": "toaster"}, X, ValueError, "no device of torch"),
        ({"device": "vulkan"}, X, ValueError, 'is not there; use "auto" or "cpu"'),
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


def test_images_for_a_convolutional_network():
    with pytest.raises(ValueError, match="image_shape"):
        GAN(architecture="digits", n_iter=1).fit(X)


def test_latents_of_the_wrong_width():
    gan = tiny_gan().fit(X)
    with pytest.raises(ValueError, match=r"Z has 3 columns.*\(n_samples, 2\)"):
        gan.decode(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="NaN"):
        gan.decode([[np.nan, 0.0]])


@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", None, True])
def test_number_of_samples(n_samples):
    gan = tiny_gan().fit(X)
    for draw in (gan.sample, gan.sample_latents):
        with pytest.raises(ValueError, match=r"n_samples=.* integer of at least 1"):
            draw(n_samples)
    assert gan.sample(np.int64(2)).shape == (2, 3)


def test_rows_of_another_shape():
    gan = image_gan().fit(IMAGES)
    with pytest.raises(ValueError, match="reshape X"):
        gan.transform(np.zeros((2, 1, 4, 16)))
    with pytest.raises(ValueError, match="features"):
        gan.transform(np.zeros((2, 63)))


@pytest.mark.parametrize("loss", ["wgan_gp", "wgan_ct", "dcgan"])
def test_divergence_names_loss_step_and_remedy(loss):
    gan = tiny_gan(loss, optimizer=torch.optim.SGD, lr=1e300, n_iter=3)
    with pytest.raises(
        ValueError, match=r"train \w+_loss became (nan|-?inf) in epoch 1, at step \d: .*smaller lr .*1e\+300"
    ):
        gan.fit(X)
    assert not hasattr(gan, "net_")


def test_data_that_no_number_can_scale():
    with pytest.raises(ValueError, match="scale X"):
        tiny_gan().fit(X * 1e200)
