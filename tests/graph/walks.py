"""Random walks, labels, and dense references in float64 that follow the formulas of the DGAL paper literally."""

import numpy as np
from hypothesis import strategies as st

from skal.graph import transition_matrix


@st.composite
def walks(draw, max_rows=60):
    """Transitions of a random graph, with or without symmetry, self-loops and isolated rows."""
    n = draw(st.integers(1, max_rows))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    W = rng.random((n, n)) * (rng.random((n, n)) < draw(st.sampled_from([0, 1.5 / n, 5 / n, 0.5])))
    if draw(st.booleans()):
        W = W + W.T
    if draw(st.booleans()):
        np.fill_diagonal(W, 0)
    alone = rng.random(n) < draw(st.sampled_from([0, 0.1]))
    W[alone] = W[:, alone] = 0
    sums = W.sum(axis=1, keepdims=True)
    return (W / np.where(sums > 0, sums, 1)).astype(np.float32)


@st.composite
def labels_of(draw, n, n_classes):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0, 0.05, 0.2, 1]))
    return np.where(rng.random(n) < share, rng.integers(n_classes, size=n), -1)


@st.composite
def diffusions(draw):
    M = draw(walks())
    n_classes = draw(st.integers(2, 13))
    return M, draw(labels_of(len(M), n_classes)), n_classes, draw(st.integers(1, 8))


def random_graph(n, k=6, seed=0):
    rng = np.random.default_rng(seed)
    return transition_matrix(np.sort(rng.random((n, k)), axis=1), rng.integers(n, size=(n, k)))


def first_labels_met(M, labels, n_classes, n_steps):
    """Equation 3 in closed form: the walks that end after 1, 2, ... n_steps steps, added up."""
    M = M.astype(np.float64)
    known, onehot = labels >= 0, np.eye(n_classes)[labels] * (labels >= 0)[:, None]
    arriving = M[:, known] @ onehot[known]
    q, through = np.zeros_like(onehot), M * ~known
    for _ in range(n_steps):
        q, arriving = q + arriving, through @ arriving
    q[known] = onehot[known]
    return q


def signals(M, labels, n_classes, n_steps):
    """Equations 7 and 8."""
    known = labels >= 0
    start = np.where(known[:, None], np.where(labels[:, None] == np.arange(n_classes), 1.0, -1.0), 0.0)
    chi = start
    for _ in range(n_steps):
        chi = np.where(known[:, None], start, M.astype(np.float64) @ chi)
    return chi


def probability_vectors(M, labels, n_classes, n_steps):
    """The multivariate diffusion of appendix C; a row without transitions keeps its vector."""
    known, M = labels >= 0, M.astype(np.float64)
    M = M + np.diag(1 - M.sum(axis=1))
    start = np.where(known[:, None], labels[:, None] == np.arange(n_classes), 1 / n_classes)
    p = start
    for _ in range(n_steps):
        p = np.where(known[:, None], start, M @ p)
    return p


def hops_from(M, start, n_steps, passing):
    """The hops from rows to those that hear of them, breadth first, through passing rows alone."""
    hops = np.where(start, 0, n_steps + 1)
    for t in range(1, n_steps + 1):
        hears = (M[:, hops == t - 1] > 0).any(axis=1)
        hops[hears & passing & (hops > t)] = t
    return hops
