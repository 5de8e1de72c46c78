"""BAIT: the batch that leaves the least uncertainty, by the Fisher information of the last layer (Ash et al., 2021)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..utils.kernels import compiled
from ..utils.progress import counted
from ..utils.threads import one_blas_thread
from .points import Floats, Positions, blocks, check_k

_NEGATIVE = 1e-6  # of the first trace: a trace that is as far below zero is no rounding of one that is not
_FORMS = 512  # quadratic forms of the features that are computed by one matrix product


class FisherSelection(NamedTuple):
    """The result of `bait`.

    Attributes
    ----------
    rows : ndarray of shape (k,), dtype intp
        In the order in which they were added.
    objective : float
        The trace that remains with these rows.
    """

    rows: Positions
    objective: float


class FisherRows:
    r"""Rows with their Fisher information about a last linear layer with softmax.

    For a row with features h and probabilities p, the information is a matrix of shape (d C, d C),

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
        # p - p^2 is what the others of its row lack to zero: so it is not lost in rounding where p is nearly one.
        for label in range(n_classes):
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
    r"""Choose rows S such that the information of S, added to the information known before, leaves a small trace.

    .. math:: \mathrm{tr}\Big( \big(M + \sum_{x \in S} I(x)\big)^{-1} F \Big)

    More rows than are asked for are added greedily, and then those that raise the trace least are removed greedily
    ([1]_).

    Parameters
    ----------
    rows : FisherRows
    inverse : ndarray of shape (d C, d C)
        The inverse of the positive definite M. It is overwritten.
    fisher : ndarray of shape (d C, d C)
        F, positive semidefinite.
    k : int
        At most the number of candidates.
    rng : numpy.random.Generator
        Decides between equally good rows.
    candidates : ndarray of int of shape (n_candidates,), default=None
        The rows that may be picked, by default all.
    oversampling : float, default=2.0
        How many rows are added, as a multiple of k.

    Returns
    -------
    selection : FisherSelection

    Raises
    ------
    ValueError
        If k is not between 1 and the number of candidates, or if rounding makes the trace meaningless, because M is
        nearly singular compared with the information of the rows.

    Notes
    -----
    With :math:`A = M^{-1} F M^{-1}`, :math:`P = h \otimes I_C` and :math:`\Lambda = \mathrm{diag}(p) - p p^\top`,
    adding a row lowers the trace by

    .. math:: \mathrm{tr}\big( P^\top A P \, \Lambda (I + P^\top M^{-1} P \, \Lambda)^{-1} \big)

    and removing it raises the trace by the same expression with a minus in place of the plus (Woodbury).
    :math:`P^\top M^{-1} P` and :math:`P^\top A P` are kept for each candidate, between the factors of
    :math:`\Lambda`, of rank C - 1: after a pick, an update of that rank is subtracted from both, in
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
    before, picks = float(np.vdot(inverse, fisher)), list[int]()
    objective = before
    n_added = min(len(candidates), max(k, round(oversampling * k)))
    out = np.zeros(len(candidates), dtype=bool)
    for _ in counted(range(n_added), "picks"):
        changes = np.where(out, -np.inf, state.changes(1))
        _check_sense(not np.isnan(changes).any())
        picked = int(rng.choice(np.flatnonzero(changes == changes.max())))
        objective -= changes[picked]
        out[picked] = True
        picks.append(picked)
        state.update(picked, 1)
    state.restrict(picks)
    kept = np.arange(n_added)
    for _ in counted(range(n_added - k), "picks to leave out"):
        changes = state.changes(-1)
        _check_sense(not np.isnan(changes).any())
        left = int(rng.choice(np.flatnonzero(changes == changes.min())))
        objective += changes[left]
        state.update(left, -1)
        kept = np.delete(kept, left)
        state.restrict(np.delete(np.arange(len(kept) + 1), left))
    _check_sense(objective >= -_NEGATIVE * before)
    return FisherSelection(candidates[np.array(picks)[kept]], objective)


def _check_sense(has_sense: bool) -> None:
    if not has_sense:
        raise ValueError(
            "Rounding has made the trace meaningless: the information that was known before is nearly singular beside "
            "that of the rows. Scale the embeddings, or add a larger multiple of the unit matrix."
        )


class _State:
    r"""The quantities on which the trace depends, for each of some rows, while rows are added and removed.

    With :math:`\Lambda = R R^\top` (`_Roots`), adding a row lowers the trace by
    :math:`\mathrm{tr}(T (I + S)^{-1})`, where :math:`S = R^\top P^\top M^{-1} P R` and :math:`T = R^\top P^\top A P R`,
    of shape (C - 1, C - 1), are kept: their lower triangles. Rows are the last axis of all arrays, along which a core
    computes several at a time.
    """

    def __init__(self, rows: FisherRows, candidates: Positions, inverse: Floats, weighted: Floats) -> None:
        self.rows, self.candidates = rows, candidates
        self.inverse, self.weighted = inverse, weighted  # M^-1 and M^-1 F M^-1
        self.own, self.seen = self._projected(inverse), self._projected(weighted)

    def _projected(self, matrix: Floats) -> Floats:
        """Return R^T P^T `matrix` P R of each row."""
        d, n_classes = self.rows.d, self.rows.n_classes
        forms = matrix.reshape(d, n_classes, d, n_classes)
        one, other = np.tril_indices(n_classes)
        step = max(1, _FORMS // len(one))
        parts = []
        for start in range(0, d, step):  # h_i h_j stands for h_j h_i as well
            some = slice(start, start + step)
            both = np.triu(forms[some, one, start:, other] + forms[some, other, start:, one])
            both[:, range(both.shape[1]), range(both.shape[1])] /= 2
            parts.append((some, both.reshape(-1, d - start)))
        found = np.empty((n_classes - 1, n_classes - 1, len(self.candidates)))
        for block in blocks(len(self.candidates), step * len(one)):
            h = self.rows._features(self.candidates[block]).T
            values = np.zeros((len(one), h.shape[1]))
            for some, both in parts:
                products = (both @ h[some.start :]).reshape(len(one), -1, h.shape[1])
                products *= h[some]
                values += products.sum(axis=1)
            full = np.empty((n_classes, n_classes, h.shape[1]))
            full[one, other] = full[other, one] = values
            roots = self._roots(block)
            found[:, :, block] = roots.times(roots.times(full).swapaxes(0, 1))
        return found

    def _roots(self, places: slice) -> _Roots:
        return _Roots(self.rows.probabilities[self.candidates[places]])

    def restrict(self, places: list[int] | Positions) -> None:
        """Forget all rows but some."""
        self.candidates = self.candidates[places]
        self.own, self.seen = self.own[:, :, places], self.seen[:, :, places]

    def changes(self, sign: int) -> Floats:
        """Return how much the trace falls when each row is added, or rises when it is removed."""
        changes = np.empty(len(self.candidates))
        for block in blocks(len(changes), 3 * len(self.own) ** 2):
            compiled(trace_changes)(self.own[:, :, block], self.seen[:, :, block], sign, changes[block])
        return changes

    def update(self, place: int, sign: int) -> None:
        """Add a row, sign 1, or remove it, sign -1."""
        d, n_classes = self.rows.d, self.rows.n_classes
        here = slice(place, place + 1)
        seen = np.tril(self.seen[:, :, place])
        seen += np.tril(seen, -1).T
        # The middle factor of Woodbury's formula is R (I + S)^-1 R^T = root root^T. Only lower triangles are read.
        lower = np.linalg.cholesky(np.eye(n_classes - 1) + sign * self.own[:, :, place])
        inside = np.linalg.inv(lower).T
        root = self._roots(here).times(np.eye(n_classes)[:, :, np.newaxis])[:, :, 0].T @ inside
        h = self.rows._features(self.candidates[here])[0]
        lost = np.einsum("xdc,d->xc", self.inverse.reshape(-1, d, n_classes), h) @ root
        other = np.einsum("xdc,d->xc", self.weighted.reshape(-1, d, n_classes), h) @ root
        other -= lost @ (inside.T @ seen @ inside) * (sign / 2)
        self.inverse -= sign * lost @ lost.T
        both = other @ lost.T
        self.weighted -= sign * (both + both.T)
        sides = [each.reshape(d, -1).T.copy() for each in (lost, other)]
        for block in blocks(len(self.candidates), 4 * n_classes**2 + d):
            h = self.rows._features(self.candidates[block]).T
            roots = self._roots(block)
            left, right = (
                roots.times((side @ h).reshape(n_classes, n_classes - 1, h.shape[1])) for side in sides
            )
            compiled(subtract_products)(self.own[:, :, block], self.seen[:, :, block], left, right, sign)


class _Roots:
    r"""Factors R of diag(p) - p p^T = R R^T of some rows, with C - 1 columns for C classes.

    They are Cholesky's, where with :math:`t_k = \sum_{l \ge k} p_l` and :math:`j > k`

    .. math:: R_{kk} = \sqrt{p_k t_{k+1} / t_k}, \quad R_{jk} = -p_j \sqrt{p_k / (t_k t_{k+1})}

    so nothing is lost in rounding where a probability is nearly one.
    """

    def __init__(self, probabilities: Floats) -> None:
        p = np.ascontiguousarray(probabilities.T, dtype=np.float64)
        tails = p[::-1].cumsum(axis=0)[::-1]
        tiny = np.finfo(np.float64).tiny
        shares = p[:-1] * tails[0] / np.maximum(tails[:-1], tiny)  # probabilities sum to one up to rounding
        self.below = p[1:]
        self.diagonal = np.sqrt(shares * tails[1:])
        self.others = np.sqrt(np.divide(shares, tails[1:], out=np.zeros_like(shares), where=tails[1:] > tiny))

    def times(self, values: Floats) -> Floats:
        """Return R^T `values`, both of shape (C or C - 1, n_columns, n_rows)."""
        products = np.empty_like(values[1:])
        compiled(root_products)(values, self.below, self.diagonal, self.others, products)
        return products


def root_products(values: Floats, below: Floats, diagonal: Floats, others: Floats, products: Floats) -> None:
    """Write R^T `values` for rows, which are the last axis."""
    m, width, n_rows = products.shape
    for column in range(width):
        rest = np.zeros(n_rows)
        for k in range(m - 1, -1, -1):
            for row in range(n_rows):
                rest[row] += below[k, row] * values[k + 1, column, row]
                products[k, column, row] = (
                    diagonal[k, row] * values[k, column, row] - others[k, row] * rest[row]
                )


def trace_changes(own: Floats, seen: Floats, sign: int, changes: Floats) -> None:
    """Write tr(`seen` (I + sign `own`)^-1) for rows, which are the last axis."""
    m, _, n_rows = own.shape
    lower = np.empty((m, m, n_rows))  # of Cholesky, and in its place the inverse of it
    for j in range(m):
        for i in range(j, m):
            for row in range(n_rows):
                lower[i, j, row] = sign * own[i, j, row] + (1.0 if i == j else 0.0)
            for k in range(j):
                for row in range(n_rows):
                    lower[i, j, row] -= lower[i, k, row] * lower[j, k, row]
            for row in range(n_rows):
                if i == j:
                    lower[i, j, row] = np.sqrt(lower[i, j, row])
                else:
                    lower[i, j, row] /= lower[j, j, row]
    for j in range(m):
        for row in range(n_rows):
            lower[j, j, row] = 1 / lower[j, j, row]
        for i in range(j + 1, m):
            for row in range(n_rows):
                lower[i, j, row] *= lower[j, j, row]
            for k in range(j + 1, i):
                for row in range(n_rows):
                    lower[i, j, row] += lower[i, k, row] * lower[k, j, row]
            for row in range(n_rows):
                lower[i, j, row] /= -lower[i, i, row]
    changes[:] = 0
    for i in range(m):
        for j in range(i + 1):
            for k in range(i, m):
                for row in range(n_rows):
                    both = lower[k, i, row] * lower[k, j, row] * seen[i, j, row]
                    changes[row] += both if i == j else 2 * both


def subtract_products(own: Floats, seen: Floats, left: Floats, right: Floats, sign: int) -> None:
    """Subtract left left^T from `own`, and right left^T + left right^T from `seen`; rows are the last axis."""
    m, width, n_rows = left.shape
    for i in range(m):
        for j in range(i + 1):
            for k in range(width):
                for row in range(n_rows):
                    own[i, j, row] -= sign * left[i, k, row] * left[j, k, row]
                    seen[i, j, row] -= sign * (
                        right[i, k, row] * left[j, k, row] + left[i, k, row] * right[j, k, row]
                    )
