"""BAIT: the batch that leaves least uncertain, by the Fisher information of the last layer (Ash et al., 2021)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..utils.progress import counted
from ..utils.threads import one_blas_thread
from .points import Floats, Positions, blocks, check_k


class FisherSelection(NamedTuple):
    """What `bait` returns.

    Attributes
    ----------
    rows : ndarray of shape (k,), dtype intp
        In the order in which they were added.
    objective : float
        The trace that they leave.
    """

    rows: Positions
    objective: float


class FisherRows:
    r"""Rows with their Fisher information about a last linear layer with softmax.

    With the features h and the probabilities p of a row it is, of shape (d C, d C),

    .. math:: I(x) = h h^\top \otimes (\mathrm{diag}(p) - p p^\top)

    It is never formed: see `total`, and `bait`.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, d)
    probabilities : ndarray of shape (n_samples, C)

    Attributes
    ----------
    d : int
    n_classes : int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import FisherRows
    >>> FisherRows(np.array([[2.0]]), np.array([[0.5, 0.5]])).total()
    array([[ 1., -1.],
           [-1.,  1.]])
    """

    def __init__(self, embeddings: Floats, probabilities: Floats) -> None:
        self.embeddings, self.probabilities = embeddings, probabilities
        self.d, self.n_classes = embeddings.shape[1], probabilities.shape[1]

    @property
    def side(self) -> int:
        """The number of rows and columns of the information, d C."""
        return self.d * self.n_classes

    def _features(self, rows: Positions | slice) -> Floats:
        """Return the features of rows, of shape (n_rows, d), in float64."""
        return self.embeddings[rows].astype(np.float64)

    def _covariances(self, rows: Positions | slice) -> Floats:
        """Return diag(p) - p p^T of rows, of shape (n_rows, C, C)."""
        p, labels = self.probabilities[rows].astype(np.float64), np.arange(self.n_classes)
        covariances = -p[:, :, np.newaxis] * p[:, np.newaxis]
        covariances[:, labels, labels] = 0
        # p - p^2 is what the others of its row lack to zero: so it is not lost in rounding where p is nearly one.
        covariances[:, labels, labels] = -covariances.sum(axis=2)
        return covariances

    def traces(self) -> Floats:
        """Return the trace of the information of each row.

        Returns
        -------
        traces : ndarray of shape (n_samples,)
        """
        traces = np.empty(len(self.embeddings))
        for block in blocks(len(traces), self.d + self.n_classes):
            h, p = self._features(block), self.probabilities[block].astype(np.float64)
            traces[block] = np.einsum("nd,nd->n", h, h) * (p * (1 - p)).sum(axis=1)
        return traces

    @one_blas_thread
    def total(self, rows: Positions | None = None) -> Floats:
        """Return the sum of the information of rows.

        Parameters
        ----------
        rows : ndarray of int of shape (n_rows,), default=None
            By default all.

        Returns
        -------
        total : ndarray of shape (d C, d C)
        """
        d, n_classes = self.d, self.n_classes
        rows = np.arange(len(self.embeddings)) if rows is None else rows
        total = np.zeros((d, n_classes, d, n_classes))
        flat = total.reshape(d * n_classes, -1)
        for block in blocks(len(rows), d * n_classes):
            h, p = self._features(rows[block]), self.probabilities[rows[block]].astype(np.float64)
            each = (h[:, :, np.newaxis] * p[:, np.newaxis]).reshape(len(h), -1)
            flat -= each.T @ each
        for label in range(n_classes):
            total[:, label, :, label] = 0
        for label in range(n_classes):  # as in `_covariances`
            total[:, label, :, label] = -total[:, label].sum(axis=2)
        return flat


@one_blas_thread
def bait(
    rows: FisherRows,
    inverse: Floats,
    fisher: Floats,
    k: int,
    rng: np.random.Generator,
    candidates: Positions | None = None,
    *,
    oversampling: float = 2.0,
) -> FisherSelection:
    r"""Choose rows S such that the information of S, with what is known before, leaves a small trace.

    .. math:: \mathrm{tr}\Big( \big(M + \sum_{x \in S} I(x)\big)^{-1} F \Big)

    Rows are added greedily, more than are asked for, and then those removed greedily that raise it least ([1]_).

    Parameters
    ----------
    rows : FisherRows
    inverse : ndarray of shape (d C, d C)
        Of the positive definite M. It is overwritten.
    fisher : ndarray of shape (d C, d C)
        F, positive semidefinite.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Decides between rows that do the same.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that may be picked, by default all.
    oversampling : float, default=2.0
        How many times k rows are added.

    Returns
    -------
    selection : FisherSelection

    Raises
    ------
    ValueError
        If k is not between 1 and the number of candidates.

    Notes
    -----
    With :math:`A = M^{-1} F M^{-1}`, :math:`P = h \otimes I_C` and :math:`\Lambda = \mathrm{diag}(p) - p p^\top`,
    adding a row lowers the trace by

    .. math:: \mathrm{tr}\big( P^\top A P \, \Lambda (I + P^\top M^{-1} P \, \Lambda)^{-1} \big)

    and removing it, with a minus, raises it (Woodbury). The two matrices of shape (C, C), :math:`P^\top M^{-1} P` and
    :math:`P^\top A P`, are kept for each candidate: after a pick, both lose what an update of rank C takes, in
    O(d C\ :sup:`2` + C\ :sup:`3`) operations per row. The pick itself takes O((d C)\ :sup:`2` C).

    References
    ----------
    .. [1] Ash, Goel, Krishnamurthy, Kakade, Gone fishing: neural active learning with Fisher embeddings, NeurIPS
       2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.selection import FisherRows, bait
    >>> rows = FisherRows(np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 2.0]]), np.full((3, 2), 0.5))
    >>> 0 in bait(rows, np.eye(4), rows.total(), 2, np.random.default_rng(0)).rows  # not the two that are alike
    True
    """
    candidates = np.arange(len(rows.embeddings)) if candidates is None else candidates
    check_k(k, len(candidates))
    state = _State(rows, candidates, inverse, inverse @ fisher @ inverse)
    objective, picks = float(np.vdot(inverse, fisher)), list[int]()
    n_added = min(len(candidates), max(k, round(oversampling * k)))
    out = np.zeros(len(candidates), dtype=bool)
    for _ in counted(range(n_added), "picks"):
        changes = np.where(out, -np.inf, state.changes(1))
        picked = int(rng.choice(np.flatnonzero(changes == changes.max())))
        objective -= changes[picked]
        out[picked] = True
        picks.append(picked)
        state.update(picked, 1)
    state.restrict(picks)
    kept = np.arange(n_added)
    for _ in counted(range(n_added - k), "picks to leave out"):
        changes = state.changes(-1)
        left = int(rng.choice(np.flatnonzero(changes == changes.min())))
        objective += changes[left]
        state.update(left, -1)
        kept = np.delete(kept, left)
        state.restrict(np.delete(np.arange(len(kept) + 1), left))
    return FisherSelection(candidates[np.array(picks)[kept]], objective)


class _State:
    """What the trace depends on, for each of some rows, while rows are added and removed."""

    def __init__(self, rows: FisherRows, candidates: Positions, inverse: Floats, weighted: Floats) -> None:
        self.rows, self.candidates = rows, candidates
        self.inverse, self.weighted = inverse, weighted  # M^-1 and M^-1 F M^-1
        shape = (len(candidates), rows.n_classes, rows.n_classes)
        self.own, self.seen = np.empty(shape), np.empty(shape)  # P^T of each of them P
        for block in blocks(len(candidates), rows.d * rows.n_classes**2):
            h = rows._features(candidates[block])
            for matrix, projected in ((inverse, self.own), (weighted, self.seen)):
                half = h @ matrix.reshape(rows.d, -1)
                half = half.reshape(len(h), rows.n_classes, rows.d, rows.n_classes)
                projected[block] = np.einsum("ncde,nd->nce", half, h)

    def restrict(self, places: list[int] | Positions) -> None:
        """Forget all rows but some."""
        self.candidates = self.candidates[places]
        self.own, self.seen = self.own[places], self.seen[places]

    def changes(self, sign: int) -> Floats:
        """Return how much the trace falls when each row is added, or rises when it is removed."""
        changes = np.empty(len(self.candidates))
        for block in blocks(len(changes), 4 * self.rows.n_classes**2):
            middle = self._middle(block, sign)
            changes[block] = np.einsum("nij,nij->n", self.seen[block], middle)
        return changes

    def _middle(self, places: slice, sign: int) -> Floats:
        """Return the middle factor of Woodbury's formula for rows that are added, sign 1, or removed, sign -1."""
        covariances = self.rows._covariances(self.candidates[places])
        return np.linalg.solve(
            np.eye(self.rows.n_classes) + sign * covariances @ self.own[places], covariances
        )

    def update(self, place: int, sign: int) -> None:
        """Add a row, sign 1, or remove it, sign -1."""
        d, n_classes = self.rows.d, self.rows.n_classes
        middle = self._middle(slice(place, place + 1), sign)[0]
        values, vectors = np.linalg.eigh((middle + middle.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0))
        h = self.rows._features(self.candidates[[place]])[0]
        lost = np.einsum("xdc,d->xc", self.inverse.reshape(-1, d, n_classes), h) @ root
        other = np.einsum("xdc,d->xc", self.weighted.reshape(-1, d, n_classes), h) @ root
        other -= lost @ (root.T @ self.seen[place] @ root) * (sign / 2)
        self.inverse -= sign * lost @ lost.T
        both = other @ lost.T
        self.weighted -= sign * (both + both.T)
        for block in blocks(len(self.candidates), 2 * n_classes**2 + d):
            h = self.rows._features(self.candidates[block])
            own, seen = (
                (h @ each.reshape(d, -1)).reshape(-1, n_classes, n_classes) for each in (lost, other)
            )
            self.own[block] -= sign * own @ own.transpose(0, 2, 1)
            both = seen @ own.transpose(0, 2, 1)
            self.seen[block] -= sign * (both + both.transpose(0, 2, 1))
