"""BAIT: the batch that leaves the last layer least uncertain about the pool (Ash et al., 2021)."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from ..access import embed_and_predict_proba
from ..pool import Rows
from ..selection import FisherRows, bait
from ..selection.points import squares_fit
from .base import QueryStrategy
from .embedding import rows_to_embed
from .query import Query

_MOST_SIDES = 4096  # of a matrix
_MOST_NUMBERS = 1 << 24  # about the candidates, 128 MiB
_LEAST_SHARE = 1e-6  # of the largest information of a row, for the regularization


@dataclass(eq=False, repr=False, kw_only=True)
class BAIT(QueryStrategy):
    r"""Choose rows whose Fisher information, with that of the labelled rows, bounds the classifier's error on the pool.

    .. math:: \arg\min_S \mathrm{tr}\Big( \big(\lambda I + \sum_{x \in L \cup S} I(x)\big)^{-1} \sum_x I(x) \Big),
        \quad I(x) = h h^\top \otimes (\mathrm{diag}(p) - p p^\top)

    where I(x) is the Fisher information of a row about the last linear layer, from its embedding h of d numbers and
    its C probabilities p, L are the labelled rows and those asked for before, and the last sum is over the pool
    ([1]_). Rows are added greedily, more than are asked for, and the worst of them removed again.

    Parameters
    ----------
    regularization : float, default=1.0
        :math:`\lambda`. For a linear model with an L2 penalty its 1/C.
    oversampling : float, default=2.0
        How many rows are added, as a multiple of those asked for, before the surplus is removed. 1 removes none.
    random_state : int, RandomState instance or None, default=None
        Decides between equally good rows, and draws candidates if there are too many.

    Attributes
    ----------
    query_report_ : Bunch
        About the latest query: ``objective``, the trace with the mean over the pool in place of the last sum, and
        ``n_candidates``, the number of rows that were compared.

    Notes
    -----
    Information is summed, so that :math:`\lambda` means the same as for the classifier. The authors' code weights the
    means over the labels and over the batch instead; the code was at hand, the paper was not. The intercept is left
    out. :math:`\lambda` is raised to at least a millionth of the largest trace of a row's I(x), because a smaller value
    would be lost in rounding if features have not been scaled.

    Up to five matrices of d C rows and columns are kept at a time: more than 4096 rows (134 MB each) are refused. Up to
    16 C\ :sup:`2` bytes are kept per candidate, and at most 128 MiB in all: if there are more than 83,886 candidates
    with 10 classes, or 838 with 100, that many are drawn at random.

    References
    ----------
    .. [1] Ash, Goel, Krishnamurthy, Kakade. Gone fishing: neural active learning with Fisher embeddings. NeurIPS 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import BAIT
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X[::10], y[::10])
    >>> BAIT(random_state=0).fit(X).query(X, n_queries=4, estimator=classifier).shape
    (4,)
    """

    requires = ("predict_proba", "embed")

    regularization: float = field(default=1.0, kw_only=False)
    oversampling: float = 2.0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "regularization": [Interval(Real, 0, None, closed="neither")],
        "oversampling": [Interval(Real, 1, None, closed="left")],
    }

    def _query(self, query: Query) -> Rows:
        known = np.concatenate([query.labels.rows, query.awaited])
        seen = np.sort(np.concatenate([query.labels.rows, query.pending, query.candidates.rows]))
        embedded, places = rows_to_embed(seen, query.pool)
        rows = _fisher(query.estimator, query.pool, embedded)
        known, candidates = (places[np.searchsorted(seen, each)] for each in (known, query.candidates.rows))
        regularization = max(self.regularization, _LEAST_SHARE * rows.traces().max())
        information = rows.total(known) + regularization * np.eye(rows.side)
        for part in query.outside:
            information += _fisher(query.estimator, part.pool, part.rows).total()
        most = max(query.n_queries, _MOST_NUMBERS // (2 * rows.n_classes**2))
        if len(candidates) > most:
            candidates = np.sort(query.rng.choice(candidates, most, replace=False))
        fisher = rows.total(places) / len(places)
        inverse = np.linalg.inv(information)
        selection = bait(
            rows,
            (inverse + inverse.T) / 2,
            fisher,
            query.n_queries,
            query.rng,
            candidates,
            oversampling=self.oversampling,
        )
        query.report.update(objective=selection.objective, n_candidates=len(candidates))
        return seen[np.searchsorted(places, selection.rows)]


def _fisher(estimator: Any, pool: Any, rows: Rows | None) -> FisherRows:
    embeddings, probabilities = embed_and_predict_proba(estimator, pool, rows, keep_integers=True)
    found = FisherRows(embeddings, probabilities)
    if found.side > _MOST_SIDES:
        raise ValueError(
            f"BAIT was given {found.d} embedded features and {found.n_classes} classes, and their product may be at "
            f"most {_MOST_SIDES}; reduce the features, as by PCA in the classifier's pipeline, or use BADGE()."
        )
    if not squares_fit(embeddings):
        raise ValueError(
            f"The embeddings go from {embeddings.min():g} to {embeddings.max():g}, and their squares overflow; scale "
            "the rows that they are computed from."
        )
    return found
