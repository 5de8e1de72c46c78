"""Every strategy beside scikit-activeml's and small-text's: seconds, peak memory, and what the picks are worth.

Run with ``pytest tests/benchmarks/test_peers.py -s``, with MNIST in ``SKAL_DATA`` and the peers installed: ``pip
install scikit-activeml==1.0.1 small-text``. The pool is MNIST by PCA-50 with a hundred labels, the batch a hundred
rows. Each contestant has a process of its own, 16 GiB and five minutes; they take turns, and medians of three rounds
are printed, with ``ROUNDS=1`` in the environment what one round gave. Its own seconds are those beyond the classifier's
`predict_proba` over the pool, of the first query of a process and, for short ones, of later queries of the same labels;
the aim is what the method maximises, of the rows chosen.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA

from .peers import CASES, sides

LIMIT = 300  # seconds
ROUNDS = int(os.environ.get("ROUNDS", "3"))


@pytest.fixture(scope="module", params=[20_000, 60_000])
def folder(request, mnist, tmp_path_factory):
    pixels, truth = mnist
    rows = PCA(50, random_state=0).fit_transform(pixels.reshape(len(pixels), -1) / np.float32(255))
    folder = tmp_path_factory.mktemp("pool")
    np.save(folder / "X.npy", rows[: request.param].astype(float))
    np.save(folder / "truth.npy", truth[: request.param].astype(int))
    return folder


def measured(folder, name, side):
    command = [sys.executable, "-m", "tests.benchmarks.peers", str(folder), name, side]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, cwd=Path(__file__).parents[2]
        )
    except subprocess.TimeoutExpired:
        return f"over {LIMIT} s"
    if done.returncode:
        error = (done.stderr.strip().splitlines() or [f"signal {-done.returncode}"])[-1]
        return "out of memory" if "MemoryError" in error or "Unable to allocate" in error else error[:100]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CASES)
def test_peers(folder, name):
    pytest.importorskip("skactiveml")
    pytest.importorskip("small_text")
    found = {side: [] for side in sides(CASES[name])}
    for _ in range(ROUNDS):
        for side, runs in found.items():
            if not runs or (isinstance(runs[-1], dict) and runs[-1]["seconds"] < 20):
                runs.append(measured(folder, name, side))
    n_rows = len(np.load(folder / "X.npy", mmap_mode="r"))
    print(f"\n{name}, {n_rows:,} rows{f' ({CASES[name].note})' if CASES[name].note else ''}")
    ours = found["skal"]
    for side, runs in found.items():
        if isinstance(runs[-1], str):
            print(f"  {side:<16} {runs[-1]}")
            continue
        seconds = np.median([run["seconds"] for run in runs])
        own = max(seconds - np.median([run["shared"] for run in runs]), 0)
        again = [run["again"] for run in runs if run["again"] is not None]
        later = f" ({1000 * np.median(again):.2f} ms again)" if again else ""
        rows = len(set(ours[0]["rows"]) & set(runs[0]["rows"]))
        print(
            f"  {side:<16} {seconds:8.3f} s, {own:8.3f} s own{later}, "
            f"{max(run['peak'] for run in runs) / 1e6:8.0f} MB, {rows:3d} of 100 rows as ours, aim {runs[0]['aim']:.5g}"
        )
    assert isinstance(ours[0], dict), ours[0]
