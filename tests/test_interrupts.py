"""Ctrl-C ends whatever takes long, soon, also in compiled code and in threads."""

import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch

from skal.classifiers import NetClassifier
from skal.graph import LabelDiffusion, nearest_neighbors, transition_matrix
from skal.neighbors import CellIndex, match
from skal.selection import FarthestFirst, badge_kmeans_plusplus, k_medians
from skal.strategies import BALD

ROWS = np.random.default_rng(0).normal(size=(30_000, 30)).astype(np.float32)  # no cell can be skipped


def passes():
    X = ROWS[:30]
    net = NetClassifier(module_params={"dropout": 0.5}, max_epochs=1, random_state=0).fit(
        X, np.arange(30) % 2
    )
    return lambda: BALD(10**9, random_state=0).fit(X).utility(X, estimator=net)


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


def main():
    """Run the cases that the parent names, one after the other."""
    signal.alarm(120)  # ends the process, whatever it is in
    for name in map(str.strip, sys.stdin):
        run = CASES[name]()
        print("begins", flush=True)
        try:
            run()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        else:
            print("ends", flush=True)


def test_an_interrupt_comes_through():
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", "from tests.test_interrupts import main; main()"]
    answers, seconds = {}, {}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        for name in CASES:
            print(name, file=child.stdin, flush=True)
            assert child.stdout.readline() == "begins\n"
            time.sleep(0.2)
            child.send_signal(signal.SIGINT)
            start = time.monotonic()
            answers[name] = child.stdout.readline()
            seconds[name] = time.monotonic() - start
        child.stdin.close()
    assert set(answers.values()) == {"interrupted\n"}, answers
    print(seconds)
    assert max(seconds.values()) < 3, seconds  # on a busy machine; it takes a tenth of a second
