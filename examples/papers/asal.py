"""The experiments of ASAL (Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020).

``python examples/papers/asal.py mnist-two`` runs a data set with the paper's settings (Table 1, supplement A).
``--quick`` runs it with fewer steps and labels, for two cores without a GPU. A network is trained when a method first
needs it; random rows and maximal entropy, which need no network, start at once. With ``--quick --dense-gan`` the
networks of ``mnist-two`` took half an hour on two busy cores, and then each method half a minute per seed;
``cifar-two`` took half an hour on one core, with one seed. ``--gan-steps`` sets anything in between. The paper's
settings need a GPU: alone on an H100, a step of the digits' GAN took 7.4 ms, which makes 5 minutes for ``mnist-two``
and 12 for ``mnist-ten``; beside other runs it took several times as long.

``python examples/papers/asal.py times`` compares query times over growing pools (Figure 6a) and prints after how many
queries the preparation has paid for itself (Figure 6b). With ``--files`` each image is read from a file of its own
(Table 2). The data sets are read from the folder that SKAL_DATA names.

Everything is written to the folder ``--output``: the trained networks, a file per run (a run whose file exists is not
repeated), the tables as text and the figures: accuracy and entropy of the selected rows (Figures 3 to 5), labels of the
selected rows (Figures 9, 15), synthetic rows with their matches (Figures 2, 25-28).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from _asal_methods import BASES, is_in_codes, make_learner, parts_of
from _asal_settings import (
    ALI_CODES,
    AUTOENCODER,
    ENTROPY,
    EXPERIMENTS,
    FIXED,
    PUBLISHED,
    RANDOM,
    TABLE_2,
    Settings,
    adam,
    changed,
    mnist,
    quick,
    with_dense_gans,
    with_gans,
)
from _experiments import (
    argument_parser,
    count,
    flat,
    markdown,
    read_arrays,
    read_histories,
    result_folder,
    run_file,
    run_once,
    save,
    save_arrays,
    some,
    spread,
    start,
    train_or_load,
    write_report,
)
from _results import cuts, write_results
from _times import ImageFiles, Taken, add_times, augmented, measure, write_times
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import recall_score
from sklearn.metrics.pairwise import paired_euclidean_distances

from skal import datasets
from skal.classifiers import NetClassifier
from skal.generators import GANInversion
from skal.nets import LeNet
from skal.plotting import LearningCurveDisplay, MatchesDisplay
from skal.simulation import labels_needed


def network_of(name: str, experiment: Settings, X: Any, y: Any, output: Path, gan_file: str | None) -> Any:
    """A network that all runs share, trained or read from an earlier run.

    Its name is "gan", one of Table 3, "ALI", "autoencoder", or "oracle", which replaces the annotators of synthetic
    images.
    """
    data: tuple[Any, ...] = (X,)
    if name == "oracle":  # on all labels of the pool
        untrained: Any = adam(LeNet, epochs=5, batch_size=64).set_params(verbose=1)
        data = some((X, y), 60_000)
    elif name == "autoencoder":
        untrained = clone(experiment.autoencoder).set_params(verbose=1)
    elif name == ALI_CODES:
        untrained = clone(experiment.ali).set_params(verbose=1, checkpoint=output / f"{name}.checkpoint")
    else:
        untrained = clone({"gan": experiment.gan, **experiment.gans}[name]).set_params(
            verbose=1,
            checkpoint=output / f"{name}.checkpoint",
            cuda_graph=torch.cuda.is_available(),  # the digits' are bound by the launches of kernels
        )
    path = Path(gan_file) if gan_file and name == "gan" else output / f"{name}.skal"
    was_there, started = path.exists(), time.perf_counter()
    network = train_or_load(path, untrained.set_params(random_state=0), *data, **left_out(untrained))
    if not was_there:
        seconds = training_seconds(output) | {name: time.perf_counter() - started}
        (output / "seconds.json").write_text(json.dumps(seconds))
    return network


def training_seconds(output: Path) -> dict[str, float]:
    """How long the networks took that were trained in a folder."""
    file = output / "seconds.json"
    return json.loads(file.read_text()) if file.exists() else {}


def left_out(estimator: Any) -> dict[str, Any]:
    """Parameters that no file holds: networks and callbacks that are defined here."""
    networks = {"module": estimator.module} if isinstance(estimator, NetClassifier) else {}
    return {**networks, "callbacks": estimator.callbacks}


def run(
    method: str,
    seed: int,
    experiment: Settings,
    network: Callable[[str], Any],
    data: Any,
    output: Path,
    is_quick: bool,
) -> None:
    """One learner, from the initial labels that all methods share for this seed; its history goes to a file."""
    if run_file(output, method, seed).exists():
        return
    X, y, X_test, y_test = data
    learner = make_learner(method, experiment, network)
    if is_in_codes(method, experiment):
        by_ali = ALI_CODES in parts_of(method, experiment)[1]
        codes = codes_of(network, data, output, is_quick, by_ali=by_ali)
        X, X_test, y = codes["pool"], codes["test"], codes["y"]
    run_once(output, method, seed, learner, (X, y, X_test, y_test))


def table(experiment: Settings, histories: dict[str, Any]) -> str:
    """Labels needed for the target, scores along the way, entropy of the selected rows; mean [min, max] over seeds."""
    rows = []
    entropy = {name: history["query_entropy"][:, 1:].mean(axis=1) for name, history in histories.items()}
    for name, history in histories.items():
        needed = labels_needed(history, experiment.target)
        reached = needed[~np.isnan(needed)]
        text = spread(reached, 0) if len(reached) else "never"
        text += f" ({len(reached)} of {len(needed)})" if len(reached) < len(needed) else ""
        middle = history["score"].shape[1] // 2
        has_proba = not np.isnan(entropy[name]).any()
        selected = spread(entropy[name], 3) if has_proba else ""
        is_compared = has_proba and RANDOM in entropy
        gain = f"{entropy[name].mean() / entropy[RANDOM].mean() - 1:+.0%}" if is_compared else ""
        ends = (spread(history["score"][:, number], 4) for number in (middle, -1))
        query = f"{np.median(history['query_time'][:, 1:]):.2f}"
        rows.append([name, text, *ends, selected, gain, query])
    header = ["method", f"labels for {experiment.target:.1%}", "score at the middle", "score at the end"]
    return markdown([*header, "entropy of selected rows", "over random", "query, s"], rows)


def draw(name: str, histories: dict[str, Any], classes: np.ndarray, y: np.ndarray, output: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for axis, metric in zip(axes, ("score", "query_entropy"), strict=True):
        LearningCurveDisplay.from_history(histories, metric=metric, band="min_max", ax=axis)
    figure.suptitle(name)
    save(figure, output / "curves.png")

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
    save(figure, output / "labels.png")


WORDS = ("agreement", "distance")  # of matches and synthetic images


def agreement(
    methods: Iterable[str],
    experiment: Settings,
    network: Callable[[str], Any],
    data: Any,
    output: Path,
    n_samples: int,
) -> dict[str, float]:
    """How often a match has the label of the synthetic image (supplement B.1), and how near its pixels are.

    The paper's authors annotated by hand; here the oracle does. As there, the value is a mean over classes. The
    distance is a share of the one to random rows of the pool. The images are drawn beside their matches.
    """
    X, y, *_ = data
    rng = np.random.default_rng(0)
    rows = rng.choice(len(X), experiment.budget // 2, replace=False)
    classifier = clone(experiment.classifier).set_params(random_state=0).fit(X[rows], y[rows])
    figures = {}
    for method in methods:
        strategy = make_learner(method, experiment, network).strategy.set_params(random_state=0).fit(X)
        strategy.query(X, n_queries=min(n_samples, len(X)), estimator=classifier)
        report = strategy.query_report_
        annotated = network("oracle").predict(report.synthetic)
        matches = report.rows[:, 0]
        labels = np.unique(annotated)  # a poor GAN has images of some classes only
        recall = recall_score(annotated, y[matches], labels=labels, average="macro")
        figures[f"agreement of {method}"] = float(recall)
        near, far = (
            np.median(paired_euclidean_distances(flat(report.synthetic), flat(X[found])))
            for found in (matches, rng.integers(len(X), size=len(matches)))
        )
        figures[f"distance of {method}"] = float(near / far)
        display = MatchesDisplay.from_report(report, X, y, n_columns=12)
        display.figure_.suptitle(method)
        save(display.figure_, output / f"matches-{method}.png")
    return figures


def chosen(name: str, options: argparse.Namespace) -> tuple[Settings, list[str], list[str]]:
    """An experiment with what the flags ask for, these flags but --quick, and their words in the names of files.

    Runs with other networks have a folder of their own.
    """
    experiment = quick(name, EXPERIMENTS[name]) if options.quick else EXPERIMENTS[name]
    flags, words = [], []
    if options.dense_gan:
        experiment = with_dense_gans(experiment)
        flags, words = ["--dense-gan"], ["dense"]
    if options.gan_steps:
        experiment = with_gans(experiment, n_iter=options.gan_steps)
        flags, words = [*flags, "--gan-steps", str(options.gan_steps)], [*words, f"{options.gan_steps}-steps"]
    return experiment, flags, words


def experiment_main(name: str, options: argparse.Namespace) -> None:
    experiment, flags, words = chosen(name, options)
    output = result_folder(options, words=words)
    X, y, *_ = data = experiment.data(name)
    methods = tuple(options.methods or experiment.methods)
    network = cache(partial(network_of, experiment=experiment, X=X, y=y, output=output, gan_file=options.gan))
    if options.gan:
        network("gan")  # before anything is trained it is clear whether the file is one
    for seed in options.seeds or range(experiment.n_seeds):
        for method in methods:
            run(method, seed, experiment, network, data, output, options.quick)
    every = dict.fromkeys((*experiment.methods, *experiment.ablations, *methods))
    histories = read_histories(output, every)
    matching = [method for method in (*FIXED, *changed(FIXED, *experiment.gans)) if method in histories]
    agreed = agreement(matching, experiment, network, data, output, n_samples=300 if options.quick else 1300)
    report = [table(experiment, histories), PUBLISHED.get(name, "")]
    if agreed:
        rows = [(method, *(f"{agreed[f'{word} of {method}']:.1%}" for word in WORDS)) for method in matching]
        report.append(markdown(["features", *WORDS], rows))
    draw(name, histories, np.unique(y), y, output)
    write_report(report, output)
    write_results(
        options,
        output,
        histories,
        part="-".join(words),
        flags=[*flags, "--methods", *histories],
        setting=f"{len(X):,} rows, {experiment.n_initial} labels at first, {experiment.n_queries} a round",
        cut=[
            *cuts(EXPERIMENTS[name], experiment),
            *(["1,000 rows for ADBA without ALI, and half of its steps"] * options.quick),
        ],
        numbers={
            **agreed,
            **{f"training of {trained}": seconds for trained, seconds in training_seconds(output).items()},
        },
    )


def codes_of(
    network: Callable[[str], Any], data: Any, output: Path, is_quick: bool, *, by_ali: bool
) -> dict[str, Any]:
    """The latents of the pool, or of a part of it, and of the test rows: ADBA's classifier works in their space."""
    path = output / ("codes-ALI.npz" if by_ali else "codes.npz")
    if not path.exists():
        X, y, X_test, _ = data
        if by_ali:
            encoder: Any = network(ALI_CODES)
        else:
            X, y = some((X, y), 1000 if is_quick else None)
            n_steps = 100 if is_quick else 200
            encoder = GANInversion(FrozenEstimator(network("gan")), n_steps=n_steps, random_state=0).fit(X)
        started = time.perf_counter()
        save_arrays(path, {"pool": encoder.transform(X), "y": y, "test": encoder.transform(X_test)})
        print(f"codes: found in {time.perf_counter() - started:.0f} s", flush=True)
    return read_arrays(path)


def times_main(options: argparse.Namespace) -> None:
    """Seconds per query over growing pools of MNIST and shifted copies of it, with one classifier."""
    experiment, flags, words = chosen("mnist-ten", options)
    output = result_folder(options, "mnist-ten", words)
    X, y = datasets.load_mnist(return_X_y=True)
    X_train, y_train = some(mnist()("train"), experiment.n_rows)
    network = cache(
        partial(network_of, experiment=experiment, X=X_train, y=y_train, output=output, gan_file=options.gan)
    )
    methods = {
        name: make_learner(name, experiment, network).strategy.set_params(random_state=0)
        for name in options.methods or (TABLE_2 if options.files else (ENTROPY, *FIXED))
    }
    classifier = clone(experiment.classifier).set_params(random_state=0).fit(X[:1000], y[:1000])
    pool = augmented(X, max(options.sizes), output)
    seconds = training_seconds(output)
    others = [name for name in methods if name != ENTROPY]
    training = {
        name: seconds.get("gan", 0.0) + (seconds.get("autoencoder", 0.0) if name == AUTOENCODER else 0.0)
        for name in others
    }
    found: dict[int, Taken] = {}
    for size in options.sizes:
        rows = ImageFiles(pool[:size], output / f"images-{len(pool)}") if options.files else pool[:size]
        found[size] = measure(methods, rows, np.full(size, -1), classifier, options, output)
    report = []
    if ENTROPY in methods:
        n_asked = options.asked[0]
        costs = {
            size: {name: (fit, queries[n_asked]) for name, (fit, queries) in taken.items()}
            for size, taken in found.items()
        }
        paying = [
            [f"{size:,}", *(pays_after(each[name], each[ENTROPY], training[name]) for name in others)]
            for size, each in costs.items()
        ]
        trainings = ", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()) or "of another run"
        report.append(
            f"After how many queries of {n_asked} rows the preparation has paid (Figure 6b), with the training of "
            f"networks ({trainings}) and without it:\n\n{markdown(['pool', *others], paying)}"
        )
    write_times(
        options,
        output,
        found,
        report=report,
        words=[*words, *["files"] * options.files],
        flags=[*flags, *["--files"] * options.files],
        setting="each image in a PNG file of its own, a network that knows 1,000 labels"
        if options.files
        else "a network that knows 1,000 labels",
        cut=cuts(EXPERIMENTS["mnist-ten"], experiment),
        numbers={f"training of {name}": value for name, value in seconds.items()},
    )


def pays_after(own: tuple[float, float], entropy: tuple[float, float], training: float) -> str:
    """How many queries make up for what comes before them: with the training of networks, and without."""
    gain = entropy[1] - own[1]
    if gain <= 0:
        return "never"
    return ", ".join(
        f"{max(0, math.ceil((own[0] + more - entropy[0]) / gain)):,}" for more in (training, 0.0)
    )


def main(arguments: list[str] | None = None) -> None:
    parser = argument_parser("asal", __doc__, [*EXPERIMENTS, "times"])
    parser.add_argument("--gan", help="a saved GAN to use instead of training one")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help=f"run only these: {', '.join(BASES)}, optionally with changes, as in 'ASAL-Gray (DCGAN)' (see "
        "_asal_methods.py); the methods of the other figures are the ablations in _asal_settings.py",
    )
    parser.add_argument(
        "--dense-gan", action="store_true", help="dense GANs: minutes instead of an hour, but poor images"
    )
    parser.add_argument(
        "--gan-steps",
        type=count,
        help="generator steps of all GANs, instead of the paper's or those of --quick",
    )
    add_times(parser)
    parser.add_argument(
        "--files", action="store_true", help="with times: read each image from a file that is not in memory"
    )
    options = parser.parse_args(arguments)
    if options.gan and not Path(options.gan).is_file():
        parser.error(f"there is no {options.gan}; leave --gan out to train a GAN")
    name = "mnist-ten" if options.experiment == "times" else options.experiment
    try:
        for method in options.methods or ():
            parts_of(method, EXPERIMENTS[name])
    except ValueError as error:
        parser.error(str(error))
    times_main(options) if options.experiment == "times" else experiment_main(options.experiment, options)


if __name__ == "__main__":
    start(main)
