"""Any transformer as an encoder of a pool: fitted with its own seed, and applied block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.validation import _num_samples

from ..access.wrappers import first_step, rows_for, working_bytes, works_in_place
from ..pool import Pool, as_pool, blockwise, check_readable, check_texts, dense, owned
from ..training.estimator import NetworkEstimator
from ..utils.progress import is_shown, progress
from ..utils.random import seed_random_states

_ENCODER = "make_pipeline(TfidfVectorizer(), TruncatedSVD(64))"
# Of a pool that is read or computed in chunks: up to here it is read whole to fit an encoder.
_WHOLE_BYTES = 1 << 28
# Rows of a larger one that an encoder without `partial_fit` is fitted on.
_SAMPLE_ROWS = 100_000


def fit_encoder(encoder: Any, X: Any, seed: int) -> Any:
    """Fit a seeded clone of an encoder.

    Parameters
    ----------
    encoder : transformer
        It is not changed. A ``FrozenEstimator`` stays fitted.
    X : array-like of shape (n_samples, ...)
        The rows, in any container that the encoder takes; a ``FrozenEstimator`` reads none. Images are flattened,
        unless the encoder's tags have ``input_tags.three_d_array``, see :func:`encode`.
    seed : int
        Seeds every nested ``random_state`` of the clone that is None.

    Returns
    -------
    encoder : transformer
        Fitted on all rows, except for a pool of more than 256 MiB that is on disk or is a dask array. From such a pool,
        an encoder with ``partial_fit``, such as ``IncrementalPCA``, gets all rows block by block; any other encoder
        gets 100,000 random rows, or the whole memory map if the pool is one.

    See Also
    --------
    skal.utils.random.seed_random_states : The seeding.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.random_projection import GaussianRandomProjection
    >>> from skal.generators import fit_encoder
    >>> X = np.eye(4)
    >>> first, second = (fit_encoder(GaussianRandomProjection(2), X, seed=0) for _ in range(2))
    >>> np.array_equal(first.transform(X), second.transform(X))
    True
    """
    encoder = clone(encoder)
    if isinstance(encoder, FrozenEstimator):
        return encoder.fit(None, None)  # which refuses what is not fitted, and reads no rows
    seed_random_states(encoder, seed)
    pool = as_pool(X)
    is_large = len(pool) * pool.float_bytes > _WHOLE_BYTES
    with _explained(encoder, pool):
        # IncrementalPCA on its own takes five rows per column at a time, and a minute for a million of them.
        if is_large and (pool.is_lazy or (pool.is_in_file and hasattr(encoder, "partial_fit"))):
            return _fitted_in_parts(encoder, pool, seed)
        with _told(encoder, len(pool)):
            rows = rows_for(encoder, pool)
            rows = rows.copy() if works_in_place(encoder) else rows  # as it does itself without copy=False
            return encoder.fit(shaped(encoder, rows), None)


def _fitted_in_parts(encoder: Any, pool: Pool, seed: int) -> Any:
    """Fit an encoder on a pool that is not to be read whole."""
    if hasattr(encoder, "partial_fit"):
        in_place = works_in_place(encoder)
        with _told(encoder, len(pool)):
            for block, _ in pool.blocks():
                encoder.partial_fit(shaped(encoder, owned(block) if in_place else block))
        return encoder
    n_rows = min(len(pool), _SAMPLE_ROWS)
    rows = np.sort(np.random.default_rng(seed).choice(len(pool), n_rows, replace=False))
    return encoder.fit(shaped(encoder, pool.dense(rows)), None)


@contextmanager
def _told(encoder: Any, n_rows: int) -> Iterator[None]:
    """Report how many rows `partial_fit` has seen, even if `fit` calls it, as in IncrementalPCA."""
    if not (is_shown() and hasattr(encoder, "partial_fit")):
        yield
        return
    partial_fit = encoder.partial_fit
    with progress(f"rows for {type(encoder).__name__}", n_rows) as advance:

        def told(X: Any, *args: Any, **params: Any) -> Any:
            fitted = partial_fit(X, *args, **params)
            advance(_num_samples(X))
            return fitted

        encoder.partial_fit = told
        try:
            yield
        finally:
            del encoder.partial_fit


def encode(encoder: Any, X: Any) -> NDArray[np.floating]:
    """Transform rows block by block, so that only the codes need memory.

    Parameters
    ----------
    encoder : transformer
        Fitted. It gets images flattened, of shape (n_rows, C * H * W), as most transformers expect. It gets them in
        their own shape if its tags, or those of a pipeline's first step, have ``input_tags.three_d_array``, as those of
        skal's networks do; a ``FunctionTransformer`` always does.
    X : array-like of shape (n_samples, ...)
        The rows, in any container that the encoder takes.

    Returns
    -------
    codes : ndarray of shape (n_samples, n_codes)
        In float32, or in float16 if the encoder returns that: columns that differ by less than a millionth of their
        size, such as times in seconds, have to be scaled in the encoder. Codes with more dimensions are flattened.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skal.generators import encode
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> encode(PCA(2).fit(X), X).shape
    (50, 2)
    """

    in_place = works_in_place(encoder)

    def codes(block: Any) -> NDArray[np.floating]:
        rows = dense(encoder.transform(shaped(encoder, owned(block) if in_place else block)))
        if rows.dtype != np.float16:  # which takes half the memory, and is asked for on purpose
            rows = rows.astype(np.float32, copy=False)
        if not np.isfinite(rows).all():
            raise ValueError(
                f"{type(encoder).__name__} made codes with NaN or infinity, and rows are compared by their codes; "
                "impute missing values in it, for instance by make_pipeline(SimpleImputer(), ...)."
            )
        if not rows[:1].size:
            raise ValueError(
                f"{type(encoder).__name__} made codes of shape {rows.shape}; each row needs a number or more."
            )
        return rows.reshape(len(rows), -1)

    return blockwise(codes, X, row_bytes=working_bytes(encoder, X))  # type: ignore[no-any-return]


def check_encodable(encoder: Any, pool: Pool) -> None:
    """Refuse rows that an encoder cannot read, as far as that can be told before anything is trained.

    Networks check their own rows, and vectorizers of texts refuse tables. An encoder that is already trained is tried
    on one row. Any other encoder refuses rows in its own `fit`.

    Parameters
    ----------
    encoder : transformer
    pool : Pool

    Raises
    ------
    ValueError, TypeError
        As the encoder raises them, or for rows that a network cannot read.

    Examples
    --------
    >>> from skal.generators import VAE, check_encodable
    >>> from skal.pool import as_pool
    >>> check_encodable(VAE(), as_pool(["some", "texts"]))
    Traceback (most recent call last):
        ...
    TypeError: VAE reads rows as numbers, and its rows are texts. Give it an encoder that reads them, ...
    """
    first = first_step(encoder)
    check_texts(first, pool)
    if isinstance(first, NetworkEstimator):
        check_readable(first, pool, remedy=f"Give it an encoder that reads them, such as {_ENCODER}.")
    if isinstance(encoder, FrozenEstimator):
        with _explained(encoder, pool):
            encode(encoder, pool.read(slice(1)))


def takes_images(encoder: Any) -> bool:
    """Return whether an encoder gets images in their own shape, by its tags or those of its first step.

    Parameters
    ----------
    encoder : transformer
        A transformer, or a wrapper or pipeline of one.

    Returns
    -------
    takes_images : bool
        Also True for a ``FunctionTransformer``, whose function may take anything although its tags do not tell.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from skal.generators import VAE
    >>> from skal.generators.encoders import takes_images
    >>> takes_images(VAE()), takes_images(PCA())
    (True, False)
    """
    first = first_step(encoder)
    return bool(get_tags(first).input_tags.three_d_array) or isinstance(first, FunctionTransformer)


def shaped(encoder: Any, rows: Any) -> Any:
    """Return rows in the shape that an encoder takes: images flat, unless it :func:`takes_images`.

    Parameters
    ----------
    encoder : transformer
    rows : container of shape (n_rows, ...)

    Returns
    -------
    rows : container of shape (n_rows, ...)
        A view, or the rows themselves.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skal.generators.encoders import shaped
    >>> shaped(PCA(), np.zeros((5, 1, 8, 8))).shape
    (5, 64)
    """
    if not isinstance(rows, np.ndarray) or rows.ndim <= 2 or takes_images(encoder):
        return rows
    return rows.reshape(len(rows), -1)


@contextmanager
def _explained(encoder: Any, pool: Pool) -> Iterator[None]:
    """Add to an encoder's error what it was given, if that was not numbers."""
    try:
        yield
    except (TypeError, ValueError, AttributeError) as error:
        if pool.obstacle is not None:
            error.add_note(
                f"{type(encoder).__name__} was given a pool to encode, and {pool.obstacle}. Texts can be encoded by "
                f"{_ENCODER}."
            )
        elif pool.flaw is None and pool.overflow is not None:
            error.add_note(
                f"{type(encoder).__name__} was given a pool to encode, and {pool.overflow}; scale the rows."
            )
        raise
