"""Diffusions against the formulas of the DGAL paper, and what they refuse."""

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

from skal.graph import LabelDiffusion, nearest_neighbors, transition_matrix
from skal.neighbors import base

from .walks import diffusions, first_labels_met, hops_from, probability_vectors, random_graph, signals


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


@given(diffusions(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(setting, random):
    M, labels, n_classes, n_steps = setting
    order = np.array(random.sample(range(len(M)), len(M)))
    answers = LabelDiffusion(M, n_steps).diffuse(labels, n_classes).hits()
    permuted = LabelDiffusion(M[order][:, order], n_steps).diffuse(labels[order], n_classes).hits()
    np.testing.assert_allclose(permuted, answers[order], atol=1e-6)


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


@pytest.mark.parametrize("n_classes", [0, 1, -1, 2.5])
def test_bad_numbers_of_classes(n_classes):
    with pytest.raises(ValueError, match="integer of at least 2"):
        LabelDiffusion(np.eye(3), 2).diffuse([-1, -1, -1], n_classes)


@pytest.mark.parametrize("incremental", [None, "yes", 2])
def test_bad_values_of_incremental(incremental):
    with pytest.raises(ValueError, match=r'use True, False or "auto"'):
        LabelDiffusion(np.eye(2), 1, incremental=incremental)


def test_nothing_to_tell_before_a_diffusion():
    diffused = LabelDiffusion(np.eye(3), 2).diffuse([0, 1, -1])
    for fresh in (
        LabelDiffusion(np.eye(3), 2),
        copy.deepcopy(diffused),
        pickle.loads(pickle.dumps(diffused)),
    ):
        with pytest.raises(NotFittedError, match="call diffuse"):
            fresh.hits()


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_positions_of_64_bits_where_32_do_not_suffice(device, monkeypatch):
    """A graph of so many entries keeps its order, which scipy cannot change, and gives the same answers."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3)).astype(np.float32)
    labels = np.where(np.arange(600) % 10, -1, np.arange(600) % 3)
    walks = transition_matrix(*nearest_neighbors(X, 5))
    expected = LabelDiffusion(walks, 4).diffuse(labels).hits()
    for most in (599, 1000):  # fewer than rows, and fewer than entries
        monkeypatch.setattr(base, "MOST_INT32", most)
        distances, indices = nearest_neighbors(X, 5)
        assert indices.dtype == (np.int64 if most < 600 else np.int32)
        again = transition_matrix(distances, indices)
        diffusion = LabelDiffusion(again, 4, device=device)
        if device == "meta":
            steps = diffusion._steps._copy()
            assert steps["input"].dtype == steps["offsets"].dtype == torch.int64
            continue
        assert diffusion._steps._walks[1].dtype == indices.dtype
        np.testing.assert_array_equal(diffusion._order, np.arange(600))
        for each in (
            diffusion,
            LabelDiffusion.from_arrays(diffusion.to_arrays(), 4),
            pickle.loads(pickle.dumps(diffusion)),
        ):
            np.testing.assert_allclose(each.diffuse(labels).hits(), expected, atol=1e-6)
