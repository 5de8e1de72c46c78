"""What a campaign is begun with, checked before anything is written."""

from __future__ import annotations

import difflib
import math
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import clone

from ..labels import read_labels
from ..learner import ActiveLearner
from ..learner.refit import check_classifier
from ..pool import check_pool
from ..strategies import QueryStrategy
from ..utils.checks import check_integer
from ..utils.random import draw_seed
from .journal import Settings, check_label_texts

_LONGEST_NAME = 200
_MOST = 2**63 - 1  # that SQLite holds


def check_training(training: Any) -> None:
    """Refuse a place of training that is none."""
    if training not in ("background", "foreground", None):
        raise ValueError(
            f"training={training!r} was given; it must be 'background', 'foreground' or None, where another process "
            "trains."
        )


def checked_name(name: Any) -> str:
    """The name of an annotator, without blanks around it, and the same however its accents were typed."""
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(
            f"annotator={str(name)[:50]!r} was given; a name is a text of 1 to {_LONGEST_NAME} printable characters."
        )
    return plain_name(name)


def plain_name(name: str) -> str:
    """A name as it is in the journal, whether it is a good one or not."""
    return unicodedata.normalize("NFC", name.strip())


def checked_seconds(seconds: Any, n_rows: int) -> Sequence[float | None]:
    """How long each answer took; None where nobody says so."""
    if seconds is None:
        return [None] * n_rows
    took = [float(each) for each in np.atleast_1d(np.asarray(seconds, dtype=float))]
    if len(took) != n_rows or not all(math.isfinite(each) and each >= 0 for each in took):
        raise ValueError(
            f"seconds={seconds!r} were given for {n_rows} rows; give one number per row, none negative."
        )
    return took


def nearest(word: str, known: Iterable[str]) -> str:
    """A question whether another word is meant, for an error; nothing where none is near."""
    found = difflib.get_close_matches(word, list(known)[:1000], n=1)
    return f" (do you mean {found[0]!r}?)" if found else ""


def checked_settings(given: Settings) -> Settings:
    """Settings as plain values, because SQLite would keep the bytes of NumPy's; refuses those out of their range."""
    values = vars(given).items()
    new = Settings(**{name: each.item() if isinstance(each, np.generic) else each for name, each in values})
    numbers = ["n_annotators_per_row", "n_prepared"]
    if new.retrain_every is not None:
        numbers.append("retrain_every")
    plain: dict[str, Any] = {name: check_integer(name, getattr(new, name), most=_MOST) for name in numbers}
    lease = new.lease_seconds
    is_number = isinstance(lease, Real) and not isinstance(lease, bool)
    if not is_number or not 0 < lease <= sys.float_info.max:
        raise ValueError(f"lease_seconds={lease!r} was given; it must be a positive number.")
    check_consensus(new.consensus)
    for name in ("disagreements_first", "is_closed"):
        if not isinstance(getattr(new, name), bool):
            raise ValueError(f"{name}={getattr(new, name)!r} was given; it must be True or False.")
    return replace(new, **plain, lease_seconds=float(lease))


def check_consensus(how: Any, name: str = "consensus") -> None:
    """Refuse a way to one label of several answers that is none."""
    if not isinstance(how, str) or how not in ("majority", "dawid_skene"):
        raise ValueError(f"{name}={how!r} was given; it must be 'majority' or 'dawid_skene'.")


def checked_learner(learner: Any, X: Any, classes: Any, seed: int | None = None) -> ActiveLearner:
    """A clone of the learner, with a seed, its own if that is an integer, and with the classes of the campaign."""
    if not isinstance(learner, ActiveLearner):
        raise TypeError(f"learner is a {type(learner).__name__}; give an ActiveLearner.")
    if hasattr(learner, "strategy_"):
        raise ValueError(
            "The learner is fitted already, and a campaign begins without labels. Give it clone(learner), and the "
            "labels by import_labels."
        )
    if not isinstance(learner.strategy, QueryStrategy):
        raise ValueError(
            f"{type(learner.strategy).__name__} makes samples, and a campaign labels rows of its pool; give a "
            "QueryStrategy."
        )
    template = clone(learner)
    # What is trained again after a crash must be the same.
    if not isinstance(template.random_state, Integral):
        drawn = draw_seed(template.random_state) % 2**31 if seed is None else seed
        template.set_params(random_state=drawn)
    template.set_params(random_state=int(template.random_state))  # not one of NumPy's
    own, given = (
        None if each is None else plain_classes(each, template.unlabeled)
        for each in (template.classes, classes)
    )
    if own is not None and given is not None and set(own) != set(given):
        raise ValueError(
            f"classes={given[:10]} were given, and the learner has classes={own[:10]}; give the same."
        )
    if (known := own or given) is not None:
        template.set_params(classes=sorted(known))  # plain values, which the journal can hold
    template.strategy.check_params()
    pool = check_pool(clone(template), X, reset=True)
    check_classifier(template.estimator, pool)
    template.strategy.check(pool, template.estimator)
    return template


def plain_classes(classes: Any, unlabeled: Any = None) -> list[Any]:
    """The classes as plain values, in the order in which they were given; those that no training takes are refused."""
    listed = classes.tolist() if isinstance(classes, np.ndarray) else list(classes)
    some = f"classes={listed[:10]} were given"
    try:
        values, are_known = read_labels(listed, unlabeled=unlabeled)
    except ValueError as error:
        raise ValueError(f"{some}, which cannot be labels: {error}") from error
    if not are_known.all():
        marker = listed[int(np.flatnonzero(~are_known)[0])]
        raise ValueError(
            f"{some}, and {marker!r} marks the rows that nobody has labelled; leave it out, or say what else marks "
            "them: ActiveLearner(..., unlabeled=...)."
        )
    plain: list[Any] = values.tolist()
    if len(set(plain)) < len(plain) or not plain:
        raise ValueError(f"{some}; give one or more, each once.")
    check_label_texts(plain)
    return plain
