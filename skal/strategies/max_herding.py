"""MaxHerding: greedy coverage of the pool in a kernel (Bae et al., 2024)."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions

from ..pool import Rows
from ..selection import KernelHerding
from ..utils.threads import Kept
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy, are_few, newly_labeled
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class MaxHerding(EmbeddingStrategy):
    r"""Choose rows such that each row of the pool is similar to one of them, or to a labelled row.

    .. math:: u = \arg\max_{i \in U} \frac{1}{N} \sum_{n=1}^N \max_{j \in L \cup S \cup \{i\}} k(x_n, x_j),
        \quad k(x, x') = \exp(-\lVert h(x) - h(x') \rVert^2 / \sigma^2)

    where L are the labelled rows, U the unlabelled rows and S those chosen so far ([1]_): the generalized coverage, of
    which `ProbCover` uses a form with hard balls and `KMedian` one with distances. It needs no classifier unless
    ``embedding="classifier"``. While the embedding stays the same, later queries reuse the similarities and the
    bounds of all gains that were computed before.

    Parameters
    ----------
    {embedding}
    bandwidth : float or "auto", default="auto"
        :math:`\sigma`. "auto" is the root mean square distance of the rows to their mean, which is about 1 for rows of
        length 1.
    max_covered : int, default=4096
        The maximum number of rows whose similarity is averaged; from a larger pool, this many are drawn at random,
        once. All candidates are compared with them.
    random_state : int, RandomState instance or None, default=None
        Draws the rows to cover, seeds the transformer, and decides between rows that add the same coverage.

    Attributes
    ----------
    {encoder_}
    query_report_ : Bunch
        About the latest query: ``bandwidth``, and ``coverage``, the mean similarity of the covered rows to the nearest
        labelled, pending or chosen row.

    Notes
    -----
    Neither the paper nor its code was at hand: the rule is the published one, but details of its experiments may
    differ.

    References
    ----------
    .. [1] Bae, Noh, Sutherland. Generalized coverage for more robust low-budget active learning. ECCV 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import MaxHerding
    >>> X = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [13.0]])
    >>> MaxHerding("input", random_state=0).fit(X).query(X, y=[-1, -1, -1, -1, 0, -1, -1], n_queries=2)
    array([1, 6])
    """

    bandwidth: float | str = "auto"
    max_covered: int = 4096

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "bandwidth": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_covered": POSITIVE_INTEGER,
    }

    def _query(self, query: Query) -> Rows:
        labeled, pending, candidates = query.labels.rows, query.pending, query.candidates.rows
        seen = np.sort(np.concatenate([labeled, pending, candidates]))
        if are_few(seen, query.pool):
            herding = self._herding(self._embed(query, seen, keep_integers=True)[0])
            herding.add(np.searchsorted(seen, labeled))
            candidates, pending = (np.searchsorted(seen, rows) for rows in (candidates, pending))
            return seen[self._picks(query, herding, candidates, pending)]
        embedding, stays = self._embed(query, keep_integers=True)
        with self._kept if stays else Kept() as kept:
            known, new = newly_labeled(kept, labeled)
            herding = known or self._herding(embedding)
            herding.add(new)
            kept.value = labeled, herding
            return self._picks(query, herding, candidates, pending)

    def _herding(self, embedding: NDArray[Any]) -> KernelHerding:
        bandwidth = None if isinstance(self.bandwidth, str) else float(self.bandwidth)
        rng = np.random.default_rng(self._seed)  # covers the same rows at every query
        covered = None
        if len(embedding) > self.max_covered:
            covered = np.sort(rng.choice(len(embedding), self.max_covered, replace=False))
        return KernelHerding(embedding, bandwidth, covered)

    def _picks(self, query: Query, herding: KernelHerding, candidates: Rows, pending: Rows) -> Rows:
        rows, coverage = herding.pick(query.n_queries, candidates, pending, query.rng)
        query.report.update(bandwidth=herding.bandwidth, coverage=coverage)
        return rows
