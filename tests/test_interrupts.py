"""Ctrl-C ends whatever takes long, soon, also in compiled code and in threads."""

import os
import signal
import time
from functools import cache

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.classifiers import NetClassifier
from skal.generators import GAN
from skal.graph import LabelDiffusion, nearest_neighbors, transition_matrix
from skal.neighbors import CellIndex, match
from skal.selection import FarthestFirst, badge_kmeans_plusplus, k_medians
from skal.strategies import BALD, RandomSampling

from .processes import FRESH

ROWS = np.random.default_rng(0).normal(size=(30_000, 30)).astype(np.float32)  # no cell can be skipped


def passes():
    X = ROWS[:30]
    net = NetClassifier(module_params={"dropout": 0.5}, max_epochs=1, random_state=0).fit(
        X, np.arange(30) % 2
    )
    return lambda: BALD(10**9, random_state=0).fit(X).utility(X, estimator=net)


def training(kind, length):
    """Torch imports much when it trains first, which an interrupt would leave half done."""
    y = np.arange(100) % 2
    kind(**{length: 1}).fit(ROWS[:100], y)
    return lambda: kind(**{length: 10**6}).fit(ROWS[:100], y)


def raw_net():
    net = NeuralNetClassifier(
        nn.Linear, module__in_features=30, module__out_features=2, criterion=nn.CrossEntropyLoss,
        max_epochs=10**6, train_split=None, verbose=0,
    )  # fmt: skip
    return lambda: ActiveLearner(net, RandomSampling()).fit(ROWS[:100], np.arange(100) % 2)


@cache
def index():
    index = CellIndex(random_state=0).fit(ROWS)
    index.kneighbors(ROWS[:1])
    return index


def search(n_threads=1):
    searched = index()

    def run():
        torch.set_num_threads(n_threads)
        searched.kneighbors(ROWS)

    return run


def matching():
    searched = index()
    return lambda: match(searched, ROWS[:1].repeat(30_000, axis=0), np.ones(30_000, dtype=bool))


def diffusion():
    walks = transition_matrix(*nearest_neighbors(ROWS[:5000], 20))
    labels = np.where(np.arange(5000) % 10, -1, np.arange(5000) % 1000)
    LabelDiffusion(walks, 1).diffuse(labels)
    return lambda: [LabelDiffusion(walks, 254, incremental=False).diffuse(labels) for _ in range(9)]


CASES = {
    "network": lambda: training(NetClassifier, "max_epochs"),
    "generator": lambda: training(GAN, "n_iter"),
    "raw net": raw_net,
    "learner": lambda: (
        lambda: ActiveLearner(NetClassifier(max_epochs=10**6), RandomSampling()).fit(
            ROWS[:100], np.arange(100) % 2
        )
    ),
    "passes": passes,
    "search": search,
    "search in threads": lambda: search(3),
    "matching": matching,
    "neighbors": lambda: lambda: nearest_neighbors(ROWS, 10),
    "diffusion": diffusion,
    "medians": lambda: lambda: k_medians(ROWS, 3000, np.random.default_rng(0)),
    "farthest first": lambda: lambda: FarthestFirst(ROWS).pick(25_000),
    "badge": lambda: (
        lambda: badge_kmeans_plusplus(ROWS, np.full((30_000, 9), 1 / 9), 25_000, np.random.default_rng(0))
    ),
}


def main(parent):
    """Run the cases that the parent names, one after the other."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    signal.alarm(120)  # ends the process, whatever it is in
    while name := parent.recv():
        run = CASES[name]()
        parent.send("begins")
        try:
            run()
        except KeyboardInterrupt:
            parent.send("interrupted")
        else:
            parent.send("ends")


def test_an_interrupt_comes_through():
    parent, child = FRESH.Pipe()
    process = FRESH.Process(target=main, args=(child,), daemon=True)
    process.start()
    child.close()  # so that the end of the process is seen
    answers, seconds = {}, {}
    for name in CASES:
        parent.send(name)
        assert parent.recv() == "begins"
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        start = time.monotonic()
        while not parent.poll(2):  # Python drops what it raises in a destructor
            os.kill(process.pid, signal.SIGINT)
        answers[name] = parent.recv()
        seconds[name] = time.monotonic() - start
    parent.send("")
    process.join()
    assert set(answers.values()) == {"interrupted"}, answers
    print(seconds)
    assert max(seconds.values()) < 3, seconds  # on a busy machine; it takes a tenth of a second
