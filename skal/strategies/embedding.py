"""Where a strategy that compares rows takes the rows' embedding from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, StrOptions

from ..access import embed, has_embedding
from ..generators import encode, fit_encoder
from ..pool import NO_ROWS, Pool, Rows
from ..utils.threads import Kept
from .base import QueryStrategy
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class EmbeddingStrategy(QueryStrategy):
    """Base class of strategies that compare rows by their distance in an embedding.

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

    Attributes
    ----------
    encoder_ : transformer
        The fitted transformer, where `embedding` is one.
    """

    embedding: Any = field(default="auto", kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **QueryStrategy._parameter_constraints,
        "embedding": [StrOptions({"auto", "classifier", "input"}), HasMethods(["fit", "transform"])],
    }

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("embed",) if isinstance(self.embedding, str) and self.embedding == "classifier" else ()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if not isinstance(self.embedding, str):
            tags.input_tags.sparse = get_tags(self.embedding).input_tags.sparse
        return tags

    def _fit(self, X: Any, y: NDArray[Any] | None) -> None:
        super()._fit(X, y)
        if not isinstance(self.embedding, str):
            self.encoder_ = fit_encoder(self.embedding, X, self._seed)

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        if not isinstance(self.embedding, str):
            self._encoded = encode(self.encoder_, pool)

    def _embed(self, query: Query, rows: Rows | None = None) -> tuple[NDArray[Any], bool]:
        """The embedding of the given rows, or all, of shape (n_rows, d); and whether it is the same at every query."""
        pool, estimator = query.pool, query.estimator
        if not isinstance(self.embedding, str):
            return self._encoded if rows is None else self._encoded[rows], True
        if self.embedding == "classifier" or (
            self.embedding == "auto" and estimator is not None and has_embedding(estimator)
        ):
            embedding = embed(estimator, pool.X, rows)
        else:
            embedding = pool.dense(slice(None) if rows is None else rows)
            embedding = embedding.reshape(len(embedding), -1)
        return embedding, isinstance(pool.X, np.ndarray) and _is_whole(embedding, pool.X)


def _is_whole(embedding: NDArray[Any], X: NDArray[Any]) -> bool:
    """Whether an embedding is the pool itself, in its own memory; a view of some columns is not."""
    return (
        embedding.ctypes.data == X.ctypes.data
        and embedding.size == X.size
        and embedding.dtype == X.dtype
        and embedding.flags.c_contiguous == X.flags.c_contiguous
    )


def newly_labeled(kept: Kept[tuple[Rows, Any]], labeled: Rows) -> tuple[Any, Rows]:
    """What was kept for earlier labels, and the rows labelled since; None and all rows where labels were taken back.

    Parameters
    ----------
    kept : Kept
        Holds the rows that were labelled and what is known about them, or None.
    labeled : ndarray of int of shape (n_labeled,)

    Returns
    -------
    known : object or None
    new : ndarray of int of shape (n_new,)
    """
    before, known = kept.value or (NO_ROWS, None)
    if len(np.setdiff1d(before, labeled)):
        return None, labeled
    return known, np.setdiff1d(labeled, before)


def are_few(rows: Rows, pool: Pool) -> bool:
    """Whether a strategy should look at the given rows alone: two-stage strategies promise not to scan the pool."""
    return len(rows) < len(pool) / 2
