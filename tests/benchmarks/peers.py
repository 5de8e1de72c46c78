"""One query by skal or by a peer, in a process of its own that may take so much memory and no more.

``python -m tests.benchmarks.peers FOLDER CASE SIDE`` prints its seconds, peak bytes and rows; `FOLDER` has the pool as
``X.npy`` and ``truth.npy``. The first rows are labelled, and the classifiers are fitted before the clock starts. What
takes less than 50 ms is asked again for the same labels: `again` is the median of the seconds beyond `predict_proba`
right before (strategies that keep distances have them by then).
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors

from skal import ActiveLearner, strategies
from skal.access import committee_proba
from skal.selection import KernelHerding
from tests.memory import growth

N_LABELED, N_PICKS, N_CLASSES = 100, 100, 10
SHORT, N_AGAIN = 0.05, 31  # seconds of a query that is asked again, and how often
MEMORY = 16 * 2**30  # bytes that a process may take
LATER = "skal, fitted"  # each query of a learner, whose `fit` has checked and prepared the pool once


class Task:
    """A pool with a few labels, and what the contestants are given of it."""

    def __init__(self, X: Any, truth: Any) -> None:
        self.X, self.truth = X, truth
        self.y = np.where(np.arange(len(X)) < N_LABELED, truth, -1)
        self.y_float = np.where(self.y < 0, np.nan, self.y)
        self.labeled = np.arange(N_LABELED)
        self.open = np.arange(N_LABELED, len(X))

    @cached_property
    def linear(self) -> Any:
        return LogisticRegression(max_iter=1000).fit(self.X[self.labeled], self.truth[self.labeled])

    @cached_property
    def forest(self) -> Any:
        forest = RandomForestClassifier(10, max_depth=8, random_state=0)
        return forest.fit(self.X[self.labeled], self.truth[self.labeled])

    @cached_property
    def radius(self) -> float:
        """A tenth of the rows' typical distance from their mean, as MaxHerding's bandwidth."""
        return 0.5 * float(((self.X - self.X.mean(axis=0)) ** 2).sum(axis=1).mean() ** 0.5)

    def as_peer(self, classifier: Any) -> Any:
        """A fitted classifier as scikit-activeml takes it; fitting it again costs nothing."""
        from skactiveml.base import SkactivemlClassifier

        class Given(SkactivemlClassifier):
            def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
                self.classes_ = np.arange(N_CLASSES)
                return self

            def predict_proba(self, X: Any) -> Any:
                return classifier.predict_proba(X)

            def predict(self, X: Any) -> Any:
                return self.predict_proba(X).argmax(axis=1)

        return Given(classes=np.arange(N_CLASSES), missing_label=np.nan).fit(self.X, self.y_float)

    def as_dataset(self) -> Any:
        """The rows as small-text reads them, with a classifier whose answers are those of ours."""
        task = self

        class Rows:
            def __init__(self, x: Any) -> None:
                self.x = x

            def __len__(self) -> int:
                return len(self.x)

            def __getitem__(self, rows: Any) -> Rows:
                return Rows(self.x[rows])

        class Classifier:
            num_classes = N_CLASSES

            def predict_proba(self, rows: Any, dropout_sampling: int = 1) -> Any:
                if dropout_sampling > 1:
                    return np.stack([tree.predict_proba(rows.x) for tree in task.forest.estimators_], axis=1)
                return task.linear.predict_proba(rows.x)

            def embed(self, rows: Any, return_proba: bool = False, pbar: Any = None) -> Any:
                return (rows.x, task.linear.predict_proba(rows.x)) if return_proba else rows.x

        return Classifier(), Rows(self.X)


@dataclass
class Case:
    """A strategy of ours, the same of the peers, and what all of them look for."""

    ours: Callable[[Task], Any]
    aim: Callable[[Task, Any], float]  # of the rows, higher is better
    classifier: str | None = "linear"
    activeml: Callable[[Any, Task], tuple[Any, dict[str, Any]]] | None = None
    small_text: Callable[[Any, Task], Any] | None = None
    note: str = ""


def scores(of: Callable[[Any], Any], classifier: str = "linear") -> Callable[[Task, Any], float]:
    return lambda task, rows: float(of(getattr(task, classifier).predict_proba(task.X[rows])).mean())


def margin(p: Any) -> Any:
    p = np.sort(p)
    return p[:, -2] - p[:, -1]


def disagreement(task: Task, rows: Any) -> float:
    """Mean mutual information between the prediction and the member."""
    p = committee_proba(task.forest, task.X, rows).astype(float)
    return float((entr(p.mean(axis=1)).sum(axis=1) - entr(p).sum(axis=2).mean(axis=1)).mean())


def joint_information(task: Task, rows: Any) -> float:
    """Mutual information of a few labels with the member, over all combinations of labels."""
    p = committee_proba(task.forest, task.X, rows).astype(float)
    joint = p[0]
    for row in p[1:]:
        joint = (joint[:, :, None] * row[:, None]).reshape(len(joint), -1)
    return float(entr(joint.mean(axis=0)).sum() - entr(p).sum(axis=2).mean(axis=1).sum())


def vote_entropy(task: Task, rows: Any) -> float:
    votes = committee_proba(task.forest, task.X, rows).argmax(axis=2)
    shares = (votes[:, :, None] == np.arange(N_CLASSES)).mean(axis=1)
    return float(entr(shares).sum(axis=1).mean())


def covering_radius(task: Task, rows: Any) -> float:
    nearest = NearestNeighbors(n_neighbors=1).fit(task.X[np.append(task.labeled, rows)])
    return -float(nearest.kneighbors(task.X)[0].max())


def normed_covering_radius(task: Task, rows: Any) -> float:
    return covering_radius(Task(task.X / np.linalg.norm(task.X, axis=1, keepdims=True), task.truth), rows)


def gradient_potential(task: Task, rows: Any) -> float:
    """Minus the mean squared distance of gradient embeddings to the nearest of the picks."""
    p = task.linear.predict_proba(task.X)
    p[np.arange(len(p)), p.argmax(axis=1)] -= 1
    least = np.inf
    norms = (p**2).sum(axis=1) * (task.X**2).sum(axis=1)
    for row in rows:
        least = np.minimum(least, norms + norms[row] - 2 * (p @ p[row]) * (task.X @ task.X[row]))
    return -float(np.maximum(least, 0).mean())


def coverage(task: Task, rows: Any) -> float:
    """Share of the pool in the balls around labelled rows and picks."""
    nearest = NearestNeighbors(n_neighbors=1).fit(task.X[np.append(task.labeled, rows)])
    return float((nearest.kneighbors(task.X)[0] <= task.radius).mean())


def kernel_coverage(task: Task, rows: Any) -> float:
    herding = KernelHerding(task.X, bandwidth=2 * task.radius)
    herding.add(np.append(task.labeled, rows))
    return float(herding.similarities.mean())


def typicality(task: Task, rows: Any) -> float:
    nearest = NearestNeighbors(n_neighbors=21).fit(task.X)
    return float((1 / nearest.kneighbors(task.X[rows])[0][:, 1:].mean(axis=1)).mean())


def contrast(task: Task, rows: Any) -> float:
    """Mean divergence of the nearest labelled rows' predictions from the row's."""
    nearest = NearestNeighbors(n_neighbors=10).fit(task.X[task.labeled])
    p = task.linear.predict_proba(task.X)
    around = p[task.labeled][nearest.kneighbors(task.X[rows])[1]]
    return float((around * np.log(around / p[rows][:, None])).sum(axis=2).mean())


def unlike_labeled(task: Task, rows: Any) -> float:
    is_open = np.arange(len(task.X)) >= N_LABELED
    discriminator = LogisticRegression(class_weight="balanced", max_iter=1000).fit(task.X, is_open)
    return float(discriminator.predict_proba(task.X[rows])[:, 1].mean())


def overlap(task: Task, rows: Any) -> float:
    return 1.0


def _uncertainty(measure: str, method: str, small: str, of: Callable[[Any], Any]) -> Case:
    return Case(
        lambda task: strategies.UncertaintySampling(measure, random_state=0),
        scores(of),
        activeml=lambda pool, task: (
            pool.UncertaintySampling(method=method, random_state=0),
            {"clf": task.as_peer(task.linear), "fit_clf": False},
        ),
        small_text=lambda queries, task: getattr(queries, small)(),
    )


def _committee(measure: str, method: str, aim: Callable[[Task, Any], float], note: str = "") -> Case:
    return Case(
        lambda task: strategies.QueryByCommittee(measure, random_state=0),
        aim,
        "forest",
        activeml=lambda pool, task: (
            pool.QueryByCommittee(method=method, random_state=0),
            {"ensemble": [task.as_peer(tree) for tree in task.forest.estimators_], "fit_ensemble": False},
        ),
        note=note,
    )


CASES = {
    "RandomSampling": Case(
        lambda task: strategies.RandomSampling(random_state=0),
        overlap,
        None,
        activeml=lambda pool, task: (pool.RandomSampling(random_state=0), {}),
        small_text=lambda queries, task: queries.RandomSampling(),
        note="any rows are right",
    ),
    "UncertaintySampling(margin)": _uncertainty("margin", "margin_sampling", "BreakingTies", margin),
    "UncertaintySampling(entropy)": _uncertainty(
        "entropy", "entropy", "PredictionEntropy", lambda p: entr(p).sum(axis=1)
    ),
    "UncertaintySampling(least_confidence)": _uncertainty(
        "least_confidence", "least_confident", "LeastConfidence", lambda p: -p.max(axis=1)
    ),
    "QueryByCommittee(kl)": _committee("kl", "KL_divergence", disagreement),
    "QueryByCommittee(vote_entropy)": _committee(
        "vote_entropy", "vote_entropy", vote_entropy, "few votes: ties"
    ),
    "CoreSet": Case(
        lambda task: strategies.CoreSet("input", random_state=0),
        covering_radius,
        None,
        activeml=lambda pool, task: (pool.CoreSet(random_state=0), {}),
        small_text=lambda queries, task: queries.GreedyCoreset(normalize=False),
    ),
    "BADGE": Case(
        lambda task: strategies.BADGE(random_state=0),
        gradient_potential,
        activeml=lambda pool, task: (
            pool.Badge(random_state=0),
            {"clf": task.as_peer(task.linear), "fit_clf": False},
        ),
        note="drawn at random",
    ),
    "TypiClust": Case(
        lambda task: strategies.TypiClust("input", random_state=0),
        typicality,
        None,
        activeml=lambda pool, task: (pool.TypiClust(k=20, random_state=0), {}),
        note="clusters of another k-means",
    ),
    "ProbCover": Case(
        lambda task: strategies.ProbCover("input", radius=task.radius, random_state=0),
        coverage,
        None,
        activeml=lambda pool, task: (pool.ProbCover(deltas=[task.radius], n_classes=10, random_state=0), {}),
        note="one radius for both",
    ),
    "MaxHerding": Case(
        lambda task: strategies.MaxHerding("input", bandwidth=2 * task.radius, random_state=0),
        kernel_coverage,
        None,
        activeml=lambda pool, task: (
            pool.MaxHerding(
                normalize_samples=False,
                metric_dict={"gamma": 1 / (2 * task.radius) ** 2},
                random_state=0,
            ),
            {},
        ),
        note="ours covers 4096 rows drawn at random",
    ),
    "ContrastiveAL": Case(
        lambda task: strategies.ContrastiveAL(random_state=0),
        contrast,
        activeml=lambda pool, task: (
            pool.ContrastiveAL(random_state=0, nearest_neighbors_dict={"n_neighbors": 10}),
            {"clf": task.as_peer(task.linear), "fit_clf": False},
        ),
        small_text=lambda queries, task: queries.ContrastiveActiveLearning(normalize=False, pbar=None),
        note="small-text's neighbours are of the whole pool",
    ),
    "DiscriminativeAL": Case(
        lambda task: strategies.DiscriminativeAL(n_parts=1, random_state=0),
        unlike_labeled,
        activeml=lambda pool, task: (
            pool.DiscriminativeAL(greedy_selection=True, random_state=0),
            {"discriminator": _discriminator()},
        ),
        note="one part; ours trains on a share of the pool",
    ),
    "BALD": Case(
        lambda task: strategies.QueryByCommittee("kl", random_state=0),
        disagreement,
        "forest",
        activeml=lambda pool, task: (
            pool.GreedyBALD(random_state=0),
            {"ensemble": [task.as_peer(tree) for tree in task.forest.estimators_], "fit_ensemble": False},
        ),
        small_text=lambda queries, task: queries.BALD(dropout_samples=10),
        note="mutual information is the mean divergence from the consensus",
    ),
    "BatchBALD": Case(
        lambda task: strategies.BatchBALD(random_state=0),
        lambda task, rows: joint_information(task, rows[:3]),
        "forest",
        activeml=lambda pool, task: (
            pool.BatchBALD(random_state=0, n_MC_samples=1000),
            {"ensemble": [task.as_peer(tree) for tree in task.forest.estimators_], "fit_ensemble": False},
        ),
        note="the information of the first three rows, which is exact",
    ),
    "DropQuery": Case(
        lambda task: strategies.DropQuery(random_state=0),
        overlap,
        activeml=lambda pool, task: (
            pool.DropQuery(n_dropout_samples=3, random_state=0),
            {"clf": task.as_peer(task.linear), "fit_clf": False},
        ),
        note="masks and clusters are drawn at random",
    ),
    "RandomSubset": Case(
        lambda task: strategies.RandomSubset(1000, strategies.UncertaintySampling("margin"), random_state=0),
        scores(margin),
        activeml=lambda pool, task: (
            pool.SubSamplingWrapper(
                pool.UncertaintySampling(method="margin_sampling"), max_candidates=1000, random_state=0
            ),
            {"clf": task.as_peer(task.linear), "fit_clf": False},
        ),
        note="another thousand rows",
    ),
    "ExpectedErrorReduction": Case(
        lambda task: strategies.ExpectedErrorReduction(random_state=0),
        overlap,
        activeml=lambda pool, task: (
            pool.MonteCarloEER(method="log_loss", random_state=0),
            {"clf": _trainable(), "ignore_partial_fit": True},
        ),
        note="ours looks at a subset of the candidates",
    ),
}


def _trainable() -> Any:
    from skactiveml.classifier import SklearnClassifier

    return SklearnClassifier(LogisticRegression(max_iter=1000), classes=np.arange(N_CLASSES))


def _discriminator() -> Any:
    from skactiveml.classifier import SklearnClassifier

    return SklearnClassifier(LogisticRegression(class_weight="balanced", max_iter=1000), classes=[0, 1])


def query_of(case: Case, side: str, task: Task) -> Callable[[], Any]:
    """The query of one side, ready to be timed."""
    if side == "skal":
        strategy = case.ours(task)
        classifier = case.classifier and getattr(task, case.classifier)
        return lambda: strategy.fit(task.X, task.y).query(task.X, task.y, N_PICKS, estimator=classifier)
    if side == LATER:
        frozen = FrozenEstimator(getattr(task, case.classifier or "linear"))
        learner = ActiveLearner(frozen, case.ours(task), n_queries=N_PICKS, random_state=0)
        learner.fit(task.X, task.y)
        return lambda: learner.query(task.X)
    if side == "scikit-activeml":
        from skactiveml import pool

        assert case.activeml
        peer, given = case.activeml(pool, task)
        return lambda: peer.query(task.X, task.y_float, batch_size=N_PICKS, **given)
    import small_text.query_strategies as queries

    assert case.small_text
    peer = case.small_text(queries, task)
    classifier, rows = task.as_dataset()
    y = task.truth[task.labeled]
    return lambda: peer.query(classifier, rows, task.open, task.labeled, y, n=N_PICKS)


def sides(case: Case) -> list[str]:
    peers = {"scikit-activeml": case.activeml, "small-text": case.small_text}
    return ["skal", LATER, *(name for name, peer in peers.items() if peer)]


def seconds_of(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def main(folder: Path, name: str, side: str) -> None:
    warnings.simplefilter("ignore")
    case, whole = CASES[name], Task(np.load(folder / "X.npy"), np.load(folder / "truth.npy"))
    small = Task(whole.X[:400], whole.truth[:400])
    query_of(case, side, small)()  # imports and compiles
    query, rows, seconds = query_of(case, side, whole), [], []
    classifier = case.classifier and getattr(whole, case.classifier)

    def proba() -> None:
        if classifier:
            classifier.predict_proba(whole.X)

    shared = seconds_of(proba)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    peak = growth(lambda: seconds.append(seconds_of(lambda: rows.extend(query()))))
    n_again = N_AGAIN if seconds[0] < SHORT else 0
    again = [-seconds_of(proba) + seconds_of(query) for _ in range(n_again)]
    assert len(np.unique(rows)) == N_PICKS
    assert (np.asarray(rows) >= N_LABELED).all()
    found = {
        "seconds": seconds[0],
        "shared": shared,
        "again": float(np.median(again)) if again else None,
        "peak": peak,
        "rows": np.asarray(rows).tolist(),
        "aim": case.aim(whole, np.asarray(rows)),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
