"""The labels of a learner as a small HTML table, for notebooks: read from its state alone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.display import shortened
from .state import RowState, State

_KINDS = {
    RowState.LABELED: "labelled",
    RowState.SKIPPED: "skipped",
    RowState.AUDIT: "audit",
    RowState.UNLABELED: "unlabelled",
}
_MOST_CLASSES, _FIRST_CLASSES = 10, 8
_MOST_ROUNDS, _FIRST_ROUNDS, _LAST_ROUNDS = 9, 2, 6
_LONGEST = 40  # characters of the name of a class

# Colours are those of the page around, light or dark; Jupyter's own rules for tables are more specific than a class.
_STYLE = """<style>
.skal-labels { margin: .5em .4em; font-family: monospace; font-size: .9em; }
.skal-labels p { margin: .3em 0; }
.skal-labels table { border-collapse: collapse; margin: .3em 0; }
.skal-labels table :is(td, th) { padding: .15em .7em; text-align: right; white-space: nowrap; font-weight: normal;
  border: 0; background: none; color: inherit; }
.skal-labels table th:first-child { text-align: left; }
.skal-labels table tr { background: none; }
.skal-labels table :is(thead tr:last-child, tbody tr:last-child) :is(td, th) {
  border-bottom: 1px solid rgba(128, 128, 128, .6); }
.skal-labels table :is(.total, tfoot th, tfoot td) { font-weight: bold; }
</style>"""


def labels_html(state: State) -> str:
    """What is labelled, by class and round, and how many rows are what.

    Returns
    -------
    html : str
        A ``div``. Neither the pool nor the strategy is touched.
    """
    n_rows = np.bincount(state.row_states, minlength=len(RowState))
    parts = [f"<b>{n_rows[kind]:,}</b> {name}" for kind, name in _KINDS.items()]
    n_extensions = sum(len(each.y) for each in state.extensions)
    plural = "" if n_extensions == 1 else "s"
    more = f"; <b>{n_extensions:,}</b> more sample{plural} outside the pool" if n_extensions else ""
    trained = _training(state) if len(state.labels.rows) + n_extensions else "No label yet."
    return (
        f'{_STYLE}<div class="skal-labels"><p>{len(state.labels):,} rows: {", ".join(parts)}{more}</p>'
        f"<p>{trained}</p>{_table(state)}</div>"
    )


def _training(state: State) -> str:
    if state.is_trained:
        return "The classifier has learned all labels."
    why = "" if state.failure is None else f": {escape(shortened(state.failure, 300))}"
    return f"The classifier has <b>not</b> learned all labels{why or '.'}"


def _table(state: State) -> str:
    """Labels that are trained on: a row per class, a column per round."""
    counts = state.counts
    names = list(counts)
    codes = {name: code for code, name in enumerate(names)}
    own = np.array([codes.get(label, -1) for label in state.labels.classes.tolist()], dtype=np.intp)
    of_rows = own[state.learned.codes[state.learned.rows]]
    extended = state.extension_labels
    of_extensions = np.array([codes[label] for label in extended.values()], dtype=np.intp)
    given, of_label = np.unique(_rounds(state, list(extended)), return_inverse=True)
    if not len(given):
        return ""
    rounds, columns = _folded(len(given), _MOST_ROUNDS, _FIRST_ROUNDS, _LAST_ROUNDS)
    lines, places = _folded(len(names), _MOST_CLASSES, _FIRST_CLASSES)
    table = np.zeros((len(lines), len(rounds)), dtype=np.intp)
    np.add.at(table, (places[np.append(of_rows, of_extensions)], columns[of_label]), 1)
    heads = [f"{given[at]}" if n == 1 else f"{n:,} more" for at, n in rounds]
    labels = [escape(shortened(str(names[at]), _LONGEST)) if n == 1 else f"and {n:,} more" for at, n in lines]
    body = "".join(_line(label, numbers) for label, numbers in zip(labels, table, strict=True))
    columns_of_rounds = "".join(f"<th>{head}</th>" for head in heads)
    return (
        f'<table><thead><tr><th>Class</th><th colspan="{len(heads)}">Labels by round (trainings before)</th><th></th>'
        f'</tr><tr><th></th>{columns_of_rounds}<th class="total">all</th></tr></thead>'
        f"<tbody>{body}</tbody><tfoot>{_line('all', table.sum(axis=0))}</tfoot></table>"
    )


def _rounds(state: State, keys: Sequence[Any]) -> NDArray[np.intp]:
    """The rounds in which labelled rows and then the samples outside the pool got the labels that they have."""
    entries = [entry for entry in reversed(state.record) if entry.action == "label"]
    own = state.learned.rows  # of round 0 where no entry says more: simulations were not recorded once
    rows = np.concatenate([*(entry.rows for entry in entries), own])
    rounds = np.repeat(
        [*(entry.round for entry in entries), 0], [*(len(entry.rows) for entry in entries), len(own)]
    )
    labeled, latest = np.unique(rows, return_index=True)
    of_rows = rounds[latest][np.searchsorted(labeled, own)]
    of_keys = {
        key: entry.round for entry in reversed(entries) if entry.keys is not None for key in entry.keys
    }
    return np.append(of_rows, [of_keys[key] for key in keys]).astype(np.intp)


def _folded(n: int, most: int, first: int, last: int = 0) -> tuple[list[tuple[int, int]], NDArray[np.intp]]:
    """Places for a number of things: where each begins and how many are in it; and the place of each thing."""
    if n <= most:
        return [(at, 1) for at in range(n)], np.arange(n)
    places = [(at, 1) for at in range(first)] + [(first, n - first - last)]
    places += [(at, 1) for at in range(n - last, n)]
    return places, np.repeat(np.arange(len(places)), [size for _, size in places])


def _line(name: str, numbers: NDArray[np.intp]) -> str:
    cells = "".join(f"<td>{n:,}</td>" if n else "<td>·</td>" for n in numbers.tolist())
    return f'<tr><th>{name}</th>{cells}<td class="total">{numbers.sum():,}</td></tr>'
