"""ProbCover: greedy coverage of the pool by balls (Yehuda et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ..pool import NO_ROWS, Rows
from ..selection import BallCover, k_means, pure_sq_radius
from ..utils.threads import Kept
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy, are_few, newly_labeled
from .query import Query

_BALLS = 4096  # whose purity is measured


@dataclass(eq=False, repr=False, kw_only=True)
class ProbCover(EmbeddingStrategy):
    r"""Choose rows that cover as much of the pool as possible by balls of one radius.

    .. math:: u = \arg\max_{i \in U} \left| B_\delta(i) \setminus \bigcup_{j \in L \cup S} B_\delta(j) \right|,
        \quad B_\delta(i) = \{ k : \lVert h(x_i) - h(x_k) \rVert < \delta \}

    where L are the labelled rows, U the unlabelled rows and S those chosen so far ([1]_, Algorithm 1): typical rows
    first, and none near a label. It needs no classifier unless ``embedding="classifier"``. While the embedding stays
    the same, the pool is measured once, and later queries look only at the rows that new labels cover.

    Parameters
    ----------
    {embedding}
    radius : float or "auto", default="auto"
        :math:`\delta`. "auto" is the largest radius at which a share `purity` of the balls holds rows of one cluster
        only ([1]_), with `n_clusters` clusters from k-means.
    n_clusters : int, default=10
        Roughly the number of classes. With 1, every ball is pure.
    purity : float, default=0.95
        The share of pure balls. A smaller share makes the radius larger.
    random_state : int, RandomState instance or None, default=None
        Seeds k-means and the transformer, and decides between rows that cover equally many.

    Attributes
    ----------
    {encoder_}
    query_report_ : Bunch
        About the latest query: ``radius``, and ``coverage``, the share of the pool that labelled, pending and chosen
        rows cover; and ``n_unreached``, the number of candidates that no labelled or pending row covered before. When
        the coverage approaches one, it is time for another strategy: the choice is then random.

    Notes
    -----
    Neither the paper nor its code was at hand: the rule is the published one, but details of its experiments may
    differ.

    Purity is measured on at most 4096 balls, drawn at random. Neighbours are counted but not kept, see
    :class:`skal.selection.BallCover`.

    References
    ----------
    .. [1] Yehuda, Dekel, Hacohen, Weinshall. Active learning through a covering lens. NeurIPS 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import ProbCover
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [13.0]])
    >>> strategy = ProbCover("input", radius=1.5, random_state=0).fit(X)
    >>> strategy.query(X, y=[-1, -1, -1, -1, 0, -1, -1], n_queries=2)
    array([1, 6])
    >>> strategy.query_report_.coverage
    1.0
    """

    radius: float | str = "auto"
    n_clusters: int = 10
    purity: float = 0.95

    tells_unreached: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "radius": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "n_clusters": POSITIVE_INTEGER,
        "purity": [Interval(Real, 0, 1, closed="right")],
    }

    def _query(self, query: Query) -> Rows:
        labeled, pending, candidates = query.labels.rows, query.pending, query.candidates.rows
        seen = np.sort(np.concatenate([labeled, pending, candidates]))
        if are_few(seen, query.pool):
            cover, radius = self._measured(self._embed(query, seen, keep_integers=True)[0])
            cover.add(np.searchsorted(seen, labeled))
            candidates, pending = (np.searchsorted(seen, rows) for rows in (candidates, pending))
            return seen[self._picks(query, cover, radius, candidates, pending)]
        embedding, stays = self._embed(query, keep_integers=True)
        with self._kept if stays else Kept() as kept:
            known, new = newly_labeled(kept, labeled)
            kept.value = None  # an interrupt must not leave what is half changed
            cover, radius = known or self._measured(embedding)
            cover.add(new)
            kept.value = labeled, (cover, radius)
            return self._picks(query, cover, radius, candidates, pending)

    def _measured(self, embedding: NDArray[Any]) -> tuple[BallCover, float]:
        """Return the neighbours of each row, counted, and the radius."""
        if not isinstance(self.radius, str):
            sq_radius = max(float(self.radius) * float(self.radius), float(np.finfo(float).tiny))
        else:
            rng = np.random.default_rng(self._seed)  # the radius is the same at every query
            labels = k_means(embedding, min(self.n_clusters, len(embedding)), rng)[0]
            balls = np.sort(rng.choice(len(embedding), min(_BALLS, len(embedding)), replace=False))
            sq_radius = pure_sq_radius(embedding, labels, self.purity, sample=balls)
        return BallCover(embedding, sq_radius), sq_radius**0.5

    def _picks(self, query: Query, cover: BallCover, radius: float, candidates: Rows, pending: Rows) -> Rows:
        cover = cover.with_centers(pending)
        n_unreached = int(np.count_nonzero(~cover.covered[candidates]))
        rows, coverage = cover.pick(query.n_queries, candidates, NO_ROWS, query.rng)
        query.report.update(radius=radius, coverage=coverage, n_unreached=n_unreached)
        return rows
