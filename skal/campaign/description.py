"""A learner in words: names of classes of scikit-learn and skal, and plain values. Reading them runs no other code."""

from __future__ import annotations

import copy
import importlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from ..exceptions import JournalError
from ..training.encoding import MALFORMED, decode, encode

_NAME = re.compile(r"(skal|sklearn)(\.[A-Za-z]\w*)+")  # no part of it is private


def describe(value: Any) -> Any:
    """What JSON can hold of a parameter: an estimator by its class and parameters, and values as they are.

    Returns
    -------
    description : dict
        ``{"estimator": name, "params": {...}}``, ``{"list": [...]}``, ``{"tuple": [...]}``, ``{"value": ...}``,
        ``{"numpy": name}`` for a type of numbers, or ``{"given": name}`` for what only its owner's code can make.

    Examples
    --------
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skal.campaign.description import describe, restore
    >>> words = describe(SGDClassifier(alpha=0.5))
    >>> words["estimator"], words["params"]["alpha"]
    ('sklearn.linear_model.SGDClassifier', {'value': 0.5})
    >>> restore(words)
    SGDClassifier(alpha=0.5)
    """
    kind = type(value)
    if kind in (list, tuple):
        return {kind.__name__: [describe(each) for each in value]}
    name = _public_name(kind)
    if name is not None and not isinstance(value, FrozenEstimator):
        params = value.get_params(deep=False)
        return {"estimator": name, "params": {key: describe(each) for key, each in sorted(params.items())}}
    if kind is type and issubclass(value, np.generic):  # the numbers that an encoder makes
        return {"numpy": value.__name__}
    try:
        return {"value": encode(value)}
    except TypeError:
        return {"given": f"{kind.__module__}.{kind.__qualname__}"}


def restore(description: Any) -> Any:
    """The learner that was described.

    Raises
    ------
    ValueError
        If a part of it is code of its owner, who has to give it.
    JournalError
        If the description is none, or one of another version of scikit-learn or skal.
    """
    unknown = [f"{path or 'the learner'} ({name})" for path, name in given(description)]
    if unknown:
        raise ValueError(
            f"The journal has no code, and {', '.join(unknown[:5])} can only be made by yours; give the learner: "
            "Campaign.open(folder, X, learner)."
        )
    try:
        return _restored(description)
    except JournalError:
        raise
    except (ImportError, *MALFORMED) as error:
        raise JournalError(
            f"The learner in the journal cannot be made with this scikit-learn and skal ({error}); give it: "
            "Campaign.open(folder, X, learner)."
        ) from error


def given(description: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the places and classes of the parts that only their owner can make."""
    for key, value in description.items() if isinstance(description, dict) else ():
        if key == "given":
            yield path, str(value)
        elif key == "params":
            for name, each in value.items():
                yield from given(each, f"{path}.{name}".lstrip("."))
        elif key in ("list", "tuple"):
            for i, each in enumerate(value):
                yield from given(each, f"{path}[{i}]")


def differences(then: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield the places where two descriptions differ."""
    if isinstance(then, dict) and isinstance(now, dict) and then.get("estimator") == now.get("estimator"):
        if "estimator" in then:
            params, others = then["params"], now["params"]
            for name in sorted(params.keys() | others.keys()):
                yield from differences(params.get(name), others.get(name), f"{path}.{name}".lstrip("."))
            return
        for kind in ("list", "tuple"):
            if kind in then and kind in now and len(then[kind]) == len(now[kind]):
                for i, (one, other) in enumerate(zip(then[kind], now[kind], strict=True)):
                    yield from differences(one, other, f"{path}[{i}]")
                return
    if then != now:
        yield path or "its class"


def _restored(description: Any) -> Any:
    ((first, value), *_) = description.items()
    if first == "estimator":
        params = {name: _restored(each) for name, each in description["params"].items()}
        return _found(value)(**params)
    if first in ("list", "tuple"):
        return {"list": list, "tuple": tuple}[first](_restored(each) for each in value)
    if first == "numpy":
        kind = getattr(np, value)
        if not isinstance(kind, type) or not issubclass(kind, np.generic):
            raise JournalError(f"The journal names {value!r}, which is no type of NumPy's numbers.")
        return kind
    if first != "value":
        raise JournalError(
            f"The journal describes a learner with {first!r}, which this skal does not know; update it."
        )
    return decode(copy.deepcopy(value))  # which it takes apart


def _public_name(kind: type) -> str | None:
    """The name by which a class of scikit-learn or skal is imported; None for any other."""
    if not _is_ours(kind) or not issubclass(kind, BaseEstimator):
        return None
    parts = kind.__module__.split(".")
    public = [
        part for i, part in enumerate(parts) if not any(each.startswith("_") for each in parts[: i + 1])
    ]
    names = [".".join([*public[:n], kind.__qualname__]) for n in range(1, len(public) + 1)]
    return next((name for name in names if _try_found(name) is kind), None)


def _try_found(name: str) -> type | None:
    try:
        return _found(name)
    except (JournalError, ImportError):
        return None


def _found(name: str) -> type:
    """The class of a name, which must be an estimator's that scikit-learn or skal define."""
    module, _, attribute = name.rpartition(".")
    if not _NAME.fullmatch(name):
        raise JournalError(f"The journal names {name!r}, which is no class of scikit-learn or skal.")
    value = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(value, type) or not issubclass(value, BaseEstimator) or not _is_ours(value):
        raise JournalError(
            f"The journal names {name!r}, which is no estimator of the installed scikit-learn or skal; install the "
            "versions that wrote it, or give the learner: Campaign.open(folder, X, learner)."
        )
    return value


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in ("skal", "sklearn")
