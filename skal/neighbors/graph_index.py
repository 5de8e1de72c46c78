"""The approximate index, by nearest-neighbour descent with pynndescent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval

from ..utils.kernels import forgiving_caches
from ..utils.progress import progress
from ..utils.threads import Turns
from .base import Answer, Floats, NeighborIndex, as_float32
from .cell_index import CellIndex

_SMALL_POOL = 4096  # up to here exact neighbours take less time
_LEAST_ASKED = 10

# pynndescent keeps the scratch arrays of a query in its index, and numba's own threads, which it uses, must not be
# entered by several Python threads at a time.
_ONE_AT_A_TIME = Turns()


@contextmanager
def _pynndescent() -> Iterator[None]:
    """Let only one thread into pynndescent, and keep torch's number of threads: numba sets OpenMP's."""
    n_threads = torch.get_num_threads()
    with _ONE_AT_A_TIME, forgiving_caches():
        try:
            yield
        finally:
            if torch.get_num_threads() != n_threads:
                torch.set_num_threads(n_threads)


@dataclass(eq=False, repr=False, kw_only=True)
class GraphIndex(NeighborIndex):
    """Approximate nearest rows by a neighbour graph, with pynndescent.

    It is faster than `CellIndex` for thousands of queries to one pool, but misses a few of the nearest rows. The graph
    is always asked for at least ten neighbours, because a search for one finds the nearest row in only half of the
    cases. The distances of the rows that it finds are computed again.

    Parameters
    ----------
    epsilon : float, default=0.3
        How far beyond the farthest neighbour found so far the search still looks, as a share of that neighbour's
        distance. A larger value misses less and takes longer. pynndescent's own 0.1 misses a tenth of the nearest rows
        in high dimensions.
    random_state : int, RandomState instance or None, default=None
        Decides the graph.

    Attributes
    ----------
    n_samples_fit_ : int
        Rows of the pool.
    n_features_in_ : int
        Columns.
    index_ : pynndescent.NNDescent or CellIndex
        The graph. Pools of fewer than 4096 rows get a `CellIndex` and exact answers.

    Notes
    -----
    The first `fit` on a machine compiles, which takes a minute or, with pynndescent 0.7, three minutes; the first `fit`
    of a process takes seconds. Two copies of the pool in float32 are kept, beside the graph. If several threads query
    the graph, only one searches it at a time.

    References
    ----------
    .. [1] Dong, Moses and Li, Efficient k-nearest neighbor graph construction for generic similarity
       measures, WWW 2011.

    Examples
    --------
    >>> from skal.neighbors import GraphIndex
    >>> index = GraphIndex(random_state=0).fit([[0.0], [1.0], [5.0]])
    >>> index.kneighbors([[4.0]], n_neighbors=2)
    (array([[1., 3.]]), array([[2, 1]]))
    """

    epsilon: float = 0.3
    random_state: int | np.random.RandomState | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def _build(self, pool: NDArray[Any], seed: int) -> None:
        if len(pool) < _SMALL_POOL:
            self.index_: Any = CellIndex(random_state=seed).fit(pool)
        else:
            self._pool = as_float32(pool)  # the graph puts its own copy into another order
            with progress("steps of the graph", 2) as advance:  # pynndescent tells no more
                self.index_ = build_graph(self._pool, seed)
                advance(1)
                with _pynndescent():
                    self.index_.prepare()
                advance(1)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        is_graph = not isinstance(state.get("index_"), CellIndex | None)
        return {"_imported": _Imported(), **state} if is_graph else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({name: value for name, value in state.items() if name != "_imported"})

    def _search(self, queries: Floats, k: int) -> Answer:
        if isinstance(self.index_, CellIndex):
            return self.index_._search(queries, k)
        everything = np.arange(self.n_samples_fit_)
        distances, rows = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.intp)
        asked = max(_LEAST_ASKED, k)
        found = np.full((len(queries), 1), -1)
        if asked <= self.n_samples_fit_ // 8:  # a walk through more of the graph is slower than reading all
            with _pynndescent():
                found = self.index_.query(queries, k=asked, epsilon=self.epsilon)[0].copy()
        for i, (query, candidates) in enumerate(zip(queries, found, strict=True)):
            candidates = np.unique(candidates[candidates >= 0])
            if len(candidates) < k:
                candidates = everything
            # Summed column after column, as the exact index does it.
            sq_distances = np.zeros(len(candidates))
            for j, value in enumerate(query.astype(np.float64)):
                sq_distances += (self._pool[candidates, j] - value) ** 2
            best = np.lexsort((candidates, sq_distances))[:k]
            distances[i], rows[i] = np.sqrt(sq_distances[best]), candidates[best]
        return distances, rows


class _Imported:
    """What a pickle begins with, so that pynndescent is imported as here: alone, and also where nothing is writable."""

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        return _import_pynndescent, ()


def _import_pynndescent() -> None:
    with _pynndescent():
        import pynndescent  # noqa: F401


def build_graph(X: Floats, seed: int) -> Any:
    """Return a `pynndescent.NNDescent` of the rows."""
    with _pynndescent():
        from pynndescent import NNDescent  # takes seconds

        return NNDescent(X, random_state=seed)
