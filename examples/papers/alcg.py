"""The experiments of ALCG ("Learning Class-Conditional GANs with Active Sampling", KDD 2019).

``python examples/papers/alcg.py cifar10`` runs a data set with the paper's settings (section 4.1). ``--quick`` runs it
with narrow networks, few steps and few rounds, for two cores without a GPU; a run of CIFAR-10 took two minutes on an
H100 that twenty runs shared. The data sets are read from the folder that SKAL_DATA names; the paper does not use MNIST.

The paper states 1,000 initial labels, three repetitions and four candidates per generated row that is kept. It does not
state the labels per round, the number of rounds and the number of steps: here they are 1,000 labels, up to four rounds,
and 10,000 generator steps per training run. Training continues from the weights of the last round, as in Algorithm 1.
With ``--scratch`` each round begins with new weights, and its results are listed with the others.

Generated rows are judged by a classifier that was trained on all real rows. The Frechet distance and inception score
are named after this classifier and cannot be compared with the paper's, which use Inception. Neither can those of
torchvision's weights, which ``--inception`` names. The paper shows only curves, so the tables have none of its numbers.

``--parts training`` follows one training run on the initial labels, with and without adversarial sampling (Figure 9).
The GAN is judged ten times on the way, and each time training continues with new moments of the optimizer. ``--parts
pictures`` trains on 1,000 to 50,000 random labels (Figure 1). After the first training run it sorts the test rows by
certainty (Figure 3); the number of rows at each end that the judge recognizes stands for how clean they are.
``--steps``, ``--labels`` and ``--width`` vary the setting, each in a folder of its own. ``cs-mc-balanced``, which is
not in the paper, selects as many certain rows of each class.

Everything is written to the folder ``--output``: the judge, a file per run (a run whose file exists is not repeated),
the tables, the curves of Figures 5 to 7, 9 and 10 (against labels), and the pictures of Figures 1, 3 and 8.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _alcg_pictures import ENDS, by_certainty, draw_certainty, draw_samples, samples_of
from _alcg_settings import EXPERIMENTS, Settings, quick, varied
from _experiments import (
    COLORS,
    argument_parser,
    count,
    markdown,
    mean_std,
    read_histories,
    result_folder,
    run_file,
    run_once,
    save,
    save_arrays,
    some,
    start,
    train_or_load,
    whole,
    write_report,
)
from _results import cuts, write_results
from sklearn.base import clone

from skal import SimulatedLearner, show_progress
from skal.classifiers import ACGANClassifier
from skal.metrics import (
    FeatureStatistics,
    GenerationScorer,
    InceptionFeatures,
    frechet_distance,
    gan_test_score,
    inception_score,
)
from skal.plotting import LearningCurveDisplay
from skal.strategies import ALCG, ClassBalanced, RandomSampling

BASES = {"dcgan": "AC-DCGAN", "sngan": "AC-SNGAN", "wgan_gp": "AC-WGAN-GP"}
# The strategy, and how many candidates adversarial sampling has for each generated row; 1 is regular training.
METHODS = {
    "rand": (RandomSampling(), 1),
    "cs-mc": (ALCG("most_confidence"), 1),
    "cs-lm": (ALCG("large_margin"), 1),
    "cs-le": (ALCG("least_entropy"), 1),
    "as": (RandomSampling(), 4),
    "alcg": (ALCG("most_confidence"), 4),
}
# Not the paper's: certain rows of every class in equal shares.
BALANCED = {
    "cs-mc-balanced": (ClassBalanced(ALCG("most_confidence")), 1),
    "alcg-balanced": (ClassBalanced(ALCG("most_confidence")), 4),
}
CHOICES = METHODS | BALANCED
SCRATCH = "-scratch"
EVERY_METHOD = (*CHOICES, *(method + SCRATCH for method in CHOICES))
# The metrics in the tables, and their factor: accuracies are in percent.
METRICS = {
    "GAN-test accuracy": 100,
    "classifier Frechet distance": 1,
    "classifier inception score": 1,
    "torchvision Inception Frechet distance": 1,
    "torchvision inception score": 1,
    "accuracy": 100,
}
PARTS = ("rounds", "training", "pictures")
TRAININGS = {"regular-training": 1, "adversarial-training": 4}  # candidates for each generated row
N_JUDGED = 10  # times along a training
SIZES = (1000, 5000, 20_000, 50_000)  # labels of Figure 1


@dataclass
class Context:
    """What all parts of a run share."""

    name: str
    experiment: Settings
    data: Any
    folder: Path
    scorers: list[GenerationScorer]
    varied: dict[str, int]  # by flag

    def score(self, estimator: Any, X: Any = None, y: Any = None) -> dict[str, float]:
        """All metrics of generated rows, and the accuracy of the auxiliary classifier."""
        first, *others = self.scorers
        scores = first(estimator, X, y)
        for scorer in others:
            scores |= scorer(estimator)
        return scores

    def real_scores(self) -> dict[str, float]:
        """The scores of real test rows, as many as are generated if there are so many."""
        X, y = some(self.data[2:], self.experiment.n_samples)
        scores = {"GAN-test accuracy": float(gan_test_score(self.scorers[0].classifier, X, y))}
        for scorer in self.scorers:
            distance = frechet_distance(scorer.reference, X)
            score = inception_score(X, scorer.judge, random_state=0)
            scores |= {distance.name: float(distance), score.name: float(score)}
        return scores

    def results(self, options: Any, part: str, methods: Any, flags: Any, numbers: Any = None) -> None:
        """Write the result file of a part."""
        experiment = self.experiment
        words = [f"{name}-{value}" for name, value in self.varied.items()]
        given = [word for name, value in self.varied.items() for word in (f"--{name}", str(value))]
        write_results(
            options,
            self.folder,
            methods,
            part="-".join([part, *words]),
            flags=["--parts", part, *flags, *given],
            setting=f"{len(self.data[0]):,} rows, {experiment.n_initial} labels at first, {experiment.n_queries} a "
            f"round; {experiment.n_samples:,} generated rows are judged",
            cut=cuts(EXPERIMENTS[self.name], experiment),
            numbers={f"real rows: {metric}": value for metric, value in self.real_scores().items()}
            | (numbers or {}),
        )

    def histories(self, base: str) -> dict[str, Any]:
        """The histories of the runs that are there, by method."""
        found = read_histories(self.folder, [f"{base}-{method}" for method in EVERY_METHOD])
        return {name.removeprefix(f"{base}-"): history for name, history in found.items()}


def make_scorers(
    experiment: Settings, X: Any, y: Any, folder: Path, inception: str | None
) -> list[GenerationScorer]:
    """Train the judge, or read it; take the statistics of the real rows."""
    untrained = clone(experiment.judge)
    left_out = {"architecture": untrained.architecture, "callbacks": untrained.callbacks}
    classifier = train_or_load(folder / "judge.skal", untrained, X, y, **left_out)
    params = {"n_samples": experiment.n_samples, "random_state": 0}
    scorers = [GenerationScorer(FeatureStatistics(classifier).update(X), classifier=classifier, **params)]
    if inception:
        features = InceptionFeatures(inception, pixel_range=(0, 255))
        scorers.append(GenerationScorer(FeatureStatistics(features).update(X), judge=features, **params))
    return scorers


def make_classifier(base: str, method: str, experiment: Settings) -> ACGANClassifier:
    """The class-conditional GAN of a method."""
    return ACGANClassifier(
        base,
        candidates=CHOICES[method.removesuffix(SCRATCH)][1],
        architecture="dcgan",
        n_iter=experiment.n_iter,
        warm_start=not method.endswith(SCRATCH),
        **experiment.gan,
    )


def run(base: str, method: str, seed: int, context: Context) -> None:
    """One learner, if its file is not there yet."""
    name, experiment = f"{base}-{method}", context.experiment
    strategy, _ = CHOICES[method.removesuffix(SCRATCH)]
    learner = experiment.learner(make_classifier(base, method, experiment), strategy, scoring=context.score)
    metric = key("GAN-test accuracy")
    run_once(context.folder, name, seed, learner, context.data, metric=metric, keep=samples_and_shares)


def follow(base: str, name: str, seed: int, context: Context) -> None:
    """Judge a training on the initial labels on its way, if its file is not there yet."""
    file = run_file(context.folder, f"{base}-{name}", seed)
    if file.exists():
        return
    experiment, (X, y, *_) = context.experiment, context.data
    rows = np.random.default_rng(seed).choice(len(X), experiment.n_initial, replace=False)
    n_steps = max(1, experiment.n_iter // N_JUDGED)
    gan = make_classifier(base, "rand", experiment).set_params(candidates=TRAININGS[name], n_iter=n_steps)
    found: list[dict[str, float]] = []
    seconds = []
    for turn in range(N_JUDGED):
        started = time.perf_counter()
        gan.set_params(random_state=seed * N_JUDGED + turn).fit(X[rows], y[rows])
        seconds.append(time.perf_counter() - started)
        found.append(context.score(gan, *context.data[2:]))
    scores: dict[str, Any] = {key(metric): [values[metric] for values in found] for metric in found[0]}
    steps = n_steps * np.arange(1, N_JUDGED + 1)
    times = {"fit_time": seconds, "query_time": np.zeros(N_JUDGED)}
    save_arrays(file, {"n_labeled": steps, **times, **scores})
    print(f"{base}-{name}, seed {seed}: {found[-1]}, {sum(seconds):.0f} s", flush=True)


def training_part(context: Context, options: Any) -> list[str]:
    """Figure 9: the metrics along a training with adversarial sampling, and without."""
    for seed in options.seeds or range(context.experiment.n_seeds):
        for base in options.bases:
            for name in TRAININGS:
                follow(base, name, seed, context)
    names = [f"{base}-{name}" for base in BASES for name in TRAININGS]
    histories = read_histories(context.folder, names)
    context.results(options, "training", histories, ["--bases", *options.bases])
    return ["Along a training, by generator steps:", *metric_tables(histories, context.real_scores())]


def look(base: str, seed: int, context: Context) -> None:
    """Train on more and more random labels; after the fewest, sort the test rows by certainty."""
    file = run_file(context.folder, f"{base}-pictures", seed)
    if file.exists():
        return
    experiment, (X, y, *test) = context.experiment, context.data
    order = np.random.default_rng(seed).permutation(len(X))
    sizes = sorted({min(size, len(X)) for size in SIZES})
    found: list[dict[str, float]] = []
    kept: dict[str, Any] = {"samples": [], "fit_time": []}
    for size in sizes:
        gan = make_classifier(base, "rand", experiment).set_params(random_state=seed)
        started = time.perf_counter()
        with show_progress():
            gan.fit(X[order[:size]], y[order[:size]])
        kept["fit_time"].append(time.perf_counter() - started)
        kept["samples"].append(samples_of(gan))
        found.append(context.score(gan, *test))
        if size == sizes[0]:
            kept |= by_certainty(gan, context.scorers[0].classifier, *test)
        print(f"{base}, seed {seed}, {size:,} labels: {found[-1]}, {kept['fit_time'][-1]:.0f} s", flush=True)
    scores: dict[str, Any] = {key(metric): [values[metric] for values in found] for metric in found[0]}
    save_arrays(file, {"n_labeled": sizes, "query_time": np.zeros(len(sizes)), **kept, **scores})


def pictures_part(context: Context, options: Any) -> list[str]:
    """Figures 1 and 3: samples after trainings on more and more labels, and rows of low and of high certainty."""
    for seed in options.seeds or range(context.experiment.n_seeds):
        for base in options.bases:
            look(base, seed, context)
    histories = read_histories(context.folder, [f"{base}-pictures" for base in BASES])
    numbers: dict[str, Any] = {}
    for name, history in histories.items():
        titles = (f"{size:,} labels" for size in history["n_labeled"][0])
        draw_samples(dict(zip(titles, history["samples"][0], strict=True)), context.folder / f"{name}.png")
        ends = [{end: history[end][run] for end in ENDS} for run in range(len(history["n_labeled"]))]
        draw_certainty(ends, context.folder / f"certainty-{name}.png")
        numbers |= {
            f"{name}, recognized of {end} rows, %": 100 * history[f"{end}_recognized"] for end in ENDS
        }
    context.results(options, "pictures", histories, ["--bases", *options.bases], numbers)
    lines = [f"{name}: {mean_std(values)}" for name, values in numbers.items()]
    return [
        "By the number of random labels:",
        *metric_tables(histories, context.real_scores()),
        f"Test rows that the judge takes for what they are:\n\n{chr(10).join(lines)}",
    ]


def samples_and_shares(learner: SimulatedLearner) -> dict[str, Any]:
    """Samples of each class at the end, and the share of each class among the kept rows of the last steps."""
    gan = learner.estimator_
    return {"samples": samples_of(gan), "class_shares": gan.history_["class_shares"][-1]}


def key(metric: str) -> str:
    """What a history calls a metric."""
    return "score_" + metric.lower().replace(" ", "_").replace("-", "_")


def metric_tables(histories: dict[str, Any], real: dict[str, float]) -> list[str]:
    """Mean ± std over the seeds of each metric, methods by labels."""
    n_labeled = next(iter(histories.values()))["n_labeled"][0]
    tables = []
    for metric, scale in METRICS.items():
        having = {method: history for method, history in histories.items() if key(metric) in history}
        if not having:
            continue
        unit = ", %" if scale == 100 else ""
        title = f"{metric[0].upper()}{metric[1:]}{unit}"
        title += f" (real test rows: {scale * real[metric]:.2f})" if metric in real else ""
        rows = [
            [method, *(mean_std(scale * values) for values in history[key(metric)].T)]
            for method, history in having.items()
        ]
        tables.append(f"{title}:\n\n{markdown(['method', *n_labeled], rows)}")
    return tables


def times_table(histories: dict[str, Any]) -> str:
    rows = []
    for method, history in histories.items():
        training, query = history["fit_time"].mean(), history["query_time"][:, 1:].mean()
        rows.append([method, f"{training:.1f}", f"{query:.2f}", len(history["fit_time"])])
    return markdown(["method", "a training, s", "a query, s", "seeds"], rows)


def classes_table(histories: dict[str, Any], classes: Any) -> str:
    """Which classes are queried, and which adversarial sampling keeps."""
    rows = []
    for method, history in histories.items():
        n_labeled = history["n_labeled"][0]
        counts = np.diff(history["class_counts"].mean(axis=0), axis=0)
        shares = {
            f"queried, to {n_labels}": count / count.sum()
            for n_labels, count in zip(n_labeled[1:], counts, strict=True)
        }
        if CHOICES[method.removesuffix(SCRATCH)][1] > 1:
            shares["kept in the last steps"] = history["class_shares"].mean(axis=0)
        rows += [[method, name, *(f"{100 * share:.1f}" for share in row)] for name, row in shares.items()]
    table = markdown(["method", "rows", *classes], rows)
    return f"Classes of the rows, %, mean over the seeds:\n\n{table}"


def draw_curves(context: Context, histories: dict[str, Any], real: dict[str, float]) -> None:
    """Figures 5 to 7, 9 and 10: one row per metric, one column per base."""
    runs = [history for of_base in histories.values() for history in of_base.values()]
    metrics = [metric for metric in METRICS if all(key(metric) in history for history in runs)]
    size = 5.5 * len(histories), 4 * len(metrics)
    figure, axes = plt.subplots(
        len(metrics), len(histories), figsize=size, squeeze=False, layout="constrained"
    )
    for row, metric in zip(axes, metrics, strict=True):
        for axis, (base, of_base) in zip(row, histories.items(), strict=True):
            axis.set_prop_cycle(color=[COLORS[EVERY_METHOD.index(method)] for method in of_base])
            LearningCurveDisplay.from_history(of_base, metric=key(metric), ax=axis, marker=".")
            if metric in real:
                axis.axhline(real[metric], color="gray", linestyle=":", label="real test rows")
            axis.set(ylabel=metric, title=f"{context.name}, {BASES[base]}")
            axis.legend(fontsize="small")
    save(figure, context.folder / "curves.png")


def rounds_part(context: Context, options: Any) -> list[str]:
    """Figures 5 to 8 and 10."""
    experiment = context.experiment
    for seed in options.seeds or range(experiment.n_seeds):
        for base in options.bases:
            for method in options.methods:
                run(base, method + SCRATCH if options.scratch else method, seed, context)
    names = [f"{base}-{method}" for base in BASES for method in EVERY_METHOD]
    flags = ["--bases", *options.bases, "--methods", *options.methods, *["--scratch"] * options.scratch]
    context.results(options, "rounds", names, flags)
    return report(context)


def report(context: Context) -> list[str]:
    """The tables of all runs that are there; the figures are drawn."""
    experiment = context.experiment
    real = context.real_scores()
    histories = {base: found for base in BASES if (found := context.histories(base))}
    draw_curves(context, histories, real)
    accuracy = 100 * context.scorers[0].classifier.score(*context.data[2:])
    parts = [
        f"{context.name}, {len(context.data[0]):,} rows: {experiment.n_iter:,} generator steps a training, "
        f"{experiment.n_samples:,} generated rows judged by a classifier whose accuracy on all test rows is "
        f"{accuracy:.2f} %; the accuracy below is the auxiliary classifier's. Mean ± std over the seeds."
    ]
    for base, of_base in histories.items():
        last = {
            f"{method}, {history['n_labeled'][0, -1]} labels": history["samples"][0]
            for method, history in of_base.items()
        }
        draw_samples(last, context.folder / f"samples-{base}.png")
        parts += [f"## {BASES[base]}", *metric_tables(of_base, real), times_table(of_base)]
        parts += [classes_table(of_base, np.unique(context.data[1]))]
    return parts


def main(arguments: list[str] | None = None) -> None:
    parser = argument_parser("alcg", __doc__, EXPERIMENTS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="all by default")
    parser.add_argument("--bases", nargs="+", choices=BASES, default=list(BASES), help="all by default")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=CHOICES,
        metavar="METHOD",
        default=list(METHODS),
        help=f"methods of the rounds: {', '.join(CHOICES)}; by default those of the paper, none of them balanced",
    )
    parser.add_argument("--scratch", action="store_true", help="train from scratch in each round")
    parser.add_argument("--steps", type=count, help="generator steps per training run")
    parser.add_argument("--labels", type=count, help="labels at the start and per round")
    parser.add_argument(
        "--width", type=whole(8), help="feature maps before the last layer of the networks; 64 with --quick"
    )
    parser.add_argument("--inception", help="weights of torchvision's Inception v3, for further metrics")
    options = parser.parse_args(arguments)
    experiment = EXPERIMENTS[options.experiment]
    if options.quick:
        experiment = quick(experiment)
    experiment, flags = varied(experiment, options)
    folder = result_folder(options, words=[f"{name}-{value}" for name, value in flags.items()])
    data = experiment.data(options.experiment)
    scorers = make_scorers(experiment, *data[:2], result_folder(options), options.inception)
    context = Context(options.experiment, experiment, data, folder, scorers, flags)
    for part in options.parts:
        report = {"rounds": rounds_part, "training": training_part, "pictures": pictures_part}[part](
            context, options
        )
        write_report(report, folder, "tables" if part == "rounds" else part)


if __name__ == "__main__":
    start(main)
