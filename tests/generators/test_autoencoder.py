import tracemalloc

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal.generators import AutoEncoder
from skal.nets import AUTOENCODERS, DenseAutoEncoder, MNISTAutoEncoder
from skal.training.batches import Rows

from ..networks import DIGITS, X, tiny_autoencoder
from .estimators import fitted, image_autoencoder


def test_architecture_chosen_by_shape():
    for shape, name in [
        ((5,), "dense"),
        ((1, 8, 8), "dense"),
        ((1, 28, 28), "mnist"),
        ((3, 32, 32), "cifar"),
        ((1, 16, 40), "cifar"),
        ((3, 64, 64), "celeba"),
    ]:
        assert AutoEncoder()._choose(shape) == name
    assert isinstance(tiny_autoencoder(architecture=DenseAutoEncoder).fit(X).module_, AUTOENCODERS["dense"])
    assert isinstance(fitted("autoencoder on images").module_, MNISTAutoEncoder)


@pytest.mark.parametrize("architecture", ["mnist", "celeba"])
def test_reconstructions_lie_within_the_range_of_the_data(architecture):
    rows = 100 + DIGITS[:20] / 32  # 100 to 100.5
    params = {"channels": (2, 3)}
    encoder = image_autoencoder(architecture=architecture, module_params=params).fit(rows)
    codes = 1e6 * np.random.default_rng(0).normal(size=(50, encoder.n_latent_))  # saturated pixels
    rows_back = encoder.inverse_transform(codes)
    assert rows_back.min() == pytest.approx(100, abs=1e-9)
    assert rows_back.max() == pytest.approx(100.5, abs=1e-9)


def test_a_memory_map_is_read_where_it_lies(tmp_path, monkeypatch):
    """Bytes stay bytes, numbers of the network's width are not copied, and only blocks are read as float64."""
    rng = np.random.default_rng(0)
    for dtype in (np.uint8, np.float32):
        path = tmp_path / np.dtype(dtype).name
        rng.integers(0, 255, size=(40_000, 256)).astype(dtype).tofile(path)
        mapped = np.memmap(path, dtype=dtype, mode="r", shape=(40_000, 256))
        held = []
        monkeypatch.setattr(
            "skal.generators.base.Rows",
            lambda *args, held=held, **kwargs: held.append(Rows(*args, **kwargs)) or held[-1],
        )
        encoder = tiny_autoencoder(
            batch_size=20_000, max_epochs=1, module_params={"n_latent": 2, "hidden": ()}
        )
        monkeypatch.setattr(
            "skal.generators.reconstruction.ReconstructionNet.losses",
            lambda net, batch: {"loss": sum(weight.square().sum() for weight in net.module_.parameters())},
        )
        encoder.fit(mapped)
        assert held[0].X.data_ptr() == mapped.ctypes.data
        monkeypatch.undo()
        tracemalloc.start()
        encoder.transform(mapped)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < mapped.nbytes / 4


def test_score_is_minus_the_mean_squared_error():
    for encoder, rows in (
        (fitted("autoencoder"), X),
        (image_autoencoder().fit(DIGITS[:30]), DIGITS[:30]),
    ):
        rows_back = encoder.inverse_transform(encoder.transform(rows))
        assert encoder.score(rows) == pytest.approx(-((rows - rows_back) ** 2).mean())


def test_loss_is_the_squared_error_on_the_networks_scale():
    """With a rate that moves no weight, the history has the loss of the final weights."""
    encoder = tiny_autoencoder(lr=1e-300, max_epochs=1, batch_size=7).fit(X)
    rows_back = encoder.inverse_transform(encoder.transform(X))
    expected = (((X - rows_back) / X.std(0)) ** 2).sum(1).mean()
    assert encoder.history_["loss"].tolist() == pytest.approx([expected])
    assert encoder.history_.keys() == {"loss", "step"}
    assert encoder.history_["step"].tolist() == [9]  # 60 rows in batches of 7


def test_digits_are_reconstructed():
    rows = DIGITS[:600].reshape(600, 64).astype(np.float32)
    encoder = AutoEncoder(module_params={"n_latent": 16}, max_epochs=15, lr=3e-3, random_state=0).fit(rows)
    unseen = DIGITS[600:900].reshape(300, 64).astype(np.float32)
    error_of_the_mean = ((unseen - rows.mean(0)) ** 2).mean()
    assert -encoder.score(unseen) < 0.5 * error_of_the_mean
    assert encoder.history_["loss"][-1] < 0.5 * encoder.history_["loss"][0]


def test_codes_suit_a_linear_classifier():
    from sklearn.datasets import load_digits

    rows, y = load_digits(return_X_y=True)
    encoder = AutoEncoder(dtype="float32", max_epochs=10, lr=3e-3, random_state=0)
    classifier = make_pipeline(encoder, StandardScaler(), LogisticRegression())
    assert classifier.fit(rows[:600], y[:600]).score(rows[600:900], y[600:900]) > 0.8


def test_early_stopping_stops():
    encoder = tiny_autoencoder(max_epochs=60, patience=2, validation_fraction=0.2, lr=0.5, batch_size=8).fit(
        X
    )
    losses = encoder.history_["valid_loss"]
    assert len(losses) == losses.argmin() + 1 + 2 < 60


@pytest.mark.parametrize(
    ("params", "rows", "error", "message"),
    [
        ({"architecture": "mnist", "module_params": None}, X, ValueError, "image_shape"),
        ({"validation_fraction": 0.0}, X, ValueError, "validation_fraction"),
    ],
)
def test_bad_input(params, rows, error, message, monkeypatch):
    monkeypatch.setattr("skal.generators.reconstruction.ReconstructionNet.train_step", None)
    with pytest.raises(error, match=message):
        tiny_autoencoder(**params).fit(rows)


def test_weights_that_diverge_in_the_last_step():
    """No loss sees them, and the estimator must not pass for fitted."""

    class Steep(DenseAutoEncoder):
        def decode(self, z):
            return 1e3 * super().decode(z)

    encoder = tiny_autoencoder(architecture=Steep, optimizer=torch.optim.SGD, lr=1e308, max_epochs=1)
    with pytest.raises(ValueError, match=r"weights became infinite or NaN in epoch 1.* smaller lr"):
        encoder.fit(X)
    assert not hasattr(encoder, "net_")
