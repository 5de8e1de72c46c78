"""The pictures of ALCG: samples of each class (Figures 1 and 8), and rows of low and high certainty (Figure 3)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from _experiments import plt, save

N_SHOWN = 8  # samples of each class, and rows of each certainty
ENDS = ("uncertain", "certain")
SHARE = 0.1  # of the rows, at either end, that the judge looks at


def samples_of(gan: Any) -> np.ndarray[Any, Any]:
    """Samples of each class, in bytes."""
    samples = gan.sample(np.repeat(gan.classes_, N_SHOWN), random_state=0)
    return np.rint(samples).clip(0, 255).astype(np.uint8)


def by_certainty(gan: Any, judge: Any, X: Any, y: Any) -> dict[str, Any]:
    """The rows of the lowest and of the highest certainty (Equation 6), and how many of them a judge takes for theirs.

    The paper's word for the latter is clean: a judge who has learned from other rows knows what they are.
    """
    order = np.argsort(gan.predict_proba(X).max(axis=1), kind="stable")
    n_rows = max(1, int(SHARE * len(X)))
    found = {}
    for name, rows in zip(ENDS, (order[:n_rows], order[::-1][:n_rows]), strict=True):
        found[name] = X[rows[:N_SHOWN]]
        found[f"{name}_recognized"] = judge.score(X[rows], y[rows])
    return found


def draw_samples(images: dict[str, Any], file: Path) -> None:
    """Draw samples by title, one row per class."""
    figure, axes = plt.subplots(
        1, len(images), figsize=(3 * len(images), 4), squeeze=False, layout="constrained"
    )
    for axis, (title, samples) in zip(axes[0], images.items(), strict=True):
        axis.imshow(grid(samples))
        axis.set(title=title)
        axis.axis("off")
    save(figure, file, dpi=150)


def draw_certainty(runs: Iterable[dict[str, Any]], file: Path) -> None:
    """Draw the rows of low and of high certainty, each in a line of its own; two lines per run."""
    lines = [(run[name], name) for run in runs for name in ENDS]
    figure, axes = plt.subplots(len(lines), 1, figsize=(6, len(lines)), squeeze=False, layout="constrained")
    for axis, (images, name) in zip(axes[:, 0], lines, strict=True):
        axis.imshow(grid(images))
        axis.set_title(name, fontsize="small")
        axis.axis("off")
    save(figure, file, dpi=150)


def grid(images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Images beside each other, so many in a line as are shown of a class; gray ones get colours."""
    n_channels, height, width = images.shape[1:]
    n_shown = min(N_SHOWN, len(images))
    lines = images.reshape(-1, n_shown, n_channels, height, width).transpose(0, 3, 1, 4, 2)
    lines = lines.reshape(-1, n_shown * width, n_channels)
    return np.broadcast_to(lines, (*lines.shape[:2], 3))
