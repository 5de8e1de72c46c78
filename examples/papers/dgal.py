"""The experiments of DGAL ("Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024).

``python examples/papers/dgal.py mnist`` runs a data set with the paper's settings (Table 1, appendix A). ``--quick``
runs it with fewer steps, for two cores without a GPU. The data sets are read from the folder that SKAL_DATA names. The
weights of networks that the paper pretrained are read from the file ``--weights``. With ``--quick`` each method took
two minutes per seed on two busy cores, or seven if it scans the pool, and the VAE of MNIST took ten; with
``--resnet18`` it took 12 to 36 minutes per seed, on about half of a core. The VAE is trained when a method or a figure
first needs it. With the paper's settings one of its epochs took 5 s on an H100, which makes 25 minutes for all 300. T
is the paper's log_10 N, which is 5 for each data set.

Everything is written to the folder ``--output``: the VAE, a file per run (a run whose file exists is not repeated), the
tables as text, with the times of Table 2, and the figures: accuracy against labels (Figures 6, 9 and 11) and against
query time (Figures 5 and 8), query times (Figures 7, 10, 12 and 13), and where the queried rows lie (Figures 3 and 4),
among the VAE's latents and in the space of a network that was trained with all labels. ``dgal.py figure-2`` draws the
latents of fours and nines and follows a diffusion on their graph to its limit (Lemma 4.1), ``dgal.py times`` compares
query times over growing pools, and ``dgal.py early`` varies the settings that the paper leaves open and compares the
first hundred labels with those of random candidates (RSMG).
"""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _dgal_early import early_main
from _dgal_figures import draw
from _dgal_settings import EXPERIMENTS, PUBLISHED, QUICK_TRAININGS, Settings, quick, quick_cuts
from _dgal_times import times_main
from _dgal_two import two_main
from _experiments import (
    argument_parser,
    markdown,
    read_histories,
    result_folder,
    run_file,
    run_once,
    some,
    spread,
    start,
    train_or_load,
    warm_up,
    write_report,
)
from _results import cuts, write_results
from _times import add_times
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator

from skal.access import embed
from skal.classifiers import CNNClassifier, Converged, VAALClassifier
from skal.generators import VAE
from skal.labels import labeled_mask
from skal.pool import Pool, blockwise
from skal.strategies import (
    BADGE,
    DGAL,
    SEALS,
    VAAL,
    CandidateStrategy,
    CoreSet,
    DiffusionSampling,
    QueryStrategy,
    RandomSampling,
    RandomSubset,
    UncertaintySampling,
)

METHODS = (
    *("random", "margin", "lc", "entropy", "badge", "coreset", "seals", "vae-seals", "vaal", "rsmg"),
    *("dgmg", "dglc", "dgbadge", "dgcoreset", "dgdiffusion"),
)
ENCODED = ("vae-seals", "dgmg", "dglc", "dgbadge", "dgcoreset", "dgdiffusion")


def make_vae(experiment: Settings, is_quick: bool) -> VAE:
    return VAE(experiment.n_latent, architecture=experiment.vae, max_epochs=8 if is_quick else 300)


class SomeUnlabeled(VAALClassifier):
    """VAAL's classifier for two cores: in each fit its adversary learns from a few of the unlabelled rows."""

    n_unlabeled = 2000

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SomeUnlabeled:
        labeled = labeled_mask(np.asarray(y))
        rng = np.random.default_rng([self.random_state, labeled.sum()])
        others = np.flatnonzero(~labeled)
        others = rng.choice(others, min(self.n_unlabeled, len(others)), replace=False)
        rows = np.sort(np.append(np.flatnonzero(labeled), others))
        return super().fit(X[rows], y[rows])


def make_classifier(method: str, experiment: Settings, weights: str | None, is_quick: bool) -> Any:
    """The classifier of appendix A, for VAAL with its adversary."""
    params: dict[str, Any] = {
        "architecture": experiment.architecture,
        "scale": experiment.scale if experiment.pretrained else "auto",
        "module_params": None if experiment.architecture == "lenet_waal" else {"n_hidden": 50},
    }
    if is_quick:
        params |= QUICK_TRAININGS[experiment.architecture]
    else:  # The paper states no limit; this one is far from where trainings converge (appendix B). There are no rows to
        # hold out: the first training has one per class.
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
    """An encoder that encodes the same rows once: all methods and seeds have the same pool."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def fit(self, X: Any = None, y: Any = None) -> Remembered:
        self.latents_: dict[bytes, Any] = {}
        self.graphs_: dict[int, dict[str, Any]] = {}
        return self

    def transform(self, X: Any) -> Any:
        key = hashlib.sha256(np.ascontiguousarray(X)).digest()
        if key not in self.latents_:
            self.latents_[key] = self.encoder.transform(X)
        return self.latents_[key]


class OneGraph(DGAL):
    """DGAL on a copy of the graph that the first one has built from the same `Remembered` encoder."""

    def _prepare(self, pool: Pool) -> None:
        graphs = self.encoder_.graphs_
        if len(pool) not in graphs:
            super()._prepare(pool)
            graphs[len(pool)] = {name: vars(self)[name] for name in ("diffusion_", "_lock")}
        CandidateStrategy._prepare(self, pool)
        self.__dict__.update(copy.deepcopy(graphs[len(pool)]))


def make_strategy(method: str, encoder: Any, experiment: Settings, is_shared: bool = True) -> QueryStrategy:
    """A method's strategy, by the paper's names, except "vaal" (its GANVAE), "random" (its RS) and "dgdiffusion".

    The last one is a suggestion of Section 4.3, without a name there.

    Those of `ENCODED` alone need the encoder.
    """
    least_confidence = UncertaintySampling("least_confidence")
    n_candidates = experiment.n_candidates
    dgal = partial(
        OneGraph if is_shared else DGAL, encoder, n_candidates=n_candidates, n_steps=experiment.n_steps
    )
    return {
        "random": RandomSampling(),
        "margin": UncertaintySampling("margin"),
        "lc": least_confidence,
        "entropy": UncertaintySampling("entropy"),
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
        "dgdiffusion": dgal(criterion=DiffusionSampling()),
    }[method]


@dataclass
class Preparation:
    """What all runs share, and how many seconds it took to make."""

    encoder: Any
    graph: DGAL
    seconds: dict[str, float]


def prepare(experiment: Settings, X: Any, output: Path, vae_file: str | None, is_quick: bool) -> Preparation:
    """Train the VAE, or read it; encode the pool; build the graph."""
    path, times = Path(vae_file or output / "vae.skal"), output / "times.json"
    seconds = json.loads(times.read_text()) if times.exists() else {}
    was_there = path.exists()
    vae = make_vae(experiment, is_quick).set_params(
        verbose=1, random_state=0, checkpoint=output / "vae.checkpoint"
    )
    started = time.perf_counter()
    vae = train_or_load(path, vae, X)
    if not was_there:
        seconds["VAE training"] = time.perf_counter() - started
    encoder = FrozenEstimator(Remembered(vae).fit())
    params: dict[str, Any] = {"n_candidates": 1, "n_steps": experiment.n_steps, "random_state": 0}
    graph = OneGraph(encoder, criterion=RandomSampling(), **params)
    warm_up(graph, X)
    started = time.perf_counter()
    blockwise(encoder.transform, X)
    encoded = time.perf_counter()
    graph.fit(X)
    seconds["encoding of the pool"] = encoded - started
    seconds["graph construction"] = time.perf_counter() - encoded
    times.write_text(json.dumps(seconds))
    return Preparation(encoder, graph, seconds)


def trained_network(experiment: Settings, data: Any, options: Any) -> Any:
    """The embedding of the classifier that was trained with the labels of the whole pool, at most 10,000 of them."""
    classifier = make_classifier("random", experiment, options.weights, options.quick)
    rows = some(data[:2], 10_000)
    left_out = {"callbacks": classifier.callbacks, "architecture": classifier.architecture}
    network = train_or_load(
        options.folder / "network.skal", classifier.set_params(random_state=0), *rows, **left_out
    )
    return partial(embed, network)


def run(
    method: str,
    seed: int,
    experiment: Settings,
    prepared: Callable[[], Preparation],
    data: Any,
    options: Any,
) -> None:
    """One learner, if its file is not there yet."""
    if run_file(options.folder, method, seed).exists():
        return
    classifier = make_classifier(method, experiment, options.weights, options.quick)
    strategy = make_strategy(method, prepared().encoder if method in ENCODED else None, experiment)
    if seed == min(options.seeds) and method != "vaal":
        X, y = data[0][:100], data[1][:100]
        warm_up(strategy, data[0], clone(classifier).set_params(max_epochs=1, random_state=0).fit(X, y))
    run_once(options.folder, method, seed, experiment.learner(classifier, strategy), data)


def table(histories: dict[str, Any]) -> str:
    """Accuracy at thirds of the labels, mean [min, max] over the seeds, and what queries and trainings took."""
    n_labeled = next(iter(histories.values()))["n_labeled"][0]
    rounds = [round(third * (len(n_labeled) - 1) / 3) for third in (1, 2, 3)]
    header = ["method", *(f"accuracy at {n_labeled[number]}" for number in rounds)]
    header += ["queries, s in all", "a query, s", "trainings, s in all", "a training, s"]
    rows = []
    for name, history in histories.items():
        queries, fits = history["query_time"][:, 1:], history["fit_time"]
        accuracies = [spread(100 * history["score"][:, number], 2) for number in rounds]
        times = [spread(queries.sum(axis=1), 2), f"{queries.mean():.4f}"]
        times += [spread(fits.sum(axis=1), 1), f"{fits.mean():.2f}"]
        rows.append([name, *accuracies, *times])
    text = markdown(header, rows)
    if {"vaal", "random"} <= histories.keys():
        extra = histories["vaal"]["fit_time"].mean() - histories["random"]["fit_time"].mean()
        text += f"\n\nOf a training of vaal, {extra:.2f} s are its VAE's and discriminator's."
    return text


def times_table(seconds: dict[str, float]) -> str:
    """Table 2, with the encoding that it leaves out."""
    return markdown(["once for all runs", "s"], [(name, f"{value:.1f}") for name, value in seconds.items()])


def main(arguments: list[str] | None = None) -> None:
    parser = argument_parser("dgal", __doc__, [*EXPERIMENTS, "figure-2", "early", "times"])
    parser.add_argument("--vae", help="a saved VAE to use instead of training one")
    parser.add_argument(
        "--weights", help="file of pretrained weights of the classifier, as torchvision or timm has them"
    )
    parser.add_argument(
        "--resnet18",
        action="store_true",
        help="with --quick: a ResNet-18 of random weights and 3,000 rows, instead of a LeNet",
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, metavar="METHOD", help=", ".join(METHODS))
    add_times(parser)
    options = parser.parse_args(arguments)
    name = options.experiment
    if name == "figure-2":
        two_main(options)
        return
    if options.vae and not Path(options.vae).is_file():
        parser.error(f"there is no {options.vae}; leave --vae out to train a VAE")
    if options.resnet18 and not options.quick:
        parser.error("--resnet18 is a network of --quick; give both, or neither")
    if name == "early":
        vae = make_vae(EXPERIMENTS["mnist"], options.quick).set_params(random_state=0)
        early_main(
            options, partial(train_or_load, Path(options.vae or result_folder(options) / "vae.skal"), vae)
        )
        return
    if name == "times":
        mnist = EXPERIMENTS["mnist"]
        classifier = make_classifier("random", mnist, None, options.quick)
        times_main(
            options,
            classifier,
            partial(make_strategy, experiment=mnist, is_shared=False),
        )
        return
    experiment = EXPERIMENTS[name]
    if experiment.pretrained and not (options.quick or options.weights):
        parser.error(f"{name} has a pretrained classifier; give --weights FILE, or --quick")
    if options.quick:
        experiment = quick(experiment, options.resnet18)
    words = ["resnet18"] * options.resnet18
    output = options.folder = result_folder(options, words=words)
    data = experiment.data(name)
    prepared = cache(partial(prepare, experiment, data[0], output, options.vae, options.quick))
    if options.vae:
        prepared()  # before anything is trained it is clear whether the file is one
    options.seeds = options.seeds or list(range(experiment.n_seeds))
    for seed in options.seeds:
        for method in options.methods or METHODS:
            run(method, seed, experiment, prepared, data, options)
    histories, preparation = read_histories(output, METHODS), prepared()
    figures = draw(
        name,
        histories,
        preparation.graph,
        {
            "VAE": partial(blockwise, preparation.encoder.transform),
            "network": trained_network(experiment, data, options),
        },
        data,
        output,
    )
    write_report([table(histories), times_table(preparation.seconds), PUBLISHED[name]], output)
    write_results(
        options,
        output,
        histories,
        part="-".join(words),
        flags=[*(f"--{word}" for word in words), "--methods", *histories],
        setting=f"{len(data[0]):,} rows, {experiment.n_initial} labels at first, {experiment.n_queries} a round",
        cut=[*cuts(EXPERIMENTS[name], experiment), *(quick_cuts(experiment) if options.quick else ())],
        numbers=preparation.seconds | figures,
    )


if __name__ == "__main__":
    start(main)
