"""The files that are fuzzed: models of several kinds, and checkpoints. `tests.fuzzing` calls these by name."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import timm  # noqa: F401 - an architecture of another name asks both packages for one
import torchvision  # noqa: F401

from ..fuzzing import Case, assembled, dissected
from ..networks import X, tiny_gan, tiny_vae
from .test_saving import fitted, outputs


def model(name: str) -> Case:
    """A saved estimator, which is asked for everything that it computes."""
    estimator, rows = fitted(name)

    def attempt(path: Path) -> None:
        outputs(type(estimator).load(path), rows)

    allowed = [
        (TypeError, "holds an estimator of class"),
        (TypeError, "was saved without the parameters"),
        (ValueError, "was fitted on bytes"),
        (ValueError, "was fitted on other numbers"),
        (ValueError, "give the shape (C, H, W) of one row"),  # an `image_shape` that is none of these rows
        (ValueError, "Input Z contains infinity"),  # what weights of 1e300 make of the rows
    ]
    return Case(_bytes(estimator.save), attempt, allowed)


def gan() -> Case:
    case = model("wgan_gp")
    case.more = list(_bombs(case.raw))
    return case


def vae() -> Case:
    return model("vae")


def ali() -> Case:
    return model("ali")


def images() -> Case:
    return model("conv autoencoder")


def net() -> Case:
    return model("stopped net")


def bytes_of_images() -> Case:
    return model("vaal on images")


def acgan() -> Case:
    return model("acgan")


def gan_checkpoint() -> Case:
    return checkpoint(lambda path, n: tiny_gan(n_iter=2 * n, checkpoint=path))


def vae_checkpoint() -> Case:
    return checkpoint(lambda path, n: tiny_vae(max_epochs=2 * n, lr=0.1, checkpoint=path))


def _bombs(raw: bytes) -> Iterator[Callable[[], bytes]]:
    """What makes files that ask for far more than they have, some of them of several megabytes."""
    n, wide = 500_000, "\N{GRINNING FACE}"
    for change in (
        lambda: [[]] * 3 * n,
        lambda: [{}] * 3 * n,
        lambda: [0.5] * 2 * n,
        lambda: ["ab"] * 2 * n,
        lambda: [{"!tuple": []}] * (n // 2),
        lambda: "a" * 32 * n + wide,
        lambda: {"!array": ["<U1", [4 * n], "A" * 16 * n]},
        lambda: {"!array": ["|O", [2 * n], ["ab"] * 2 * n]},
    ):
        yield partial(_changed, raw, lambda header, content, change=change: content.update(history=change()))
    for name, value in {
        "n_latent": 10**9,
        "architecture": {"!tuple": [{"!class": "torch.nn.Linear"}] * 2},
        "generator_params": {"in_features": 40000, "out_features": 40000},
        "critic_params": {"hidden": {"!tuple": [30000, 30000]}},
        "optimizer_params": {"!array": ["<U0", [3 * 10**8], ""]},
        "image_shape": {"!array": ["<U300000000", [0], ""]},
    }.items():
        yield partial(
            _changed,
            raw,
            lambda header, content, name=name, value=value: content["params"].update({name: value}),
        )
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    many = lambda header, content: header.update(dict.fromkeys(map(str, range(200_000)), empty))  # noqa: E731
    yield partial(_changed, raw, many)
    yield partial(_changed, raw, lambda header, content: header.update({wide + "a" * 32 * n: empty}))


def _changed(raw: bytes, change: Callable[..., None]) -> bytes:
    header, content, data = dissected(raw)
    change(header, content)
    return assembled(header, content, data)


def checkpoint(make) -> Case:
    """A checkpoint, from which training goes on to twice the length."""

    def attempt(path: Path) -> None:
        make(path, 2).fit(X).transform(X)

    reasons = ("belongs to another training", "more than are asked for", "training diverged")
    return Case(
        _bytes(lambda path: make(path, 1).fit(X)), attempt, [(ValueError, reason) for reason in reasons]
    )


def _bytes(write) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        write(path)
        return path.read_bytes()
