"""The approximate index by pynndescent itself, which compiles for three minutes on a new machine."""

import copy
import pickle
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from skal.neighbors import GraphIndex
from tests.neighbors.pools import brute_force, spectrum_pool
from tests.threads import check_threads


@pytest.fixture(scope="module")
def graph():
    X = spectrum_pool(6000)
    return X, GraphIndex(random_state=0).fit(X)


def test_recall_of_the_approximate_index(graph):
    X, index = graph
    queries = spectrum_pool(500, seed=1)
    distances, rows = index.kneighbors(queries)
    assert (rows == brute_force(X, queries, 1)[1]).mean() >= 0.95
    for query, row, distance in zip(queries, rows, distances, strict=True):
        np.testing.assert_array_equal(brute_force(X[row], query[None], 1)[0][0], distance)
    np.testing.assert_array_equal(index.kneighbors(queries)[1], rows)


def test_the_approximate_index_finds_as_many_as_are_asked(graph):
    X, index = graph
    _, rows = index.kneighbors(X[:2], len(X))
    np.testing.assert_array_equal(rows, brute_force(X, X[:2], len(X))[1])


def test_threads_find_what_one_thread_finds(graph):
    check_threads(lambda seed: graph[1].kneighbors(spectrum_pool(1 + seed % 3, seed=seed), 1 + seed % 4))


def test_a_copy_and_a_pickle_search_the_same_graph(graph):
    queries = spectrum_pool(20, seed=1)
    for renewed in (copy.deepcopy(graph[1]), pickle.loads(pickle.dumps(graph[1]))):
        for ours, theirs in zip(renewed.kneighbors(queries, 3), graph[1].kneighbors(queries, 3), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_pickle_imports_pynndescent_as_the_index_does(graph, monkeypatch):
    data, entered = pickle.dumps(graph[1]), []

    @contextmanager
    def forgiving():
        entered.append("pynndescent" in sys.modules)
        yield

    monkeypatch.setattr("skal.neighbors.graph_index.forgiving_caches", forgiving)
    assert vars(pickle.loads(data)).keys() == vars(graph[1]).keys()
    assert entered == [True]
    assert data.index(b"_import_pynndescent") < data.index(b"NNDescent\x94")
