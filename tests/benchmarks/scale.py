"""Seconds and private memory of `fit` and `query` for every strategy on growing pools on disk.

It is the table of docs/scale.md: ``python -m tests.benchmarks.scale 100000 1000000 --strategies margin DGAL``. Each is
measured in a process of its own, which is given up after ``--patience`` seconds. The pools are rows of 50 columns in a
hundred clusters, in ten classes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import IncrementalPCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.classifiers import (
    ACGANClassifier,
    LearningLossClassifier,
    NetClassifier,
    VAALClassifier,
    WassersteinClassifier,
)
from skal.strategies import (
    ALCG,
    ASAL,
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
    CostAware,
    DeepFool,
    DensityWeighted,
    DiffusionSampling,
    DiscriminativeAL,
    DropQuery,
    ExpectedErrorReduction,
    KMedian,
    LearningLoss,
    MaxHerding,
    ProbCover,
    QueryByCommittee,
    RandomSampling,
    RandomSubset,
    TypiClust,
    UncertaintySampling,
)
from tests.networks import AffineGenerator

COLUMNS, CLASSES, CLUSTERS, LABELS, BATCH = 50, 10, 100, 1000, 100
LARGE = 8192  # rows of a step, where a network learns from all unlabelled ones
BRIEF: dict[str, Any] = {
    "max_epochs": 1
}  # trainings whose length depends on the pool are measured for one epoch


def linear() -> Any:
    return LogisticRegression()


def network() -> Any:
    return NetClassifier(module_params={"dropout": 0.5, "hidden": (32,)}, max_epochs=2)


def forest() -> Any:
    return RandomForestClassifier(10, max_depth=8)


STRATEGIES: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "random": (lambda X: RandomSampling(), linear),
    "margin": (lambda X: UncertaintySampling(), linear),
    "subset, margin": (lambda X: RandomSubset(1000), linear),
    "subset, BADGE": (lambda X: RandomSubset(10_000, BADGE()), linear),
    "balanced margin": (lambda X: ClassBalanced(), linear),
    "margin per cost": (lambda X: CostAware(cost=lambda block: np.ones(len(block))), linear),
    "committee, forest": (lambda X: QueryByCommittee("kl"), forest),
    "BALD, network": (lambda X: BALD(5), network),
    "BatchBALD, forest": (lambda X: BatchBALD(), forest),
    "DeepFool, network": (lambda X: DeepFool(), network),
    "learning loss": (lambda X: LearningLoss(), partial(LearningLossClassifier, max_epochs=2)),
    "ALCG": (lambda X: ALCG(), partial(ACGANClassifier, n_iter=20)),
    "VAAL": (lambda X: VAAL(), partial(VAALClassifier, vae_epochs=1, vae_batch_size=LARGE, **BRIEF)),
    "WAAL": (lambda X: WAAL(), partial(WassersteinClassifier, batch_size=LARGE, **BRIEF)),
    "BADGE": (lambda X: BADGE(), linear),
    "core-set": (lambda X: CoreSet(), linear),
    "SEALS": (lambda X: SEALS(), linear),
    "SEALS, index": (lambda X: SEALS(IncrementalPCA(10)), linear),
    "ASAL": (lambda X: ASAL(FrozenEstimator(AffineGenerator().fit(X[:1000])), n_components=10), linear),
    "DGAL": (lambda X: DGAL(IncrementalPCA(10)), linear),
    "diffusion": (lambda X: DiffusionSampling(), linear),
    "discriminative": (lambda X: DiscriminativeAL(), linear),
    "density": (lambda X: DensityWeighted(), linear),
    "contrastive": (lambda X: ContrastiveAL(), linear),
    "k-median": (lambda X: KMedian(), linear),
    "TypiClust": (lambda X: TypiClust(), linear),
    "DropQuery": (lambda X: DropQuery(), linear),
    "BAIT": (lambda X: BAIT(), linear),
    "expected error": (lambda X: ExpectedErrorReduction(), linear),
    "MaxHerding": (lambda X: MaxHerding("input"), linear),
    "ProbCover": (lambda X: ProbCover("input"), linear),
    "subset, ProbCover": (lambda X: RandomSubset(50_000, ProbCover("input")), linear),
    "subset, diffusion": (lambda X: RandomSubset(50_000, DiffusionSampling()), linear),
}


def pool(folder: Path, n_rows: int) -> Path:
    file = folder / f"{n_rows}.npy"
    if not file.exists():
        rng = np.random.default_rng(0)
        centers = rng.normal(scale=2, size=(CLUSTERS, COLUMNS)).astype(np.float32)
        X = np.lib.format.open_memmap(file, "w+", np.float32, (n_rows, COLUMNS))
        for start in range(0, n_rows, 100_000):
            rows = np.arange(start, min(start + 100_000, n_rows))
            X[rows[0] : rows[-1] + 1] = centers[rows % CLUSTERS]
            X[rows[0] : rows[-1] + 1] += rng.standard_normal((len(rows), COLUMNS), dtype=np.float32)
        X.flush()
    return file


def private() -> float:
    status = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in status if line.startswith("RssAnon"))) / 1024


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and MiB of private memory at most beyond what there was."""
    before, is_over, peak = private(), threading.Event(), [0.0]

    def watch() -> None:
        while not is_over.wait(0.01):
            peak.append(private() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    start = time.perf_counter()
    function()
    seconds = time.perf_counter() - start
    is_over.set()
    watcher.join()
    return seconds, max(peak)


def measured(name: str, file: str) -> dict[str, float]:
    warnings.simplefilter("ignore")
    X = np.load(file, mmap_mode="r")
    strategy, classifier = STRATEGIES[name]
    y = np.full(len(X), -1, np.int8)
    truth = (np.arange(len(X)) % CLUSTERS % CLASSES).astype(np.int8)
    y[:LABELS] = truth[:LABELS]
    learner = ActiveLearner(classifier(), strategy(X), n_queries=BATCH, random_state=0)
    warm = ActiveLearner(classifier(), strategy(X), n_queries=BATCH, random_state=0)
    warm.fit(np.array(X[:5000]), y[:5000]).query()  # what is imported and compiled once counts for nothing
    fit, fit_memory = timed(lambda: learner.fit(X, y))
    seconds = []
    for _ in range(3):
        query, memory = timed(learner.query)
        seconds.append(query)
        if max(fit, query) > 60:  # the learner trains again before the next query
            break
        rows = learner.query()
        learner.teach(rows, truth[rows])
    return {"fit": fit, "fit_MiB": fit_memory, "query": float(np.median(seconds)), "query_MiB": memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", type=int, default=[100_000, 1_000_000])
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES), default=list(STRATEGIES))
    parser.add_argument("--patience", type=float, default=300)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "skal-scale")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*options.measure)))
        return
    options.folder.mkdir(exist_ok=True)
    print("| strategy |", *(f"{n:,} fit, s | MiB | query, s | MiB |" for n in options.rows))
    print("|---|", "---|" * 4 * len(options.rows), sep="")
    for name in options.strategies:
        cells: list[str] = []
        for n_rows in options.rows:
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.scale",
                "--measure",
                name,
                str(pool(options.folder, n_rows)),
            ]
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=options.patience, check=True
                )
            except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
                print(
                    name,
                    n_rows,
                    getattr(error, "stderr", "")[-500:] if error.stderr else "gave up",
                    file=sys.stderr,
                )
                cells += [""] * 4
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            cells += [
                f"{found['fit']:.2f}",
                f"{found['fit_MiB']:.0f}",
                f"{found['query']:.3f}",
                f"{found['query_MiB']:.0f}",
            ]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
