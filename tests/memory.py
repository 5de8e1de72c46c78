"""Peak memory of every strategy beyond its inputs, and the bounds that docs/memory.md states.

``python -m tests.memory`` measures pools of 50 and 200 MB and prints the rows of that table; names of cases may follow.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.strategies import (
    ADBA,
    ALCG,
    ASAL,
    BADGE,
    BAIT,
    BALD,
    DGAL,
    GAAL,
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
    Switch,
    TypiClust,
    UncertaintySampling,
)
from tests.networks import AffineGenerator, Discriminating

N_HIDDEN, N_CODES = 32, 32
MEGABYTES = (50, 200)
MANY_ROWS = 25_000
SPARE = 100e6  # bytes for blocks, whatever the pool
STATUS = Path("/proc/self/status")


@dataclass
class Case:
    """A strategy with a classifier, and the bound of what it takes per row: a + b * width + c * classes bytes.

    Above `MANY_ROWS`, where neighbours are found approximately, `more` come on top.
    """

    strategy: Callable[[Any], Any]  # from some rows, on which a generator is fitted
    a: int
    b: int = 0
    c: int = 0
    kept: str = (
        ""  # the embedding whose width counts: "rows" as a transformer returns them, "hidden" or "codes"
    )
    classifier: str = "linear"
    most_classes: int = 1000
    more: int = 0
    trains: bool = False  # whether the strategy trains the classifier, which is frozen otherwise

    def row_bytes(self, n_rows: int, width: int, n_classes: int) -> int:
        n_kept = {"": 0, "rows": width, "hidden": N_HIDDEN, "codes": N_CODES}[self.kept]
        return self.a + self.b * n_kept + self.c * n_classes + self.more * (n_rows > MANY_ROWS)


def _generator(X: Any) -> Any:
    return FrozenEstimator(AffineGenerator().fit(X))


def _first_columns(X: Any) -> Any:
    return X[:, :N_CODES]


def _first_column(X: Any) -> Any:
    return 1.0 + X[:, 0]


def _codes() -> Any:
    return FunctionTransformer(_first_columns)  # its codes are bytes where the rows are


CLASSIFIERS = {
    "linear": lambda: Discriminating(max_iter=5),
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=5)),
    "network": lambda: NetClassifier(module_params={"dropout": 0.5, "hidden": (N_HIDDEN,)}, max_epochs=1),
    "MLP": lambda: MLPClassifier((N_HIDDEN,), max_iter=2),
    "forest": lambda: RandomForestClassifier(5, max_depth=4),
}

CASES = {
    "RandomSampling": Case(lambda X: RandomSampling(), 32),
    "UncertaintySampling": Case(lambda X: UncertaintySampling(), 64),
    "UncertaintySampling, pipeline": Case(
        lambda X: UncertaintySampling("entropy"), 64, classifier="pipeline"
    ),
    "UncertaintySampling, network": Case(lambda X: UncertaintySampling(), 64, classifier="network"),
    "UncertaintySampling, forest": Case(lambda X: UncertaintySampling(), 64, classifier="forest"),
    'UncertaintySampling("min_distance")': Case(lambda X: UncertaintySampling("min_distance"), 64),
    "ALCG": Case(lambda X: ALCG(), 64),
    "WAAL": Case(lambda X: WAAL(), 64),
    "VAAL": Case(lambda X: VAAL(), 64),
    "LearningLoss": Case(lambda X: LearningLoss(), 64),
    "QueryByCommittee, forest": Case(lambda X: QueryByCommittee("kl"), 64, classifier="forest"),
    "BALD, network": Case(lambda X: BALD(5), 64, classifier="network"),
    "BatchBALD(5), network": Case(lambda X: BatchBALD(5), 160, 0, 20, classifier="network"),
    "BatchBALD, forest": Case(lambda X: BatchBALD(), 160, 0, 20, classifier="forest"),
    "DeepFool": Case(lambda X: DeepFool(1), 64, most_classes=3),
    "DeepFool, network": Case(lambda X: DeepFool(1), 64, classifier="network", most_classes=3),
    "ContrastiveAL": Case(lambda X: ContrastiveAL(), 80, 0, 8),
    "ContrastiveAL, pipeline": Case(lambda X: ContrastiveAL(), 80, 4, 8, "rows", "pipeline"),
    "DiscriminativeAL": Case(lambda X: DiscriminativeAL(n_parts=1, n_unlabeled=1), 96),
    "DiscriminativeAL, pipeline": Case(
        lambda X: DiscriminativeAL(n_parts=1, n_unlabeled=1), 96, 4, 0, "rows", "pipeline"
    ),
    "DensityWeighted": Case(lambda X: DensityWeighted(), 80),
    "DensityWeighted, pipeline": Case(lambda X: DensityWeighted(), 80, 4, 0, "rows", "pipeline"),
    "BADGE": Case(lambda X: BADGE(), 80, 0, 8),
    "BADGE, pipeline": Case(lambda X: BADGE(), 80, 4, 8, "rows", "pipeline"),
    "BADGE, network": Case(lambda X: BADGE(), 80, 4, 8, "hidden", "network"),
    "BAIT, network": Case(lambda X: BAIT(), 256, 4, 0, "hidden", "network", most_classes=3),
    "DiffusionSampling, network": Case(
        lambda X: DiffusionSampling(), 512, 4, 8, "hidden", "network", more=512
    ),
    "DiffusionSampling(encoder)": Case(lambda X: DiffusionSampling(_codes()), 512, 4, 8, "codes", more=512),
    "DropQuery": Case(lambda X: DropQuery(max_iter=1), 96),
    "DropQuery, network": Case(lambda X: DropQuery(max_iter=1), 96, 4, 0, "hidden", "network"),
    "CoreSet": Case(lambda X: CoreSet(), 96),
    "CoreSet, pipeline": Case(lambda X: CoreSet(), 96, 4, 0, "rows", "pipeline"),
    "CoreSet, network": Case(lambda X: CoreSet(), 96, 4, 0, "hidden", "network"),
    "CoreSet, MLP": Case(lambda X: CoreSet(), 96, 4, 0, "hidden", "MLP"),
    "CoreSet(encoder)": Case(lambda X: CoreSet(_codes()), 96, 4, 0, "codes"),
    "KMedian": Case(lambda X: KMedian(max_iter=1), 96),
    "KMedian, pipeline": Case(lambda X: KMedian(max_iter=1), 96, 4, 0, "rows", "pipeline"),
    "TypiClust": Case(lambda X: TypiClust(max_iter=1), 96),
    "TypiClust, pipeline": Case(lambda X: TypiClust(max_iter=1), 96, 4, 0, "rows", "pipeline"),
    "ProbCover(encoder)": Case(lambda X: ProbCover(_codes()), 96, 4, 0, "codes"),
    "MaxHerding(encoder)": Case(lambda X: MaxHerding(_codes(), max_covered=1000), 96, 4, 0, "codes"),
    "RandomSubset": Case(lambda X: RandomSubset(500, BADGE()), 32),
    "ClassBalanced": Case(lambda X: ClassBalanced(), 96),
    "CostAware": Case(lambda X: CostAware(cost=_first_column), 96),
    "ExpectedErrorReduction": Case(
        lambda X: ExpectedErrorReduction(n_candidates=20, n_evaluated=50), 64, most_classes=3, trains=True
    ),
    "Switch(encoder)": Case(lambda X: Switch(CoreSet(_codes()), when=100), 96, 4, 0, "codes"),
    "SEALS": Case(lambda X: SEALS(n_neighbors=10), 64),
    "SEALS, pipeline": Case(lambda X: SEALS(n_neighbors=10, metric="cosine"), 64, 4, 0, "rows", "pipeline"),
    "SEALS(encoder)": Case(lambda X: SEALS(_codes(), n_neighbors=10), 128, 8, 0, "codes"),
    "DGAL(encoder, n_steps=4)": Case(
        lambda X: DGAL(_codes(), n_steps=4, n_candidates=500), 256, 8, 24, "codes", more=512
    ),
    "ASAL": Case(lambda X: ASAL(_generator(X), n_components=N_CODES, n_steps=2), 128, 8, 0, "codes"),
    "ASAL(encoder)": Case(
        lambda X: ASAL(_generator(X), _codes(), n_components=None, n_steps=2), 128, 8, 0, "codes"
    ),
    'ASAL("classifier")': Case(
        lambda X: ASAL(_generator(X), "classifier", n_components=N_CODES, n_steps=2), 128, 8, 0, "codes"
    ),
    "GAAL": Case(lambda X: GAAL(_generator(X), n_steps=2), 32, most_classes=2),
    "ADBA": Case(lambda X: ADBA(), 32, most_classes=2),
}


def measure(
    names: list[str], dtype: str, shapes: list[tuple[int, int]], n_classes: int = 10, block_bytes: int = 0
) -> dict[str, list[int]]:
    """Peaks in bytes of fit and query by name of the case, one for each shape of the pool, in a child process.

    Small pools need small blocks, or nothing but these would be seen.
    """
    threshold = {
        "MALLOC_MMAP_THRESHOLD_": "65536",
        "MALLOC_TRIM_THRESHOLD_": "65536",
    }  # what is freed is given back
    arguments = json.dumps([names, dtype, shapes, n_classes, block_bytes])
    command = [sys.executable, "-m", "tests.memory", arguments]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **threshold},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    peaks: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return peaks


def _measured(
    names: list[str], dtype: str, shapes: list[tuple[int, int]], n_classes: int, block_bytes: int
) -> dict[str, list[int]]:
    warnings.simplefilter("ignore")
    if block_bytes:
        sys.modules["skal.pool.base"].BLOCK_BYTES = block_bytes
        sys.modules["skal.selection.means"]._KEPT = block_bytes // 4
    peaks: dict[str, list[int]] = {name: [] for name in names}
    for n_rows, width in [(600, shapes[0][1]), *shapes]:  # the first imports and compiles
        X, truth = _rows(n_rows, width, n_classes, dtype)
        fitted: dict[Any, Any] = {}
        for name in names:
            case, known = CASES[name], slice(min(500, n_rows // 2))
            y = np.full(n_rows, -1)
            y[known] = truth[known] % case.most_classes
            key = case.classifier, case.most_classes
            if key not in fitted:
                fitted[key] = FrozenEstimator(CLASSIFIERS[case.classifier]().fit(X[known], y[known]))
                gc.collect()
                gc.freeze()  # later collections need not look at it
            classifier = fitted[key].estimator if case.trains else fitted[key]
            peaks[name].append(_peak(classifier, case.strategy(X[known]), X, y))
    return {name: found[1:] for name, found in peaks.items()}


def _rows(n_rows: int, width: int, n_classes: int, dtype: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    truth = np.arange(n_rows) % n_classes
    centers = rng.integers(60, 190, (n_classes, width), dtype=np.uint8)
    X = np.empty((n_rows, width), dtype)
    for start in range(0, n_rows, 4096):
        part = slice(start, start + 4096)
        X[part] = centers[truth[part]] + rng.integers(0, 64, X[part].shape, dtype=np.uint8)
    return X, truth


def _peak(classifier: Any, strategy: Any, X: Any, y: Any) -> int:
    learner = ActiveLearner(classifier, strategy, n_queries=20, random_state=0)
    fitting = growth(lambda: learner.fit(X, y))
    return max(fitting, growth(learner.synthesize if hasattr(strategy, "synthesize") else learner.query))


def growth(function: Callable[[], Any]) -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    STATUS.with_name("clear_refs").write_text("5")  # forgets the peak so far
    before = _memory("VmRSS")
    function()
    return _memory("VmHWM") - before


def _memory(name: str) -> int:
    return next(
        int(line.split()[1]) * 1024 for line in STATUS.read_text().splitlines() if line.startswith(name)
    )


def shape_of(dtype: str, megabytes: float) -> tuple[int, int]:
    """The shape of a pool of MNIST's images."""
    return int(1e6 * megabytes / 784 / np.dtype(dtype).itemsize), 784


def stated(name: str) -> str:
    """The start of a case's row of the table in docs/memory.md."""
    case = CASES[name]
    return f"| {name} | {case.kept or 'none'} | {case.a} | {case.b} | {case.c}"


def table(names: list[str]) -> None:
    """Print rows of the table in docs/memory.md."""
    columns = [
        measure(names, dtype, [shape_of(dtype, size) for size in MEGABYTES]) for dtype in ("float32", "uint8")
    ]
    for name in names:
        print(
            stated(name), *(f"{peak / 1e6:.0f}" for column in columns for peak in column[name]), "", sep=" | "
        )


if __name__ == "__main__":
    if len(sys.argv) == 2 and sys.argv[1].startswith("["):
        print(json.dumps(_measured(*json.loads(sys.argv[1]))))
    else:
        table(sys.argv[1:] or list(CASES))
