"""WAAL's Figure 2 and Equation 3: which distance distinguishes a diverse query from a query on one side only.

The rows D1 lie evenly on [-2a, -a] and [a, 2a], a diverse query D2 on two intervals of length b around -x0 and x0, and
another query D3 on one interval of length 2b around x0, which fits into [a, 2a] for b up to a / 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from _results import write_results

A, WIDTHS = 1.0, (0.125, 0.25, 0.5)  # a, and values of b
N_POINTS = 2001


def distances_main(options: Any) -> None:
    """Print the distances, and write them to a result file."""
    figures = {f"b {b}, {name}": value for b in WIDTHS for name, value in figure_2(b).items()}
    for name, value in figures.items():
        print(f"{name}: {value:.4f}")
    write_results(options, options.output, setting=f"a = {A}, x0 at 51 places", numbers=figures)


def places(*intervals: tuple[float, float]) -> np.ndarray[Any, Any]:
    """Even places on intervals of equal lengths."""
    steps = (np.arange(N_POINTS) + 0.5) / N_POINTS
    return np.sort(np.concatenate([low + (high - low) * steps for low, high in intervals]))


def wasserstein(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> float:
    """W1 of two samples: the mean distance of their quantiles."""
    shares = (np.arange(4 * N_POINTS) + 0.5) / (4 * N_POINTS)
    return float(np.abs(np.quantile(first, shares) - np.quantile(second, shares)).mean())


def errors(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The shares of both samples that thresholds put on the wrong side, each way, shape (2, n_thresholds)."""
    thresholds = np.linspace(-2.5 * A, 2.5 * A, 2 * N_POINTS)
    below = np.stack([np.searchsorted(sample, thresholds) / len(sample) for sample in (first, second)])
    return np.hstack([[below[0], 1 - below[1]], [1 - below[0], below[1]]])


def figure_2(b: float) -> dict[str, float]:
    """The distances at the places x0 where the paper's inequality is tightest, and the risks of the best thresholds.

    The paper weighs both distributions by the lengths of their intervals, so that taking all for D1 is best; the other
    risks weigh them alike.
    """
    whole = places((-2 * A, -A), (A, 2 * A))
    diverse = [
        places((-x - b / 2, -x + b / 2), (x - b / 2, x + b / 2))
        for x in np.linspace(A + b / 2, 2 * A - b / 2, 51)
    ]
    lonely = [places((x - b, x + b)) for x in np.linspace(A + b, 2 * A - b, 51)]
    figures = {"W1(D1, D2), largest": max(wasserstein(whole, query) for query in diverse)}
    figures["W1(D1, D3), smallest"] = min(wasserstein(whole, query) for query in lonely)
    for weighing, shares in {"by length": (A, b), "alike": (1, 1)}.items():
        weights = np.array(shares) / sum(shares)
        for name, queries in (("D2", diverse), ("D3", lonely)):
            risks = [float((weights @ errors(whole, query)).min()) for query in queries]
            figures[f"risk of D1 and {name}, weighed {weighing}, smallest"] = min(risks)
    return figures
