"""How long annotators wait: 20 processes label a pool of a million rows while a classifier is trained.

``python -m tests.campaign.speed`` prints throughput and percentiles. ``--pause`` is the mean time that an annotator
looks at a row; 0 has all of them ask and answer as fast as they can.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.campaign import Campaign
from skal.strategies import RandomSampling, UncertaintySampling


def annotate(folder, name, n, pause, times, seed):
    """Label rows one by one, and keep how long each call took."""
    draws = np.random.default_rng(seed)
    campaign = Campaign.open(folder, training=None)
    for i in range(n):
        begun = time.perf_counter()
        rows = campaign.next(name)
        given = time.perf_counter()
        assert len(rows) == 1
        campaign.answer(name, rows, rows % 5, seconds=0.0)
        times[i] = given - begun, time.perf_counter() - given, 0
        begun = time.perf_counter()
        if pause:
            time.sleep(pause * draws.exponential())


def run(n_rows=1_000_000, n_annotators=20, n_answers=20_000, pause=0.0, retrain_every=500):
    """Run a campaign, and return what was measured."""
    with tempfile.TemporaryDirectory() as place:
        X = np.memmap(Path(place) / "pool", np.float32, "w+", shape=(n_rows, 16))
        X[:] = np.random.default_rng(0).normal(size=X.shape)
        X.flush()
        X = np.memmap(Path(place) / "pool", np.float32, "r", shape=(n_rows, 16))
        plan = ActiveLearner(
            LogisticRegression(max_iter=200),
            UncertaintySampling(),
            cold_start=RandomSampling(),
            random_state=0,
        )
        folder = str(Path(place) / "campaign")
        campaign = Campaign(folder, plan, X, classes=range(5), retrain_every=retrain_every)
        campaign.wait(120)
        shared = multiprocessing.RawArray("d", 3 * n_answers)
        times = np.frombuffer(shared).reshape(n_annotators, -1, 3)
        context = multiprocessing.get_context("fork")
        processes = [
            context.Process(target=annotate, args=(folder, f"a{i}", len(own), pause, own, i))
            for i, own in enumerate(times)
        ]
        begun = time.perf_counter()
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        took = time.perf_counter() - begun
        assert [process.exitcode for process in processes] == [0] * n_annotators
        progress = campaign.progress()
        assert progress.n_labelled == progress.n_answers == n_answers
        seconds = sum(model["seconds"] for model in progress.by_model)
        size = os.path.getsize(campaign.path / "journal.sqlite")
        names = [batch["strategy"] for batch in campaign.batches()]
        campaign.close()
    percentiles = {
        name: np.percentile(times[..., i], [50, 99, 100]) * 1e3 for i, name in enumerate(["next", "answer"])
    }
    return took, percentiles, len(progress.by_model), seconds, size, names


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--answers", type=int, default=20_000)
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.0)
    given = parser.parse_args()
    took, percentiles, n_models, seconds, size, names = run(
        given.rows, given.annotators, given.answers, given.pause
    )
    print(
        f"{given.annotators} annotators, {given.answers} answers to a pool of {given.rows} rows in {took:.0f} s: "
        f"{given.answers / took:.0f} per second, no error. {n_models} trainings, {seconds:.0f} s of training; "
        f"{len(names)} batches, {names.count('RandomSampling')} of them random. Journal: {size / 2**20:.1f} MiB."
    )
    for name, (half, most, worst) in percentiles.items():
        print(f"{name}: median {half:.1f} ms, 99th percentile {most:.1f} ms, longest {worst:.1f} ms")
