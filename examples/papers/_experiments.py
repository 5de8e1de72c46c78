"""Shared by the experiments of all papers: settings, byte images, networks trained once, saved runs, tables."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from skal import SimulatedLearner, show_progress
from skal.utils.replacing import replacing

COLORS = [mpl.colormaps["tab20"](number) for number in (*range(0, 20, 2), *range(1, 20, 2))]  # more than ten


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A data set's settings that all papers state."""

    load: Callable[[str], Any]
    n_initial: int
    n_queries: int
    n_rounds: int
    n_seeds: int = 5
    n_rows: int | None = None  # of the pool; all by default
    n_test: int | None = None  # rows that score; all by default
    initial: str = "random"  # which rows have labels at the start

    @property
    def budget(self) -> int:
        return self.n_initial + self.n_rounds * self.n_queries

    def learner(self, classifier: Any, strategy: Any, **params: Any) -> SimulatedLearner:
        return SimulatedLearner(
            classifier,
            strategy,
            n_initial=self.n_initial,
            initial=self.initial,
            n_queries=self.n_queries,
            budget=self.budget,
            **params,
        )

    def data(self, name: str) -> tuple[Any, Any, Any, Any]:
        """Images and labels of the pool, then of the test set."""
        X, y = some(self.load("train"), self.n_rows)
        X_test, y_test = some(self.load("test"), self.n_test)
        print(f"{name}: pool {X.shape}, test {X_test.shape}", flush=True)
        return X, y, X_test, y_test


def whole(least: int) -> Callable[[str], int]:
    """A type of arguments: whole numbers from the least one on."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return number


count = whole(1)


def start(main: Callable[[], None]) -> None:
    """Run a script; Ctrl-C says what is kept."""
    try:
        main()
    except KeyboardInterrupt:
        print(
            "\nStopped. Finished runs are kept, and the same command continues after them.", file=sys.stderr
        )
        sys.exit(130)  # as a shell has it


def argument_parser(
    script: str, description: str | None, experiments: Iterable[str]
) -> argparse.ArgumentParser:
    """The arguments that all scripts have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(script=script)
    parser.add_argument("experiment", choices=experiments)
    parser.add_argument("--quick", action="store_true", help="smaller settings for two cores without a GPU")
    parser.add_argument(
        "--seeds",
        type=whole(0),
        nargs="+",
        help="run only these; by default as many as the setting has, from 0 on; several processes can share the folder",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=f"{script}-results",
        help=f"folder of the runs, tables and figures; {script}-results by default",
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="folder for the file of all figures from which report.py builds its page: docs/results",
    )
    return parser


def of(load: Callable[..., Any], *args: Any, **params: Any) -> Callable[[str], Any]:
    """A loader of the images and labels of a split."""
    return lambda split: load(*args, split=split, return_X_y=True, **params)


def some(data: tuple[Any, Any], n_rows: int | None) -> tuple[Any, Any]:
    """A random part of the rows in their order, the same part each time."""
    X, y = data
    if n_rows is None or n_rows >= len(X):
        return data
    rows = np.sort(np.random.default_rng(0).choice(len(X), n_rows, replace=False))
    return X[rows], y[rows]


def flat(images: Any) -> np.ndarray[Any, Any]:
    return np.asarray(images, dtype=np.float32).reshape(len(images), -1)


def train_or_load(path: Path, estimator: Any, *data: Any, **left_out: Any) -> Any:
    """Train and save an estimator, or read it from an earlier run; `left_out` has the parameters that no file holds."""
    if path.exists():
        print(f"{path.stem}: read from {path}", flush=True)
        return type(estimator).load(path, **left_out)
    started = time.perf_counter()
    estimator.fit(*data).save(path)
    print(f"{path.stem}: trained in {time.perf_counter() - started:.0f} s", flush=True)
    return estimator


def result_folder(options: argparse.Namespace, name: str | None = None, words: Iterable[str] = ()) -> Path:
    """The folder of an experiment's results, inside those that words name.

    It and the one of --results are made before a run, which may take hours.
    """
    name = (name or options.experiment) + ("-quick" if options.quick else "")
    output: Path = options.output.joinpath(*words, name)
    for folder in (output / "runs", options.results):
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            sys.exit(f"the folder {folder} cannot be made: {error.strerror}; give another one")
    return output


def warm_up(strategy: Any, X: Any, classifier: Any = None) -> None:
    """Compile on a few rows what the first call compiles, so that no method's first query pays for it."""
    rows = X[: min(3000, len(X))]
    labels = np.full(len(rows), -1)
    strategy = clone(strategy).set_params(random_state=0).fit(rows)
    for turn in range(3):
        queried = strategy.query(rows, labels, n_queries=10, estimator=classifier)
        labels[queried] = turn % 2


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def run_file(output: Path, method: str, seed: int) -> Path:
    """The file of a run's history."""
    return output / "runs" / f"{method}-{seed}.npz"


def run_once(
    output: Path,
    method: str,
    seed: int,
    learner: SimulatedLearner,
    data: Any,
    *,
    metric: str = "score",
    keep: Callable[[SimulatedLearner], dict[str, Any]] = lambda _: {},
) -> None:
    """Run one learner from the initial labels that all methods share for this seed, unless its file exists.

    The history goes to the file, with what `keep` returns. Progress and the last value of `metric` are printed.
    """
    if run_file(output, method, seed).exists():
        return
    X, y, X_test, y_test = data
    started = time.perf_counter()
    print(f"{method}, seed {seed}", flush=True)
    with show_progress():
        learner.set_params(random_state=seed).fit(X, y, X_val=X_test, y_val=y_test)
    history = learner.history_
    kept = {**history, "labeled_rows": learner.labeled_rows_, **keep(learner)}
    save_arrays(run_file(output, method, seed), kept)
    print(
        f"{method}, seed {seed}: {metric} {history[metric][-1]:.4f} at {history['n_labeled'][-1]} labels, "
        f"{time.perf_counter() - started:.0f} s",
        flush=True,
    )


def save_arrays(file: Path, arrays: dict[str, Any]) -> None:
    """Write an npz file, whole or not at all: other processes may read it, and what is there is not computed again."""
    with replacing(file) as stream:
        np.savez(stream, **arrays)


def read_arrays(file: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of an npz file, which is closed afterwards."""
    with np.load(file) as arrays:
        return dict(arrays)


def seeds_of(output: Path, method: str) -> list[int]:
    """The seeds of a method whose runs have a file."""
    found = (
        re.fullmatch(rf"{re.escape(method)}-(\d+)\.npz", file.name) for file in (output / "runs").iterdir()
    )
    return sorted(int(match[1]) for match in found if match)


def read_histories(output: Path, methods: Iterable[str]) -> dict[str, dict[str, np.ndarray[Any, Any]]]:
    """The histories of all runs with a file, with a leading axis of seeds."""
    histories = {}
    for method in methods:
        runs = [read_arrays(run_file(output, method, seed)) for seed in seeds_of(output, method)]
        if runs:
            shared = set.intersection(*(set(run) for run in runs))  # older files lack the rows
            histories[method] = {key: np.stack([run[key] for run in runs]) for key in sorted(shared)}
    return histories


def spread(values: Any, digits: int) -> str:
    """Mean [smallest, largest] over the seeds."""
    values = np.asarray(values, dtype=float)
    return f"{values.mean():.{digits}f} [{values.min():.{digits}f}, {values.max():.{digits}f}]"


def mean_std(values: Any, digits: int = 2) -> str:
    """Mean ± standard deviation over the seeds."""
    values = np.asarray(values, dtype=float)
    return f"{values.mean():.{digits}f} ± {values.std(ddof=min(1, len(values) - 1)):.{digits}f}"


def markdown(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """A table in Markdown."""
    names = [str(name) for name in header]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in (names, *rows)]
    return "\n".join([lines[0], "|---" * len(names) + "|", *lines[1:]])


def write_report(parts: Iterable[str], folder: Path, name: str = "tables") -> None:
    """Write the parts of a report to a file, and print them."""
    text = "\n\n".join(parts)
    (folder / f"{name}.md").write_text(text + "\n")
    print(f"\n{text}\n\nIn {folder}", flush=True)


def save(figure: Any, file: Path, dpi: int = 100, **params: Any) -> None:
    """Write a figure to a file and close it."""
    figure.savefig(file, dpi=dpi, **params)
    plt.close(figure)
