"""A smoke test of an installation: a few small things from each part of skal, without data, extras or pytest."""

from __future__ import annotations

import importlib
import pkgutil
import platform
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import skal

from ..campaign import Campaign
from ..classifiers import CNNClassifier
from ..generators import GAN
from ..labels import UNLABELED
from ..learner import ActiveLearner
from ..strategies import ASAL, BADGE, DGAL, QueryStrategy, UncertaintySampling
from ..training.devices import resolve_device
from ..utils.torchvision import import_torchvision

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "skorch",
    "torch",
    "torchvision",
    "numba",
    "pynndescent",
    "safetensors",
    "joblib",
)
# What each extra brings, and the packages of skal that cannot be imported without.
EXTRAS = {
    "plot": ("matplotlib", "rich"),
    "timm": ("timm",),
    "annotate": ("starlette", "uvicorn", "jinja2", "segno", "PIL", "pandas"),
    "label-studio": ("httpx2",),
    "dask": ("dask", "distributed"),
}
NEEDS_AN_EXTRA = {"skal.campaign.page": "annotate"}


def _pool() -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """300 digits of 8 x 8 pixels, what an annotator would say, and the labels of the first 30."""
    X, truth = load_digits(return_X_y=True)
    X, truth = X[:300] / 16, truth[:300]
    return X, truth, np.where(np.arange(len(X)) < 30, truth, UNLABELED)


def _expect(holds: bool, message: str) -> None:
    if not holds:  # no assert, which `python -O` leaves out
        raise AssertionError(message)


def _rounds(strategy: QueryStrategy, classifier: object, n_rounds: int = 2) -> None:
    X, truth, y = _pool()
    learner = ActiveLearner(classifier, strategy, n_queries=10, random_state=0).fit(X, y)
    for _ in range(n_rounds):
        rows = learner.query(X)
        _expect(len({*rows.tolist()}) == 10, f"10 distinct rows were asked for, and {rows} came")
        learner.teach(rows, truth[rows])
    accuracy = learner.score(X, truth)
    _expect(accuracy > 0.5, f"the accuracy is {accuracy:.2f}; more than 0.5 was expected")


def check_imports() -> None:
    """Every module of skal can be imported, except those that need an extra which is not installed."""
    import_torchvision()
    left_out = tuple(name for name, extra in NEEDS_AN_EXTRA.items() if not _has(extra))
    for module in pkgutil.walk_packages(skal.__path__, "skal.", onerror=lambda name: None):
        if not module.name.startswith(left_out) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def check_linear() -> None:
    """Two rounds of a linear classifier."""
    _rounds(UncertaintySampling("margin"), LogisticRegression(max_iter=1000))


def check_network() -> None:
    """Two rounds of a network on the device."""
    network = CNNClassifier("digits", image_shape=(1, 8, 8), module_params={"n_filters": 8}, max_epochs=8)
    _rounds(BADGE(), network.set_params(lr=0.01, batch_size=8))


def check_graph() -> None:
    """Two rounds with labels diffused on a graph."""
    _rounds(DGAL(PCA(10)), LogisticRegression(max_iter=1000))


def check_generator() -> None:
    """Two rounds with rows that a generator makes, matched to the pool."""
    _rounds(ASAL(GAN(n_latent=8, n_iter=10)), LogisticRegression(max_iter=1000))


def check_save() -> None:
    """A learner that is saved and loaded asks for the same rows."""
    X, _, y = _pool()
    learner = ActiveLearner(LogisticRegression(max_iter=1000), DGAL(PCA(10)), n_queries=10, random_state=0)
    learner.fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        learner.save(folder)
        loaded = ActiveLearner.load(folder, X, learner)
    assert_array_equal(loaded.query(), learner.query(), err_msg="a loaded learner asks for other rows")


def check_campaign() -> None:
    """A campaign's journal remembers its labels."""
    X, truth, _ = _pool()
    learner = ActiveLearner(
        LogisticRegression(max_iter=1000), UncertaintySampling(), cold_start=DGAL(PCA(10)), random_state=0
    )
    with tempfile.TemporaryDirectory() as folder:
        with Campaign(
            folder, learner, X, classes=range(10), retrain_every=5, training="foreground"
        ) as campaign:
            for _ in range(6):
                rows = campaign.next("anna")
                campaign.answer("anna", rows, truth[rows])
        with Campaign.open(folder, X, training=None) as campaign:
            labels = campaign.labels()
    known = labels != UNLABELED
    _expect(known.sum() == 6, f"6 labels were given, and {known.sum()} are there")
    assert_array_equal(labels[known], truth[known], err_msg="labels have changed")


CHECKS: tuple[Callable[[], None], ...] = (
    check_imports,
    check_linear,
    check_network,
    check_graph,
    check_generator,
    check_save,
    check_campaign,
)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"


def _has(extra: str) -> bool:
    return all(importlib.util.find_spec(package) for package in EXTRAS[extra])


def check_installation() -> bool:
    """Print the versions, run each check, and return whether all passed."""
    print(f"skal {skal.__version__}, python {platform.python_version()} on {platform.platform()}")
    print(", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print(f"device: {resolve_device('auto')}; extras: {', '.join(filter(_has, EXTRAS)) or 'none'}")
    failed = []
    for check in CHECKS:
        started = time.perf_counter()
        try:
            check()
        except Exception:  # of any kind: the other checks go on
            failed.append(check.__name__)
            print(f"FAILED  {check.__doc__}\n{traceback.format_exc()}", flush=True)
        else:
            print(f"ok      {check.__doc__} ({time.perf_counter() - started:.1f} s)", flush=True)
    print(f"failed: {', '.join(failed)}" if failed else "passed")
    return not failed
