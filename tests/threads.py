"""Many threads that ask the same questions as one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from . import THOROUGH


def check_threads(ask, n_questions=100 if THOROUGH else 25, n_threads=8):
    """Ask `n_questions` questions in each of several threads, all at a time, and compare with the answers of one."""
    expected = [ask(i) for i in range(n_questions)]
    orders = [np.random.default_rng(t).permutation(n_questions) for t in range(n_threads)]
    with ThreadPoolExecutor(n_threads) as threads:
        answers = list(threads.map(lambda order: [ask(int(i)) for i in order], orders))
    for order, found in zip(orders, answers, strict=True):
        for i, answer in zip(order, found, strict=True):
            for ours, theirs in zip(answer, expected[i], strict=True):
                np.testing.assert_array_equal(ours, theirs)
