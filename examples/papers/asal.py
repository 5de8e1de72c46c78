"""The experiments of ASAL (Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020).

``python examples/papers/asal.py mnist-two`` runs a data set with the paper's settings (Table 1, supplement A),
``--quick`` with fewer steps and labels, for two cores without a GPU. ``python examples/papers/asal.py times`` compares
query times over growing pools (Figure 6a). The data sets are read from the folder that SKAL_DATA names.

Everything goes to the folder ``--output``: the trained networks, a file for every run (those that are there are not run
again), the tables as text and the figures: accuracy and entropy of the selected rows (Figures 3 to 5), labels of the
selected rows (Figures 9, 15), synthetic rows with their matches (Figures 2, 25-28).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from _experiments import (
    of,
    of_bytes,
    read_arrays,
    read_histories,
    result_folder,
    run_file,
    run_once,
    some,
    spread,
    train_or_load,
)
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import recall_score
from skorch.callbacks import LRScheduler

from skal import SimulatedLearner, datasets
from skal.classifiers import NetClassifier
from skal.generators import GAN, AutoEncoder, GANInversion
from skal.nets import AllCNN, CelebACNN, ConvCritic, ConvGenerator, ConvSmall, LeNet, Linear
from skal.plotting import LearningCurveDisplay, MatchesDisplay
from skal.simulation import labels_needed
from skal.strategies import ADBA, ASAL, GAAL, CoreSet, RandomSampling, UncertaintySampling

PIXELS, AUTOENCODER, DISCRIMINATOR, CLASSIFIER = (
    "ASAL-Gray",
    "ASAL-Autoencoder",
    "ASAL-Discriminator",
    "ASAL-CLS",
)
RANDOM, ENTROPY, CORE_SET = "Random", "Maximal Entropy", "CoreSet"


@dataclass(frozen=True)
class Experiment:
    """A data set's row in Table 1, and its part of supplement A and Table 3."""

    load: Callable[..., Any]
    classifier: Any
    gan: GAN
    autoencoder: AutoEncoder
    methods: tuple[str, ...]
    n_initial: int
    n_queries: int
    budget: int
    n_seeds: int
    target: float
    n_rows: int | None = None  # of the pool; all by default
    n_steps: int = 100  # of a search for latents


def mnist(subset: tuple[int, ...] | None = None) -> Callable[..., Any]:
    return lambda split: datasets.load_mnist(
        split=split, subset=subset, n_validation=10_000 if split == "train" else 0, return_X_y=True
    )


def celeba(attribute: str) -> Callable[..., Any]:
    return lambda split: datasets.load_celeba(attribute, split=split, return_X_y=True)


def svhn(split: str) -> tuple[Any, Any]:
    parts = [
        datasets.load_svhn(split=part, return_X_y=True) for part in (split, "extra")[: 1 + (split == "train")]
    ]
    return np.concatenate([X for X, _ in parts]), np.concatenate([y for _, y in parts])


def adam(module: type[torch.nn.Module], epochs: int, batch_size: int, **params: Any) -> NetClassifier:
    return NetClassifier(
        of_bytes(module), module_params=params, lr=1e-3, max_epochs=epochs, batch_size=batch_size
    )


ALL_CNN = NetClassifier(
    of_bytes(AllCNN),
    optimizer=torch.optim.SGD,
    optimizer_params={"momentum": 0.9, "weight_decay": 1e-3},
    lr=0.01,
    max_epochs=150,
    batch_size=128,
    callbacks=[("schedule", LRScheduler("MultiStepLR", milestones=[130, 140], gamma=0.1))],
)
FIXED = (PIXELS, AUTOENCODER, DISCRIMINATOR)
CELEBA = Experiment(
    load=celeba("Blond_Hair"),
    classifier=adam(CelebACNN, epochs=30, batch_size=50),
    gan=GAN(n_iter=100_000),
    autoencoder=AutoEncoder(max_epochs=100, batch_size=64, lr=1e-4),
    methods=(RANDOM, ENTROPY, AUTOENCODER, CLASSIFIER),
    n_initial=100,
    n_queries=10,
    budget=2000,
    n_seeds=5,
    target=0.9,
)

EXPERIMENTS = {
    "mnist-two": Experiment(
        load=mnist(subset=(5, 7)),
        classifier=adam(Linear, epochs=10, batch_size=10),
        gan=GAN(n_iter=40_000, batch_size=50),
        autoencoder=AutoEncoder(module_params={"channels": (1, 2, 4)}, max_epochs=40, batch_size=100),
        methods=(RANDOM, ENTROPY, *FIXED, "GAAL", "ADBA", CORE_SET),
        n_initial=50,
        n_queries=10,
        budget=500,
        n_seeds=5,
        target=0.985,
    ),
    "cifar-two": Experiment(
        load=lambda split: datasets.load_cifar10(
            split=split, subset=("automobile", "horse"), return_X_y=True
        ),
        classifier=adam(Linear, epochs=10, batch_size=50),
        gan=GAN(n_iter=200_000),
        autoencoder=AutoEncoder(max_epochs=100, batch_size=128),
        methods=(RANDOM, ENTROPY, *FIXED, "GAAL"),
        n_initial=50,
        n_queries=10,
        budget=1000,
        n_seeds=5,
        target=0.8,
    ),
    "mnist-ten": Experiment(
        load=mnist(),
        classifier=adam(LeNet, epochs=10, batch_size=50),
        gan=GAN(n_iter=100_000, batch_size=50),
        autoencoder=AutoEncoder(max_epochs=40, batch_size=100),
        methods=(RANDOM, ENTROPY, *FIXED, CLASSIFIER, CORE_SET),
        n_initial=100,
        n_queries=50,
        budget=10_000,
        n_seeds=5,
        target=0.95,
    ),
    "cifar-ten": Experiment(
        load=of(datasets.load_cifar10),
        classifier=ALL_CNN,
        gan=GAN("wgan_ct", architecture="residual", n_iter=100_000),
        autoencoder=AutoEncoder(max_epochs=100, batch_size=128),
        methods=(RANDOM, ENTROPY, *FIXED, CLASSIFIER),
        n_initial=1000,
        n_queries=1000,
        budget=30_000,
        n_seeds=3,
        target=0.8,
    ),
    **{
        f"celeba-{attribute.lower()}": replace(CELEBA, load=celeba(attribute))
        for attribute in ("Blond_Hair", "Wearing_Hat", "Bangs", "Eyeglasses")
    },
    "svhn": Experiment(
        load=svhn,
        classifier=adam(ConvSmall, epochs=120, batch_size=128),
        gan=GAN(n_iter=100_000),
        autoencoder=AutoEncoder(max_epochs=11, batch_size=64, lr=1e-4),  # 100,000 steps over 604k images
        methods=(RANDOM, ENTROPY, AUTOENCODER, CORE_SET),
        n_initial=1000,
        n_queries=1000,
        budget=50_000,
        n_seeds=3,
        target=0.9,
    ),
    "lsun": Experiment(
        load=lambda split: datasets.load_lsun(
            split="train" if split == "train" else "validation", return_X_y=True
        ),
        classifier=adam(ConvSmall, epochs=120, batch_size=128, first_stride=2),
        gan=GAN(n_iter=100_000),
        autoencoder=AutoEncoder(max_epochs=1, batch_size=64, lr=1e-4),  # 150,000 steps over 9.6M images
        methods=(RANDOM, ENTROPY, AUTOENCODER),
        n_initial=1000,
        n_queries=1000,
        budget=30_000,
        n_seeds=3,
        target=0.5,
    ),
}

# What the paper reports, as far as it gives numbers.
PUBLISHED = {
    "mnist-two": "The paper: 98.5 % at 200 labels with every ASAL, at 500 with random; entropy +63 % over random.",
    "mnist-ten": "The paper (curves only): every ASAL above random, Discriminator best, CLS near max-entropy.",
    "cifar-two": "The paper: only ASAL-Autoencoder above random; it has max-entropy's accuracy from 500 labels on.",
    "cifar-ten": "The paper: about or below random; max-entropy above it; 88.2 % with all labels.",
}


def quick(name: str, experiment: Experiment) -> Experiment:
    """What two cores do in an hour or two: fewer steps and labels, and beyond two digits a GAN of half the width."""
    if name == "mnist-two":
        return replace(experiment, gan=clone(experiment.gan).set_params(n_iter=3000))
    gan = GAN(n_iter=1000)
    if name == "mnist-ten":
        gan = GAN(
            architecture=(ConvGenerator, ConvCritic),
            generator_params={"channels": (128, 64, 32)},
            critic_params={"channels": (32, 64, 128)},
            n_iter=2500,
            batch_size=50,
            lr=2e-4,
        )
    classifier = clone(experiment.classifier)
    return replace(
        experiment,
        classifier=classifier.set_params(max_epochs=min(classifier.max_epochs, 10)),
        gan=gan,
        autoencoder=clone(experiment.autoencoder).set_params(max_epochs=10),
        n_initial=100,
        n_queries=180,
        budget=min(1000, experiment.budget),
        n_seeds=min(3, experiment.n_seeds),
        n_rows=30_000,
        n_steps=50,
    )


@dataclass
class Networks:
    """What is trained once for all runs."""

    gan: GAN
    autoencoder: AutoEncoder
    oracle: NetClassifier
    inversion: GANInversion | None = None
    codes: dict[str, Any] = field(default_factory=dict)


def train(experiment: Experiment, X: Any, y: Any, output: Path, gan_file: str | None) -> Networks:
    """Train the networks, or read those of an earlier run."""

    def trained(name: str, estimator: Any, *data: Any, file: str | None = None) -> Any:
        path = Path(file) if file else output / f"{name}.skal"
        return train_or_load(path, estimator, *data, **left_out(estimator))

    gan = clone(experiment.gan).set_params(random_state=0, verbose=1, checkpoint=output / "gan.checkpoint")
    return Networks(
        gan=trained("gan", gan, X, file=gan_file),
        autoencoder=trained("autoencoder", clone(experiment.autoencoder).set_params(random_state=0), X),
        # It stands for the annotators of synthetic images: it knows all labels of the pool.
        oracle=trained(
            "oracle", adam(LeNet, epochs=5, batch_size=64).set_params(random_state=0), *some(X, y, 60_000)
        ),
    )


def left_out(estimator: Any) -> dict[str, Any]:
    """Parameters of ours that no file holds: networks that are defined here."""
    return {"module": estimator.module} if isinstance(estimator, NetClassifier) else {}


def make_learner(method: str, experiment: Experiment, networks: Networks) -> SimulatedLearner:
    """A method's learner, in the terms of Table 1."""
    gan = FrozenEstimator(networks.gan)
    strategies = {
        RANDOM: RandomSampling(),
        ENTROPY: UncertaintySampling("entropy"),
        CORE_SET: CoreSet(),
        PIXELS: ASAL(gan, "pixels", n_steps=experiment.n_steps),
        AUTOENCODER: ASAL(gan, FrozenEstimator(networks.autoencoder), n_steps=experiment.n_steps),
        DISCRIMINATOR: ASAL(gan, "discriminator", n_steps=experiment.n_steps),
        CLASSIFIER: ASAL(gan, "classifier", n_steps=experiment.n_steps),
        "GAAL": GAAL(gan),
        "ADBA": ADBA(gan),
    }
    return SimulatedLearner(
        experiment.classifier,
        strategies[method],
        n_initial=experiment.n_initial,
        n_queries=experiment.n_queries,
        budget=experiment.budget,
        annotator=FrozenEstimator(networks.oracle) if method in ("GAAL", "ADBA") else None,
    )


def run(method: str, seed: int, experiment: Experiment, networks: Networks, data: Any, output: Path) -> None:
    """One learner, from the initial labels that all methods share for this seed; its history goes to a file."""
    if run_file(output, method, seed).exists():
        return
    X, y, X_test, y_test = data
    learner = make_learner(method, experiment, networks)
    if method == "ADBA":  # a linear model of the latents, which are no bytes
        X, X_test = networks.codes["pool"], networks.codes["test"]
        y = networks.codes["y"]
        learner.set_params(estimator=clone(experiment.classifier).set_params(module=Linear))
    run_once(output, method, seed, learner, (X, y, X_test, y_test))


def table(experiment: Experiment, histories: dict[str, Any]) -> str:
    """Labels needed for the target, scores along the way, entropy of the selected rows; mean [min, max] over seeds."""
    lines = [
        f"| method | labels for {experiment.target:.1%} | score at the middle | score at the end | entropy of selected "
        "rows | over random | query, s |",
        "|---|---|---|---|---|---|---|",
    ]
    entropy = {name: history["query_entropy"][:, 1:].mean(axis=1) for name, history in histories.items()}
    for name, history in histories.items():
        needed = labels_needed(history, experiment.target)
        reached = needed[~np.isnan(needed)]
        text = spread(reached, 0) if len(reached) else "never"
        text += f" ({len(reached)} of {len(needed)})" if len(reached) < len(needed) else ""
        middle = history["score"].shape[1] // 2
        gain = f"{entropy[name].mean() / entropy[RANDOM].mean() - 1:+.0%}" if RANDOM in entropy else ""
        lines.append(
            f"| {name} | {text} | {spread(history['score'][:, middle], 4)} | {spread(history['score'][:, -1], 4)} | "
            f"{spread(entropy[name], 3)} | {gain} | {np.median(history['query_time'][:, 1:]):.2f} |"
        )
    return "\n".join(lines)


def draw(name: str, histories: dict[str, Any], classes: np.ndarray, y: np.ndarray, output: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for axis, metric in zip(axes, ("score", "query_entropy"), strict=True):
        LearningCurveDisplay.from_history(histories, metric=metric, band="min_max", ax=axis)
    figure.suptitle(name)
    figure.savefig(output / "curves.png", dpi=100)

    figure, axis = plt.subplots(figsize=(10, 4), layout="constrained")
    shares = np.array([history["class_counts"][:, -1].mean(axis=0) for history in histories.values()])
    shares = np.vstack(
        [shares / shares.sum(axis=1, keepdims=True), np.bincount(np.searchsorted(classes, y)) / len(y)]
    )
    positions = np.arange(len(shares))
    for number, label in enumerate(classes):
        axis.bar(positions, shares[:, number], bottom=shares[:, :number].sum(axis=1), label=str(label))
    axis.set_xticks(positions, [*histories, "pool"], rotation=20)
    axis.set_ylabel("share of the labels")
    axis.legend(ncols=2, fontsize="small")
    figure.savefig(output / "labels.png", dpi=100)


def agreement(experiment: Experiment, networks: Networks, data: Any, output: Path, n_samples: int) -> str:
    """How often a match has the label of the synthetic image (supplement B.1), and the images with their matches.

    The paper's authors annotated by hand; here the oracle does. As there, the mean over the classes.
    """
    X, y, *_ = data
    rng = np.random.default_rng(0)
    rows = rng.choice(len(X), experiment.budget // 2, replace=False)
    classifier = clone(experiment.classifier).set_params(random_state=0).fit(X[rows], y[rows])
    lines = ["| features | agreement |", "|---|---|"]
    for method in FIXED:
        strategy = make_learner(method, experiment, networks).strategy.set_params(random_state=0).fit(X)
        strategy.query(X, n_queries=min(n_samples, len(X)), estimator=classifier)
        report = strategy.query_report_
        annotated = networks.oracle.predict(report.synthetic)
        score = recall_score(annotated, y[report.rows[:, 0]], average="macro")
        lines.append(f"| {method} | {score:.1%} |")
        display = MatchesDisplay.from_report(report, X, y, n_columns=12)
        display.figure_.suptitle(method)
        display.figure_.savefig(output / f"matches-{method}.png", dpi=100)
    return "\n".join(lines)


def experiment_main(name: str, options: argparse.Namespace) -> None:
    experiment = EXPERIMENTS[name]
    if options.quick:
        experiment = quick(name, experiment)
    output = result_folder(options)
    X, y = some(*experiment.load("train"), experiment.n_rows)
    data = (X, y, *experiment.load("test"))
    print(f"{name}: pool {X.shape}, test {data[2].shape}", flush=True)
    networks = train(experiment, X, y, output, options.gan)
    if "ADBA" in experiment.methods:
        encode_for_adba(networks, data, output, options.quick)
    for seed in options.seeds or range(experiment.n_seeds):
        for method in options.methods or experiment.methods:
            run(method, seed, experiment, networks, data, output)
    histories = read_histories(output, experiment.methods, experiment.n_seeds)
    report = [
        table(experiment, histories),
        PUBLISHED.get(name, ""),
        agreement(experiment, networks, data, output, n_samples=300 if options.quick else 1300),
    ]
    draw(name, histories, np.unique(y), y, output)
    (output / "tables.md").write_text("\n\n".join(report) + "\n")
    print("\n\n".join(report), f"\n\nIn {output}")


def encode_for_adba(networks: Networks, data: Any, output: Path, quick: bool) -> None:
    """ADBA's classifier lives in the latent space: the codes of the pool (of some of it) and of the test rows."""
    path = output / "codes.npz"
    if not path.exists():
        X, y, X_test, _ = data
        X, y = some(X, y, 1000 if quick else None)
        inversion = GANInversion(
            FrozenEstimator(networks.gan), n_steps=100 if quick else 200, random_state=0
        ).fit(X)
        started = time.perf_counter()
        np.savez(path, pool=inversion.transform(X), y=y, test=inversion.transform(X_test))
        print(f"codes: found in {time.perf_counter() - started:.0f} s", flush=True)
    networks.codes = read_arrays(path)


def times_main(options: argparse.Namespace) -> None:
    """Seconds of a query over pools of MNIST and shifted copies of it, the same classifier for both."""
    sizes = options.sizes or [10_000, 60_000, 250_000, 1_000_000]
    experiment = quick("mnist-ten", EXPERIMENTS["mnist-ten"]) if options.quick else EXPERIMENTS["mnist-ten"]
    output = Path(options.output) / ("mnist-ten" + ("-quick" if options.quick else ""))
    output.mkdir(parents=True, exist_ok=True)
    X, y = datasets.load_mnist(return_X_y=True)
    networks = train(experiment, *some(*mnist()("train"), experiment.n_rows), output, options.gan)
    classifier = clone(experiment.classifier).set_params(random_state=0).fit(X[:1000], y[:1000])
    methods = {
        ENTROPY: UncertaintySampling("entropy", random_state=0),
        PIXELS: ASAL(FrozenEstimator(networks.gan), "pixels", random_state=0),
        AUTOENCODER: ASAL(
            FrozenEstimator(networks.gan), FrozenEstimator(networks.autoencoder), random_state=0
        ),
        DISCRIMINATOR: ASAL(FrozenEstimator(networks.gan), "discriminator", random_state=0),
    }
    if options.methods:
        methods = {name: methods[name] for name in options.methods}
    pool = augmented(X, max(sizes))
    lines = ["| pool | " + " | ".join(f"{name}: fit s, query s" for name in methods) + " |"]
    lines.append("|---" * (1 + len(methods)) + "|")
    for size in sizes:
        cells = []
        for strategy in methods.values():
            started = time.perf_counter()
            strategy.fit(pool[:size])
            fitted = time.perf_counter()
            taken = []
            labels = np.full(size, -1)
            for turn in range(1 if isinstance(strategy, UncertaintySampling) and size > 10_000 else 4):
                begun = time.perf_counter()
                rows = strategy.query(pool[:size], labels, n_queries=10, estimator=classifier)
                taken.append(time.perf_counter() - begun)
                labels[rows] = turn
            cells.append(f"{fitted - started:.1f}, {np.median(taken[1:] or taken):.3f}")
            print(size, type(strategy).__name__, cells[-1], flush=True)
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    (output / "times.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def augmented(X: np.ndarray, n_rows: int) -> np.ndarray:
    """The images, and copies of them shifted by up to three pixels, with other contrast and a little noise."""
    rng = np.random.default_rng(0)
    pool = np.empty((n_rows, *X.shape[1:]), X.dtype)
    for start in range(0, n_rows, len(X)):
        block = pool[start : start + len(X)]
        block[:] = X[: len(block)]
        if start:
            for part in np.array_split(
                np.arange(len(block)), 49
            ):  # a shift for each part, images in random order
                shift = tuple(rng.integers(-3, 4, size=2))
                noisy = np.roll(block[part], shift, axis=(2, 3)) * rng.uniform(0.7, 1, (len(part), 1, 1, 1))
                noisy += rng.normal(0, 4, noisy.shape) * (noisy > 0)
                block[part] = np.clip(noisy, 0, 255)
    return pool


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", choices=[*EXPERIMENTS, "times"])
    parser.add_argument("--quick", action="store_true", help="for two cores without a GPU")
    parser.add_argument("--gan", help="a GAN that was saved before, instead of training one")
    parser.add_argument("--methods", nargs="+", help="run only these, by their names in the tables")
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="run only these; several processes can share the folder"
    )
    parser.add_argument("--sizes", type=int, nargs="+", help="pool sizes for times")
    parser.add_argument("--output", default="asal-results")
    options = parser.parse_args()
    times_main(options) if options.experiment == "times" else experiment_main(options.experiment, options)


if __name__ == "__main__":
    main()
