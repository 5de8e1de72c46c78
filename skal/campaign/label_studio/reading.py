"""What annotators say in Label Studio, read from its tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from ..syncing import Told


class Said(NamedTuple):
    """An annotation.

    Attributes
    ----------
    number : int
    author : int or None
        The number of who made it; None if the account was removed.
    changed : datetime
        When it was changed last.
    choice : str or None
        The value of what was chosen, if that is one thing.
    is_skip : bool
    seconds : float or None
        How long it took.
    """

    number: int
    author: int | None
    changed: datetime
    choice: str | None
    is_skip: bool
    seconds: float | None


def read(annotation: Mapping[str, Any], control: str) -> Said:
    """What an annotation of Label Studio says by the choices of a name."""
    choices = [
        choice
        for each in annotation["result"] or ()
        if each.get("from_name") == control
        for choice in each.get("value", {}).get("choices", ())
    ]
    return Said(
        annotation["id"],
        annotation["completed_by"],
        datetime.fromisoformat(annotation["updated_at"]),
        choices[0] if len(choices) == 1 else None,
        bool(annotation["was_cancelled"]),
        annotation["lead_time"],
    )


def last_of_each(said: Iterable[tuple[int, Said]]) -> list[tuple[int, Said]]:
    """The last thing that each annotator says of each row; an annotation without a choice says nothing.

    Accounts that were removed cannot be told apart. Somebody annotates a task once, so that each annotation of
    theirs is by another one.
    """
    last: dict[tuple[int, int | None, int | None], Said] = {}
    for row, each in said:
        key = row, each.author, each.number if each.author is None else None
        before = last.get(key)
        is_later = before is None or (before.changed, before.number) < (each.changed, each.number)
        if (each.is_skip or each.choice is not None) and is_later:
            last[key] = each
    return [(key[0], each) for key, each in last.items()]


def told(
    last: Iterable[tuple[int, Said]], names: Mapping[int | None, str], classes: Sequence[Any]
) -> list[Told]:
    """The same in the words of a campaign; the second of a row whose account was removed is "unknown 2"."""
    labels = {str(value): value for value in classes}
    n_removed: Counter[int] = Counter()
    found = []
    for row, said in sorted(last, key=lambda pair: (pair[0], pair[1].number)):
        name = names[said.author]
        if said.author is None:
            n_removed[row] += 1
            name = name if n_removed[row] == 1 else f"{name} {n_removed[row]}"
        found.append(
            Told(
                row=row,
                annotator=name,
                label=None if said.is_skip else labels.get(str(said.choice), said.choice),
                version=f"{said.number} {said.changed.isoformat()}",
                seconds=said.seconds,
            )
        )
    return found
