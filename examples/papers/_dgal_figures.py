"""The figures of DGAL's experiments: curves, how far the labels reach, and where the queried rows lie."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from _experiments import COLORS, save
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from skal.plotting import LearningCurveDisplay
from skal.strategies import DGAL

N_NEAR = 10  # neighbours whose classes are compared
TURNS = {"rounds 1 to 5": (0, 5), "rounds 6 to 10": (5, 10), "later rounds": (10, None)}
PICTURED = ("dgmg", "vae-seals", "margin", "random")  # in the style of Figures 3 and 4


def count_unreached(graph: DGAL, X: Any, y: Any, history: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Number of unlabelled rows that no label has reached, after each round but the last, shape (n_seeds, n_rounds)."""
    counts = np.zeros((len(history["labeled_rows"]), history["n_labeled"].shape[1] - 1))
    for run_counts, rows in zip(counts, history["labeled_rows"], strict=True):
        for turn, n_labeled in enumerate(history["n_labeled"][0][:-1]):
            labels = np.full(len(X), -1)
            labels[rows[:n_labeled]] = y[rows[:n_labeled]]
            graph.query(X, labels)
            run_counts[turn] = graph.query_report_.n_unreached
    return counts


def draw(
    name: str,
    histories: dict[str, Any],
    graph: DGAL,
    spaces: dict[str, Callable[[Any], Any]],
    data: Any,
    output: Path,
) -> dict[str, Any]:
    """All figures, to files; returned is how mixed the classes are near the rows that are queried."""
    X, y = data[0], np.unique(data[1], return_inverse=True)[1]
    draw_curves(name, histories, output / "curves.png")
    draw_unreached(histories, graph, X, y, output / "unreached.png")
    figures: dict[str, float] = {}
    for space, embed in spaces.items():
        latents = embed(X)
        draw_queried(histories, latents, y, output / f"queried-{space}.png")
        figures |= {f"{space}, {key}": value for key, value in near_boundaries(histories, latents, y).items()}
    return figures


def near_boundaries(histories: dict[str, Any], latents: Any, y: Any) -> dict[str, Any]:
    """In percent, how many neighbours of queried rows have another class: a list per method and part of the rounds."""
    index = NearestNeighbors(n_neighbors=N_NEAR + 1, algorithm="brute").fit(latents)

    def others(rows: Any) -> float:
        near = index.kneighbors(latents[rows], return_distance=False)[:, 1:]
        return float(100 * np.mean(y[near] != y[rows, None]))

    rows = np.random.default_rng(0).choice(len(y), min(1000, len(y)), replace=False)
    figures: dict[str, Any] = {"other classes near random rows": others(rows)}
    for method in (method for method in PICTURED if method in histories):
        n_labeled = histories[method]["n_labeled"][0]
        for part, (first, last) in TURNS.items():
            ends = n_labeled[: len(n_labeled) if last is None else last + 1]
            if len(ends) > first + 1:
                queried = histories[method]["labeled_rows"][:, ends[first] : ends[-1]]
                figures[f"other classes near {method}, {part}"] = [others(rows) for rows in queried]
    return figures


def draw_curves(name: str, histories: dict[str, Any], file: Path) -> None:
    """Accuracy against labels and against query time, and the time of a query."""
    figure, axes = plt.subplots(1, 3, figsize=(19, 5), layout="constrained")
    axes[0].set_prop_cycle(color=COLORS)
    display = LearningCurveDisplay.from_history(histories, band="min_max", ax=axes[0])
    axes[0].set(ylabel="Accuracy", title=f"{name}: accuracy against labels")
    for method, history in histories.items():
        taken = np.cumsum(history["query_time"][:, 1:], axis=1).mean(axis=0)
        color = display.lines_[method].get_color()
        axes[1].plot(
            taken, history["score"][:, 1:].mean(axis=0), ".-", label=method, color=color, markersize=4
        )
        axes[2].bar(method, history["query_time"][:, 1:].mean(), color=color)
    axes[1].set(
        xscale="log", xlabel="Total query time, s", ylabel="Accuracy", title="accuracy against query time"
    )
    axes[2].set(yscale="log", ylabel="s", title="average time of a query")
    axes[2].tick_params(axis="x", rotation=60)
    save(figure, file)


def draw_unreached(histories: dict[str, Any], graph: DGAL, X: Any, y: Any, file: Path) -> None:
    """How far the labels of each method reach on the graph: exploration ends when all rows are reached."""
    figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
    axis.set_prop_cycle(color=COLORS)
    for method, history in histories.items():
        unreached = count_unreached(graph, X, y, history)
        axis.plot(history["n_labeled"][0][:-1], unreached.mean(axis=0), label=method)
    axis.set(xlabel="Number of labels", ylabel="Unlabelled rows that no label reaches", yscale="symlog")
    axis.legend(fontsize="small", ncols=2)
    save(figure, file)


def draw_queried(histories: dict[str, Any], latents: Any, y: Any, file: Path) -> None:
    """The rows of the first ten queries of the first seed, on a t-SNE map."""
    methods = [method for method in PICTURED if method in histories]
    if not methods:
        return
    n_labeled = histories[methods[0]]["n_labeled"][0]
    initial, first, second = (n_labeled[: turns + 1][-1] for turns in (0, 5, 10))
    queried = {method: histories[method]["labeled_rows"][0][:second] for method in methods}
    rng = np.random.default_rng(0)
    shown = rng.choice(len(y), min(2000, len(y)), replace=False)
    rows = np.unique(np.concatenate([shown, *queried.values()]))
    places = TSNE(init="pca", random_state=0, perplexity=min(30, (len(rows) - 1) / 3)).fit_transform(
        latents[rows]
    )
    figure, axes = plt.subplots(
        1, len(methods), figsize=(5.5 * len(methods), 5.5), squeeze=False, layout="constrained"
    )
    for axis, method in zip(axes[0], methods, strict=True):
        axis.scatter(*places.T, c=y[rows], cmap="tab10", s=4, alpha=0.35, lw=0)
        positions = np.searchsorted(rows, queried[method])
        parts = {
            "o": ("rounds 1 to 5", positions[initial:first]),
            "s": ("rounds 6 to 10", positions[first:]),
        }
        for (marker, (label, part)), color in zip(parts.items(), ("black", "tab:red"), strict=True):
            axis.scatter(
                *places[part].T, c=color, marker=marker, s=22, label=label, edgecolors="white", lw=0.5
            )
        axis.set(title=method, xticks=[], yticks=[])
    axes[0, 0].legend(loc="best", fontsize="small")
    save(figure, file)
