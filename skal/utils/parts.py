"""The parts of an estimator: the estimators among its parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.frozen import FrozenEstimator


def parts(estimator: Any) -> Iterator[Any]:
    """Yield an estimator and the estimators among its parameters, except those that are already trained.

    Examples
    --------
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.pipeline import make_pipeline
    >>> from skal.utils.parts import parts
    >>> [type(part).__name__ for part in parts(make_pipeline(PCA(), FrozenEstimator(PCA())))]
    ['Pipeline', 'PCA']
    """
    yield estimator
    params = estimator.get_params(deep=True)
    frozen = tuple(f"{name}__" for name, value in params.items() if isinstance(value, FrozenEstimator))
    for name, value in params.items():
        is_estimator = hasattr(value, "get_params") and not isinstance(value, type)
        if is_estimator and not f"{name}__".startswith(frozen):
            yield value
