"""The data sets of DGAL: their rows in Table 1 and appendix A, and smaller settings for two cores."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from _experiments import Experiment, of

from skal import datasets


@dataclass(frozen=True, kw_only=True)
class Settings(Experiment):
    """A data set's row in Table 1, and its part of appendix A."""

    architecture: str
    n_latent: int
    n_candidates: int
    pretrained: bool = False
    vae: str = "conv"
    n_steps: int | str = "auto"  # of the diffusion
    scale: Any = "imagenet"  # of the images for pretrained networks


def mini_imagenet(split: str) -> tuple[Any, Any]:
    """48,000 rows to label and 10,000 to test, as in Table 1; it does not say which rows."""
    X, y = datasets.load_mini_imagenet(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    rows = np.sort(order[:48_000] if split == "train" else order[48_000:58_000])
    return X[rows], y[rows]


CIFAR10 = Settings(
    load=of(datasets.load_cifar10),
    architecture="resnet50",
    n_latent=100,
    n_initial=100,
    n_candidates=5000,
    n_queries=200,
    n_rounds=20,
    pretrained=True,
)
CIFAR100 = replace(CIFAR10, load=of(datasets.load_cifar100), architecture="vit_small", vae="resnet18")

EXPERIMENTS = {
    "mnist": Settings(
        load=of(datasets.load_mnist),
        architecture="lenet_waal",
        n_latent=50,
        n_initial=10,
        n_candidates=100,
        n_queries=10,
        n_rounds=30,
    ),
    "emnist": Settings(
        load=of(datasets.load_emnist, "letters"),
        architecture="resnet18",
        n_latent=256,
        n_initial=20,
        n_candidates=200,
        n_queries=20,
        n_rounds=50,
        pretrained=True,
        scale=(0.449 * 255, 0.226 * 255),  # ImageNet's means over the colours, as the letters are gray
        n_steps=5,  # the paper has about log_10 N, which is 5.1 here; "auto" rounds up
    ),
    "svhn": Settings(
        load=of(datasets.load_svhn),
        architecture="resnet50",
        n_latent=100,
        n_initial=100,
        n_candidates=500,
        n_queries=50,
        n_rounds=50,
    ),
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
    "mini-imagenet": replace(CIFAR100, load=mini_imagenet),
}

# Table 2; its other results are curves.
PUBLISHED = {
    "mnist": "The paper: VAE 182 s, graph 139 s.",
    "emnist": "The paper: VAE 478 s, graph 731 s.",
    "svhn": "The paper: VAE 276 s, graph 207 s.",
    "cifar10": "The paper: VAE 208 s, graph 108 s.",
    "cifar100": "The paper: VAE 1134 s, graph 125 s.",
    "mini-imagenet": "The paper: VAE 864 s, graph 133 s.",
}


# The paper's optimizer learns nothing in so few steps.
QUICK_TRAININGS: dict[str, dict[str, Any]] = {
    "lenet_waal": {"lr": 4e-3, "max_epochs": 30, "batch_size": 32, "module_params": {"dropout": 0.2}},
    "resnet18": {"lr": 1e-3, "max_epochs": 20, "batch_size": 32, "amp": True},
}


def quick_cuts(experiment: Settings) -> tuple[str, ...]:
    """What trainings for two cores leave out, with the paper's values in brackets."""
    training = QUICK_TRAININGS[experiment.architecture].items()
    return (
        "VAE 8 epochs (300)",
        f"classifier Adam, {', '.join(f'{name} {value}' for name, value in training)} "
        "(SGD at 1e-3 until the loss converges)",
        "VAAL's adversary 3 epochs on 2,000 unlabelled rows, 8 filters",
    )


def quick(experiment: Settings, with_resnet18: bool = False) -> Settings:
    """For two cores and an hour: a small network, and fewer rows and rounds than the paper except on MNIST.

    A ResNet-18, which learns from random weights, has a pool of its size: one core trains it on 50 rows a second.
    """
    if with_resnet18:
        small = quick(replace(experiment, architecture="resnet18"))
        return replace(
            small,
            architecture="resnet18",
            n_rows=3000,
            n_candidates=300,
            n_queries=100,
            n_rounds=4,
            n_test=2000,
        )
    if experiment.architecture == "lenet_waal":
        return replace(experiment, n_seeds=3)
    return replace(
        experiment,
        architecture="lenet_waal",
        pretrained=False,
        vae="conv",
        n_steps="auto",
        n_candidates=min(experiment.n_candidates, 1000),
        n_rounds=10,
        n_rows=10_000,
        n_seeds=3,
    )
