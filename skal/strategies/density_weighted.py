"""Information density: scores weighted by how typical a row is of the pool (Settles and Craven, 2008)."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ..pool import Rows
from ..selection import mean_closeness, mean_cosine, top_k
from ..utils.threads import Kept
from .base import QueryStrategy
from .candidates import CriterionStrategy
from .embedding import EmbeddingStrategy, are_few
from .query import Query
from .score import ScoreStrategy


class DensityWeighted(EmbeddingStrategy, CriterionStrategy):
    r"""Weight the scores of a criterion by how similar a row is to the pool on average.

    .. math:: \phi(x) \Big( \frac{1}{N} \sum_{i=1}^{N} \mathrm{sim}(h(x), h(x_i)) \Big)^\beta

    where :math:`\phi` is the criterion, so that outliers, on which a classifier is unsure as well, are not chosen
    ([1]_, Equation 13). The similarity to all N rows of the pool, labelled ones included, does not depend on labels: it
    is computed once if the embedding stays the same.

    Parameters
    ----------
    criterion : ScoreStrategy, default=None
        Entropy sampling by default. If there are scores below zero, as margin sampling has, the least score of the
        candidates is subtracted from all scores.
    beta : float, default=1.0
        :math:`\beta`, the weight of the density. With 0 only the criterion counts.
    similarity : {"cosine", "euclidean"}, default="cosine"
        - ``"cosine"``: the cosine of the angle between embeddings, as in [1]_, in O(N); negative means count as 0. It
          does not suit centred features, among which all directions are equally common;
        - ``"euclidean"``: 1 / (1 + distance), in O(N\ :sup:`2`) time and bounded memory.
    {embedding}
    random_state : int, RandomState instance or None, default=None
        Seeds criterion and transformer, and breaks ties.

    Attributes
    ----------
    {encoder_}
    criterion_ : ScoreStrategy
        The fitted criterion.

    Notes
    -----
    If fewer than half of the rows are candidates, the density is computed among the candidates only.

    References
    ----------
    .. [1] Settles, Craven. An analysis of active learning strategies for sequence labeling tasks. EMNLP 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies import DensityWeighted, UncertaintySampling
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [9.0, 8.5], [4.0, 4.1], [0.0, 0.0]])
    >>> classifier = LogisticRegression().fit(X[:2], [0, 1])
    >>> strategy = DensityWeighted(UncertaintySampling("entropy"), random_state=0).fit(X)
    >>> strategy.query(X, y=[0, 1, -1, -1, -1], n_queries=3, estimator=classifier)  # the last is unlike all others
    array([3, 2, 4])
    """

    _default_measure = "entropy"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "criterion": [ScoreStrategy, None],
        "beta": [Interval(Real, 0, None, closed="left")],
        "similarity": [StrOptions({"cosine", "euclidean"})],
    }

    def __init__(
        self,
        criterion: QueryStrategy | None = None,
        beta: float = 1.0,
        *,
        similarity: str = "cosine",
        embedding: Any = "auto",
        random_state: Any = None,
    ) -> None:
        super().__init__(embedding, random_state=random_state)
        self.criterion = criterion
        self.beta = beta
        self.similarity = similarity

    def _query(self, query: Query) -> Rows:
        rows = query.candidates.rows
        scores = self._worths(query, rows)
        return rows[top_k(scores * self._densities(query, rows) ** self.beta, query.n_queries, query.rng)]

    def _densities(self, query: Query, rows: Rows) -> NDArray[Any]:
        if are_few(rows, query.pool):
            return self._density(self._embed(query, rows, keep_integers=True)[0])
        embedding, stays = self._embed(query, keep_integers=True)
        with self._kept if stays else Kept() as kept:
            kept.value = self._density(embedding) if kept.value is None else kept.value
            return kept.value[rows]

    def _density(self, embedding: NDArray[Any]) -> NDArray[Any]:
        if self.similarity == "cosine":
            return np.maximum(mean_cosine(embedding), 0)
        return mean_closeness(embedding)
