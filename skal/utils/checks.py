"""Checks of the arguments of methods, which scikit-learn's constraints of parameters do not cover."""

from __future__ import annotations

from math import inf
from numbers import Integral
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import InvalidParameterError

_BLOCK_SIZE = 2**20  # numbers that are squared together


class InstanceParams(BaseEstimator):
    """An estimator with estimators as parameters, which reports if a class was given in place of an instance.

    Examples
    --------
    >>> from skal.strategies import BADGE, RandomSubset
    >>> RandomSubset(5, BADGE).fit([[0.0], [1.0]])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    sklearn.utils._param_validation.InvalidParameterError: ... It is a class; write BADGE().
    """

    def _validate_params(self) -> None:
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            for name, value in self.get_params(deep=False).items():
                if f"The {name!r} parameter" not in str(error):
                    continue
                if isinstance(value, type):
                    raise InvalidParameterError(f"{error} It is a class; write {value.__name__}().") from None
                if isinstance(value, FunctionType) and name == "strategy":
                    raise InvalidParameterError(
                        f"{error} A function that scores rows becomes the _score of a ScoreStrategy of your own."
                    ) from None
            raise


def check_integer(name: str, value: Any, least: int = 1, most: float = inf) -> int:
    """Return a number as an int; ValueError unless it is an integer in the range."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        rule = f"of at least {least}" if most == inf else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r} was given; it must be an integer {rule}.")
    return int(value)


def check_share(name: str, value: float) -> None:
    """Raise ValueError unless a number lies between 0 and 1, both excluded."""
    if not 0 < value < 1:
        raise ValueError(f"{name}={value!r} was given; it must lie between 0 and 1.")


def squares_fit(rows: NDArray[Any]) -> bool:
    """Whether squared distances between rows fit into the type of their numbers, float32 at least.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, ...)
        Read once; if all is well, at the speed of memory.

    Returns
    -------
    fit : bool
        Also False if a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.utils.checks import squares_fit
    >>> squares_fit(np.array([[1e15]])), squares_fit(np.array([[1e160]])), squares_fit(np.array([[np.nan]]))
    (True, False, False)
    """
    if rows.dtype.kind not in "fc" or not rows.size:
        return True
    dtype = np.result_type(rows.dtype, np.float32)
    if dtype.kind == "f" and dtype.itemsize > 8:
        dtype = np.dtype(np.float64)  # in which wider numbers are computed with
    limit = 1e-6 * np.finfo(dtype).max  # of rows in other arrays, too: room for sums over many columns
    width = rows[0].size
    step = max(1, _BLOCK_SIZE // width)
    blocks = (rows[start : start + step] for start in range(0, len(rows), step))
    # A sum over many rows is a bound of each of them.
    flat = (block.ravel(order="K").astype(dtype, copy=False) for block in blocks)
    with np.errstate(over="ignore"):
        if sum(float(np.vdot(block, block).real) for block in flat) <= limit:
            return True
    return bool(np.abs(rows).max() <= (limit / width) ** 0.5)
