"""SEALS: similarity search for efficient active learning (Coleman et al., 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import HasMethods, StrOptions

from ..neighbors import checked_answer, make_index
from ..pool import NO_ROWS, Pool, Rows, as_pool
from ..utils.threads import Kept
from .base import POSITIVE_INTEGER
from .candidates import CandidateStrategy
from .embedding import EmbeddingStrategy, newly_labeled
from .query import Query

_BLOCK_BYTES = 1 << 24
_PAIR_BYTES = 32  # of a distance, a position, and what is made of them


@dataclass(eq=False, repr=False, kw_only=True)
class SEALS(EmbeddingStrategy, CandidateStrategy):
    r"""Run a criterion on the nearest neighbours of the labelled rows.

    .. math:: D_u = \bigcup_{i \in L} N(x_i, k) \setminus L

    where N(x, k) are the k nearest rows of the pool ([1]_; Algorithm 3 of [2]_). The number of rows that the criterion
    sees grows with the labels, not with the pool. Regions far from all labels are never explored.

    The classifier's own embedding changes with every training, so each query embeds the whole pool and searches it
    again. With an encoder that is trained once, as in the VAE-SEALS of [2]_, ``SEALS(VAE())``, the index is built once,
    and a query looks up the neighbours of the newly labelled rows only.

    Parameters
    ----------
    {embedding}
    n_neighbors : int, default=100
        k, the neighbours of a labelled row that become candidates.
    metric : {"euclidean", "cosine"}, default="euclidean"
        How rows are compared; "cosine" compares the directions of embeddings.
    index : {"exact", "approximate"} or object, default="exact"
        Finds the neighbours if the embedding is that of a transformer: :class:`skal.neighbors.CellIndex`,
        :class:`skal.neighbors.GraphIndex`, or an object with `fit` and `kneighbors`, or with `transform` like
        scikit-learn's `KNeighborsTransformer`, see :func:`skal.neighbors.make_index`.
    criterion : QueryStrategy, default=None
        The strategy that chooses among the neighbours; margin sampling by default.
    {random_state}

    Attributes
    ----------
    {encoder_}
    index_ : object
        The fitted index, where `embedding` is a transformer.
    {criterion_}
    query_report_ : Bunch
        About the latest query: ``rows``, the candidates, and ``n_searched``, the number of labelled rows whose
        neighbours were looked up.

    See Also
    --------
    DGAL : Explores the whole pool, too.

    Notes
    -----
    If there are fewer neighbours than queries, random rows are added.

    References
    ----------
    .. [1] Coleman et al., Similarity Search for Efficient Active Learning and Search of Rare Concepts, AAAI 2022.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import SEALS, RandomSampling
    >>> X = np.arange(10.0).reshape(-1, 1)
    >>> strategy = SEALS("input", n_neighbors=2, criterion=RandomSampling(), random_state=0).fit(X)
    >>> sorted(strategy.query(X, y=[-1, 1, -1, -1, -1, -1, -1, -1, -1, -1], n_queries=2).tolist())
    [0, 2]
    >>> strategy.query_report_.rows
    array([0, 2])
    """

    n_neighbors: int = 100
    metric: str = "euclidean"
    index: Any = "exact"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_neighbors": POSITIVE_INTEGER,
        "metric": [StrOptions({"euclidean", "cosine"})],
        "index": [StrOptions({"exact", "approximate"}), HasMethods(["fit"])],
    }

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        make_index(self.index)  # refuses a class in place of an index

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        if not isinstance(self.embedding, str):
            self.index_ = make_index(self.index, self._seed).fit(self._compared(self._encoded))

    def _restrict(self, query: Query) -> Rows:
        labeled = query.labels.rows
        embedding, stays = self._embed(query, keep_integers=True)
        with self._kept if stays else Kept() as kept:
            known, new = newly_labeled(kept, labeled)
            near = np.union1d(NO_ROWS if known is None else known, self._neighbors(embedding, new))
            kept.value = labeled, near
        rows = near[query.candidates.isin(near)]
        query.report.update(rows=rows, n_searched=len(new))
        return rows

    def _neighbors(self, embedding: NDArray[Any], rows: Rows) -> Rows:
        """Return the neighbours of some labelled rows, and these rows themselves."""
        k = min(self.n_neighbors + 1, len(embedding))
        if not len(rows):
            return rows
        queries = self._compared(embedding[rows])
        if not isinstance(self.embedding, str):
            answer = self.index_.kneighbors(queries, n_neighbors=k)
            found = checked_answer(answer, len(queries), k, len(embedding))[1]
            return found.ravel().astype(np.intp, copy=False)
        best, distances = np.empty((len(rows), 0), np.intp), np.empty((len(rows), 0), np.float32)
        pool = as_pool(embedding)
        row_bytes = pool.float_bytes + 8 * embedding.shape[1] + _PAIR_BYTES * len(rows)
        # A common offset would drown the differences.
        shift = queries.mean(axis=0, dtype=np.float64) if self.metric == "euclidean" else None
        queries = queries if shift is None else queries - shift
        for block, where in pool.blocks(max_bytes=_BLOCK_BYTES, row_bytes=row_bytes):
            with np.errstate(over="ignore", invalid="ignore"):  # what is refused below
                compared = self._compared(block)
                compared = compared if shift is None else compared - shift
                found = euclidean_distances(queries, compared, squared=True)
                found = found.astype(np.float32)
            if not np.isfinite(found).all():
                raise ValueError(
                    "Squared distances between embeddings overflow in float32; scale the rows that they come from."
                )
            places = np.arange(where.start, where.stop)
            if distances.shape[1] == k:  # few rows of a large pool are nearer than the nearest so far
                is_nearer = (found < distances.max(axis=1, keepdims=True)).any(axis=0)
                found, places = found[:, is_nearer], places[is_nearer]
            distances = np.hstack([distances, found])
            best = np.hstack([best, np.broadcast_to(places, found.shape)])
            if distances.shape[1] > k:
                nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
                best = np.take_along_axis(best, nearest, axis=1)
                distances = np.take_along_axis(distances, nearest, axis=1)
        return best.ravel()

    def _compared(self, embedding: NDArray[Any]) -> NDArray[Any]:
        rows = embedding.astype(np.result_type(embedding.dtype, np.float32), copy=False)
        return normalize(rows) if self.metric == "cosine" else rows
