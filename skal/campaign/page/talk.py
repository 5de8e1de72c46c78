"""What the page and the campaign tell each other: answers go in, the next rows come back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Any, TypeGuard

from ...exceptions import JournalError
from ..campaign import Campaign
from ..checks import plain_name
from ..exporting import plain

_MOST_ROWS = 50  # that a page has in advance
_PATIENCE = 1.5  # seconds that a page waits for rows of the strategy before it shows any
_REMEMBERED = 100_000  # operations, to know those that are sent twice
_TURNS = 64  # annotators that record at a time
_LOOKED_AT = 200  # last answers, for what is to be undone


class Talk:
    """Records what a page sends, each once and in order, and gives it rows.

    A page sends an operation again until it knows that it was recorded. One that was recorded before is not recorded
    again, not even after a restart: the journal has its id.

    Parameters
    ----------
    campaign : Campaign
    fragment : callable
        Makes HTML of a row.
    """

    def __init__(self, campaign: Campaign, fragment: Callable[[int], str]) -> None:
        self._campaign, self._fragment = campaign, fragment
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()  # the oldest first
        self._lock, self._turns = Lock(), [Lock() for _ in range(_TURNS)]

    def sync(self, said: dict[str, Any]) -> dict[str, Any]:
        """Record operations, and give rows.

        Parameters
        ----------
        said : dict
            ``annotator``; ``ops``, a list of dicts with ``id``, ``kind`` ("answer", "skip", "undo"), ``row`` and, for
            an answer, ``label`` and ``seconds``; ``n``, how many rows the page shall have; ``current``, the row that it
            shows, or None; ``guesses``, whether to tell what the model thinks.

        Returns
        -------
        answer : dict
            ``done``, the ids of operations that the page may forget; ``refused``, those of them that were not recorded,
            with the reason; ``trouble``, why the others wait, or None; ``rows``; ``others``, who else has said
            something of the current row where one annotator was to.
        """
        annotator, ops = said.get("annotator"), said.get("ops", [])
        if not isinstance(annotator, str) or not isinstance(ops, list):
            raise TypeError("annotator and ops are wanted")
        annotator = plain_name(annotator)
        done, refused, trouble = self._recorded(annotator, ops)
        n = said.get("n", 1)
        rows: list[int] = []
        if trouble is None and isinstance(n, int) and n > 0:
            rows = self._campaign.next(annotator, min(n, _MOST_ROWS), patience=_PATIENCE).tolist()
        return {
            "done": done,
            "refused": refused,
            "trouble": trouble,
            "rows": self._told(rows, bool(said.get("guesses"))),
            "others": self._others(annotator, said.get("current")),
        }

    def last(self, annotator: str) -> dict[str, Any] | None:
        """What an annotator said last and has not taken back: a row as in `sync`, with its label."""
        said = self._campaign.answers(annotator, last=_LOOKED_AT)
        holding = [i for i, holds in enumerate(said["holds"].tolist()) if holds]
        if not holding:
            return None
        row, label = int(said["row"][holding[-1]]), said["label"][holding[-1]]
        return {**self._told([row], False)[0], "label": label}

    def _recorded(self, annotator: str, ops: list[Any]) -> tuple[list[str], list[dict[str, str]], str | None]:
        done: list[str] = []
        refused: list[dict[str, str]] = []
        for name, op in [(_id(op), op) for op in ops]:  # all ids are looked at before anything is recorded
            key = annotator, name  # nobody is kept from answering by an id of somebody else
            with self._turns[hash(annotator) % len(self._turns)]:  # two tabs may send the same one at once
                if key not in self._known:
                    try:
                        self._record(annotator, op)
                    except (OSError, JournalError) as error:  # it may be recorded later
                        return done, refused, str(error)
                    except (TypeError, ValueError) as error:
                        refused.append({"id": name, "reason": str(error)})
                    self._remember(key)
            done.append(name)
        return done, refused, None

    def _remember(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._known[key] = None
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)

    def _record(self, annotator: str, op: dict[str, Any]) -> None:
        kind, row, label = op.get("kind"), op.get("row"), op.get("label")
        if not self._is_row(row):
            raise ValueError(f"{str(row)[:30]!r} is not the position of an item")
        seconds = op.get("seconds")
        if not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
            seconds = None
        if kind == "answer":
            if not isinstance(label, str | int | float):
                raise TypeError("a label is a text or a number")
            self._campaign.answer(annotator, row, label, seconds=seconds, overwrite=True, request=op["id"])
        elif kind == "skip":
            self._campaign.skip(annotator, row, seconds=seconds, overwrite=True, request=op["id"])
        elif kind == "undo":
            self._campaign.take_back(annotator, row, request=op["id"])
        else:
            raise ValueError(f"{str(kind)[:20]!r} is no operation")

    def _is_row(self, row: Any) -> TypeGuard[int]:
        return type(row) is int and 0 <= row < len(self._campaign)

    def _told(self, rows: list[int], guesses: bool) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = [
            {"row": row, "html": self._fragment(row), "guess": None} for row in rows
        ]
        if guesses and rows:
            found = self._campaign.predictions(rows)
            for each, label, confidence in zip(told, found["label"], plain(found["confidence"]), strict=True):
                if label is not None:
                    each["guess"] = {"label": label, "confidence": confidence}
        return told

    def _others(self, annotator: str, row: Any) -> list[str]:
        if not self._is_row(row) or self._campaign.settings.n_annotators_per_row > 1:
            return []
        return [name for name in self._campaign.said(row) if name != annotator]


def _id(op: Any) -> str:
    """The id of an operation, which is sent back."""
    name = op.get("id") if isinstance(op, dict) else None
    if not isinstance(name, str) or not name.isprintable():
        raise TypeError("each operation has an id of printable characters")
    return name
