"""Labels that were given elsewhere, from a CSV file."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Line(NamedTuple):
    """What a line says: its number in the file, the row, the label, and who gave it."""

    number: int
    row: str
    label: str
    annotator: str


class Conflict(NamedTuple):
    """A line that differs from what the annotator has said before; it was left out.

    Parameters
    ----------
    line : int
        Line number in the file, from 1 on; the first line has the names of the columns.
    row : int
    annotator : str
    known, given : label
        The label from before, and the label in the file.

    Examples
    --------
    >>> from skal.campaign import Conflict
    >>> Conflict(line=3, row=7, annotator="anna", known="cat", given="dog").given
    'dog'
    """

    line: int
    row: int
    annotator: str
    known: Any
    given: Any


@dataclass(frozen=True)
class ImportReport:
    """The result of an import; ``print(report)`` describes it in words.

    Parameters
    ----------
    n_new : int
        Labels that are recorded now.
    n_same : int
        Lines whose label was known already.
    conflicts : list of Conflict
        Lines whose label differs from the known one; they were left out.

    Examples
    --------
    >>> from skal.campaign import ImportReport
    >>> print(ImportReport(12, 3, []))
    12 new labels, 3 known before, 0 in conflict.
    """

    n_new: int
    n_same: int
    conflicts: list[Conflict]

    def __str__(self) -> str:
        lines = [f"{self.n_new} new labels, {self.n_same} known before, {len(self.conflicts)} in conflict."]
        lines += [
            f"line {each.line}: row {each.row} is {each.known!r} to {each.annotator}, and {each.given!r} here"
            for each in self.conflicts[:20]
        ]
        return "\n".join(lines)


def read_lines(
    path: str | os.PathLike[str],
    row: str | Callable[[list[str]], str],
    label: str,
    annotator: str,
    default: str,
) -> list[Line]:
    """The lines of a file that have a label; the column of the rows may depend on which there are.

    Raises
    ------
    ValueError
        If there is no such column, or the file is no text in UTF-8.
    """
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file)
            names = list(reader.fieldnames or [])
            row = row if isinstance(row, str) else row(names)
            if missing := [name for name in (row, label) if name not in names]:
                raise ValueError(
                    f"{os.fspath(path)} has the columns {names[:20]}, and not {missing}; say which they are: "
                    "import_labels(path, row=..., label=...)."
                )
            lines = [
                Line(reader.line_num, each[row] or "", each[label] or "", each.get(annotator) or default)
                for each in reader
            ]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{os.fspath(path)} is no CSV file in UTF-8 ({error}).") from error
    return [line for line in lines if line.label != ""]


def parse_labels(lines: Sequence[Line], classes: Sequence[Any], *, are_all: bool) -> list[Any]:
    """Labels from their texts: the known ones, also by another text of their number, and new ones as whole numbers
    where all of them are.

    Raises
    ------
    ValueError
        If a label is not one of the classes, and these are all.
    """
    numbers = {value: value for value in classes if not isinstance(value, str)}
    texts = {line.label for line in lines}
    known = {text: numbers[number] for text in texts if (number := _number(text)) in numbers}
    known |= {str(value): value for value in classes}
    unknown = [line for line in lines if line.label not in known]
    if unknown and are_all:
        raise ValueError(
            f"These labels are not among the classes {list(classes)[:10]}: {_listed(unknown, 'label')}. Nothing was "
            "recorded."
        )
    are_numbers = not any(isinstance(value, str) for value in classes) and all(map(_is_integer, unknown))
    return [
        known[line.label] if line.label in known else int(line.label) if are_numbers else line.label
        for line in lines
    ]


def parse_rows(lines: Sequence[Line], n_rows: int, positions: Any) -> list[int]:
    """Positions from texts: whole numbers, or ids where the rows have any that are no numbers.

    Raises
    ------
    ValueError
        If a line names no row of the pool.
    """
    found = [positions(line.row) for line in lines]
    wrong = [line for line, row in zip(lines, found, strict=True) if row is None or not 0 <= row < n_rows]
    if wrong:
        raise ValueError(
            f"These rows are not among the {n_rows} of the pool: {_listed(wrong, 'row')}. Nothing was recorded."
        )
    return found


def _listed(lines: Iterable[Line], what: str) -> str:
    some = list(lines)
    words = [f"{getattr(line, what)!r} in line {line.number}" for line in some[:10]]
    return ", ".join(words) + (f" and {len(some) - 10} more" if len(some) > 10 else "")


def _number(text: str) -> float | None:
    """The number that a text is, as long as it is that exactly."""
    if re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?[0-9]{1,15}\.0*", text) else None


def _is_integer(line: Line) -> bool:
    return line.label.removeprefix("-").isdecimal()
