"""Check that the full settings of all papers' scripts learn anything: each is trained on a few hundred digits.

``python examples/papers/smoke.py`` trains the classifiers of every setting as the papers train them, with their
optimizers, epochs and stopping rules, for two rounds, and ends with an error if one is not clearly above chance.
The images are the digits of scikit-learn in the size and the colours of each data set, so nothing has to be downloaded,
and the weights of pretrained networks are random. GANs make ``--steps`` steps. Names, such as ``dgal-mnist``, or
beginnings of names select settings. Those with linear networks and LeNets take up to a few minutes on two cores; those
with VGG16, ResNets, All-CNN-C and transformers need a GPU, or much patience.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import alcg
import asal
import dgal
import numpy as np
import torch
import waal
from _experiments import Experiment, count
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch.nn import functional as F

from skal import SimulatedLearner
from skal.strategies import RandomSampling

N_TEST = 300
SHAPES = {
    **{f"asal-{name}": (1, 28) for name in ("mnist-two", "mnist-ten")},
    **{f"asal-{name}": (3, 32) for name in ("cifar-two", "cifar-ten", "svhn")},
    **dict.fromkeys(("asal-celeba-blond_hair", "asal-lsun"), (3, 64)),
    **{f"dgal-{name}": (1, 28) for name in ("mnist", "emnist")},
    **{f"dgal-{name}": (3, 32) for name in ("svhn", "cifar10", "cifar100")},
    "dgal-mini-imagenet": (3, 84),
    "waal-fashion-mnist": (1, 28),
    **{f"waal-{name}": (3, 32) for name in ("svhn", "cifar10")},
    "waal-stl10": (3, 96),
    "alcg-mnist": (1, 28),
    "alcg-cifar10": (3, 32),
}
TWO = {"asal-mnist-two": (5, 7), "asal-cifar-two": (1, 7), "asal-celeba-blond_hair": (0, 1)}


class Case(NamedTuple):
    """A setting's learner and data."""

    learner: SimulatedLearner
    data: tuple[Any, Any, Any, Any]


def images(name: str, n_rows: int) -> tuple[Any, Any, Any, Any]:
    """Digits as the images of a data set, to label and to test."""
    X, y = load_digits(return_X_y=True)
    n_channels, side = SHAPES[name]
    if name in TWO:
        rows = np.isin(y, TWO[name])
        X, y = X[rows], y[rows]
    pixels = torch.as_tensor(X.reshape(-1, 1, 8, 8)[: n_rows + N_TEST] * 15)
    bytes_ = F.interpolate(pixels, size=(side, side), mode="bilinear").round().byte()
    large = bytes_.repeat(1, n_channels, 1, 1).numpy()
    return large[:n_rows], y[:n_rows], large[n_rows:], y[n_rows : len(large)]


def case(name: str, experiment: Experiment, classifier: Any, n_rows: int, n_labels: int) -> Case:
    """The learner of a setting, with at most `n_labels` labels after two rounds."""
    n_initial = min(experiment.n_initial, n_labels // 2)
    n_queries = min(experiment.n_queries, n_labels - n_initial)
    small = replace(experiment, n_initial=n_initial, n_queries=n_queries, n_rounds=1)
    return Case(small.learner(classifier, RandomSampling(), random_state=0), images(name, n_rows))


def cases(n_steps: int = 200) -> dict[str, Callable[[], Case]]:
    """All settings by name."""
    return {
        name: make
        for names in (_asal_cases(), _dgal_cases(), _waal_cases(), _alcg_cases(n_steps))
        for name, make in names
    }


def _asal_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for key, experiment in asal.EXPERIMENTS.items():
        name = f"asal-{key}"
        if name in SHAPES:  # the four attributes of CelebA have the same settings
            n_rows = 200 if name in TWO else 300
            yield name, partial(case, name, experiment, experiment.classifier, n_rows, n_rows)


def _dgal_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for key, experiment in dgal.EXPERIMENTS.items():
        name = f"dgal-{key}"
        classifier = dgal.make_classifier("random", experiment, None, is_quick=False)
        yield name, partial(case, name, experiment, classifier, 300, 200)


def _waal_cases() -> Iterator[tuple[str, Callable[[], Case]]]:
    for key, experiment in waal.EXPERIMENTS.items():
        name = f"waal-{key}"
        n_rows, n_labels = (1000, 400) if experiment.architecture == "lenet_waal" else (300, 200)
        X, y, *_ = images(name, 1700)
        held_out = X[1600:], y[1600:]  # to stop early
        for kind in (*waal.CLASSIFIERS, "learning-loss"):
            classifier = waal.make_classifier(kind, experiment, held_out)
            yield f"{name}-{kind}", partial(case, name, experiment, classifier, n_rows, n_labels)


def _alcg_cases(n_steps: int) -> Iterator[tuple[str, Callable[[], Case]]]:
    for key, experiment in alcg.EXPERIMENTS.items():
        name = f"alcg-{key}"
        if name not in SHAPES:  # the other two have the networks of CIFAR-10
            continue
        yield f"{name}-judge", partial(case, name, experiment, clone(experiment.judge), 600, 500)
        for base in alcg.BASES:
            small = replace(experiment, n_iter=n_steps)
            classifier = alcg.make_classifier(base, "alcg", small)
            yield f"{name}-{base}", partial(case, name, experiment, classifier, 300, 200)


def run(make: Callable[[], Case]) -> tuple[float, float]:
    """Accuracy of a setting after its rounds, and what is clearly above chance."""
    learner, (X, y, X_test, y_test) = make()
    learner.fit(X, y, X_val=X_test, y_val=y_test)
    (metric,) = (name for name in learner.history_ if name.startswith("score"))
    return float(learner.history_[metric][-1]), 1 / len(np.unique(y)) + 0.2


def main(arguments: list[str] | None = None) -> None:
    every = cases()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=", ".join(every))
    parser.add_argument("--steps", type=count, default=200, help="generator steps of a GAN")
    options = parser.parse_args(arguments)
    every, failed = cases(options.steps), []
    for name, make in every.items():
        if options.names and not name.startswith(tuple(options.names)):
            continue
        started = time.perf_counter()
        accuracy, wanted = run(make)
        learns = accuracy > wanted  # not if it is NaN: the training has failed
        failed += [] if learns else [name]
        verdict = "learns" if learns else "FAILED"
        print(f"{name}: {100 * accuracy:.1f} %, {verdict}, {time.perf_counter() - started:.0f} s", flush=True)
    sys.exit(f"no better than chance: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
