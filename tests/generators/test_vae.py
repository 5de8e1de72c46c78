import numpy as np
import pytest
import torch
from skorch.callbacks import Callback

from skal.generators import VAE
from skal.nets import VAES, ConvVAE, DenseVAE

from ..networks import X, same_tensors, tiny_vae, weights
from .estimators import IMAGES, fitted, image_vae


class Weights(Callback):
    """The weights after each epoch."""

    def on_epoch_end(self, net, **_):
        self.seen = [*getattr(self, "seen", []), {k: v.clone() for k, v in net.module_.state_dict().items()}]


def test_architecture_chosen_by_shape():
    for shape, name in [((5,), "dense"), ((1, 8, 8), "dense"), ((1, 28, 28), "conv"), ((3, 16, 40), "conv")]:
        assert VAE()._choose(shape) == name
    assert isinstance(tiny_vae(architecture=DenseVAE).fit(X).module_, VAES["dense"])
    assert isinstance(fitted("vae on images").module_, ConvVAE)
    resnet = image_vae(architecture="resnet18", module_params={"n_filters": 16}).fit(IMAGES[:6])
    assert resnet.sample(2).shape == (2, 1, 8, 8)


def test_samples_lie_within_the_range_of_the_data():
    rows = 100 + IMAGES / 32  # 100 to 100.5
    samples = image_vae(max_epochs=3).fit(rows).sample(100)
    assert samples.min() >= 100
    assert samples.max() <= 100.5


def loss_by_hand(vae, rows, noise, beta=1.0):
    """The terms of the loss by the layers' weights, in numpy; one hidden layer each way."""
    tensors = {name: tensor.numpy() for name, tensor in weights(vae).items()}
    scaled = (rows - X.mean(0)) / X.std(0)

    def dense(part, x, first):
        hidden = x @ tensors[f"module/{part}.{first}.weight"].T + tensors[f"module/{part}.{first}.bias"]
        last = first + 2
        return (
            np.maximum(hidden, 0) @ tensors[f"module/{part}.{last}.weight"].T
            + tensors[f"module/{part}.{last}.bias"]
        )

    mean, log_variance = np.hsplit(dense("encoder", scaled, 1), 2)
    outputs = dense("decoder", mean + np.exp(log_variance / 2) * noise, 0)
    reconstruction = ((scaled - outputs) ** 2).sum(1)
    kl = (mean**2 + np.exp(log_variance) - log_variance - 1).sum(1) / 2
    return reconstruction + beta * kl


def test_score_is_the_bound_by_hand():
    """The expectation over the latents is taken over one draw and its mirror image."""
    vae = tiny_vae(beta=0.7).fit(X)
    draws = []
    scores = vae.score_samples(X)
    noise = np.random.default_rng(vae.random_state).standard_normal(2)
    draws = [loss_by_hand(vae, X, sign * noise, 0.7) for sign in (1, -1)]
    np.testing.assert_allclose(scores, -np.mean(draws, axis=0), rtol=1e-10)
    assert vae.score(X) == pytest.approx(scores.mean())


def test_score_of_a_row_is_its_own():
    vae = fitted("vae on images")
    scores = vae.score_samples(IMAGES)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(vae.score_samples(IMAGES[order]), scores[order], rtol=1e-5)
    np.testing.assert_allclose(vae.score_samples(IMAGES[3:4]), scores[3:4], rtol=1e-5)
    np.testing.assert_allclose(vae.transform(IMAGES[3:4]), vae.transform(IMAGES)[3:4], rtol=1e-4, atol=1e-5)


def test_a_ring_is_learnt():
    rng = np.random.default_rng(0)
    angles = 2 * np.pi * rng.random(600)
    circle = np.c_[np.cos(angles), np.sin(angles)]
    rows = (circle * (1 + 0.05 * rng.normal(size=(600, 1))) * [3, 40] + [5, 100]).astype(np.float32)
    vae = VAE(2, beta=0.05, lr=1e-2, max_epochs=30, module_params={"hidden": (32, 32)}, random_state=0).fit(
        rows[:500]
    )
    samples = (vae.sample(2000) - [5, 100]) / [3, 40]
    radii = np.hypot(*samples.T)
    assert (radii < 0.5).mean() < 0.15  # a normal distribution of the same covariance has 0.22 there
    assert radii.mean() == pytest.approx(1, abs=0.2)
    octants = np.histogram(np.arctan2(*samples.T), 8, (-np.pi, np.pi))[0]
    assert octants.min() > 2000 / 8 / 3
    reconstructions = vae.inverse_transform(vae.transform(rows[500:]))
    assert ((reconstructions - rows[500:]) ** 2).mean() < 0.1 * rows[500:].var(axis=0).mean()
    noise = (rng.uniform(-3, 3, size=(100, 2)) * [3, 40] + [5, 100]).astype(np.float32)
    assert vae.score(rows[500:]) > vae.score(noise) + 1


# Early stopping


def test_early_stopping_keeps_the_best_epoch():
    """A learning rate that is much too large makes the held-out loss worse soon."""
    vae = tiny_vae(max_epochs=50, patience=3, lr=0.3, batch_size=8, callbacks=[Weights()]).fit(X)
    losses = vae.history_["valid_loss"]
    best = int(losses.argmin())
    assert len(losses) == best + 1 + 3 < 50
    (seen,) = (callback.seen for callback in vae.net_.callbacks if isinstance(callback, Weights))
    # The epoch that stops the training ends before callbacks of ours see it.
    assert same_tensors(vae.module_.state_dict(), seen[best])
    assert not same_tensors(vae.module_.state_dict(), seen[best + 1])


def test_held_out_loss_is_that_of_the_held_out_rows(monkeypatch):
    vae = tiny_vae(max_epochs=12, patience=3, lr=0.1, batch_size=8, validation_fraction=0.2)
    splits = []
    split = vae._split
    monkeypatch.setattr(vae, "_split", lambda *args: splits.append(split(*args)) or splits[-1])
    # The same draws at every evaluation, and the loss of the best weights can be computed again.
    monkeypatch.setattr(torch, "randn_like", torch.ones_like)
    vae.fit(X)
    ((training, held_out),) = splits
    assert sorted([*training, *held_out]) == list(range(60))
    assert len(held_out) == 12
    expected = loss_by_hand(vae, X[held_out], np.ones(2)).mean()
    assert vae.history_["valid_loss"].min() == pytest.approx(expected)


def test_history():
    vae = tiny_vae(max_epochs=3, beta=0.3).fit(X)
    history = vae.history_
    names = {"loss", "reconstruction", "kl"}
    assert history.keys() == {"step"} | names | {f"valid_{name}" for name in names}
    assert history["step"].tolist() == [1, 2, 3]
    assert all(len(values) == 3 for values in history.values())
    for prefix in ("", "valid_"):
        total = history[f"{prefix}reconstruction"] + 0.3 * history[f"{prefix}kl"]
        np.testing.assert_allclose(history[f"{prefix}loss"], total)
    history = tiny_vae(max_epochs=3, validation_fraction=None, batch_size=16).fit(X).history_
    assert history.keys() == {"step"} | names
    assert history["step"].tolist() == [4, 8, 12]


def test_epoch_losses_are_means_over_the_rows():
    """Batches of 7, 7 and 6 rows count by their sizes."""

    class Steps(Callback):
        seen = []

        def on_batch_end(self, net, batch=None, losses=None, **_):
            self.seen.append((len(batch), losses["kl"].item()))

    vae = tiny_vae(max_epochs=1, validation_fraction=None, batch_size=7, callbacks=[Steps()]).fit(X[:20])
    sizes, values = zip(*Steps.seen, strict=True)
    assert sorted(sizes) == [6, 7, 7]
    assert vae.history_["kl"].tolist() == pytest.approx([np.average(values, weights=sizes)])


# Bad input, before any training


@pytest.mark.parametrize(
    ("params", "rows", "error", "message"),
    [
        ({"n_latent": 0}, X, ValueError, "n_latent"),
        ({"beta": -0.1}, X, ValueError, "beta"),
        ({"validation_fraction": 1.0}, X, ValueError, "validation_fraction"),
        ({"validation_fraction": 0.9}, X[:10], ValueError, "leaves 1 for training.*validation_fraction=None"),
    ],
)
def test_bad_input(params, rows, error, message, monkeypatch):
    monkeypatch.setattr("skal.generators.reconstruction.ReconstructionNet.train_step", None)
    with pytest.raises(error, match=message):
        tiny_vae(**params).fit(rows)


def test_a_held_out_loss_that_diverges():
    with pytest.raises(ValueError, match=r"valid loss became (nan|inf) in epoch 1, "):
        tiny_vae(optimizer=torch.optim.SGD, lr=1e40).fit(X)
