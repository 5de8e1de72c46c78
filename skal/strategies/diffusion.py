"""DiffusionSampling: labels diffused on a graph of the rows in a trained network's space (Kushnir and Venturi)."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ..graph import KERNELS, UNCERTAINTIES, LabelDiffusion, cover_steps, nearest_neighbors, transition_matrix
from ..neighbors import make_index
from ..pool import Pool, Rows
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class DiffusionSampling(EmbeddingStrategy):
    r"""Diffuse the labels on a graph in the classifier's own space, and choose the rows about which they tell least.

    Each query embeds the candidates and the labelled and pending rows, connects each with its K nearest neighbours,
    diffuses the labels for T steps of the random walk on this graph, and chooses the candidates with the smallest
    :math:`\min_c |\chi^{(T)}_{ic}|` (Equations 7 to 9 of [2]_, as in :class:`DGAL`). Rows that no label has reached
    have 0 and come first, in random order; then come rows between two classes. As the criterion of :class:`DGAL` it is
    the second stage that Section 4.3 of [2]_ suggests: there it sees only the candidates and the pending rows among the
    unlabelled ones.

    Parameters
    ----------
    embedding : {"auto", "classifier", "input"} or transformer, default="classifier"
        Where rows are compared, as in :class:`CoreSet`. "classifier" is the input of the classifier's last layer: the
        penultimate activations of a network, the transformed rows of a pipeline, the rows themselves for a linear
        model.
    n_neighbors : int, default=10
        K, the neighbours of a row in the graph; all other rows if there are fewer than K.
    index : {"auto", "exact", "approximate"} or object, default="auto"
        Finds the neighbours, see :func:`skal.graph.nearest_neighbors`. An object is fitted in each query.
    n_steps : int or "auto", default="auto"
        T, the steps of the diffusion, at most 254. "auto" is :math:`\lceil \log_K N \rceil` for N rows in the graph.
    uncertainty : {"min", "norm", "confidence", "margin", "entropy"} or float, default="min"
        The quantity that is to be small, as in :class:`DGAL`.
    kernel : {"self_tuning", "graph_learning"}, default="self_tuning"
        Weights of the edges, see :func:`skal.graph.transition_matrix`.
    symmetric : bool, default=True
        Whether rows that have a row as their neighbour are its neighbours, too.
    random_state : int, RandomState instance or None, default=None
        Seeds the transformer and approximate neighbours, and decides between rows that are equally uncertain.

    Attributes
    ----------
    {encoder_}
    query_report_ : Bunch
        About the latest query: ``uncertainty`` of the chosen rows, the smallest first, and ``n_unreached``, the number
        of candidates that no label had reached.

    See Also
    --------
    DGAL : Diffuses labels on one graph of the whole pool, and leaves the choice among the candidates to a criterion.

    Notes
    -----
    The paper [1]_ was not at hand: this is the diffusion that the paper of DGAL [2]_ describes after it, on the rows
    that a query is about. Details of [1]_ may differ.

    The classifier's space changes with every training, so each query builds a new graph and does not keep it. Over a
    whole pool this takes a search for the neighbours of every row; inside :class:`DGAL` or :class:`RandomSubset` it
    sees fewer rows.

    Labelled rows outside the pool, such as those of ``learner.extend``, are part of the graph, too.

    References
    ----------
    .. [1] Kushnir, Venturi. Diffusion-based sampling for deep active learning. SampTA 2023. Before that:
       Diffusion-based deep active learning, arXiv 2003.10339, 2020.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    A row between two labels is chosen before those beside them:

    >>> import numpy as np
    >>> from skal.strategies import DiffusionSampling
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    >>> strategy = DiffusionSampling("input", n_neighbors=2, random_state=0).fit(X)
    >>> strategy.query(X, y=[0, -1, -1, -1, 1])
    array([2])
    """

    embedding: Any = field(default="classifier", kw_only=False)
    n_neighbors: int = 10
    index: Any = "auto"
    n_steps: int | str = "auto"
    uncertainty: str | float = "min"
    kernel: str = "self_tuning"
    symmetric: bool = True

    tells_unreached: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_neighbors": POSITIVE_INTEGER,
        "index": [StrOptions({"auto", "exact", "approximate"}), HasMethods(["fit"])],
        "n_steps": [Interval(Integral, 1, 254, closed="both"), StrOptions({"auto"})],
        "uncertainty": [StrOptions(set(UNCERTAINTIES)), Interval(Real, 1, None, closed="both")],
        "kernel": [StrOptions(set(KERNELS))],
        "symmetric": ["boolean"],
    }

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if not isinstance(self.index, str):
            make_index(self.index)  # refuses what finds no neighbours

    def _query(self, query: Query) -> Rows:
        labeled, outside = query.labels.rows, query.outside
        others = np.concatenate([labeled, query.pending])
        seen = np.sort(np.concatenate([others, query.candidates.rows]))
        nodes = self._embed(query, None if len(seen) == len(query.pool) else seen)[0]
        if outside:  # their labels count as much; they stand after the rows of the pool
            nodes = np.concatenate([nodes, *(self._embed_samples(query, part) for part in outside)])
        after = np.arange(len(seen), len(nodes))
        known = np.concatenate([np.searchsorted(seen, labeled), after])
        codes = np.concatenate([query.labels.codes[labeled], *(part.codes for part in outside)])
        diffusion = self._graph(nodes).diffuse_rows(known, codes, max(2, len(query.labels.classes)))
        without = np.concatenate([np.searchsorted(seen, np.sort(others)), after])
        rows, uncertainty, n_unreached = diffusion.least_certain(
            query.n_queries, self.uncertainty, without=without, rng=query.rng
        )
        query.report.update(uncertainty=uncertainty, n_unreached=n_unreached)
        return seen[rows]

    def _graph(self, nodes: NDArray[Any]) -> LabelDiffusion:
        # Neither an offset nor the units take digits of float32; halves and powers of two leave equal distances equal.
        middle = np.median(nodes[:: max(1, len(nodes) // 1024)].astype(np.float64), axis=0)
        nodes = np.subtract(nodes, middle, dtype=np.result_type(nodes.dtype, np.float32))
        np.ldexp(nodes, -np.frexp(max(nodes.max(), -nodes.min()))[1], out=nodes)
        neighbors = nearest_neighbors(nodes, self.n_neighbors, method=self.index, random_state=self._seed)
        walks = transition_matrix(*neighbors, kernel=self.kernel, symmetric=self.symmetric)
        n_steps = cover_steps(len(nodes), self.n_neighbors) if self.n_steps == "auto" else self.n_steps
        return LabelDiffusion(walks, n_steps, incremental=False)
