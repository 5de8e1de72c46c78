"""Any transformer as an encoder of a pool: fitted with a seed of its own, and applied block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..pool import blockwise
from ..utils.random import seed_random_states


def fit_encoder(encoder: Any, X: Any, seed: int) -> Any:
    """Fit a seeded clone of an encoder.

    Parameters
    ----------
    encoder : transformer
        Left as it is. A ``FrozenEstimator`` stays fitted.
    X : array-like of shape (n_samples, ...)
        The rows, in any container that the encoder takes.
    seed : int
        Seeds every nested ``random_state`` of the clone that is None.

    Returns
    -------
    encoder : transformer
        Fitted.

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
    seed_random_states(encoder, seed)
    return encoder.fit(X, None)  # a FrozenEstimator requires y


def encode(encoder: Any, X: Any) -> NDArray[np.float32]:
    """Transform rows block by block, so that only the codes need memory.

    Parameters
    ----------
    encoder : transformer
        Fitted.
    X : array-like of shape (n_samples, ...)
        The rows, in any container that the encoder takes.

    Returns
    -------
    codes : ndarray of float32 of shape (n_samples, n_codes)
        Codes with more dimensions are flattened.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import PCA
    >>> from skal.generators import encode
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> encode(PCA(2).fit(X), X).shape
    (50, 2)
    """

    def codes(block: Any) -> NDArray[np.float32]:
        rows = np.asarray(encoder.transform(block), np.float32)
        return rows.reshape(len(rows), -1)

    return blockwise(codes, X)  # type: ignore[no-any-return]
