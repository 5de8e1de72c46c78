"""CoreSet: k-centre greedy on embeddings (Sener and Savarese, 2018)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..labels import labeled_mask
from ..selection import FarthestFirst
from ._embedding import EmbeddingStrategy, are_few
from .base import Rows


class CoreSet(EmbeddingStrategy):
    r"""Choose rows that cover the pool: each next one is the farthest from all labelled and chosen rows.

    .. math:: u = \arg\max_{i \in U} \min_{j \in L \cup S} \lVert h(x_i) - h(x_j) \rVert

    where L are the labelled, U the unlabelled and S the rows chosen so far ([1]_, Algorithm 1). It
    needs no classifier unless ``embedding="classifier"``. While the embedding stays the same, the
    distances to the labelled rows are kept from query to query.

    Parameters
    ----------
    embedding : {"auto", "classifier", "input"} or transformer, default="auto"
        - ``"classifier"``: what the classifier's last layer sees; its penultimate activations for a
          network, the transformed rows for a pipeline;
        - ``"input"``: the rows themselves (images flattened, sparse rows densified), for which no
          classifier is needed;
        - ``"auto"``: the classifier's where there is a fitted one that has an embedding, else the rows;
        - a transformer, such as ``PCA(50)``: fitted on the pool once, for this and later pools.
    random_state : int, RandomState instance or None, default=None
        Seeds the transformer; the choice itself is deterministic.

    Attributes
    ----------
    encoder_ : transformer
        The fitted transformer, where `embedding` is one.

    References
    ----------
    .. [1] Sener, Savarese. Active learning for convolutional neural networks: a core-set approach. ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import CoreSet
    >>> X = np.array([[0.0], [1.0], [5.0], [9.0]])
    >>> CoreSet("input").fit(X).query(X, y=[0, -1, -1, -1], n_queries=2)
    array([3, 2])
    """

    def _prepare(self, X: Any) -> None:
        super()._prepare(X)
        self._kept: tuple[NDArray[np.bool_], FarthestFirst] | None = None

    def _query(
        self,
        X: Any,
        y: NDArray[Any],
        candidates: Rows,
        n_queries: int,
        estimator: Any,
        rng: np.random.Generator,
    ) -> Rows:
        labeled = labeled_mask(y)
        seen = np.concatenate([np.flatnonzero(labeled), candidates])
        if are_few(seen, X):
            traversal = FarthestFirst(self._embed(X, estimator, seen)[0])
            n_labeled = len(seen) - len(candidates)
            traversal.add(np.arange(n_labeled))
            return seen[traversal.pick(n_queries, np.arange(n_labeled, len(seen)))]

        embedding, stays = self._embed(X, estimator)
        if stays and self._kept is not None and not (self._kept[0] & ~labeled).any():
            before, traversal = self._kept
        else:
            before, traversal = np.zeros_like(labeled), FarthestFirst(embedding)
        traversal.add(np.flatnonzero(labeled & ~before))
        if stays:
            self._kept = labeled, traversal
        return traversal.pick(n_queries, candidates)

    def __getstate__(self) -> dict[str, Any]:
        # The distances refer to the pool, of which a pickled learner has its copy already.
        state = super().__getstate__()
        return state | {"_kept": None} if "_kept" in state else state
