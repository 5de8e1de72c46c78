"""Generators of pools for the hypothesis tests, and the strategies that the tests run over."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.preprocessing import StandardScaler

from skal.access import torch_module
from skal.labels import UNLABELED
from skal.pool import as_pool
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
    Switch,
    TypiClust,
    UncertaintySampling,
)
from skal.testing.strategy import Problem
from tests.networks import AffineGenerator, Askable


class SameCosts(BaseEstimator):
    """Costs of rows of any kind; its name is the same in every process, which a function's is not."""

    def __call__(self, block):
        return np.full(len(as_pool(block)), 2.0)


STRATEGIES = [
    RandomSampling(),
    *(UncertaintySampling(measure) for measure in ("margin", "least_confidence", "entropy", "min_distance")),
    CoreSet(),
    CoreSet(StandardScaler()),
    KMedian(),
    TypiClust(n_neighbors=2),
    ProbCover(n_clusters=3),
    MaxHerding(max_covered=6),
    BADGE(),
    RandomSubset(4, UncertaintySampling("entropy")),
    ClassBalanced(),
    RandomSubset(4, CoreSet("input")),
    DGAL(StandardScaler(), n_neighbors=2, n_candidates=4),
    SEALS("input", n_neighbors=2),
    ASAL(AffineGenerator(), n_components=None, n_steps=1, n_neighbors=2),
    ALCG(),
    BALD(2),
    DeepFool(max_iter=2),
    LearningLoss(),
    QueryByCommittee(),
    QueryByCommittee("kl"),
    BatchBALD(2, max_combinations=4),
    BAIT(),
    DropQuery(),
    DiffusionSampling(n_neighbors=2),
    DensityWeighted(UncertaintySampling()),
    ContrastiveAL(n_neighbors=2),
    DiscriminativeAL("input", discriminator=LogisticRegression(tol=0.1), n_parts=2),
    DensityWeighted(similarity="euclidean", embedding=StandardScaler()),
    Switch(TypiClust(n_neighbors=2), UncertaintySampling(), 5),
    Switch(ProbCover(n_clusters=3), CoreSet(), "covered"),
    CostAware(cost=SameCosts()),
    ExpectedErrorReduction(n_candidates=3, n_evaluated=4),
    VAAL(),
    WAAL(),
]


class NearestMean(Askable, LinearClassifierMixin, BaseEstimator):
    """A linear classifier in closed form, which takes a hundredth of a logistic regression's time to fit."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.coef_ = np.stack([X[y == label].mean(axis=0) for label in self.classes_]).astype(float)
        self.intercept_ = -(self.coef_**2).sum(axis=1) / 2
        if len(self.classes_) == 2:  # scikit-learn's linear models have one row for two classes
            self.coef_, self.intercept_ = np.diff(self.coef_, axis=0), np.diff(self.intercept_)
        return self

    def predict_proba(self, X):
        decisions = self.decision_function(X)
        if decisions.ndim == 1:
            decisions = np.column_stack([np.zeros(len(decisions)), decisions])
        return softmax(decisions, axis=1)


@torch_module.register
def _(classifier: NearestMean):
    known = LogisticRegression()  # whose view of coefficients is that of any linear model
    known.classes_, known.coef_, known.intercept_ = (
        classifier.classes_,
        classifier.coef_,
        classifier.intercept_,
    )
    return torch_module(known)


MAX_SAMPLES, MAX_FEATURES = 14, 4
LABELS = np.array([UNLABELED, UNLABELED, 0, 1, 2])


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Small pools on an integer grid, where duplicate rows, ties and constant features are common.

    At least two classes are labelled, so that every strategy has its classifier. All numbers are remainders of bytes
    of one string: lists of numbers, which are drawn one by one, take longer than most checks.
    """
    n_bytes = 8 + MAX_SAMPLES * (MAX_FEATURES + 1)
    drawn = np.frombuffer(draw(st.binary(min_size=n_bytes, max_size=n_bytes)), np.uint8).astype(int)
    sizes, labels, values = drawn[:8].tolist(), drawn[8 : 8 + MAX_SAMPLES], drawn[8 + MAX_SAMPLES :]
    n_samples, n_features = 3 + sizes[0] % (MAX_SAMPLES - 2), 1 + sizes[1] % MAX_FEATURES
    values = values[: n_samples * n_features] % (2 * (0, 1, 3, 100)[sizes[2] % 4] + 1)
    values = np.where(values % 2, -(values // 2) - 1, values // 2)  # 0, -1, 1, -2, 2: the simplest come first
    X = values.reshape(n_samples, n_features).astype((np.float64, np.float32)[sizes[3] % 2])
    X = X / (1, 7)[sizes[4] % 2]
    y = LABELS[labels[: n_samples - 2] % len(LABELS)]
    y = np.insert(y, sizes[5] % (n_samples - 1), 0)
    y = np.insert(y, sizes[6] % n_samples, 1)
    return Problem(X, y, 1 + sizes[7] % (n_samples + 1), NearestMean())


PROBLEMS = problems()


def examples(values: st.SearchStrategy[Any]) -> list[Any]:
    """As many examples as the profile has; drawn once where it has the same for every test, because that takes long."""
    return (_kept if settings().derandomize else _drawn)(values)


def check_examples(values: st.SearchStrategy[Any], check: Callable[[Any], object]) -> None:
    """Check all examples; hypothesis looks for a smaller one than the first that fails."""
    if not settings().derandomize:
        return given(values)(lambda example: check(example))()
    for example in _kept(values):
        try:
            check(copy.deepcopy(example))
        except Exception:
            given(values)(lambda example: check(example))()
            raise
    return None


def _drawn(values: st.SearchStrategy[Any]) -> list[Any]:
    drawn: list[Any] = []
    given(values)(lambda example: drawn.append(example))()
    return drawn


_kept = cache(_drawn)
