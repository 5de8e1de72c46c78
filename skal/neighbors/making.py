"""Indexes by name."""

from typing import Any

from sklearn.base import clone

from .cell_index import CellIndex
from .graph_index import GraphIndex


def make_index(index: Any, random_state: Any = None) -> Any:
    """Return an unfitted index.

    Parameters
    ----------
    index : "exact", "approximate" or object
        `CellIndex`, `GraphIndex`, or an object with ``fit(X)`` and ``kneighbors(X, n_neighbors)``, such as
        `sklearn.neighbors.NearestNeighbors`, which is cloned where it has parameters.
    random_state : int, RandomState instance or None, default=None
        Passed to the two named ones.

    Returns
    -------
    index : object

    Raises
    ------
    ValueError
        For another name.
    TypeError
        For an object without these methods, or a class instead of an instance.

    Examples
    --------
    >>> from skal.neighbors import make_index
    >>> make_index("exact", random_state=0)
    CellIndex(random_state=0)
    """
    if isinstance(index, str):
        if index not in _NAMED:
            raise ValueError(f'index={index!r} was given; use "exact", "approximate" or an index object')
        return _NAMED[index](random_state=random_state)
    methods = ("fit", "kneighbors")
    if isinstance(index, type) or not all(callable(getattr(index, name, None)) for name in methods):
        raise TypeError(
            f'index={index!r} was given; use "exact", "approximate" or an object with fit and kneighbors, '
            "such as sklearn.neighbors.NearestNeighbors()"
        )
    return clone(index) if hasattr(index, "get_params") else index


_NAMED: dict[str, Any] = {"exact": CellIndex, "approximate": GraphIndex}
