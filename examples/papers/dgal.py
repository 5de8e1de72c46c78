"""The experiments of DGAL ("Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024).

``python examples/papers/dgal.py mnist`` runs a data set with the paper's settings (Table 1, appendix A), ``--quick``
with fewer steps, for two cores without a GPU. The data sets are read from the folder that SKAL_DATA names. Networks
that the paper pretrained take their weights from the file ``--weights``.

Everything goes to the folder ``--output``: the VAE, a file for every run (those that are there are not run again), the
tables as text, with the times of Table 2, and the figures: accuracy against labels (Figures 6, 9 and 11) and against
query time (Figures 5 and 8), query times (Figures 7, 10, 12 and 13), and where the queried rows lie (Figures 3 and 4).
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from _experiments import (
    COLORS,
    of,
    of_bytes,
    read_histories,
    result_folder,
    run_file,
    run_once,
    some,
    spread,
    train_or_load,
    warm_up,
)
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import TSNE
from skorch.callbacks import EarlyStopping

from skal import SimulatedLearner, datasets
from skal.access import blockwise
from skal.classifiers import CNNClassifier, VAALClassifier
from skal.generators import VAE
from skal.labels import labeled_mask
from skal.nets import ARCHITECTURES
from skal.plotting import LearningCurveDisplay
from skal.strategies import (
    BADGE,
    DGAL,
    SEALS,
    VAAL,
    CoreSet,
    RandomSampling,
    RandomSubset,
    UncertaintySampling,
)
from skal.strategies.base import CandidateStrategy, QueryStrategy

METHODS = (
    *("random", "margin", "badge", "coreset", "seals", "vae-seals", "vaal", "rsmg"),
    *("dgmg", "dglc", "dgbadge", "dgcoreset"),
)
PICTURED = ("dgmg", "vae-seals", "margin", "random")  # in the style of Figures 3 and 4


@dataclass(frozen=True)
class Experiment:
    """A data set's row in Table 1, and its part of appendix A."""

    load: Callable[[str], Any]
    architecture: str
    n_latent: int
    n_initial: int
    n_candidates: int
    n_queries: int
    n_rounds: int
    pretrained: bool = False
    vae: str = "conv"
    n_rows: int | None = None  # of the pool; all by default
    n_seeds: int = 5

    @property
    def budget(self) -> int:
        return self.n_initial + self.n_queries * self.n_rounds


def mini_imagenet(split: str) -> tuple[Any, Any]:
    """48,000 rows to label and 10,000 to test, as in Table 1, which does not say which."""
    X, y = datasets.load_mini_imagenet(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    rows = np.sort(order[:48_000] if split == "train" else order[48_000:58_000])
    return X[rows], y[rows]


EXPERIMENTS = {
    "mnist": Experiment(
        load=of(datasets.load_mnist),
        architecture="lenet_waal",
        n_latent=50,
        n_initial=10,
        n_candidates=100,
        n_queries=10,
        n_rounds=30,
    ),
    "emnist": Experiment(
        load=of(datasets.load_emnist, "letters"),
        architecture="resnet18",
        n_latent=256,
        n_initial=20,
        n_candidates=200,
        n_queries=20,
        n_rounds=50,
        pretrained=True,
    ),
    "svhn": Experiment(
        load=of(datasets.load_svhn),
        architecture="resnet50",
        n_latent=100,
        n_initial=100,
        n_candidates=500,
        n_queries=50,
        n_rounds=50,
    ),
    "cifar10": Experiment(
        load=of(datasets.load_cifar10),
        architecture="resnet50",
        n_latent=100,
        n_initial=100,
        n_candidates=5000,
        n_queries=200,
        n_rounds=20,
        pretrained=True,
    ),
    "cifar100": Experiment(
        load=of(datasets.load_cifar100),
        architecture="vit_small",
        n_latent=100,
        n_initial=100,
        n_candidates=5000,
        n_queries=200,
        n_rounds=20,
        pretrained=True,
        vae="resnet18",
    ),
    "mini-imagenet": Experiment(
        load=mini_imagenet,
        architecture="vit_small",
        n_latent=100,
        n_initial=100,
        n_candidates=5000,
        n_queries=200,
        n_rounds=20,
        pretrained=True,
        vae="resnet18",
    ),
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


def quick(experiment: Experiment) -> Experiment:
    """What two cores do in an hour: a small network, and beyond MNIST fewer rows and rounds."""
    if experiment.architecture == "lenet_waal":
        return replace(experiment, n_seeds=3)
    return replace(
        experiment,
        architecture="lenet_waal",
        pretrained=False,
        vae="conv",
        n_candidates=min(experiment.n_candidates, 1000),
        n_rounds=10,
        n_rows=10_000,
        n_seeds=3,
    )


def make_vae(experiment: Experiment, is_quick: bool) -> VAE:
    return VAE(experiment.n_latent, architecture=experiment.vae, max_epochs=8 if is_quick else 300)


class Converged(EarlyStopping):
    """Ends a training when its loss has converged (appendix B), measured on its rows in evaluation mode.

    Rows to hold out there are none: the first training has one of each class. And the loss that the training steps
    compute has the noise of dropout, which hides the small improvements of a network that is still at chance.
    """

    def __init__(self, patience: int) -> None:
        super().__init__("converging_loss", patience=patience)

    def on_epoch_end(self, net: Any, dataset_train: Any = None, **params: Any) -> None:
        batches = list(net.get_iterator(dataset_train, training=False))
        losses = [net.validation_step(batch)["loss"].item() for batch in batches]
        net.history.record(
            "converging_loss", np.average(losses, weights=[len(batch[1]) for batch in batches])
        )
        super().on_epoch_end(net, **params)


class SomeUnlabeled(VAALClassifier):
    """VAAL's classifier for two cores: at each fit its adversary learns from a few of the unlabelled rows."""

    n_unlabeled = 2000

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SomeUnlabeled:
        labeled = labeled_mask(np.asarray(y))
        rng = np.random.default_rng([self.random_state, labeled.sum()])
        others = np.flatnonzero(~labeled)
        others = rng.choice(others, min(self.n_unlabeled, len(others)), replace=False)
        rows = np.sort(np.append(np.flatnonzero(labeled), others))
        return super().fit(X[rows], y[rows])


def make_classifier(method: str, experiment: Experiment, weights: str | None, is_quick: bool) -> Any:
    """The classifier of appendix A, for VAAL with its adversary."""
    params: dict[str, Any] = {
        "architecture": of_bytes(ARCHITECTURES[experiment.architecture], standardize=experiment.pretrained),
        "module_params": None if experiment.architecture == "lenet_waal" else {"n_hidden": 50},
    }
    if is_quick:  # the paper's optimizer learns nothing in so few steps
        params |= {"module_params": {"dropout": 0.2}, "lr": 4e-3, "max_epochs": 30, "batch_size": 32}
    else:  # the paper states no limit; this one is far from where trainings converge
        params |= {"max_epochs": 5000, "callbacks": [("converged", Converged(patience=10))]}
        if not experiment.pretrained:
            params |= {
                "optimizer": torch.optim.SGD,
                "optimizer_params": {"momentum": 0.9, "weight_decay": 5e-4},
            }
    if experiment.pretrained:
        params["module_params"] |= {"weights": weights}
    if method != "vaal":
        return CNNClassifier(**params)
    if is_quick:
        adversary: dict[str, Any] = {
            "vae_params": {"n_filters": 8},
            "vae_epochs": 3,
            "discriminator_lr": 1e-3,
        }
        return SomeUnlabeled(**params, **adversary, vae=experiment.vae, n_latent=experiment.n_latent)
    return VAALClassifier(**params, vae=experiment.vae, n_latent=experiment.n_latent)


class Remembered(TransformerMixin, BaseEstimator):
    """An encoder that passes over the same rows once: all methods and seeds have the same pool."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def fit(self, X: Any = None, y: Any = None) -> Remembered:
        self.latents_: dict[bytes, Any] = {}
        self.graphs_: dict[int, Any] = {}
        return self

    def transform(self, X: Any) -> Any:
        key = hashlib.sha256(np.ascontiguousarray(X)).digest()
        if key not in self.latents_:
            self.latents_[key] = self.encoder.transform(X)
        return self.latents_[key]


class OneGraph(DGAL):
    """DGAL on the graph that the first one has built from the same `Remembered` encoder."""

    def _prepare(self, X: Any) -> None:
        graphs = self.encoder_.graphs_
        if len(X) not in graphs:
            super()._prepare(X)
            graphs[len(X)] = self.diffusion_
        CandidateStrategy._prepare(self, X)
        self.diffusion_ = copy.deepcopy(graphs[len(X)])


def make_strategy(method: str, encoder: Any, n_candidates: int) -> QueryStrategy:
    """A method's strategy: the paper's names, but for "vaal", its GANVAE, and "random", its RS."""
    least_confidence = UncertaintySampling("least_confidence")
    dgal = partial(OneGraph, encoder, n_candidates=n_candidates)
    return {
        "random": RandomSampling(),
        "margin": UncertaintySampling("margin"),
        "badge": BADGE(),
        "coreset": CoreSet("classifier"),
        "seals": SEALS("classifier", criterion=least_confidence),
        "vae-seals": SEALS(encoder, criterion=least_confidence),
        "vaal": VAAL(),
        "rsmg": RandomSubset(n_candidates),
        "dgmg": dgal(),
        "dglc": dgal(criterion=least_confidence),
        "dgbadge": dgal(criterion=BADGE()),
        "dgcoreset": dgal(criterion=CoreSet("classifier")),
    }[method]


@dataclass
class Preparation:
    """What is made once for all runs, and how many seconds that took."""

    encoder: Any
    graph: DGAL
    seconds: dict[str, float]


def prepare(
    experiment: Experiment, X: Any, output: Path, vae_file: str | None, is_quick: bool
) -> Preparation:
    """Train the VAE, or read it; encode the pool; build the graph."""
    path, times = Path(vae_file or output / "vae.skal"), output / "times.json"
    seconds = json.loads(times.read_text()) if times.exists() else {}
    was_there = path.exists()
    vae = make_vae(experiment, is_quick).set_params(random_state=0, checkpoint=output / "vae.checkpoint")
    started = time.perf_counter()
    vae = train_or_load(path, vae, X)
    if not was_there:
        seconds["VAE training"] = time.perf_counter() - started
    encoder = FrozenEstimator(Remembered(vae).fit())
    graph = OneGraph(encoder, n_candidates=1, criterion=RandomSampling(), random_state=0)
    warm_up(graph, X)
    started = time.perf_counter()
    blockwise(encoder.transform, X)
    encoded = time.perf_counter()
    graph.fit(X)
    seconds["encoding of the pool"] = encoded - started
    seconds["graph construction"] = time.perf_counter() - encoded
    times.write_text(json.dumps(seconds))
    return Preparation(encoder, graph, seconds)


def run(
    method: str, seed: int, experiment: Experiment, preparation: Preparation, data: Any, options: Any
) -> None:
    """One learner; its history goes to a file."""
    classifier = make_classifier(method, experiment, options.weights, options.quick)
    strategy = make_strategy(method, preparation.encoder, experiment.n_candidates)
    if seed == min(options.seeds) and method != "vaal":
        X, y = data[0][:100], data[1][:100]
        warm_up(strategy, data[0], clone(classifier).set_params(max_epochs=1, random_state=0).fit(X, y))
    learner = SimulatedLearner(
        classifier,
        strategy,
        n_initial=experiment.n_initial,
        n_queries=experiment.n_queries,
        budget=experiment.budget,
    )
    run_once(options.folder, method, seed, learner, data)


def table(histories: dict[str, Any]) -> str:
    """Accuracy at thirds of the labels, mean [min, max] over the seeds, and what queries and trainings took."""
    n_labeled = next(iter(histories.values()))["n_labeled"][0]
    rounds = [round(third * (len(n_labeled) - 1) / 3) for third in (1, 2, 3)]
    accuracies = " | ".join(f"accuracy at {n_labeled[number]}" for number in rounds)
    lines = [
        f"| method | {accuracies} | queries, s in all | a query, s | trainings, s in all | a training, s |",
        "|---" * (5 + len(rounds)) + "|",
    ]
    for name, history in histories.items():
        cells = [spread(100 * history["score"][:, number], 2) for number in rounds]
        queries, fits = history["query_time"][:, 1:], history["fit_time"]
        cells += [spread(queries.sum(axis=1), 2), f"{queries.mean():.4f}"]
        cells += [spread(fits.sum(axis=1), 1), f"{fits.mean():.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if {"vaal", "random"} <= histories.keys():
        extra = histories["vaal"]["fit_time"].mean() - histories["random"]["fit_time"].mean()
        lines.append(f"\nOf a training of vaal, {extra:.2f} s are its VAE's and discriminator's.")
    return "\n".join(lines)


def times_table(seconds: dict[str, float]) -> str:
    """Table 2, and what it leaves out."""
    lines = ["| once for all runs | s |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value:.1f} |" for name, value in seconds.items()])


def count_unreached(graph: DGAL, X: Any, y: Any, history: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Unlabelled rows that no label had reached, after each round but the last, of shape (n_seeds, n_rounds)."""
    counts = np.zeros((len(history["labeled_rows"]), history["n_labeled"].shape[1] - 1))
    for run_counts, rows in zip(counts, history["labeled_rows"], strict=True):
        for turn, n_labeled in enumerate(history["n_labeled"][0][:-1]):
            labels = np.full(len(X), -1)
            labels[rows[:n_labeled]] = y[rows[:n_labeled]]
            graph.query(X, labels)
            run_counts[turn] = graph.query_report_.n_unreached
    return counts


def draw(
    experiment: Experiment,
    name: str,
    histories: dict[str, Any],
    preparation: Preparation,
    data: Any,
    output: Path,
) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(19, 5), layout="constrained")
    axes[0].set_prop_cycle(color=COLORS)
    display = LearningCurveDisplay.from_history(histories, band="min_max", ax=axes[0])
    axes[0].set(ylabel="Accuracy", title=f"{name}: accuracy against labels")
    for method, history in histories.items():
        taken = np.cumsum(history["query_time"][:, 1:], axis=1).mean(axis=0)
        color = display.lines_[method].get_color()
        axes[1].plot(
            taken, history["score"][:, 1:].mean(axis=0), ".-", label=method, color=color, markersize=4
        )
        axes[2].bar(method, history["query_time"][:, 1:].mean(), color=color)
    axes[1].set(
        xscale="log", xlabel="Total query time, s", ylabel="Accuracy", title="accuracy against query time"
    )
    axes[2].set(yscale="log", ylabel="s", title="average time of a query")
    axes[2].tick_params(axis="x", rotation=60)
    figure.savefig(output / "curves.png", dpi=100)
    plt.close(figure)
    draw_unreached(histories, preparation, data, output)
    draw_queried(experiment, histories, preparation, data, output)


def draw_unreached(histories: dict[str, Any], preparation: Preparation, data: Any, output: Path) -> None:
    """How far the labels of each method reach on the graph: exploration is over where all rows are reached."""
    X, y = data[0], np.unique(data[1], return_inverse=True)[1]
    figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
    axis.set_prop_cycle(color=COLORS)
    for method, history in histories.items():
        unreached = count_unreached(preparation.graph, X, y, history)
        axis.plot(history["n_labeled"][0][:-1], unreached.mean(axis=0), label=method)
    axis.set(xlabel="Number of labels", ylabel="Unlabelled rows that no label reaches", yscale="symlog")
    axis.legend(fontsize="small", ncols=2)
    figure.savefig(output / "unreached.png", dpi=100)
    plt.close(figure)


def draw_queried(
    experiment: Experiment, histories: dict[str, Any], preparation: Preparation, data: Any, output: Path
) -> None:
    """The rows of the first five and the next five queries of the first seed, in t-SNE's plane of the latents."""
    X, y = data[0], np.unique(data[1], return_inverse=True)[1]
    methods = [method for method in PICTURED if method in histories]
    if not methods:
        return
    first, second = (experiment.n_initial + turns * experiment.n_queries for turns in (5, 10))
    queried = {method: histories[method]["labeled_rows"][0][:second] for method in methods}
    rng = np.random.default_rng(0)
    shown = rng.choice(len(X), min(2000, len(X)), replace=False)
    rows = np.unique(np.concatenate([shown, *queried.values()]))
    latents = preparation.encoder.transform(X[rows])
    places = TSNE(init="pca", random_state=0, perplexity=min(30, (len(rows) - 1) / 3)).fit_transform(latents)
    figure, axes = plt.subplots(
        1, len(methods), figsize=(5.5 * len(methods), 5.5), squeeze=False, layout="constrained"
    )
    for axis, method in zip(axes[0], methods, strict=True):
        axis.scatter(*places.T, c=y[rows], cmap="tab10", s=4, alpha=0.35, lw=0)
        positions = np.searchsorted(rows, queried[method])
        parts = {
            "o": ("rounds 1 to 5", positions[experiment.n_initial : first]),
            "s": ("rounds 6 to 10", positions[first:]),
        }
        for (marker, (label, part)), color in zip(parts.items(), ("black", "tab:red"), strict=True):
            axis.scatter(
                *places[part].T, c=color, marker=marker, s=22, label=label, edgecolors="white", lw=0.5
            )
        axis.set(title=method, xticks=[], yticks=[])
    axes[0, 0].legend(loc="best", fontsize="small")
    figure.savefig(output / "queried.png", dpi=100)
    plt.close(figure)


def experiment_main(name: str, options: argparse.Namespace) -> None:
    experiment = EXPERIMENTS[name]
    if options.quick:
        experiment = quick(experiment)
    output = options.folder = result_folder(options)
    X, y = some(*experiment.load("train"), experiment.n_rows)
    data = (X, y, *experiment.load("test"))
    print(f"{name}: pool {X.shape}, test {data[2].shape}", flush=True)
    preparation = prepare(experiment, X, output, options.vae, options.quick)
    options.seeds = options.seeds or list(range(experiment.n_seeds))
    for seed in options.seeds:
        for method in options.methods or METHODS:
            if not run_file(output, method, seed).exists():
                run(method, seed, experiment, preparation, data, options)
    histories = read_histories(output, METHODS, experiment.n_seeds)
    report = [table(histories), times_table(preparation.seconds), PUBLISHED[name]]
    (output / "tables.md").write_text("\n\n".join(report) + "\n")
    draw(experiment, name, histories, preparation, data, output)
    print("\n\n".join(report), f"\n\nIn {output}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("experiment", choices=EXPERIMENTS)
    parser.add_argument("--quick", action="store_true", help="for two cores without a GPU")
    parser.add_argument("--vae", help="a VAE that was saved before, instead of training one")
    parser.add_argument(
        "--weights", help="pretrained weights of the classifier, as torchvision or timm has them"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD", help=", ".join(METHODS))
    parser.add_argument(
        "--seeds", type=int, nargs="+", help="run only these; several processes can share the folder"
    )
    parser.add_argument("--output", default="dgal-results")
    options = parser.parse_args(arguments)
    if EXPERIMENTS[options.experiment].pretrained and not (options.quick or options.weights):
        parser.error(f"{options.experiment} has a pretrained classifier; give --weights FILE, or --quick")
    if options.vae and not Path(options.vae).is_file():
        parser.error(f"there is no {options.vae}; leave --vae out to train a VAE")
    experiment_main(options.experiment, options)


if __name__ == "__main__":
    main()
