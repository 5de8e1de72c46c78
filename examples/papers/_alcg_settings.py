"""The data sets of ALCG's section 4.1, their ``--quick`` settings, and the settings that flags vary."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from _experiments import Experiment, of
from skorch.callbacks import LRScheduler

from skal import datasets
from skal.classifiers import CNNClassifier


def judge(architecture: str, max_epochs: int, lr: float = 0.05, **params: Any) -> CNNClassifier:
    """The classifier that judges generated rows; like those, it takes bytes."""
    return CNNClassifier(
        architecture,
        scale=(0, 255),  # whether in bytes or in floats
        optimizer=torch.optim.SGD,
        optimizer_params={"momentum": 0.9, "weight_decay": 5e-4},
        lr=lr,
        max_epochs=max_epochs,
        callbacks=[("schedule", LRScheduler("CosineAnnealingLR", T_max=max_epochs))],
        random_state=0,
        **params,
    )


COLOUR_JUDGE = judge("resnet18", 30, batch_size=128)


@dataclass(frozen=True, kw_only=True)
class Settings(Experiment):
    """A data set of section 4.1."""

    n_initial: int = 1000
    n_queries: int = 1000
    n_rounds: int = 4
    n_seeds: int = 3
    judge: CNNClassifier = COLOUR_JUDGE
    n_iter: int = 10_000
    n_samples: int = 10_000  # generated rows that are judged
    gan: dict[str, Any] = field(default_factory=dict)  # of the classifier; by default the paper's networks


def tiny_imagenet(split: str) -> tuple[Any, Any]:
    """Ten classes with 400 of their 500 images for training and 100 for testing; the paper does not say which."""
    rng = np.random.default_rng(0)
    classes = np.sort(rng.choice(200, 10, replace=False)).tolist()
    X, y = datasets.load_tiny_imagenet(subset=classes, image_size=32, return_X_y=True)
    orders = [rng.permutation(np.flatnonzero(y == label)) for label in classes]
    rows = np.sort(np.concatenate([order[:400] if split == "train" else order[400:] for order in orders]))
    return X[rows], y[rows]


EXPERIMENTS = {
    "mnist": Settings(
        load=of(datasets.load_mnist), judge=judge("lenet_waal", 8, module_params={"dropout": 0.1})
    ),
    "cifar10": Settings(load=of(datasets.load_cifar10)),
    "stl10": Settings(load=of(partial(datasets.load_stl10, image_size=32))),
    "tiny-imagenet": Settings(load=tiny_imagenet, n_rounds=3),
}

# For two cores. At a learning rate of 1e-3 adversarial sampling failed after some 1,400 steps.
QUICK: dict[str, Any] = {
    "n_rounds": 2,
    "n_iter": 1000,
    "n_samples": 2000,
    "gan": {
        "generator_params": {"channels": (64, 32, 16, 8)},
        "critic_params": {"channels": (8, 16, 32, 64)},
        "lr": 5e-4,
    },
}


def quick(experiment: Settings) -> Settings:
    """For two cores: narrow networks, few steps and few rounds, and a small judge."""
    small = {"judge": judge("lenet", 8, lr=0.01)} if experiment.judge is COLOUR_JUDGE else {}
    return replace(experiment, **QUICK, **small)


def wide(width: int) -> dict[str, Any]:
    """Networks with so many maps before the last layer, and a half, a quarter and an eighth of them before."""
    channels = tuple(width // part for part in (1, 2, 4, 8))
    return {"generator_params": {"channels": channels}, "critic_params": {"channels": channels[::-1]}}


def varied(experiment: Settings, options: argparse.Namespace) -> tuple[Settings, dict[str, int]]:
    """The experiment with the steps, the labels and the width that were asked for, and these by flag."""
    flags = {name: value for name in ("steps", "labels", "width") if (value := getattr(options, name))}
    if "steps" in flags:
        experiment = replace(experiment, n_iter=flags["steps"])
    if "labels" in flags:
        experiment = replace(experiment, n_initial=flags["labels"], n_queries=flags["labels"])
    if "width" in flags:
        experiment = replace(experiment, gan=experiment.gan | wide(flags["width"]))
    return experiment, flags
