"""Equality of rows, whatever types hold their values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checksum import object_checksum

_MAY_BE_MISSING = "fcmM"  # kinds of dtypes with a NaN or NaT, which is unequal to itself
_CLOSE = 1e-3  # relative; float16 rounds to half of it
_NOTHING = 1e-6  # of the largest number of a column: what may have been zero


def same_values(array: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether arrays have the same values row by row, if necessary rounded to the floating-point type of `other`.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.pool.equality import same_values
    >>> wide, narrow = np.array([[0.1]]), np.array([[0.1]], dtype=np.float32)
    >>> same_values(wide, narrow), same_values(narrow, wide)
    (True, False)
    >>> same_values(np.array([[2.0**53]]), np.array([[2**53 + 1]]))
    False
    """
    return array.size == other.size and len(array) == len(other) and bool(_same_cells(array, other).all())


def differing_rows(array: NDArray[Any], other: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows of equally large arrays differ, as in `same_values`, and which differ by more than rounding.

    Parameters
    ----------
    array, other : ndarray of shape (n_rows, ...)

    Returns
    -------
    differ, differ_much : ndarray of bool of shape (n_rows,)
    """
    same: Any = _same_cells(array, other)
    close: Any = same
    if array.dtype.kind in "biufc" and other.dtype.kind in "biufc":
        with np.errstate(all="ignore"):  # infinity, and numbers that are nearly as large
            flat = _flat(array)
            largest = np.abs(np.where(np.isfinite(flat), flat, 0)).max(axis=0)
            close = same | np.isclose(flat, _flat(other), rtol=_CLOSE, atol=_NOTHING * largest)
    return ~same.all(axis=1), ~close.all(axis=1)


def _same_cells(array: NDArray[Any], other: NDArray[Any]) -> NDArray[np.bool_]:
    flat, other_flat = _flat(array), _flat(other)
    if "O" in (array.dtype.kind, other.dtype.kind):
        cells = map(_same_object, flat.flat, other_flat.flat)
        return np.fromiter(cells, bool, count=flat.size).reshape(flat.shape)
    with np.errstate(over="ignore", invalid="ignore"):  # too large for a narrower type is infinite there
        if is_rounded(array.dtype, other.dtype):
            flat = flat.astype(other.dtype, copy=False)
        same = flat == other_flat
        if not same.all():
            if array.dtype.kind in _MAY_BE_MISSING and other.dtype.kind in _MAY_BE_MISSING:
                same |= (flat != flat) & (other_flat != other_flat)
        elif array.dtype.kind == "f" and other.dtype.kind in "iu":  # compared as floats, which may be inexact
            same &= flat.astype(other.dtype) == other_flat
    return same  # type: ignore[no-any-return]


def is_rounded(dtype: np.dtype[Any], other: np.dtype[Any]) -> bool:
    """Whether numbers are compared with others in the floating-point type of the others."""
    return other.kind in "fc" and np.can_cast(dtype, other, "same_kind")


def kind_of_numbers(dtype: np.dtype[Any] | None) -> str | None:
    """Kind of the numbers of a type, as networks distinguish them.

    Parameters
    ----------
    dtype : dtype or None

    Returns
    -------
    kind : {"bytes", "integers", "floats"} or None
    """
    if dtype is None or dtype.kind not in "biufc":
        return None
    if dtype.kind in "fc":
        return "floats"
    return "bytes" if dtype == np.uint8 else "integers"


def _flat(array: NDArray[Any]) -> NDArray[Any]:
    return array.reshape(len(array), math.prod(array.shape[1:]))


def _same_object(one: Any, other: Any) -> bool:
    """Whether objects are equal, also where == gives an array, raises, or compares nothing but identity."""
    if one is other:
        return True
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        one, other = np.asarray(one), np.asarray(other)
        return one.shape == other.shape and one.dtype == other.dtype and same_values(one[None], other[None])
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same_object(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same_object, one, other))
    try:
        if bool(one == other) or bool(one != one and other != other):  # NaN
            return True
        if type(one).__eq__ is not object.__eq__:
            return False
    except Exception:  # as tensors and NA raise it, each its own
        pass
    return type(one) is type(other) and object_checksum(one) == object_checksum(other) != ""


def cells_of(column: Any) -> NDArray[Any]:
    """The cells of a column as objects, with None for missing cells, which every column type writes in its own way.

    Parameters
    ----------
    column : Series of pandas or polars

    Returns
    -------
    cells : ndarray of object of shape (n_rows,)
    """
    is_missing = column.isna() if hasattr(column, "iloc") else column.is_null()
    cells = np.asarray(column, dtype=object).copy()
    cells[np.asarray(is_missing)] = None
    return cells
