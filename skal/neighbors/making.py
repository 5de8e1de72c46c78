"""Indexes by name, and indexes of other packages."""

from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import clone

from ..utils.random import seed_random_states
from .cell_index import CellIndex
from .graph_index import GraphIndex


def make_index(index: Any, random_state: Any = None) -> Any:
    """Return an unfitted index.

    Parameters
    ----------
    index : "exact", "approximate" or object
        `CellIndex`, `GraphIndex`, or an object with ``fit(X)`` and

        - ``kneighbors(X, n_neighbors)``, such as `sklearn.neighbors.NearestNeighbors` and wrappers of faiss or cuVS, or
        - ``transform(X)``, which returns a sparse matrix of distances to the rows of `fit`, such as
          `pynndescent.PyNNDescentTransformer`, or any other that can replace scikit-learn's `KNeighborsTransformer`.

        It is cloned if it has parameters.
    random_state : int, RandomState instance or None, default=None
        Seeds the two named indexes, and a ``random_state`` of an object that is None.

    Returns
    -------
    index : object
        It has `fit` and `kneighbors`.

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
    has = {
        name: callable(getattr(index, name, None)) for name in ("fit", "kneighbors", "transform", "predict")
    }
    is_transformer = has["transform"] and not has["kneighbors"] and not has["predict"]
    if isinstance(index, type) or not has["fit"] or not (has["kneighbors"] or is_transformer):
        raise TypeError(
            f'index={index!r} was given; use "exact", "approximate" or an object with fit and kneighbors, '
            "such as sklearn.neighbors.NearestNeighbors(), or with fit and transform, such as KNeighborsTransformer()"
        )
    made = clone(index) if hasattr(index, "get_params") else index
    if made is not index and isinstance(random_state, int | np.integer):
        seed_random_states(made, int(random_state))
    return _TransformerIndex(made) if is_transformer else made


class _TransformerIndex:
    """The neighbours in the sparse matrix that a transformer makes."""

    def __init__(self, transformer: Any) -> None:
        self.transformer = transformer

    def fit(self, X: ArrayLike) -> Self:
        self.transformer = self.transformer.fit(X)
        return self

    def kneighbors(self, X: ArrayLike, n_neighbors: int) -> tuple[NDArray[Any], NDArray[Any]]:
        graph = self.transformer.transform(X)
        if not sparse.issparse(graph):
            raise ValueError(
                f"{type(self.transformer).__name__}.transform gave {type(graph).__name__}, no sparse matrix; use a "
                "transformer that finds neighbours, such as KNeighborsTransformer"
            )
        graph = sparse.csr_array(graph)
        fewest = int(np.diff(graph.indptr).min(initial=n_neighbors))
        if fewest < n_neighbors:
            raise ValueError(
                f"{type(self.transformer).__name__} found only {fewest} neighbours of a row, and {n_neighbors} are "
                f"needed, where a row counts as its own; give it n_neighbors={n_neighbors} or more"
            )
        distances, found = np.empty((len(np.diff(graph.indptr)), n_neighbors)), []
        for i, (start, stop) in enumerate(pairwise(graph.indptr)):
            nearest = start + np.argsort(graph.data[start:stop], kind="stable")[:n_neighbors]
            distances[i] = graph.data[nearest]
            found.append(graph.indices[nearest])
        return distances, np.array(found, np.intp).reshape(distances.shape)


_NAMED: dict[str, Any] = {"exact": CellIndex, "approximate": GraphIndex}
