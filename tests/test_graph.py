"""Graphs and diffusions against dense references in float64, which follow the formulas of the DGAL paper literally."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skal import graph
from skal.graph import (
    KERNELS,
    UNCERTAINTIES,
    LabelDiffusion,
    cover_steps,
    nearest_neighbors,
    transition_matrix,
)
from tests.test_neighbors import brute_force, pools

MEASURES = sorted(UNCERTAINTIES)


def brute_force_neighbors(X, k):
    """Nearest other rows in float64; equal distances in order of position."""
    distances, rows = brute_force(X, X, len(X))
    others = rows != np.arange(len(X))[:, None]
    return tuple(found[others].reshape(len(X), -1)[:, :k] for found in (distances, rows))


@given(pools(40), st.integers(1, 45))
def test_exact_neighbors_are_those_of_brute_force(pool, k):
    X, _ = pool
    distances, indices = nearest_neighbors(X, k, method="exact")
    expected_distances, expected = brute_force_neighbors(X, k)
    assert indices.shape == (len(X), min(k, len(X) - 1))
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_array_equal(distances, expected_distances.astype(np.float32))
    assert (distances.dtype, indices.dtype) == (np.float32, np.int32)


def test_parts_of_the_queries_meet(monkeypatch):
    X = np.random.default_rng(0).integers(0, 9, (100, 3)).astype(np.float32)
    monkeypatch.setattr(graph, "_QUERIES", 7)
    np.testing.assert_array_equal(nearest_neighbors(X, 4)[1], brute_force_neighbors(X, 4)[1])


def test_neighbors_of_more_duplicates_than_neighbors():
    X = np.repeat([[0.0, 1.0], [5.0, 1.0]], [30, 2], axis=0)
    distances, indices = nearest_neighbors(X, 3)
    np.testing.assert_array_equal(indices, brute_force_neighbors(X, 3)[1])
    assert (indices != np.arange(32)[:, None]).all()
    np.testing.assert_array_equal(distances[:30], 0)


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_approximate_neighbors_of_few_rows_are_exact(n):
    X = np.random.default_rng(0).normal(size=(n, 2)).astype(np.float32)
    _, indices = nearest_neighbors(X, 4, method="approximate")
    np.testing.assert_array_equal(indices, brute_force_neighbors(X, 4)[1])


@pytest.mark.parametrize("k", [0, -1, True, 1.0, "1", None])
def test_bad_numbers_of_neighbors(k):
    with pytest.raises(ValueError, match="integer of at least 1"):
        nearest_neighbors([[0.0], [1.0]], k)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([[np.nan]], "NaN"),
        ([[np.inf]], "infinity"),
        ([[1e300]], "float32"),
        (np.ones(3), "2D"),
        (np.ones((0, 3)), "minimum of 1"),
    ],
)
def test_bad_rows(X, message):
    with pytest.raises(ValueError, match=message):
        nearest_neighbors(X, 1)


def test_unknown_methods():
    with pytest.raises(ValueError, match=r'method=\'fast\'.*"exact" or "approximate"'):
        nearest_neighbors([[0.0], [1.0]], 1, method="fast")


def dense_transitions(distances, indices, kernel):
    """M and the row sums of W, entry by entry."""
    d, n = distances.astype(np.float64), len(distances)
    A = np.zeros((n, n))
    for i in range(n):
        for d_ij, j in zip(d[i], indices[i], strict=True):
            scale, factor = {"self_tuning": (d[j, -1], 1), "graph_learning": (d[i, -1], 4)}[kernel]
            if d_ij == 0:
                A[i, j] = 1
            elif scale == 0:
                A[i, j] = np.exp(-80)
            else:
                A[i, j] = np.exp(-min(factor * (d_ij / d[i, -1]) * (d_ij / scale), 80))
    W = (A + A.T) / 2
    sums = W.sum(axis=1)
    return W / np.where(sums > 0, sums, 1)[:, None], sums


@given(pools(30), st.integers(1, 12), st.sampled_from(sorted(KERNELS)))
def test_transitions_are_those_of_the_formulas(pool, k, kernel):
    distances, indices = nearest_neighbors(pool[0], k)
    walks = transition_matrix(distances, indices, kernel=kernel)
    expected, sums = dense_transitions(distances, indices, kernel)
    assert walks.dtype == np.float32
    M = walks.toarray().astype(np.float64)
    np.testing.assert_allclose(M, expected, rtol=1e-4)
    np.testing.assert_allclose(sums[:, None] * M, (sums[:, None] * M).T, rtol=1e-4)
    np.testing.assert_allclose(M.sum(axis=1), len(M) > 1, atol=1e-6)
    np.testing.assert_array_equal(M.diagonal(), 0)
    np.testing.assert_array_equal(M > 0, (M > 0).T)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_transitions_do_not_depend_on_the_scale(kernel, scale):
    X = np.random.default_rng(0).normal(size=(40, 3))
    expected = transition_matrix(*nearest_neighbors(X, 5), kernel=kernel).toarray()
    scaled = transition_matrix(*nearest_neighbors(X * scale, 5), kernel=kernel).toarray()
    np.testing.assert_allclose(scaled, expected, rtol=1e-4)


def test_a_sparse_region_beside_a_dense_one_is_not_cut_off():
    X = np.concatenate([np.linspace(0, 1e-9, 5), [1.0]])[:, None]  # exponents of 1e9 and more
    walks = transition_matrix(*nearest_neighbors(X, 2))
    assert walks[[0], [5]] + walks[[1], [5]] + walks[[2], [5]] + walks[[3], [5]] + walks[[4], [5]] > 0
    np.testing.assert_allclose(walks.sum(axis=1), 1, rtol=1e-6)


def test_duplicates_and_clusters():
    X = np.repeat([0.0, 100.0], [4, 3])[:, None]
    M = transition_matrix(*nearest_neighbors(X, 2)).toarray()
    np.testing.assert_array_equal(M[:4, 4:], 0)
    np.testing.assert_array_equal(M[4:, :4], 0)
    np.testing.assert_allclose(M[4:, 4:], (1 - np.eye(3)) / 2)


def test_bad_neighbors():
    with pytest.raises(ValueError, match=r"kernel='rbf'.*graph_learning.*self_tuning"):
        transition_matrix([[1.0], [1.0]], [[1], [0]], kernel="rbf")
    for distances, indices in (([[1.0], [1.0]], [[1, 0], [0, 1]]), ([1.0, 1.0], [1, 0])):
        with pytest.raises(ValueError, match="give both as"):
            transition_matrix(distances, indices)


@pytest.mark.parametrize("k", [1, 2, 3, 10, 1000])
def test_cover_steps(k):
    base = max(k, 2)
    for n in {1, 2, 3, 5, *(base**t + more for t in range(1, 6) for more in (-1, 0, 1)), 60_000, 10**6}:
        expected = next(t for t in range(1, 99) if base**t >= n)
        assert cover_steps(n, k) == expected


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


@given(diffusions())
def test_diffusion_is_that_of_the_paper(setting):
    M, labels, n_classes, n_steps = setting
    diffusion = LabelDiffusion(sparse.csr_array(M), n_steps).diffuse(labels, n_classes)
    answers = {"hits": diffusion.hits(), "chi": diffusion.one_vs_all(), "p": diffusion.probabilities()}
    np.testing.assert_allclose(answers["hits"], first_labels_met(*setting), atol=1e-5)
    np.testing.assert_allclose(answers["chi"], signals(*setting), atol=1e-5)
    np.testing.assert_allclose(answers["p"], probability_vectors(*setting), atol=1e-5)
    assert all(answer.dtype == np.float32 for answer in answers.values())

    known, onehot = labels >= 0, np.eye(n_classes)[labels]
    np.testing.assert_array_equal(answers["hits"][known], onehot[known])
    np.testing.assert_array_equal(answers["chi"][known], 2 * onehot[known] - 1)
    np.testing.assert_array_equal(answers["p"][known], onehot[known])
    np.testing.assert_allclose(answers["p"].sum(axis=1), 1, atol=1e-5)
    assert answers["p"].min() >= -1e-6

    reached = hops_from(M, known, n_steps, ~known) <= n_steps
    np.testing.assert_array_equal(diffusion.reached(), reached)
    np.testing.assert_array_equal(answers["hits"][~reached], 0)
    np.testing.assert_array_equal(answers["chi"][~reached], 0)
    np.testing.assert_array_equal(answers["p"][~reached], np.float32(1) / np.float32(n_classes))
    assert diffusion.n_classes_ == n_classes


@given(diffusions())
def test_uncertainties_are_those_of_their_formulas(setting):
    M, labels, n_classes, n_steps = setting
    diffusion = LabelDiffusion(M, n_steps).diffuse(labels, n_classes)
    chi = signals(M, labels, n_classes, n_steps)
    p = np.sort(probability_vectors(M, labels, n_classes, n_steps), axis=1)
    expected = {
        "min": np.abs(chi).min(axis=1),
        "norm": np.sqrt((chi**2).sum(axis=1)),
        "confidence": p[:, -1],
        "margin": p[:, -1] - p[:, -2],
        "entropy": (p * np.log(np.where(p > 0, p, 1))).sum(axis=1),
    }
    reached = diffusion.reached()
    for measure in MEASURES:
        uncertainty = diffusion.uncertainty(measure)
        assert uncertainty.dtype == np.float32
        np.testing.assert_allclose(uncertainty, expected[measure], atol=5e-5)
        if not reached.all():
            least = {"confidence": 1 / n_classes, "entropy": -np.log(n_classes)}.get(measure, 0)
            exact = measure in ("min", "norm", "margin")
            np.testing.assert_allclose(uncertainty[~reached], least, atol=0 if exact else 1e-6)
            assert uncertainty.min() >= least - (0 if exact else 1e-5)


@given(diffusions(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(setting, random):
    M, labels, n_classes, n_steps = setting
    order = np.array(random.sample(range(len(M)), len(M)))
    answers = LabelDiffusion(M, n_steps).diffuse(labels, n_classes).hits()
    permuted = LabelDiffusion(M[order][:, order], n_steps).diffuse(labels[order], n_classes).hits()
    np.testing.assert_allclose(permuted, answers[order], atol=1e-6)


def pickled(diffusion):
    return pickle.loads(pickle.dumps(diffusion))


@given(walks(), st.integers(1, 8), st.data())
def test_incremental_diffusion_is_the_full_one_bit_for_bit(M, n_steps, data):
    diffusion, plain = LabelDiffusion(M, n_steps), LabelDiffusion(M, n_steps, incremental=False)
    labels, width = np.full(len(M), -1), None
    rounds = st.tuples(
        st.sampled_from([2, 4, 5]),  # two of which are padded to the same width
        st.sampled_from([0, 0.05, 0.5]),
        st.sampled_from([None, None, None, pickled, copy.copy, copy.deepcopy]),
    )
    for n_classes, share, renew in data.draw(st.lists(rounds, min_size=2, max_size=6)):
        known = labels if width == (n_classes > 4) else np.full(len(M), -1)
        if renew is not None:
            diffusion, known = renew(diffusion), np.full(len(M), -1)
        kept = (labels < n_classes) & (np.random.default_rng(0).random(len(M)) >= share)
        labels = np.where(kept, labels, data.draw(labels_of(len(M), n_classes)))
        hits = diffusion.diffuse(labels, n_classes).hits()
        np.testing.assert_array_equal(hits, LabelDiffusion(M, n_steps).diffuse(labels, n_classes).hits())
        np.testing.assert_array_equal(hits, plain.diffuse(labels, n_classes).hits())
        # A label hides what is behind it.
        assert diffusion.n_updated_ == (hops_from(M, labels != known, n_steps, labels < 0) <= n_steps).sum()
        width = n_classes > 4


def test_nothing_is_computed_where_no_label_has_changed():
    diffusion = LabelDiffusion(random_graph(200), 3)
    labels = np.where(np.arange(200) % 9, -1, np.arange(200) % 2)
    hits = diffusion.diffuse(labels).hits()
    assert diffusion.n_updated_ > 100
    np.testing.assert_array_equal(diffusion.diffuse(labels).hits(), hits)
    assert diffusion.n_updated_ == 0


@pytest.mark.parametrize(
    ("incremental", "kept"),
    [("auto", 1 << 31), ("auto", 4 * 4 * 100 * 3), (True, 0), ("auto", 4799), (False, 1 << 31)],
)
def test_the_steps_are_kept_where_they_fit(monkeypatch, incremental, kept):
    monkeypatch.setattr(graph, "_KEPT_BYTES", kept)
    labels = np.where(np.arange(100) % 9, -1, np.arange(100) % 2)
    diffusion = LabelDiffusion(random_graph(100), 3, incremental=incremental).diffuse(labels)
    n_updated = diffusion.n_updated_
    keeps = incremental is True or (incremental == "auto" and kept >= 4800)
    assert diffusion.diffuse(labels).n_updated_ == (0 if keeps else n_updated)


@pytest.mark.parametrize("incremental", [None, "yes", 2])
def test_bad_values_of_incremental(incremental):
    with pytest.raises(ValueError, match=r'use True, False or "auto"'):
        LabelDiffusion(np.eye(2), 1, incremental=incremental)


def test_a_new_label_is_computed_where_it_is_heard():
    chain = np.eye(30, k=1) + np.eye(30, k=-1)
    diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), 4)
    labels = np.full(30, -1)
    labels[[0, 29]] = 0, 1
    diffusion.diffuse(labels)
    labels[15] = 1
    assert diffusion.diffuse(labels).n_updated_ == 9  # itself, and four on either side
    labels[17] = 0
    assert diffusion.diffuse(labels).n_updated_ == 1 + 1 + 4  # nothing passes the label beside it
    labels[17] = -1
    assert diffusion.diffuse(labels).n_updated_ == 1 + 1 + 4


def test_many_new_labels_are_heard_no_farther():
    chain = np.eye(40, k=1) + np.eye(40, k=-1)
    diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), 3)
    labels = np.full(40, -1)
    labels[8:33] = 0
    assert diffusion.diffuse(labels).n_updated_ == 3 + 25 + 3


def random_graph(n, k=6, seed=0):
    rng = np.random.default_rng(seed)
    return transition_matrix(np.sort(rng.random((n, k)), axis=1), rng.integers(n, size=(n, k)))


def test_threads_give_the_same_bits(monkeypatch):
    M, rng = random_graph(500), np.random.default_rng(0)
    rounds = [np.where(rng.random(500) < 0.02, rng.integers(5, size=500), -1) for _ in range(3)]
    rounds[1][:450], rounds[2][100:] = rounds[0][:450], rounds[1][100:]  # some changes, more changes
    monkeypatch.setattr(graph, "_PART_ROWS", 16)
    answers = []
    for n_threads in (1, 3):
        monkeypatch.setattr("torch.get_num_threads", lambda n=n_threads: n)
        diffusion = LabelDiffusion(M, 4)
        answers.append([diffusion.diffuse(labels, 5).hits() for labels in rounds])
    np.testing.assert_array_equal(*answers)
    np.testing.assert_allclose(
        answers[0], [first_labels_met(M.toarray(), labels, 5, 4) for labels in rounds], atol=1e-5
    )


@given(diffusions())
def test_torch_computes_the_same(setting):
    M, labels, n_classes, n_steps = setting
    walks = sparse.csr_array(M)
    matrix = graph._torch_csr(graph._parts(walks), torch.device("cpu"))
    hits = graph._torch_diffusion(matrix, torch.from_numpy(labels), n_classes, n_steps)
    expected = LabelDiffusion(walks, n_steps).diffuse(labels, n_classes).hits()
    np.testing.assert_allclose(hits, expected, atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda():
    M, labels = random_graph(3000), np.where(np.arange(3000) % 50, -1, np.arange(3000) // 50 % 7)
    on_cpu, on_gpu = LabelDiffusion(M, 5).diffuse(labels), LabelDiffusion(M, 5, device="cuda").diffuse(labels)
    assert on_gpu.n_updated_ == 3000
    for _ in range(2):
        np.testing.assert_allclose(on_gpu.probabilities(), on_cpu.probabilities(), atol=1e-6)
        np.testing.assert_array_equal(on_gpu.reached(), on_cpu.reached())
        for measure in MEASURES:
            np.testing.assert_allclose(on_gpu.uncertainty(measure), on_cpu.uncertainty(measure), atol=1e-5)
        on_gpu = pickled(on_gpu).diffuse(labels)


@pytest.mark.parametrize(
    "container", [sparse.coo_array, sparse.csc_matrix, np.asarray, lambda M: M.tolist(), "int64", "twice"]
)
def test_containers_of_transitions(container):
    M, labels = random_graph(40), np.where(np.arange(40) % 5, -1, 1)
    expected = LabelDiffusion(M, 3).diffuse(labels).hits()
    if container == "int64":
        given_M = M.astype(np.float64)
        given_M.indices, given_M.indptr = given_M.indices.astype(np.int64), given_M.indptr.astype(np.int64)
    elif container == "twice":  # every entry in two halves
        given_M = sparse.csr_array((M.data.repeat(2) / 2, M.indices.repeat(2), M.indptr * 2), shape=(40, 40))
    else:
        given_M = container(M.toarray())
    before = given_M.copy()
    np.testing.assert_allclose(LabelDiffusion(given_M, 3).diffuse(labels).hits(), expected, atol=1e-6)
    if sparse.issparse(given_M):
        assert (given_M != before).nnz == 0


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64", "list"])
def test_containers_of_labels(dtype):
    M, labels = random_graph(6), [0, 1, 2, 2, 1, 0]
    given_labels = labels if dtype == "list" else np.array(labels, dtype=dtype)
    np.testing.assert_array_equal(LabelDiffusion(M, 1).diffuse(given_labels).hits(), np.eye(3)[labels])


def test_the_number_of_classes_by_default():
    diffusion = LabelDiffusion(random_graph(4), 2)
    assert diffusion.diffuse([-1, -1, -1, -1]).n_classes_ == 2
    assert diffusion.diffuse([0, -1, -1, -1]).hits().shape == (4, 2)
    assert diffusion.diffuse([0, -1, 6, -1]).hits().shape == (4, 7)


def interpolation(n):
    return 1 - np.arange(n) / (n - 1)


@pytest.mark.parametrize("n", [2, 3, 6, 11])
def test_the_gambler_is_ruined(n):
    chain = np.eye(n, k=1) + np.eye(n, k=-1)
    diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), 254)
    hits = diffusion.diffuse(np.pad([0, 1], (0, n - 2), constant_values=-1)[[0, *range(2, n), 1]]).hits()
    np.testing.assert_allclose(hits, np.stack([interpolation(n), 1 - interpolation(n)], axis=1), atol=1e-5)


def test_many_steps_are_the_harmonic_extension():
    rng = np.random.default_rng(0)
    W = rng.random((40, 40)) * (rng.random((40, 40)) < 0.2)
    W = W + W.T
    L = np.diag(W.sum(axis=1)) - W
    y = np.where(np.arange(8) % 2, -1.0, 1.0)
    expected = np.linalg.solve(L[8:, 8:], -L[8:, :8] @ y)  # Equation 5
    labels = np.where(np.arange(40) < 8, np.arange(40) % 2, -1)
    chi = LabelDiffusion(W / W.sum(axis=1, keepdims=True), 254).diffuse(labels).one_vs_all()
    np.testing.assert_allclose(chi[8:], np.stack([expected, -expected], axis=1), atol=1e-5)


def test_memory():
    n, k, n_classes, n_steps = 20_000, 10, 10, 5
    labels = np.where(np.arange(n) % 100, -1, np.arange(n) // 100 % n_classes)
    LabelDiffusion(random_graph(9), n_steps).diffuse([0] * 9).hits()  # compiles, which takes memory
    tracemalloc.start()
    diffusion = LabelDiffusion(random_graph(n, k), n_steps).diffuse(labels)
    diffusion.uncertainty()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    own = (
        8 * 2 * k * n + n_steps * 4 * 12 * n
    )  # positions and weights; classes are padded to a multiple of four
    assert peak < 4 * own


@pytest.mark.parametrize("n_steps", [0, 255, -1, 1.5, True, "1", None])
def test_bad_numbers_of_steps(n_steps):
    with pytest.raises(ValueError, match="integer from 1 to 254"):
        LabelDiffusion(np.eye(2), n_steps)


@pytest.mark.parametrize(
    ("transitions", "message"),
    [
        (np.ones((2, 3)) / 3, r"shape \(2, 3\).*square"),
        ([[-0.5, 0.5], [0, 1]], "negative"),
        ([[np.nan, 0.5], [0, 1]], "not finite"),
        ([[np.inf, 0.5], [0, 1]], "not finite"),
        ([[0.7, 0.5], [0, 1]], r"sums to 1\.2.*divide"),
    ],
)
def test_bad_transitions(transitions, message):
    with pytest.raises(ValueError, match=message):
        LabelDiffusion(transitions, 2)


@pytest.mark.parametrize(
    ("labels", "n_classes", "message"),
    [
        ([0.0, 1.0, -1.0], None, "dtype float64.*give 3 integers"),
        ([True, False, True], None, "dtype bool"),
        (["a", "b", "c"], None, "dtype <U1"),
        ([0, 1], None, r"shape \(2,\)"),
        ([[0], [1], [-1]], None, r"shape \(3, 1\)"),
        ([0, -2, 1], None, "from -2 to 1.*between -1 and 1"),
        ([0, 3, 1], 3, "to 3.*between -1 and 2"),
    ],
)
def test_bad_labels(labels, n_classes, message):
    diffusion = LabelDiffusion(np.eye(3), 2).diffuse([0, 1, -1])
    with pytest.raises(ValueError, match=message):
        diffusion.diffuse(labels, n_classes)
    np.testing.assert_array_equal(diffusion.diffuse([0, 1, -1]).hits(), [[1, 0], [0, 1], [0, 0]])


def test_unknown_measures():
    with pytest.raises(ValueError, match=r"measure='variance'.*'confidence'.*'norm'"):
        LabelDiffusion(np.eye(2), 1).diffuse([0, 1]).uncertainty("variance")


@pytest.mark.parametrize(
    ("distances", "indices", "message"),
    [
        ([[np.nan], [1.0]], [[1], [0]], "not finite"),
        ([[-1.0], [1.0]], [[1], [0]], "negative"),
        ([[1.0], [1.0]], [[-1], [0]], "from -1 to 0"),
        ([[1.0], [1.0]], [[1], [2]], "from 1 to 2; they must be positions of the 2 rows"),
    ],
)
def test_neighbors_that_are_none(distances, indices, message):
    with pytest.raises(ValueError, match=message):
        transition_matrix(distances, indices)


@pytest.mark.parametrize("n_classes", [0, 1, -1, 2.5])
def test_bad_numbers_of_classes(n_classes):
    with pytest.raises(ValueError, match="integer of at least 2"):
        LabelDiffusion(np.eye(3), 2).diffuse([-1, -1, -1], n_classes)


def test_nothing_to_tell_before_a_diffusion():
    diffused = LabelDiffusion(np.eye(3), 2).diffuse([0, 1, -1])
    for fresh in (
        LabelDiffusion(np.eye(3), 2),
        copy.deepcopy(diffused),
        pickle.loads(pickle.dumps(diffused)),
    ):
        with pytest.raises(NotFittedError, match="call diffuse"):
            fresh.hits()
