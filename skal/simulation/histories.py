"""The histories of several learners: a dict that is also a table."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.frames import Table

History = dict[str, NDArray[Any]]


class NamedHistory(dict[str, NDArray[Any]]):
    """A history that holds the classes of its ``class_counts``.

    Copies by ``copy.copy`` and pickles keep the classes. ``.copy()``, ``|`` and ``dict`` return a plain dict, and skops
    restores the history without its classes.

    Attributes
    ----------
    classes : list or None

    Examples
    --------
    >>> from skal.simulation.histories import NamedHistory
    >>> NamedHistory({"n_labeled": [10, 20]}, ["cat", "dog"]).classes
    ['cat', 'dog']
    """

    # The defaults are for skops, which fills an empty one.
    def __init__(self, history: Any = (), classes: list[Any] | None = None) -> None:
        super().__init__(history)
        self.classes = classes


def class_names(history: Mapping[str, Any], n_classes: int) -> list[Any]:
    """Names of the classes of a history, or their numbers where it has none.

    Parameters
    ----------
    history : dict of ndarray
    n_classes : int

    Examples
    --------
    >>> from skal.simulation.histories import class_names
    >>> class_names({"n_labeled": [10, 20]}, 3)
    [0, 1, 2]
    """
    names: list[Any] = getattr(history, "classes", None) or []
    return names if len(names) == n_classes == len(set(map(str, names))) else [*range(n_classes)]


class Histories(Table, dict[Any, History]):
    """The histories of several learners by name: a dict, and a table.

    As a table it has one row per round of each repeat of each learner. The columns are ``learner``, ``repeat``,
    ``round``, and the arrays of the histories. The columns ``class_counts_cat``, ``class_counts_dog``, ... are the
    labels of each class; a class has its number instead if a plain dict does not know its name. Values that a learner
    did not record are NaN. ``Histories(first | second)`` combines two results.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        A ``history_`` for each learner, with or without a leading axis of repeats.

    See Also
    --------
    skal.simulate : Returns one.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.simulation import Histories
    >>> Histories({"random": {"n_labeled": np.array([[10, 20]]), "score": np.array([[0.8, 0.9]])}}).to_frame()
      learner  repeat  round  n_labeled  score
    0  random       0      0         10    0.8
    1  random       0      1         20    0.9
    """

    def __init__(self, histories: Mapping[Any, History]) -> None:
        super().__init__(histories)

    def _columns(self) -> dict[str, Any]:
        parts = [_rows(name, history) for name, history in self.items()]
        columns = {key: [part.get(key) for part in parts] for part in parts for key in part}
        sizes = [len(part["repeat"]) for part in parts]
        return {key: _joined(values, sizes) for key, values in columns.items()}


def by_repeat(history: Mapping[str, Any]) -> History:
    """A history with a leading axis of repeats, as :func:`skal.simulate` gives it and a single ``history_`` has not.

    Parameters
    ----------
    history : dict of array-like

    Returns
    -------
    history : dict of ndarray of shape (n_repeats, n_rounds, ...)

    Raises
    ------
    ValueError
        If several histories were given.
    """
    several = [name for name, values in history.items() if isinstance(values, Mapping)]
    if several:
        raise ValueError(
            f"The histories {several} were given; give one of them, such as histories[{several[0]!r}]."
        )
    arrays = {key: np.asarray(values) for key, values in history.items()}
    is_single = arrays["n_labeled"].ndim == 1
    return {key: values[None] if is_single else values for key, values in arrays.items()}


def check_metric(history: Mapping[str, Any], metric: str, name: Any = None) -> None:
    """ValueError unless a history has a metric."""
    if metric not in by_repeat(history):
        whose = "The history" if name is None else f"The history {name!r}"
        raise ValueError(
            f"{whose} has no {metric!r}; it has {sorted(history)}. A score needs validation rows: validation_fraction, "
            "or X_val and y_val in fit."
        )


def stack(histories: list[History]) -> History:
    """Several histories of one learner as one with a leading axis of repeats.

    Parameters
    ----------
    histories : list of dict of ndarray
        Of equal keys.

    Returns
    -------
    history : dict of ndarray of shape (n_repeats, n_rounds, ...)
        Repeats that ended early have NaN for the rounds that are missing, and counts are floats then.
    """
    n_rounds = max(len(history["n_labeled"]) for history in histories)
    return NamedHistory(
        {key: np.stack([_padded(history[key], n_rounds) for history in histories]) for key in histories[0]},
        getattr(histories[0], "classes", None),
    )


def _padded(values: NDArray[Any], n_rounds: int) -> NDArray[Any]:
    missing = n_rounds - len(values)
    if not missing:
        return values
    return np.concatenate([values, np.full((missing, *values.shape[1:]), np.nan)])


def _rows(name: Hashable, history: History) -> dict[str, Any]:
    """The columns of one learner, without the rounds that a repeat did not reach."""
    arrays = by_repeat(history)
    is_there = ~np.isnan(arrays["n_labeled"])
    repeat, round_ = np.nonzero(is_there)
    columns: dict[str, Any] = {"learner": [name] * len(repeat), "repeat": repeat, "round": round_}
    for key, values in arrays.items():
        present = values[is_there]
        if key in ("n_labeled", "class_counts"):  # floats only where NaN stood for missing rounds
            present = present.astype(np.intp)
        if present.ndim == 1:
            columns[key] = present
        else:
            n = present.shape[1]
            names = class_names(history, n) if key == "class_counts" else [*range(n)]
            columns |= {f"{key}_{each}": column for each, column in zip(names, present.T, strict=True)}
    return columns


def _joined(parts: list[Any], sizes: list[int]) -> Any:
    """One column of all learners; NaN where one lacks it."""
    present = [np.full(n, np.nan) if part is None else part for part, n in zip(parts, sizes, strict=True)]
    if isinstance(present[0], list):
        return [name for part in present for name in part]
    return np.concatenate(present)
