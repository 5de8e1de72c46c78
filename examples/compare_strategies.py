"""Which strategy saves labels? A table over real pools, with paired tests against random sampling.

The pools are scikit-learn's digits; MNIST and Fashion-MNIST, 60,000 rows each, reduced to 50 principal components;
MNIST with rare classes, the rarest with a hundredth of the rows of the most frequent; and sentences of documentation as
TF-IDF, reduced to 50 components. The classifier is a logistic regression, or a small network for strategies that need
one. All strategies start from the same labels in each of five repeats. ``few`` begins without labels and ends at 100,
ten at a time; ``many`` goes from 100 to 500 in steps of 50.

Run ``SKAL_DATA=folder OMP_NUM_THREADS=1 python examples/compare_strategies.py --jobs 2 [--quick] [--folder results]
[--pools digits]``. Each result is kept in the folder, and a second run continues where the first one stopped. Without
``SKAL_DATA`` only the digits and the texts are available. The whole table took 101 minutes on two busy cores, one of
which trained autoencoders of ``DGAL`` for an hour.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import re
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skal import SimulatedLearner, simulate
from skal.classifiers import (
    LearningLossClassifier,
    NetClassifier,
    VAALClassifier,
    WassersteinClassifier,
)
from skal.datasets import load_fashion_mnist, load_mnist
from skal.evaluation import area_under_curve, final_score, paired_tests
from skal.generators import VAE
from skal.strategies import (
    BADGE,
    BAIT,
    BALD,
    DGAL,
    SEALS,
    VAAL,
    WAAL,
    BatchBALD,
    ClassBalanced,
    ContrastiveAL,
    CoreSet,
    DensityWeighted,
    DiscriminativeAL,
    DropQuery,
    ExpectedErrorReduction,
    KMedian,
    LearningLoss,
    MaxHerding,
    ProbCover,
    QueryByCommittee,
    RandomSampling,
    Switch,
    TypiClust,
    UncertaintySampling,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "few": {"n_initial": 0, "n_queries": 10, "budget": 100},
    "many": {"n_initial": 100, "n_queries": 50, "budget": 500},
}
STRATEGIES = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "entropy": UncertaintySampling("entropy"),
    "least confidence": UncertaintySampling("least_confidence"),
    "BADGE": BADGE(),
    "CoreSet": CoreSet(),
    "KMedian": KMedian(),
    "TypiClust": TypiClust(),
    "ProbCover": ProbCover(),
    "MaxHerding": MaxHerding(),
    "committee": QueryByCommittee(n_members=5),
    "density": DensityWeighted(),
    "ContrastiveAL": ContrastiveAL(),
    "DiscriminativeAL": DiscriminativeAL(),
    "SEALS": SEALS(),
    "DGAL": DGAL(),
    "DGAL, PCA": DGAL(PCA(50)),
    "balanced margin": ClassBalanced(),
    "TypiClust, then margin": Switch(when=50),
    "expected error": ExpectedErrorReduction(n_candidates=100),
    "DropQuery": DropQuery(),
    "BAIT": BAIT(),
    "BatchBALD": BatchBALD(n_members=10),
}
NETWORK: dict[str, Any] = {
    "optimizer": torch.optim.Adam,
    "lr": 3e-3,
    "max_epochs": 50,
    "module_params": {"hidden": (64,)},
}
DROPOUT = NETWORK | {"module_params": {"hidden": (64,), "dropout": 0.3}}
NETWORKS = {  # VAAL and WAAL learn from unlabelled rows, too: what they gain is not their queries' alone
    "network, random": (NetClassifier(**NETWORK), RandomSampling()),
    "network, margin": (NetClassifier(**NETWORK), UncertaintySampling("margin")),
    "network, BADGE": (NetClassifier(**NETWORK), BADGE()),
    "network, BALD": (NetClassifier(**DROPOUT), BALD()),
    "network, LearningLoss": (LearningLossClassifier(**NETWORK), LearningLoss()),
    "network, WAAL": (WassersteinClassifier(**NETWORK), WAAL()),
    "network, VAAL": (VAALClassifier(**NETWORK), VAAL()),
}

Split = tuple[Any, Any, Any, Any]  # rows and labels of the pool, rows and labels to score


def digits() -> Split:
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X / 16, y, test_size=0.4, stratify=y, random_state=0)
    return X, y, X_test, y_test


def components(load: Callable[..., Any]) -> Split:
    (X, y), (X_test, y_test) = (load(split=split, return_X_y=True) for split in ("train", "test"))
    flat = [rows.reshape(len(rows), -1) / np.float32(255) for rows in (X, X_test)]
    pca = PCA(50, random_state=0).fit(flat[0])
    return pca.transform(flat[0]), y, pca.transform(flat[1]), y_test


def rare() -> Split:
    X, y, X_test, y_test = components(load_mnist)
    share = 0.01 ** (np.arange(10) / 9)
    kept = np.random.default_rng(0).random(len(y)) < share[y]
    return X[kept], y[kept], X_test, y_test


def read_texts(package: str, n_texts: int) -> list[str]:
    """First paragraphs of docstrings, in some files of a package."""
    rng = np.random.default_rng(0)
    [place] = importlib.import_module(package).__path__
    texts: set[str] = set()
    for file in rng.permutation(sorted(Path(place).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="ignore"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
                paragraph = re.sub(package, "", doc.split("\n\n")[0], flags=re.IGNORECASE)
                texts.add(" ".join(paragraph.split())[:400])
        if len(texts) > 2 * n_texts:
            break
    return rng.permutation(sorted(text for text in texts if len(text) >= 30))[:n_texts].tolist()


def texts() -> Split:
    packages = {
        "sympy": 2000,
        "torch": 2000,
        "sklearn": 800,
        "networkx": 600,
        "numpy": 600,
        "scipy": 600,
        "email": 200,
    }
    found = {package: read_texts(package, n) for package, n in packages.items()}
    X = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(
        [text for each in found.values() for text in each]
    )
    X = TruncatedSVD(50, random_state=0).fit_transform(X) * 5
    y = np.repeat(list(found), [len(each) for each in found.values()])
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return X, y, X_test, y_test


POOLS = {
    "digits": digits,
    "mnist": lambda: components(load_mnist),
    "fashion": lambda: components(load_fashion_mnist),
    "rare": rare,
    "texts": texts,
}
REAL = ("mnist", "fashion", "rare")
UNEVEN = ("rare", "texts")  # scored by the mean accuracy of the classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a few labels and strategies, to check that it runs"
    )
    parser.add_argument("--folder", type=Path, default=Path("comparison"))
    parser.add_argument("--pools", nargs="+", choices=POOLS, default=list(POOLS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--strategies", nargs="+", choices=[*STRATEGIES, *NETWORKS])
    parser.add_argument(
        "--table", action="store_true", help="print the results in the folder, and run nothing"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes; each computes one result at a time")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if left_out := [name for name in options.pools if name in REAL and "SKAL_DATA" not in os.environ]:
        print(f"{', '.join(left_out)}: set SKAL_DATA")
    quick = "-quick" if options.quick else ""
    tables = {
        (name, setting): {
            strategy: options.folder / f"{name}-{setting}-{strategy.replace(' ', '_')}{quick}.npz"
            for strategy in options.strategies or wanted(name, setting, quick=options.quick)
        }
        for name in options.pools
        if name not in left_out
        for setting in options.settings
    }
    missing = [
        (file, *table, strategy, options.quick)
        for table, files in tables.items()
        for strategy, file in files.items()
        if not (file.exists() or options.table)
    ]
    # Last: they have the autoencoders that were trained for few labels.
    missing.sort(key=lambda cell: cell[2:4] == ("many", "DGAL"))
    if options.jobs > 1 and missing:
        # Ctrl-C ends a process: it would have ended a cell, and the process would have gone on with the next one.
        begin, context = partial(signal.signal, signal.SIGINT, signal.SIG_DFL), get_context("spawn")
        with ProcessPoolExecutor(options.jobs, context, begin) as processes:
            list(processes.map(keep, *zip(*missing, strict=True)))  # one that fails cancels what is queued
    else:
        for cell in missing:
            keep(*cell)
    found = {}
    for (name, setting), files in tables.items():
        histories = {}
        for strategy, file in files.items():
            if file.exists():
                with np.load(file) as history:
                    histories[strategy] = dict(history)
        show(name, setting, histories)
        found[f"{name}, {setting}"] = {
            strategy: history for strategy, history in histories.items() if strategy in STRATEGIES
        }
    summarize(found)


def wanted(pool: str, setting: str, *, quick: bool) -> list[str]:
    """The strategies of a table: networks for the digits, as VAAL and WAAL train on the whole pool in each round."""
    if quick:
        return ["random", "margin", "TypiClust"]
    return [*STRATEGIES, *(NETWORKS if (pool, setting) == ("digits", "many") else ())]


@cache
def read(pool: str) -> Split:
    """A pool, once per process."""
    return POOLS[pool]()


def keep(file: Path, pool: str, setting: str, strategy: str, quick: bool) -> None:
    """Write the history of a strategy on a pool to a file, whole or not at all."""
    torch.set_num_threads(1)  # small networks
    warnings.simplefilter("ignore", FitFailedWarning)
    unfinished = file.with_suffix(".unfinished.npz")
    np.savez(unfinished, **run(pool, setting, strategy, file.parent, quick=quick))
    unfinished.replace(file)


def run(pool: str, setting: str, strategy: str, folder: Path, *, quick: bool) -> dict[str, Any]:
    """The history of a strategy on a pool."""
    X, y, X_test, y_test = read(pool)
    classifier, chooser = NETWORKS.get(strategy) or (LogisticRegression(max_iter=1000), STRATEGIES[strategy])
    if strategy == "DGAL":  # its autoencoder trains for minutes, and is the same for few labels and for many
        chooser = DGAL(make_pipeline(VAE(), "passthrough", memory=str(folder / "encoders")))
    learner = SimulatedLearner(
        classifier,
        chooser,
        **SETTINGS[setting],
        cold_start=RandomSampling() if chooser.requires else None,
        scoring="balanced_accuracy" if pool in UNEVEN else "accuracy",
    )
    if quick:
        learner.set_params(budget=learner.n_initial + 2 * learner.n_queries)
    return simulate(
        {strategy: learner},
        X,
        y,
        X_val=X_test,
        y_val=y_test,
        n_repeats=2 if quick else 5,
        random_state=0,
        verbose=1,
    )[strategy]


def show(pool: str, setting: str, histories: dict[str, Any]) -> None:
    """Print the area under each curve and what tests say of it, the best first."""
    for baseline in ("random", "network, random"):
        is_network = baseline.startswith("network")
        group = {
            name: history for name, history in histories.items() if name.startswith("network") == is_network
        }
        if baseline not in group or len(group) < 2:
            continue
        tests = paired_tests(group, baseline=baseline, measure="area")
        verdicts = dict(zip(tests.names, zip(tests.differences, tests.adjusted, strict=True), strict=True))
        areas = {name: area_under_curve(history) for name, history in group.items()}
        print(f"\n{pool}, {setting} labels: {len(areas[baseline])} repeats")
        print(
            f"{'strategy':<24}{'area':>7}{'spread':>8}{'at end':>8}{'gain':>8}{'p':>8}{'seconds a query':>17}"
        )
        for name in sorted(areas, key=lambda name: -areas[name].mean()):
            gain, p = verdicts.get(name, (0.0, np.nan))
            seconds = float(np.median(group[name]["query_time"][:, 1:]))
            print(
                f"{name:<24}{areas[name].mean():>7.3f}{areas[name].std(ddof=1):>8.3f}"
                f"{final_score(group[name]).mean():>8.3f}{gain:>+8.3f}{p:>8.3f}{seconds:>17.3f}"
            )


def summarize(found: dict[str, dict[str, Any]]) -> None:
    """Print a table in Markdown: points of area above random, in bold where Holm's test has p < 0.05."""
    tests = {
        title: paired_tests(histories, baseline="random")
        for title, histories in found.items()
        if "random" in histories and len(histories) > 1
    }
    gains = {
        title: dict(zip(test.names, zip(100 * test.differences, test.adjusted, strict=True), strict=True))
        for title, test in tests.items()
    }
    names = {name for gained in gains.values() for name in gained}
    means = {
        name: np.mean([gained[name][0] for gained in gains.values() if name in gained]) for name in names
    }
    print("\n| strategy | " + " | ".join(gains) + " |\n|---" + "|---" * len(gains) + "|")
    for name in sorted(names, key=lambda name: -means[name]):
        cells = []
        for gained in gains.values():
            gain, p = gained.get(name, (np.nan, np.nan))
            cell = "" if np.isnan(gain) else f"{gain:+.1f}"
            cells.append(f"**{cell}**" if p < 0.05 else cell)
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
