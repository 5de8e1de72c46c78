"""The label of each row, from what annotators said about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..labels import Labels
from ..pool import Rows
from .consensus import Consensus, dawid_skene, majority
from .journal import SKIPPED, Standings


class Agreed(NamedTuple):
    """What is known of the rows that somebody has said something about.

    Attributes
    ----------
    rows : ndarray of int
        Those with a label of someone, in increasing order.
    classes : ndarray of int
        Their positions in the list of classes; -1 where no class is ahead of the others.
    skipped : ndarray of int
        Those that were skipped, and that nobody has labelled.
    """

    rows: Rows
    classes: Rows
    skipped: Rows

    @property
    def known(self) -> tuple[Rows, Rows]:
        """Rows and classes where a class is ahead."""
        is_known = self.classes >= 0
        return self.rows[is_known], self.classes[is_known]


def agreed(standings: Standings, n_classes: int, how: str) -> Agreed:
    """The label of each row, by majority or as Dawid and Skene have it."""
    said = standings.labelled
    rows = np.unique(said.rows)
    skipped = np.setdiff1d(standings.rows[standings.states == SKIPPED], rows)
    if len(rows) == len(said.rows):  # one answer each
        return Agreed(rows, said.classes, skipped)
    return Agreed(rows, consensus(said, n_classes, how).classes, skipped)


def consensus(said: Standings, n_classes: int, how: str) -> Consensus:
    """What annotators say together about each row that one of them has labelled, in increasing order of the rows."""
    rows, items = np.unique(said.rows, return_inverse=True)
    # Only of the classes that were answered: there may be thousands more.
    answered, codes = np.unique(said.classes, return_inverse=True)
    shape = {"n_items": len(rows), "n_classes": len(answered)}
    if how == "dawid_skene":
        who, annotators = np.unique(said.annotators, return_inverse=True)
        found = dawid_skene(items, annotators, codes, n_annotators=len(who), **shape)
    else:
        found = majority(items, codes, **shape)
    return replace(found, classes=np.where(found.classes < 0, -1, answered[found.classes]))


def partial_labels(
    n_rows: int, rows: Rows, labels: list[Any], classes: list[Any], unlabeled: Any
) -> NDArray[Any]:
    """Labels of some rows of a pool, with a marker in all others; `classes` tell numbers from strings."""
    is_text = bool(classes) and isinstance(classes[0], str)
    none = Labels.none(n_rows, object if is_text else np.int64, unlabeled=unlabeled)
    return (none.with_labels(rows, labels) if labels else none).to_array()
