"""The experiments of WAAL ("Deep Active Learning: Unified and Principled Method for Query and Training", AISTATS 2020).

``python examples/papers/waal.py fashion-mnist`` runs a data set with the paper's settings (Tables 2 and 3). ``--quick``
runs it with fewer epochs and rounds, for two cores without a GPU. With ``--quick``, ``--parts initial`` took six
minutes per seed; ``rounds`` took one and a half to seven minutes per method and seed, on one core of two busy ones.
``cifar10`` took 14 minutes per seed for random rows and 13 to 49 for WAAL and its like, each on about half of a core.
With the paper's settings a step of WAAL took 9 ms on an H100 of its own: 8 minutes per training run, of which one run
has eleven. The data sets are read from the folder that SKAL_DATA names.

``--parts`` selects from three parts. ``initial`` is the accuracy before any query, of WAAL's classifier, the plain one,
the plain one with as many steps, and the one with the H-divergence. ``rounds`` are the queries of all methods.
``times`` are the query times in seconds over the same pool. ``waal.py figure-2`` computes the distances of Figure 2.
Everything is written to the folder ``--output``: a file per run (a run whose file exists is not repeated), the tables
in the layout of Tables 4 to 9 and of Table 1, with the paper's figures in brackets, and the curves of Figures 3 to 5.

As in Table 2, part of the training rows is held out for early stopping. The paper does not state the rule: here each
training run keeps the epoch that is best on the held-out rows. Nor does the paper state which rows these are: here they
are the last ones, and for STL-10, whose images are rearranged, a random part of each class. The head for STL-10 has 100
units, like the paper's, but 4608 inputs where the paper writes 4096: the last maps of a VGG16 for 96x96 pixels are
512 x 3 x 3.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from _experiments import (
    COLORS,
    Experiment,
    argument_parser,
    markdown,
    mean_std,
    of,
    one_thread,
    read_histories,
    result_folder,
    run_once,
    save,
    some,
    start,
    warm_up,
    write_report,
)
from _results import cuts, write_results
from _waal_distances import distances_main
from _waal_published import H_TABLES, METHODS, TABLES, TIMES
from skorch.callbacks import LRScheduler

from skal import datasets
from skal.classifiers import CNNClassifier, LearningLossClassifier, WassersteinClassifier
from skal.classifiers.net import BestEpoch
from skal.labels import labeled_mask
from skal.plotting import LearningCurveDisplay
from skal.strategies import (
    BALD,
    WAAL,
    CoreSet,
    DeepFool,
    KMedian,
    LearningLoss,
    QueryStrategy,
    RandomSampling,
    RandomSubset,
    UncertaintySampling,
)

PARTS = ("initial", "rounds", "times")
CLASSIFIERS = ("plain", "plain-steps", "waal", "h")
# Beside the columns of Tables 4 to 7: trained as the first part says, with the queries that the second one says. Those
# of "h" are the columns of Tables 8 and 9; those of "plain-steps" ask what WAAL is worth beside as many steps.
ABLATIONS = {
    "learning-loss": ("learning-loss", "learning-loss"),
    **{f"{kind}-{method}": (kind, method) for kind in CLASSIFIERS[1:] for method in METHODS[:-1]},
}
H_METHODS = tuple(method for method in ABLATIONS if method.startswith("h-"))
FAIR = ("plain-steps-random", "plain-steps-margin", "waal-random", "waal-margin")
DEFAULT_METHODS = (*METHODS, *FAIR, "learning-loss", "h-random")
SHARES = (0.5, 0.75)  # of the epochs, after which the learning rate is divided by ten


@dataclass(frozen=True, kw_only=True)
class Settings(Experiment):
    """A data set's rows in Tables 2 and 3."""

    architecture: str
    momentum: float
    coefficient: float
    lr: float = 0.01
    mu: float = 1e-2
    n_hidden: int = 50
    n_epochs: int = 80  # over the unlabelled rows
    n_plain_epochs: int = 80  # over the labelled ones
    n_deepfool: int | None = None  # rows that DeepFool looks at; all by default
    n_validation: int | None = None  # rows that decide when to stop; all that are held out by default


def stl10(split: str) -> tuple[Any, Any]:
    """The paper's variant, with 800, 100 and 400 images per class for training, validation and testing.

    It does not say which.
    """
    parts = [datasets.load_stl10(split=part, return_X_y=True) for part in ("train", "test")]
    X, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    rng = np.random.default_rng(0)
    orders = [rng.permutation(np.flatnonzero(y == label)) for label in np.unique(y)]
    part = {"train": slice(800), "validation": slice(800, 900), "test": slice(-400, None)}[split]
    rows = np.sort(np.concatenate([order[part] for order in orders]))
    return X[rows], y[rows]


EXPERIMENTS = {
    "fashion-mnist": Settings(
        load=of(datasets.load_fashion_mnist, n_validation=20_000),
        architecture="lenet_waal",
        momentum=0.5,
        coefficient=5,
        n_initial=1000,
        n_queries=500,
        n_rounds=10,
    ),
    "svhn": Settings(
        load=of(datasets.load_svhn, n_validation=33_257),
        architecture="vgg16_bn",
        momentum=0.5,
        coefficient=5,
        n_initial=1000,
        n_queries=1000,
        n_rounds=5,
    ),
    "cifar10": Settings(
        load=of(datasets.load_cifar10, n_validation=5000),
        architecture="vgg16_bn",
        momentum=0.3,
        coefficient=10,
        n_initial=2000,
        n_queries=2000,
        n_rounds=5,
    ),
    "stl10": Settings(
        load=stl10,
        architecture="vgg16_bn",
        momentum=0.3,
        coefficient=10,
        n_initial=500,
        n_queries=500,
        n_rounds=5,
        mu=1e-3,
        n_hidden=100,
    ),
}


def quick(experiment: Settings) -> Settings:
    """For two cores: short trainings, few rounds, and always the small network.

    On Fashion-MNIST ten times the learning rate makes up for a thirteenth of the epochs: at the paper's rate the
    network would fit so little that more labels do not help, and hard ones harm. With colours that happens at either
    rate: there the pool is smaller, and WAAL makes a quarter or half of the paper's steps, at the paper's rate.
    """
    small = replace(experiment, n_epochs=6, lr=0.1, n_rounds=3, n_seeds=3, n_deepfool=1000, n_validation=2000)
    if experiment.architecture == "lenet_waal":
        return small
    return replace(small, architecture="lenet_waal", n_rows=20_000, n_epochs=40, lr=experiment.lr)


class AsManySteps(WassersteinClassifier):
    """Plain training with as many steps as WAAL: labelled rows are repeated until they equal the unlabelled in number.

    The training is that of ``mu=0``, without the passes of rows that it does not learn from.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> AsManySteps:
        labeled = np.flatnonzero(labeled_mask(y))
        rows = np.resize(labeled, max(len(labeled), len(X) - len(labeled)))
        return super().fit(X[rows], y[rows])


class BestOfAll(BestEpoch):
    """Keeps the network and the critic of the epoch with the most right answers on rows that are held out.

    The callbacks of a classifier are copied for each training, and the copies share the rows.
    """

    def __init__(self, X: Any, y: Any) -> None:
        super().__init__(
            "held_out_accuracy", patience=10**6, threshold=0, lower_is_better=False, load_best=True
        )
        self.X, self.y = X, y

    def on_epoch_end(self, net: Any, **params: Any) -> None:
        with torch.no_grad():
            net.module_.eval()
            blocks = torch.as_tensor(self.X).split(500)
            answers = torch.cat([net.infer(net.prepare_rows(block)).argmax(1).cpu() for block in blocks])
        net.history.record("held_out_accuracy", float(np.mean(answers.numpy() == self.y)))
        super().on_epoch_end(net, **params)

    def __deepcopy__(self, memo: Any) -> BestOfAll:
        return type(self)(self.X, self.y)

    def __sklearn_clone__(self) -> BestOfAll:
        return type(self)(self.X, self.y)


def make_classifier(kind: str, experiment: Settings, held_out: tuple[Any, Any] | None = None) -> Any:
    """The classifiers of appendix G, which stop early where rows are held out."""
    params: dict[str, Any] = {
        "architecture": experiment.architecture,
        "optimizer": torch.optim.SGD,
        "optimizer_params": {"momentum": experiment.momentum},
        "lr": 0.01,
        "batch_size": 64,
    }
    if experiment.architecture == "vgg16_bn":
        params["module_params"] = {"n_hidden": experiment.n_hidden}
    stopping = [] if held_out is None else [("best", BestOfAll(*held_out))]
    if kind in ("plain", "learning-loss"):
        milestones = [math.ceil(share * experiment.n_plain_epochs) for share in SHARES]
        schedule = LRScheduler("MultiStepLR", milestones=milestones, gamma=0.1)
        params |= {"max_epochs": experiment.n_plain_epochs, "callbacks": [("schedule", schedule), *stopping]}
        return CNNClassifier(**params) if kind == "plain" else LearningLossClassifier(**params)
    params["lr"] = experiment.lr
    return (AsManySteps if kind == "plain-steps" else WassersteinClassifier)(
        **params,
        divergence="h" if kind == "h" else "wasserstein",
        mu=experiment.mu,
        n_queries=experiment.n_queries,
        critic_params={"hidden": (experiment.n_hidden,)},
        lr_drops=SHARES,
        max_epochs=experiment.n_epochs,
        callbacks=stopping,
    )


def make_strategy(name: str, experiment: Settings) -> QueryStrategy:
    n_deepfool = experiment.n_deepfool
    return {
        "random": RandomSampling(),
        "least-confidence": UncertaintySampling("least_confidence"),
        "margin": UncertaintySampling("margin"),
        "entropy": UncertaintySampling("entropy"),
        "k-median": KMedian("classifier"),
        "dbal": BALD(),
        "coreset": CoreSet("classifier"),
        "deepfool": RandomSubset(n_deepfool, DeepFool()) if n_deepfool else DeepFool(),
        "learning-loss": RandomSubset(10_000, LearningLoss()),  # as in its paper
        "waal": WAAL(experiment.coefficient),
    }[name]


def default_methods(name: str) -> tuple[str, ...]:
    """The columns of Tables 4 to 7 and the fair comparison; where the paper has Table 8 or 9, its columns too."""
    return tuple(dict.fromkeys((*DEFAULT_METHODS, *(H_METHODS if name in H_TABLES else ()))))


def parts_of(method: str) -> tuple[str, str]:
    """A method's classifier and strategy."""
    return ABLATIONS.get(method, ("waal" if method == "waal" else "plain", method))


def run(method: str, kind: str, strategy: str, n_rounds: int, seed: int, context: Context) -> None:
    """One learner, if its file is not there yet."""
    experiment = replace(context.experiment, n_rounds=n_rounds)
    classifier = make_classifier(kind, experiment, context.held_out)
    learner = experiment.learner(classifier, make_strategy(strategy, experiment))
    run_once(context.folder, method, seed, learner, context.data)


@dataclass
class Context:
    """What all parts of a run share."""

    name: str
    experiment: Settings
    data: Any
    held_out: tuple[Any, Any]
    folder: Path
    methods: tuple[str, ...]
    seeds: list[int]
    options: Any

    def describe(self) -> str:
        experiment = self.experiment
        return (
            f"{self.name}, {len(self.data[0]):,} rows, {experiment.architecture}: {experiment.n_epochs} epochs over "
            f"the unlabelled rows at the learning rate {experiment.lr}, plain classifiers {experiment.n_plain_epochs} "
            "over the labelled ones at 0.01; the paper has 80 and 0.01."
        )

    def results(
        self, part: str, methods: Iterable[str] = (), flags: Iterable[str] = (), numbers: Any = None
    ) -> None:
        """Write the result file of a part."""
        write_results(
            self.options,
            self.folder,
            methods,
            part=part,
            flags=["--parts", part, *flags],
            setting=self.describe(),
            cut=cuts(EXPERIMENTS[self.name], self.experiment),
            numbers=numbers,
        )


def initial_part(context: Context) -> str:
    """The first row of Tables 4 to 7, and what a fair comparison adds: mean ± std of the accuracies over the seeds."""
    names = {f"initial-{kind}": kind for kind in CLASSIFIERS}
    for seed in context.seeds:
        for name, kind in names.items():
            run(name, kind, "random", 0, seed, context)
    first = {table: rows[context.experiment.n_initial] for table, rows in published(context.name).items()}
    paper = {"plain": first["plain"]["random"], "waal": first["plain"]["waal"]}
    paper["h"] = first.get("h", {}).get("random", "")
    rows = []
    for name, history in read_histories(context.folder, names).items():
        accuracy, seconds, kind = 100 * history["score"][:, 0], history["fit_time"].mean(), names[name]
        rows.append([kind, mean_std(accuracy), paper.get(kind, ""), f"{seconds:.1f}", len(accuracy)])
    table = markdown(["classifier", "accuracy, %", "the paper", "a training, s", "seeds"], rows)
    context.results("initial", names)
    return f"After {context.experiment.n_initial} labels. {context.describe()}\n\n{table}"


def published(name: str) -> dict[str, dict[int, dict[str, str]]]:
    """The paper's tables of a data set, for plain training and for the H-divergence."""
    tables = {"plain": TABLES[name]}
    return tables | ({"h": H_TABLES[name]} if name in H_TABLES else {})


def rounds_part(context: Context) -> str:
    """Tables 4 to 9 and the curves."""
    for seed in context.seeds:
        for method in context.methods:
            run(method, *parts_of(method), context.experiment.n_rounds, seed, context)
    every_method = (*METHODS, *ABLATIONS)
    histories = read_histories(context.folder, every_method)
    context.results("rounds", histories, ["--methods", *histories])
    draw(context, histories)
    tables = published(context.name)
    rows: list[list[Any]] = []
    first = next(iter(histories.values()))
    for number, n_labeled in enumerate(first["n_labeled"][0]):
        cells = []
        for method, history in histories.items():
            kind, column = ("h", method[2:]) if method.startswith("h-") else ("plain", method)
            reported = tables.get(kind, {}).get(int(n_labeled), {}).get(column)
            cells.append(mean_std(100 * history["score"][:, number]) + (f" ({reported})" if reported else ""))
        rows.append([n_labeled, *cells])
    every = histories.values()
    rows += [
        ["a query, s", *(f"{history['query_time'][:, 1:].mean():.2f}" for history in every)],
        ["a training, s", *(f"{history['fit_time'].mean():.2f}" for history in every)],
        ["seeds", *(len(history["score"]) for history in every)],
    ]
    table = markdown(["labels", *histories], rows)
    return f"Accuracy in %, mean ± std over the seeds. {context.describe()}\n\n{table}"


def draw(context: Context, histories: dict[str, Any]) -> None:
    figure, axis = plt.subplots(figsize=(8, 6), layout="constrained")
    axis.set_prop_cycle(color=COLORS)
    LearningCurveDisplay.from_history(histories, band="std", ax=axis)
    axis.set(ylabel="Accuracy", title=context.name)
    save(figure, context.folder / "curves.png")


def times_part(context: Context) -> str:
    """Table 1: seconds of a query over the same pool, of classifiers that were trained for an epoch, on one thread."""
    experiment, (X, y, *_) = context.experiment, context.data
    rng = np.random.default_rng(0)
    labels = np.full(len(X), -1)
    known = rng.choice(len(X), experiment.n_initial, replace=False)
    labels[known] = y[known]
    classifiers = {}
    with one_thread():
        for kind, rows in (("waal", slice(None)), ("plain", known), ("learning-loss", known)):
            classifier = make_classifier(kind, experiment).set_params(max_epochs=1, random_state=0)
            classifiers[kind] = classifier.fit(X[rows], labels[rows])
        seconds = {}
        for method in (*METHODS, "learning-loss"):
            kind, strategy_name = parts_of(method)
            strategy = make_strategy(strategy_name, experiment).set_params(random_state=0)
            classifier = classifiers[kind]
            warm_up(strategy, X[:500], classifier)
            strategy.fit(X)
            taken: list[float] = []
            while len(taken) < 3 and sum(taken) < 20:
                started = time.perf_counter()
                strategy.query(X, labels, n_queries=experiment.n_queries, estimator=classifier)
                taken.append(time.perf_counter() - started)
            seconds[method] = min(taken)  # what else the machine does only adds to it
            print(f"{method}: {seconds[method]:.2f} s", flush=True)
    note = "\n\nThe least of up to three queries. Learning loss looks at 10,000 rows."
    n_unlabeled, n_deepfool = len(X) - experiment.n_initial, experiment.n_deepfool
    if n_deepfool and n_deepfool < n_unlabeled:
        seconds["deepfool"] *= n_unlabeled / n_deepfool
        note += f" DeepFool: {n_unlabeled / n_deepfool:.1f} times its seconds for {n_deepfool} rows."
    context.results("times", numbers={f"query of {method}": value for method, value in seconds.items()})
    table = [
        (method, f"{value:.2f}", f"{value / seconds['waal']:.2f}", TIMES.get(method, ""))
        for method, value in seconds.items()
    ]
    title = f"{context.name}, {experiment.n_queries} of {n_unlabeled:,} rows, {experiment.architecture}, one thread."
    return f"{title}\n\n{markdown(['method', 'a query, s', 'relative', 'the paper, SVHN'], table)}{note}"


def main(arguments: list[str] | None = None) -> None:
    parser = argument_parser("waal", __doc__, [*EXPERIMENTS, "figure-2"])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=(*METHODS, *ABLATIONS),
        metavar="METHOD",
        help=f"methods of the rounds: {', '.join((*METHODS, *ABLATIONS))}; by default {', '.join(DEFAULT_METHODS)}, "
        "and, where the paper has a table of the H-divergence, also the other h methods",
    )
    options = parser.parse_args(arguments)
    if options.experiment == "figure-2":
        distances_main(options)
        return
    experiment = EXPERIMENTS[options.experiment]
    if options.quick:
        experiment = quick(experiment)
    folder = result_folder(options)
    context = Context(
        name=options.experiment,
        experiment=experiment,
        data=experiment.data(options.experiment),
        held_out=some(experiment.load("validation"), experiment.n_validation),
        folder=folder,
        methods=options.methods or default_methods(options.experiment),
        seeds=options.seeds or list(range(experiment.n_seeds)),
        options=options,
    )
    for part in options.parts:
        report = {"initial": initial_part, "rounds": rounds_part, "times": times_part}[part](context)
        write_report([report], context.folder, part)


if __name__ == "__main__":
    start(main)
