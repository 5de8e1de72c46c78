"""DGAL's first labels compared with random candidates. Settings that the paper leaves open are varied one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from _experiments import flat, markdown, result_folder, some, spread, write_report
from _results import write_results
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skal import SimulatedLearner, datasets, show_progress
from skal.pool import blockwise
from skal.strategies import DGAL, QueryStrategy, RandomSampling, RandomSubset, UncertaintySampling
from skal.utils.replacing import replacing

N_ROWS = 20_000
N_COMPONENTS = 50
N_CANDIDATES = 100
N_QUERIES, N_ROUNDS = 10, 10  # as on MNIST, and ten labels at the start
PLAIN = "as in the paper"
VARIED: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "K 5": {"n_neighbors": 5},
    "K 20": {"n_neighbors": 20},
    "K 50": {"n_neighbors": 50},
    "T 2": {"n_steps": 2},
    "T 3": {"n_steps": 3},
    "T 10": {"n_steps": 10},
    "graph-learning kernel": {"kernel": "graph_learning"},
    "directed graph": {"symmetric": False},
    "cosine distance": {"index": NearestNeighbors(metric="cosine")},
    "norm": {"uncertainty": "norm"},
    "confidence": {"uncertainty": "confidence"},
    "margin": {"uncertainty": "margin"},
    "entropy": {"uncertainty": "entropy"},
    "300 candidates": {"n_candidates": 300},
    "1,000 candidates": {"n_candidates": 1000},
}


def early_main(options: Any, make_vae: Callable[[Any], Any]) -> None:
    """Measure the mean accuracy over the rounds, less that of RSMG with as many candidates, in points."""
    output = result_folder(options)
    X, y = some(datasets.load_mnist(return_X_y=True), N_ROWS)
    X_test, y_test = datasets.load_mnist(split="test", return_X_y=True)
    vae, pca = make_vae(X), PCA(N_COMPONENTS, random_state=0).fit(in_one(X))
    pool, test = (
        np.hstack([pca.transform(in_one(each)), blockwise(vae.transform, each)]).astype(np.float32)
        for each in (X, X_test)
    )
    own = {"VAE": slice(N_COMPONENTS, None), "PCA": slice(N_COMPONENTS)}
    classifier = make_pipeline(columns(own["PCA"]), LogisticRegression(max_iter=1000))
    seeds = options.seeds or list(range(10))

    file = output / f"areas-{'-'.join(map(str, seeds))}.json"
    areas: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def area(name: str, strategy: QueryStrategy) -> Any:
        """The mean accuracy over the rounds after a query, in percent, for each seed. They are kept in a file."""
        if name not in areas:
            found = []
            for seed in seeds:
                learner = SimulatedLearner(
                    classifier,
                    strategy,
                    n_initial=10,
                    n_queries=N_QUERIES,
                    budget=10 + N_QUERIES * N_ROUNDS,
                    random_state=seed,
                )
                history = learner.fit(pool, y, X_val=test, y_val=y_test).history_
                found.append(100 * np.mean(history["score"][1:]))
            areas[name] = found
            with replacing(file) as stream:
                stream.write(json.dumps(areas).encode())
        return np.array(areas[name])

    margin = UncertaintySampling("margin")
    numbers: dict[str, Any] = {}
    rows = []
    with show_progress():
        numbers |= {"random": area("random", RandomSampling()), "margin": area("margin", margin)}
        for name, params in VARIED.items():
            n_candidates = params.get("n_candidates", N_CANDIDATES)
            rsmg = f"RSMG, {n_candidates} candidates"
            numbers[rsmg] = area(rsmg, RandomSubset(n_candidates, margin))
            gains = []
            for space, part in own.items():
                strategy = DGAL(columns(part), **{"n_candidates": n_candidates, **params})
                gains.append(area(f"{space}, {name}", strategy) - numbers[rsmg])
                numbers[f"{space}, {name}: gain"] = gains[-1]
            rows.append([name, *(f"{spread(gain, 1)}, {(gain > 0).mean():.0%}" for gain in gains)])
            print(*rows[-1], sep=" | ", flush=True)
    means = ", ".join(
        f"{name} {values.mean():.1f} %" for name, values in numbers.items() if "gain" not in name
    )
    table = markdown(["varied", *(f"{space}: above RSMG, share of seeds" for space in own)], rows)
    write_report([f"Mean accuracy from 20 to 110 labels: {means}", table], output)
    write_results(
        options,
        output,
        flags=["--seeds", *map(str, seeds)],
        setting=f"{N_ROWS:,} rows of MNIST, a linear classifier of {N_COMPONENTS} principal components, 10 labels at "
        f"first, {N_QUERIES} a round; means over {N_ROUNDS} rounds, in percent, and what DGMG has above RSMG",
        cut=["a linear classifier (LeNet)", "20,000 rows (60,000)", *["VAE 8 epochs (300)"] * options.quick],
        numbers=numbers,
    )


def in_one(images: Any) -> np.ndarray[Any, Any]:
    """Images as rows of numbers up to one."""
    return flat(images) / np.float32(255)


def columns(part: slice) -> FunctionTransformer:
    """Takes some columns."""
    return FunctionTransformer(partial(taken, part=part))


def taken(X: Any, part: slice) -> Any:
    return X[:, part]
