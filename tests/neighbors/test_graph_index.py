"""What the approximate index makes of pynndescent's answers, with a stand-in that compiles nothing.

`tests/full` has pynndescent itself.
"""

import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from skal.neighbors import CellIndex, GraphIndex

from .pools import brute_force, spectrum_pool

N_THREADS = torch.get_num_threads()
X = spectrum_pool(6000, n_features=5)
QUERIES = spectrum_pool(20, n_features=5, seed=1)


class StandIn:
    """Finds the nearest rows in no order, and no more than `most` of them."""

    most = 100

    def __init__(self, X, random_state):
        torch.set_num_threads(N_THREADS + 2)  # as numba's threads do
        self.X, self.seed, self.asked = X, random_state, []

    def prepare(self):
        torch.set_num_threads(N_THREADS + 2)

    def query(self, queries, k, epsilon):
        torch.set_num_threads(N_THREADS + 2)
        self.asked.append((k, epsilon))
        rows = brute_force(self.X, queries, k)[1]
        rows[:, self.most :] = -1
        return rows[:, ::-1], None


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    module = ModuleType("pynndescent")
    module.NNDescent = StandIn
    monkeypatch.setitem(sys.modules, "pynndescent", module)
    monkeypatch.setattr(StandIn, "most", 100)
    yield
    threads = torch.get_num_threads()
    torch.set_num_threads(N_THREADS)
    assert threads == N_THREADS


@pytest.mark.parametrize("k", [1, 3, 40])
def test_the_answer_is_in_order_with_exact_distances(k):
    index = GraphIndex(epsilon=0.2, random_state=0).fit(X)
    for ours, exact in zip(index.kneighbors(QUERIES, k), brute_force(X, QUERIES, k), strict=True):
        np.testing.assert_array_equal(ours, exact)
    assert index.index_.asked == [(max(k, 10), 0.2)]


@pytest.mark.parametrize(("k", "most"), [(3, 2), (6000, 100), (800, 100)])
def test_where_the_graph_finds_too_few_all_rows_are_compared(k, most, monkeypatch):
    monkeypatch.setattr(StandIn, "most", most)
    index = GraphIndex(random_state=0).fit(X)
    for ours, exact in zip(index.kneighbors(QUERIES[:2], k), brute_force(X, QUERIES[:2], k), strict=True):
        np.testing.assert_array_equal(ours, exact)


def test_small_pools_are_searched_exactly():
    index = GraphIndex(random_state=0).fit(X[:4095])
    assert type(index.index_) is CellIndex
    np.testing.assert_array_equal(index.kneighbors(QUERIES, 3)[1], brute_force(X[:4095], QUERIES, 3)[1])


def test_the_seed_decides_the_graph():
    seeds = [GraphIndex(random_state=seed).fit(X).index_.seed for seed in (0, 0, 1)]
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_pickle_searches_the_same_graph():
    index = GraphIndex(random_state=0).fit(X)
    renewed = pickle.loads(pickle.dumps(index))
    assert vars(renewed).keys() == vars(index).keys()
    np.testing.assert_array_equal(renewed.kneighbors(QUERIES, 3), index.kneighbors(QUERIES, 3))
