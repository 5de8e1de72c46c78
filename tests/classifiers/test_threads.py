"""Threads that ask one fitted classifier at once get what one thread gets, and leave the classifier as it was."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
import torch

from skal.classifiers import CNNClassifier, NetClassifier

from .. import THOROUGH
from ..networks import DIGITS, tiny_acgan, tiny_learning_loss, tiny_vaal, tiny_wasserstein

N_THREADS, N_CALLS = 8, 40 if THOROUGH else 10
IMAGES = DIGITS[:40].astype(np.float32)
FLAT = IMAGES.reshape(40, 64)
LABELS = np.arange(40) % 3
PARTIAL = np.where(np.arange(40) < 20, LABELS, -1)

CASES = {
    "mlp": (lambda: NetClassifier(max_epochs=1, random_state=0).fit(IMAGES, LABELS), "predict_proba"),
    "cnn": (lambda: CNNClassifier("digits", max_epochs=1, random_state=0).fit(IMAGES, LABELS), "embed"),
    "critic": (lambda: tiny_wasserstein(max_epochs=1).fit(IMAGES, PARTIAL), "critic_scores"),
    "loss": (lambda: tiny_learning_loss(max_epochs=1).fit(IMAGES, LABELS), "predicted_loss"),
    "labeled": (lambda: tiny_vaal(max_epochs=1, vae_epochs=1).fit(IMAGES, PARTIAL), "labeled_proba"),
    "acgan": (lambda: tiny_acgan(n_iter=2).fit(FLAT, LABELS), "realness"),
    "sngan": (lambda: tiny_acgan("sngan", n_iter=2).fit(FLAT, LABELS), "embed"),
}


def state(clf):
    """Flags, hooks and weights of all modules, by identity."""
    nets = [getattr(clf, name) for name in clf._nets]
    parts = [part for net in nets for module in net.modules for part in module.modules()]
    return [
        (
            id(part),
            part.training,
            len(part._forward_hooks),
            len(part._forward_pre_hooks),
            sorted(vars(part)),
            [(id(value), value._version) for value in part.parameters(recurse=False)],
        )
        for part in parts
    ]


@pytest.fixture(autouse=True)
def one_core_each():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", CASES)
def test_many_threads_are_as_good_as_one(case):
    make, method = CASES[case]
    clf = make()
    before = state(clf)
    # Each thread has rows of its own: an answer for another thread's would be noticed.
    pools = [FLAT[i : i + 20] + np.float32(i) for i in range(N_THREADS)]
    expected = [getattr(clf, method)(rows) for rows in pools]
    probabilities = clf.predict_proba(FLAT)
    stop = Event()

    def ask(i):
        for _ in range(N_CALLS):
            np.testing.assert_array_equal(getattr(clf, method)(pools[i]), expected[i])

    def predict():
        while not stop.is_set():
            np.testing.assert_array_equal(clf.predict_proba(FLAT), probabilities)

    with ThreadPoolExecutor(N_THREADS + 1) as threads:
        beside = threads.submit(predict)
        try:
            list(threads.map(ask, range(N_THREADS)))
        finally:
            stop.set()
        beside.result()
    assert state(clf) == before
