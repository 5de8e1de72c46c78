"""Query time in seconds of DGAL's methods over growing pools of MNIST and shifted copies of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from _experiments import flat, result_folder, warm_up
from _times import Taken, augmented, measure, write_times
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skal import datasets

TIMED = ("random", "rsmg", "dgmg", "margin", "badge", "coreset", "seals")
N_LABELED = 100


def times_main(options: Any, classifier: Any, make_strategy: Callable[[str, Any], Any]) -> None:
    """Measure all methods in turns, with the graph of 50 principal components: they take the VAE's place."""
    output, sizes = result_folder(options), options.sizes
    X, y = datasets.load_mnist(return_X_y=True)
    encoder = make_pipeline(FunctionTransformer(flat), PCA(50, random_state=0)).fit(X[:10_000])
    classifier.set_params(random_state=0).fit(X[:N_LABELED], y[:N_LABELED])
    pool = augmented(X, max(sizes), output)
    names = options.methods or TIMED
    found: dict[int, Taken] = {}
    for size in sizes:
        labels = np.full(size, -1)
        labels[:N_LABELED] = y[:N_LABELED]
        methods = {name: make_strategy(name, encoder).set_params(random_state=0) for name in names}
        for strategy in methods.values():
            warm_up(strategy, X, classifier)
        found[size] = measure(methods, pool[:size], labels, classifier, options, output)
    setting = f"{N_LABELED} labels, 100 candidates, graph of 50 principal components"
    write_times(options, output, found, setting=setting)
