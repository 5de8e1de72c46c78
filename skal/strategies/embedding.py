"""Strategies that compare rows, and the embedding in which they compare them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, StrOptions

from ..access import embed, has_embedding
from ..generators import encode, fit_encoder
from ..pool import NO_ROWS, Pool, Rows, as_pool, check_readable
from ..utils.threads import Kept
from .base import QueryStrategy
from .query import Query, Samples


@dataclass(eq=False, repr=False, kw_only=True)
class EmbeddingStrategy(QueryStrategy):
    """Base class of strategies that compare rows by their distance in an embedding.

    Parameters
    ----------
    embedding : {"auto", "classifier", "input"} or transformer, default="auto"
        Where rows are compared:

        - ``"classifier"``: in the input of the classifier's last layer: the penultimate activations of a network, the
          transformed rows of a pipeline, the rows themselves for a linear model;
        - ``"input"``: on the rows themselves (images flattened, sparse rows densified), which needs no classifier;
        - ``"auto"``: as "classifier" if there is a fitted classifier that has an embedding, else as "input";
        - a transformer, such as ``PCA(50)`` or ``VAE()``: in its output. It is fitted on the pool of `fit`, and used
          for later pools too; a ``FrozenEstimator`` is not fitted again. It gets images flattened, unless its
          scikit-learn tags have ``input_tags.three_d_array``, as those of skal's networks do.
    {random_state}

    Attributes
    ----------
    encoder_ : transformer
        The fitted transformer, where `embedding` is one.
    {requires, query_report_}
    """

    _remedy: ClassVar[str] = (
        "Give it a transformer that makes numbers of them: embedding=make_pipeline(TfidfVectorizer(), "
        "TruncatedSVD(64)) for texts, embedding=ColumnTransformer(...) for the columns of a frame; or "
        "embedding='classifier', where the classifier has embeddings."
    )

    _filling: ClassVar[str] = (
        "Give it a transformer that fills it in: embedding=make_pipeline(SimpleImputer(), StandardScaler()); or "
        "embedding='classifier', where the classifier's pipeline does."
    )

    embedding: Any = field(default="auto", kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "embedding": [StrOptions({"auto", "classifier", "input"}), HasMethods(["fit", "transform"])]
    }

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        own = ("embed",) if isinstance(self.embedding, str) and self.embedding == "classifier" else ()
        return (*own, *super().requires)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the strategy and its parts; its own take effect at the next query.

        Parameters
        ----------
        **params : dict
            As scikit-learn's ``set_params`` takes them.

        Returns
        -------
        self : EmbeddingStrategy
            Values that earlier queries kept for later ones are dropped. Parts that `fit` trains or clones, such as a
            transformer, an index or a criterion, and their parameters take effect at the next `fit`.
        """
        super().set_params(**params)
        if hasattr(self, "_kept"):
            self._kept: Kept[Any] = Kept()  # what one query leaves to later ones while the embedding stays
        return self

    @property
    def reads_rows(self) -> bool:
        return isinstance(self.embedding, str) and self.embedding == "input"

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if self.embedding == "auto" and estimator is not None and not has_embedding(estimator):
            self._check_readable(pool)

    def _check_readable(self, pool: Pool) -> None:
        """Refuse a pool whose rows cannot be compared directly, as ``embedding="input"`` does."""
        reader = copy(self)  # whose tags say what it reads, and not what a classifier may make of it
        reader.embedding = "input"
        check_readable(reader, pool, remedy=self._remedy, filling=self._filling)

    def _encoder(self) -> Any:
        return None if isinstance(self.embedding, str) else self.embedding

    def _fit(self, X: Any, y: NDArray[Any] | None) -> None:
        super()._fit(X, y)
        if not isinstance(self.embedding, str):
            self.encoder_ = fit_encoder(self.embedding, X, self._seed)

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        self._kept = Kept()
        if not isinstance(self.embedding, str):
            self._encoded = encode(self.encoder_, pool)

    def _embed(
        self, query: Query, rows: Rows | None = None, *, keep_integers: bool = False
    ) -> tuple[NDArray[Any], bool]:
        """Return the embedding of some rows, or all, of shape (n_rows, d), and whether later queries have the same.

        Differences of integers, and squares of float16, may overflow: keep them only where each block becomes floats of
        more bits before it is compared.
        """
        pool, estimator = query.pool, query.estimator
        if not isinstance(self.embedding, str):
            embedding = self._encoded if rows is None else self._encoded[rows]
            return embedding if keep_integers else embedding.astype(np.float32, copy=False), True
        if self.embedding == "classifier" or (
            self.embedding == "auto" and estimator is not None and has_embedding(estimator)
        ):
            embedding = embed(estimator, pool, rows, keep_integers=True)
        else:
            self._check_readable(pool)
            embedding = pool.dense(slice(None) if rows is None else rows)
            embedding = embedding.reshape(len(embedding), -1)
        if not keep_integers:
            embedding = embedding.astype(np.result_type(embedding.dtype, np.float32), copy=False)
        return embedding, isinstance(pool.X, np.ndarray) and _layout(embedding) == _layout(pool.X)

    def _embed_samples(self, query: Query, samples: Samples) -> NDArray[Any]:
        """Return the embedding of labelled rows that are in another pool."""
        pool = as_pool(samples.pool.take(samples.rows))
        if not isinstance(self.embedding, str):
            return encode(self.encoder_, pool)
        return self._embed(replace(query, pool=pool))[0]


def _layout(array: NDArray[Any]) -> tuple[Any, ...]:
    """Return what tells the pool itself, in its own memory, from a copy and from a view of some columns."""
    return array.ctypes.data, array.size, array.dtype, array.flags.c_contiguous


def newly_labeled(kept: Kept[tuple[Rows, Any]], labeled: Rows) -> tuple[Any, Rows]:
    """Return the value kept for earlier labels, and the rows labelled since.

    Parameters
    ----------
    kept : Kept
        Its value is None or a pair: the rows that were labelled, and what is known about them.
    labeled : ndarray of int of shape (n_labeled,)

    Returns
    -------
    known : object or None
        Also None if labels were taken back; then all labelled rows are new.
    new : ndarray of int of shape (n_new,)
    """
    before, known = kept.value or (NO_ROWS, None)
    if len(np.setdiff1d(before, labeled)):
        return None, labeled
    return known, np.setdiff1d(labeled, before)


def are_few(rows: Rows, pool: Pool) -> bool:
    """Return whether to look only at the given rows: a criterion must not scan the pool of a two-stage strategy."""
    return len(rows) < len(pool) / 2


def rows_to_embed(seen: Rows, pool: Pool) -> tuple[Rows | None, Rows]:
    """Return which rows to embed (None for the whole pool), and the positions of the rows that are seen among them."""
    return (seen, np.arange(len(seen))) if are_few(seen, pool) else (None, seen)
