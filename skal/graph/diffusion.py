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
from ..pool import check_positions
from ..selection import bottom_k
from ..utils.checks import check_integer
from ..utils.progress import progress
from .device import DeviceSteps
from .nearest import Floats, Ints
from .steps import KeptSteps, Positions
from .uncertainty import measure_of, reached, signals, simplex

_SCORED_ROWS = 1 << 11  # fit into the cache, and are too few for torch to start threads
_MAX_STEPS = 254
_ARRAYS = ("order", "starts", "columns", "entries")


class LabelDiffusion:
    r"""Diffusion of labels on a graph, by steps of a random walk that ends at labelled rows (DGAL [1]_, Section 4.1).

    It diffuses :math:`q_{ic}^{(t)}`, the probability that the first labelled row on a walk of t steps from row i has
    class c (Equation 3):

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
        changed, with the same result. The steps take 4 bytes per row, class and step; "auto" keeps them up to 2 GiB, or
        up to a quarter of the machine's memory if this is more. Otherwise two steps are in memory at a time, and all
        rows that labels reach are computed again.
    device : str or torch.device, default="cpu"
        On any device other than the CPU, torch computes whole steps.

    Attributes
    ----------
    n_classes_ : int
        C for the latest labels.
    n_updated_ : int
        The number of rows that the latest `diffuse` has computed.

    Notes
    -----
    A copy or a pickle holds only the graph, and diffuses again. A diffusion holds the results for its latest labels: if
    several threads share one, let only one thread at a time diffuse and read.

    Most of the time goes into reading rows of q at random. The rows are renumbered so that neighbours lie close in
    memory (reverse Cuthill-McKee), which is two to three times faster at a million rows; above 2**31 - 1 entries, about
    100 million rows, they keep their order. The first step reads only the labels.

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

    n_classes_: int = 0
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
        with progress("steps of the renumbering", 3) as advance:
            matrix = _checked(sparse.csr_array(transitions, dtype=np.float32))
            order = np.arange(matrix.shape[0])
            if positions_dtype(matrix.nnz) == np.int32:  # scipy renumbers no more entries
                order = reverse_cuthill_mckee(sparse.csr_matrix(matrix))
                advance(1)
                matrix = matrix[order][:, order].tocsr()
                advance(1)
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
        self._places: Ints | None = None
        self._kept: dict[str | float, NDArray[Any]] = {}
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
        """A diffusion on a graph from `to_arrays`.

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
            If the arrays do not form such a graph.

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
            Class of each row, counted from 0, or -1.
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
        n_classes = _n_classes(given, n_classes, least=-1)
        known = np.flatnonzero(given >= 0)
        return self._diffuse(known, given[known], n_classes)

    def diffuse_rows(self, rows: ArrayLike, labels: ArrayLike, n_classes: int | None = None) -> Self:
        """Diffuse the labels of some rows, in less time than it takes to read an array of all labels.

        Parameters
        ----------
        rows : array-like of int of shape (n_labeled,)
            Distinct positions.
        labels : array-like of int of shape (n_labeled,)
            Their classes, counted from 0.
        n_classes : int, default=None
            As in `diffuse`.

        Returns
        -------
        self : LabelDiffusion

        Raises
        ------
        ValueError
            For rows that are not distinct positions, invalid labels, or an `n_classes` of less than 2.

        Examples
        --------
        >>> import numpy as np
        >>> from skal.graph import LabelDiffusion
        >>> LabelDiffusion(np.eye(3)[[1, 2, 0]], n_steps=1).diffuse_rows([1], [0]).hits()[:, 0]
        array([1., 1., 0.], dtype=float32)
        """
        rows = check_positions(rows, len(self._order), distinct=True)
        codes = np.asarray(labels) if len(rows) else np.empty(0, np.int64)
        if codes.dtype.kind not in "iu" or codes.shape != rows.shape:
            raise ValueError(
                f"labels has dtype {codes.dtype}, shape {codes.shape}; give {len(rows)} integers"
            )
        return self._diffuse(rows, codes, _n_classes(codes, n_classes, least=0))

    def _diffuse(self, rows: Positions, codes: NDArray[np.integer], n_classes: int) -> Self:
        if self._places is None:
            self._places = np.empty(len(self._order), positions_dtype(len(self._order)))
            self._places[self._order] = np.arange(len(self._order))
        kept, self._kept, self._hits = self._kept, {}, None  # the memory of the hits is used again
        known = self._places[rows].astype(np.intp)
        self._hits, changed = self._steps.diffuse(known, codes.astype(np.int32), n_classes)
        self.n_updated_ = self._steps.n_updated
        if changed is not None and n_classes == self.n_classes_:
            for measure, values in kept.items():
                values[self._order[changed]] = self._values(_function(measure), changed)
            self._kept = kept
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
        return self._rowwise(reached)

    def uncertainty(self, measure: str | float = "min") -> Floats:
        r"""Return how certain the diffusion is about each row; the paper queries the smallest.

        Parameters
        ----------
        measure : {"min", "norm", "confidence", "margin", "entropy"} or float, default="min"
            - ``"min"``: :math:`\min_c |\chi_{ic}|` (Equation 9), small where no label arrived and between two classes;
            - a number p from 1 to infinity: :math:`\lVert \chi_i \rVert_p`, small where little arrived; ``"norm"`` is
              the norm with p = 2;
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

    def least_certain(
        self, n_rows: int, measure: str | float = "min", *, without: Positions, rng: np.random.Generator
    ) -> tuple[Positions, Floats, int]:
        """Return the rows about which the diffusion is least certain; only rows that have changed are measured.

        Parameters
        ----------
        n_rows : int
            At most the number of rows that are not left out.
        measure : str or float, default="min"
            As in `uncertainty`.
        without : ndarray of int
            Distinct positions of the rows that are left out, in increasing order.
        rng : numpy.random.Generator
            Orders rows that are equally certain.

        Returns
        -------
        rows : ndarray of int of shape (n_rows,)
            The least certain first.
        uncertainty : ndarray of shape (n_rows,), dtype float32
        n_unreached : int
            How many of the rows that are not left out have been reached by no label.
        """
        values, is_reached = self._latest(measure), self._latest("reached")
        rows = bottom_k(values, n_rows, rng, without)
        n_unreached = np.count_nonzero(~is_reached) - np.count_nonzero(~is_reached[without])
        return rows, values[rows], int(n_unreached)

    def _latest(self, measure: str | float) -> NDArray[Any]:
        """The values computed for the previous labels, updated for the rows that have changed since."""
        if measure not in self._kept:
            self._kept[measure] = self._rowwise(_function(measure))
        return self._kept[measure]

    def _rowwise(self, function: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[Any]:
        """Apply a function to the hits, and restore the order of the rows."""
        answers = self._values(function)
        ordered = np.empty_like(answers)
        ordered[self._order] = answers
        return ordered

    def _values(
        self, function: Callable[[torch.Tensor], torch.Tensor], rows: Positions | None = None
    ) -> NDArray[Any]:
        """Apply a function to the hits of all rows or of some, in parts that fit into the cache."""
        if self._hits is None:
            raise NotFittedError("No label has been diffused yet; call diffuse(labels) first.")
        hits = self._hits
        if rows is None:
            parts = hits.split(_SCORED_ROWS)
        else:
            parts = tuple(hits[part] for part in torch.from_numpy(rows).split(_SCORED_ROWS))
        answers = [function(part) for part in parts] or [function(hits[:0])]
        return torch.cat(answers).cpu().numpy()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_steps": copy(self._steps), "_hits": None, "_kept": {}}


def _function(measure: str | float) -> Callable[[torch.Tensor], torch.Tensor]:
    return reached if measure == "reached" else measure_of(measure)


def _n_classes(labels: NDArray[np.integer], n_classes: int | None, least: int) -> int:
    """Check labels from `least` on, and return the number of classes."""
    lowest, largest = int(labels.min(initial=least)), int(labels.max(initial=-1))
    if n_classes is None:
        n_classes = max(2, largest + 1)
    n_classes = check_integer("n_classes", n_classes, least=2)
    if largest >= n_classes or lowest < least:
        raise ValueError(
            f"labels go from {lowest} to {largest}; give them between {least} and {n_classes - 1}"
        )
    return n_classes


def _checked(matrix: Any) -> Any:
    """Refuse a matrix that is not a transition matrix."""
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"transitions has the shape {matrix.shape}; give a square matrix")
    if not (np.isfinite(matrix.data).all() and (matrix.data >= 0).all()):
        raise ValueError("transitions has negative or not finite entries; give probabilities")
    if (largest := matrix.sum(axis=1).max(initial=0)) > 1 + 1e-4:
        raise ValueError(f"transitions has a row that sums to {largest:g}; divide each row by its sum")
    return matrix
