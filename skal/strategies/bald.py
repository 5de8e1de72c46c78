"""BALD: Bayesian active learning by disagreement, with dropout as the posterior (Gal et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import StrOptions

from ..access import dropout_proba
from ..pool import as_pool
from .base import POSITIVE_INTEGER
from .score import ScoreStrategy
from .uncertainty import entropy


def mutual_information(probabilities: NDArray[Any]) -> NDArray[Any]:
    """Mutual information between label and network: the entropy of the mean minus the mean entropy, in nats.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_passes, n_classes)

    Returns
    -------
    information : ndarray of shape (n_samples,)
        Between 0, where all passes agree, and log(n_classes).

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.bald import mutual_information
    >>> sure, divided, unsure = np.eye(2)[[0, 0]], np.eye(2), np.full((2, 2), 0.5)
    >>> mutual_information(np.stack([sure, divided, unsure])).round(3)
    array([0.   , 0.693, 0.   ])
    """
    probabilities = probabilities.astype(np.float64, copy=False)  # a small difference of two large numbers
    information = entropy(probabilities.mean(axis=1)) - entropy(probabilities).mean(axis=1)
    return np.maximum(information, 0)


_MEASURES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mutual_information": mutual_information,
    "entropy": lambda p: entropy(p.mean(axis=1, dtype=np.float64)),
    "variation_ratio": lambda p: 1 - p.mean(axis=1, dtype=np.float64).max(axis=1),
    "mean_std": lambda p: p.std(axis=1, dtype=np.float64).mean(axis=1),
}

# The same from means over the passes, which parts of many passes add up to.
_AVERAGED: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mutual_information": lambda p: np.concatenate([p, entropy(p)[..., np.newaxis]], axis=2),
    "entropy": lambda p: p,
    "variation_ratio": lambda p: p,
    "mean_std": lambda p: np.concatenate([p, p**2], axis=2),
}
_FROM_MEANS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "mutual_information": lambda m: np.maximum(entropy(m[:, :-1]) - m[:, -1], 0),
    "entropy": entropy,
    "variation_ratio": lambda m: 1 - m.max(axis=1),
    "mean_std": lambda m: _deviations(*np.split(m, 2, axis=1)).mean(axis=1),
}
_PART_PASSES = 1000
_PART_ROWS = 1024


def _deviations(means: NDArray[Any], mean_squares: NDArray[Any]) -> NDArray[Any]:
    return np.sqrt(np.maximum(mean_squares - means**2, 0))


@dataclass(eq=False, repr=False, kw_only=True)
class BALD(ScoreStrategy):
    r"""Choose the rows on which passes with dropout disagree: deep Bayesian active learning (DBAL).

    Dropout at prediction, or Monte Carlo (MC) dropout, draws networks from an approximate posterior. The score is the
    mutual information between the label of a row and the network ([1]_, Equation 2, over T passes with dropout,
    Section 4),

    .. math:: H\Big[\frac{1}{T} \sum_t p_t(y \mid x)\Big] - \frac{1}{T} \sum_t H[p_t(y \mid x)]

    Parameters
    ----------
    n_passes : int, default=10
        T, the number of passes with dropout. WAAL's experiments use 10. At most 1000 passes are in memory at a time.
    measure : {"mutual_information", "entropy", "variation_ratio", "mean_std"}, default="mutual_information"
        One of the functions that [1]_ compares. "entropy" is that of the mean probabilities, "variation_ratio" is one
        minus the largest of them, and "mean_std" is the standard deviation of a class's probability over the passes,
        averaged over the classes.
    random_state : int, RandomState instance or None, default=None
        Seeds the dropout masks, and breaks ties.

    Notes
    -----
    Only dropout layers are in training mode; batch normalisation and all other layers work as in prediction, and the
    classifier is not changed. All rows see the same T networks, so the score of a row depends neither on the other
    rows nor on the size of blocks, and all queries of a fitted strategy use the same masks. The layers before the
    first dropout are computed once for all passes.

    A classifier without dropout is refused: before any training if it is not a network, otherwise at the query, if no
    layer drops anything.

    References
    ----------
    .. [1] Gal, Islam and Ghahramani, "Deep Bayesian Active Learning with Image Data", ICML 2017.
    .. [2] Houlsby, Huszár, Ghahramani and Lengyel, "Bayesian Active Learning for Classification and Preference
       Learning", arXiv:1112.5745, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal import ActiveLearner
    >>> from skal.classifiers import NetClassifier
    >>> from skal.strategies import BALD
    >>> X, y = load_iris(return_X_y=True)
    >>> y[5:50] = y[55:] = -1
    >>> classifier = NetClassifier(module_params={"dropout": 0.5}, max_epochs=5)
    >>> ActiveLearner(classifier, BALD(), n_queries=3, random_state=0).fit(X, y).query().shape
    (3,)
    """

    requires = ("dropout_proba",)

    n_passes: int = field(default=10, kw_only=False)
    measure: str = field(default="mutual_information", kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_passes": POSITIVE_INTEGER,
        "measure": [StrOptions(set(_MEASURES))],
    }

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        if self.n_passes <= _PART_PASSES:
            summary = _MEASURES[self.measure]
            return dropout_proba(estimator, X, n_passes=self.n_passes, seed=self._seed, summary=summary)
        starts = range(0, len(as_pool(X)), _PART_ROWS)
        rows = (np.arange(start, min(start + _PART_ROWS, starts.stop)) for start in starts)
        return np.concatenate([self._score_in_parts(X, part, estimator) for part in rows])

    def _score_in_parts(self, X: Any, rows: NDArray[np.intp], estimator: Any) -> NDArray[np.floating[Any]]:
        """Return the scores of rows without holding all passes in memory; each part of the passes has its own seed."""

        def means(p: NDArray[Any]) -> NDArray[Any]:
            return _AVERAGED[self.measure](p.astype(np.float64)).mean(axis=1)

        total: Any = 0
        for start in range(0, self.n_passes, _PART_PASSES):
            n_passes = min(_PART_PASSES, self.n_passes - start)
            seed = int(np.random.SeedSequence([self._seed, start]).generate_state(1)[0])
            part = dropout_proba(estimator, X, rows, n_passes=n_passes, seed=seed, summary=means)
            total = total + part * (n_passes / self.n_passes)
        return _FROM_MEANS[self.measure](total)
