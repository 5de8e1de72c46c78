"""The diffusion of labels on a graph."""

from collections.abc import Callable
from copy import copy
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.csgraph import reverse_cuthill_mckee
from sklearn.exceptions import NotFittedError

from ..neighbors.base import positions_dtype
from ..utils.checks import check_integer
from .device import DeviceSteps
from .nearest import Floats, Ints
from .steps import KeptSteps
from .uncertainty import measure_of, signals, simplex

_SCORED_ROWS = 1 << 11  # fit into the cache, and are too few for torch to start threads
_MAX_STEPS = 254
_ARRAYS = ("order", "starts", "columns", "entries")


class LabelDiffusion:
    r"""Diffusion of labels on a graph, by steps of a random walk that ends at labelled rows (DGAL [1]_, Section 4.1).

    It diffuses :math:`q_{ic}^{(t)}`, the probability that a walk of t steps from row i meets a row of class c
    as its first labelled one (Equation 3):

    .. math:: q^{(t)}_{i} = \begin{cases} e_{y_i} & i \text{ labelled} \\ (M q^{(t-1)})_i & \text{else,}
        \end{cases} \qquad q^{(0)}_i = 0 \text{ where unlabelled.}

    Both of the paper's diffusions are this one, by linearity. With the reached mass :math:`m_i = \sum_c q_{ic}`, the
    one-vs-all signals of Equations 7 and 8, +1, -1 and 0 at first, are :math:`\chi_{ic} = 2 q_{ic} - m_i`, and
    the probability vectors of appendix C, 1/C at first, are :math:`p_{ic} = q_{ic} + (1 - m_i) / C`.

    Parameters
    ----------
    transitions : sparse matrix of shape (n_samples, n_samples)
        M, finite and without negative entries, as from `transition_matrix`. Each row sums to one, or to zero where it
        is isolated.
    n_steps : int
        T, between 1 and 254.
    incremental : bool or "auto", default="auto"
        Whether to keep all steps, so that `diffuse` computes only the rows within `n_steps` hops of labels that have
        changed, with the same result. The steps take 4 bytes per row, class and step; "auto" keeps up to 2 GiB.
        Otherwise two steps are in memory at a time, and all rows that labels reach are computed anew.
    device : str or torch.device, default="cpu"
        On another device than the CPU, torch computes whole steps.

    Attributes
    ----------
    n_classes_ : int
        C, of the latest labels.
    n_updated_ : int
        How many rows the latest `diffuse` has computed.

    Notes
    -----
    A copy or a pickle has the graph alone, and diffuses anew. A diffusion holds the answers for its latest labels:
    where several threads share one, let one thread at a time diffuse and read.

    Most of the time goes into reading rows of q at random. The rows are renumbered so that neighbours lie close in
    memory (reverse Cuthill-McKee), which is two to three times faster at a million rows. The first step reads only
    the labels.

    References
    ----------
    .. [1] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    A chain of five rows whose ends are labelled:

    >>> import numpy as np
    >>> from skal.graph import LabelDiffusion
    >>> chain = np.eye(5, k=1) + np.eye(5, k=-1)
    >>> diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), n_steps=2)
    >>> diffusion.diffuse([0, -1, -1, -1, 1]).one_vs_all()[:, 0]
    array([ 1. ,  0.5,  0. , -0.5, -1. ], dtype=float32)
    """

    n_classes_: int
    n_updated_: int
    _hits: torch.Tensor | None = None

    def __init__(
        self,
        transitions: Any,
        n_steps: Any,
        *,
        incremental: bool | str = "auto",
        device: str | torch.device = "cpu",
    ) -> None:
        matrix = _checked(sparse.csr_array(transitions, dtype=np.float32))
        order = reverse_cuthill_mckee(sparse.csr_matrix(matrix))
        matrix = matrix[order][:, order].tocsr()
        matrix.sort_indices()
        self._take_up(matrix, order, n_steps, incremental, device)

    def _take_up(self, matrix: Any, order: Ints, n_steps: Any, incremental: bool | str, device: Any) -> None:
        """Begin with a matrix whose rows are in the given order."""
        if incremental not in (True, False, "auto"):
            raise ValueError(f'incremental={incremental!r} was given; use True, False or "auto"')
        self.n_steps = check_integer("n_steps", n_steps, most=_MAX_STEPS)
        self.incremental = incremental
        self.device = torch.device(device)
        self._order = order
        self._steps: KeptSteps | DeviceSteps
        if self.device.type == "cpu":
            self._steps = KeptSteps(matrix, self.n_steps, incremental)
        else:
            self._steps = DeviceSteps(matrix, self.n_steps, self.device)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The graph as arrays, for `from_arrays`.

        Returns
        -------
        arrays : dict of ndarray
        """
        return dict(zip(_ARRAYS, (np.asarray(self._order), *self._steps.walks()), strict=True))

    @classmethod
    def from_arrays(
        cls,
        arrays: dict[str, NDArray[Any]],
        n_steps: Any,
        *,
        incremental: bool | str = "auto",
        device: str | torch.device = "cpu",
    ) -> Self:
        """A diffusion on a graph that `to_arrays` gave.

        Parameters
        ----------
        arrays : dict of ndarray
        n_steps, incremental, device
            As in the class.

        Returns
        -------
        diffusion : LabelDiffusion

        Raises
        ------
        ValueError
            If the arrays are no such graph.

        Examples
        --------
        >>> import numpy as np
        >>> from skal.graph import LabelDiffusion
        >>> diffusion = LabelDiffusion(np.eye(3)[[1, 2, 0]], n_steps=2)
        >>> same = LabelDiffusion.from_arrays(diffusion.to_arrays(), n_steps=2)
        >>> bool((same.diffuse([0, -1, 1]).one_vs_all() == diffusion.diffuse([0, -1, 1]).one_vs_all()).all())
        True
        """
        order, starts, columns, entries = (np.asarray(arrays[name]) for name in _ARRAYS)
        kinds = [array.dtype.kind for array in (order, starts, columns, entries)]
        if kinds != ["i", "i", "i", "f"] or not np.array_equal(np.sort(order), np.arange(len(order))):
            raise ValueError("the arrays hold no order of the rows of a graph")
        # In one type of positions, the arrays are not copied, and stay in a file that they are mapped from.
        starts = starts.astype(positions_dtype(len(entries)), copy=False)
        matrix = sparse.csr_array((entries, columns, starts), shape=(len(order), len(order)))
        matrix.check_format(full_check=True)
        diffusion = cls.__new__(cls)
        diffusion._take_up(
            _checked(matrix.astype(np.float32, copy=False)), order, n_steps, incremental, device
        )
        return diffusion

    def diffuse(self, labels: ArrayLike, n_classes: int | None = None) -> Self:
        """Diffuse labels for `n_steps` steps.

        Parameters
        ----------
        labels : array-like of int of shape (n_samples,)
            Class of each row, from 0 on, or -1.
        n_classes : int, default=None
            C; by default one more than the largest label, and at least two.

        Returns
        -------
        self : LabelDiffusion

        Raises
        ------
        ValueError
            If `labels` are not integers from -1 to ``n_classes - 1``, one per row, or `n_classes` is less than 2.
        """
        given, n_samples = np.asarray(labels), len(self._order)
        if given.dtype.kind not in "iu" or given.shape != (n_samples,):
            raise ValueError(
                f"labels has dtype {given.dtype}, shape {given.shape}; give {n_samples} integers"
            )
        given = given.astype(np.int64, copy=False)  # unsigned types have no -1
        least, largest = int(given.min(initial=-1)), int(given.max(initial=-1))
        if n_classes is None:
            n_classes = max(2, largest + 1)
        n_classes = check_integer("n_classes", n_classes, least=2)
        if largest >= n_classes or least < -1:
            raise ValueError(f"labels go from {least} to {largest}; give them between -1 and {n_classes - 1}")
        self._hits = None  # its memory is used again
        codes = given.astype(np.int32)[self._order]
        self._hits, self.n_updated_ = self._steps.diffuse(codes, n_classes)
        self.n_classes_ = n_classes
        return self

    def hits(self) -> Floats:
        """Return the probabilities q that a walk ends at each class, shape (n_samples, n_classes)."""
        return self._rowwise(lambda hits: hits)

    def one_vs_all(self) -> Floats:
        r"""Return the signals :math:`\chi` of Equation 8, between -1 and 1, shape (n_samples, n_classes)."""
        return self._rowwise(signals)

    def probabilities(self) -> Floats:
        """Return the probability vectors of appendix C, shape (n_samples, n_classes)."""
        return self._rowwise(simplex)

    def reached(self) -> NDArray[np.bool_]:
        """Return whether a label has reached each row, shape (n_samples,)."""
        return self._rowwise(lambda hits: hits.sum(dim=1) > 0)  # none is negative

    def uncertainty(self, measure: str | float = "min") -> Floats:
        r"""Return how certain the diffusion is about each row; the paper queries the smallest.

        Parameters
        ----------
        measure : {"min", "norm", "confidence", "margin", "entropy"} or float, default="min"
            - ``"min"``: :math:`\min_c |\chi_{ic}|` (Equation 9), small where nothing arrived and between two classes;
            - a number p from 1 to infinity: :math:`\lVert \chi_i \rVert_p`, small where little arrived, and ``"norm"``,
              which is that of 2;
            - ``"confidence"``, ``"margin"``, ``"entropy"``: largest probability, difference of the two largest, and
              negative entropy of the probability vectors, small where little arrived and between classes (appendix C).

        Returns
        -------
        uncertainty : ndarray of shape (n_samples,), dtype float32

        Raises
        ------
        ValueError
            For another measure.
        """
        return self._rowwise(measure_of(measure))

    def _rowwise(self, function: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[Any]:
        """Apply a function to the hits, in parts that fit into the cache, and restore the order of the rows."""
        if self._hits is None:
            raise NotFittedError("No label has been diffused yet; call diffuse(labels) first.")
        answers = torch.cat([function(part) for part in self._hits.split(_SCORED_ROWS)]).cpu().numpy()
        ordered = np.empty_like(answers)
        ordered[self._order] = answers
        return ordered

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_steps": copy(self._steps), "_hits": None}


def _checked(matrix: Any) -> Any:
    """Refuse a matrix that is no transition matrix."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"transitions has the shape {matrix.shape}; give a square matrix")
    if not (np.isfinite(matrix.data).all() and (matrix.data >= 0).all()):
        raise ValueError("transitions has negative or not finite entries; give probabilities")
    if (largest := matrix.sum(axis=1).max(initial=0)) > 1 + 1e-4:
        raise ValueError(f"transitions has a row that sums to {largest:g}; divide each row by its sum")
    return matrix
