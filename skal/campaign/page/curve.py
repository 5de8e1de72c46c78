"""The learning curve of a campaign, as points of a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..campaign import Campaign
from ..progress import Progress

_WIDTH, _HEIGHT = 300, 110  # of the plot, in its own units
_FEWEST = 3  # answers to judge a classifier by


@dataclass(frozen=True)
class Curve:
    """Points (x, y, number of labels, score), and what the score is."""

    points: list[tuple[float, float, int, float]]
    measure: str
    width: int = _WIDTH
    height: int = _HEIGHT

    @property
    def line(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y, _, _ in self.points)


def curve(campaign: Campaign, progress: Progress) -> Curve:
    """How good each classifier is: by its audit, else by validation rows, else by the answers to what it asked."""
    for name, measure in (("audit", "right on random rows (audit)"), ("validation", "validation score")):
        found = [(model["n_labeled"], _score(model[name])) for model in progress.by_model if name in model]
        if found:
            return Curve(_points(found), measure)
    return Curve(
        _points(_guessed(campaign, progress)),
        "right about the items that it asked for, which are the hard ones",
    )


def _score(value: Any) -> float:
    return float(value["score"] if isinstance(value, dict) else value)


def _guessed(campaign: Campaign, progress: Progress) -> list[tuple[int, float]]:
    """The share of answers that each classifier had predicted, among the rows that it was asked for."""
    if not progress.by_model:
        return []
    said = campaign.consensus()
    labels = dict(zip(said["row"].tolist(), said["label"].tolist(), strict=True))
    batches = campaign.batches()
    # The last batch that had the row.
    offered = {row: i for i, batch in enumerate(batches) for row in batch["rows"].tolist()}
    right: dict[int, list[bool]] = {}
    for i, batch in enumerate(batches):
        for row, guess in zip(batch["rows"].tolist(), batch["predicted"].tolist(), strict=True):
            if offered[row] == i and guess is not None and labels.get(row) is not None:
                right.setdefault(batch["model"], []).append(guess == labels[row])
    n_labeled = {model["version"]: model["n_labeled"] for model in progress.by_model}
    return [
        (n_labeled[version], float(np.mean(each)))
        for version, each in sorted(right.items())
        if len(each) >= _FEWEST
    ]


def _points(found: list[tuple[int, float]]) -> list[tuple[float, float, int, float]]:
    most = max((n for n, _ in found), default=1)
    return [(_WIDTH * n / most, _HEIGHT * (1 - min(max(score, 0), 1)), n, score) for n, score in found]
