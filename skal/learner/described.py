"""The parameters of a learner in words, by which a folder is known to be that of the one that is given to `load`."""

from __future__ import annotations

import warnings
from functools import partial
from inspect import signature
from types import MethodType
from typing import Any

import numpy as np

from ..utils.warnings import callers_level


def described(estimator: Any) -> dict[str, str]:
    """The parameters in words, as far as these are the same in every process."""
    return {name: _words(value) for name, value in estimator.get_params(deep=True).items()}


def _words(value: Any) -> str:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple | range):
        return f"[{', '.join(map(_words, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_words(each)}' for key, each in value.items())}}}"
    return repr(value) if isinstance(value, bool | int | float | str | None) else type(value).__qualname__


def defaults_of(estimator: Any) -> list[str]:
    """Names of the parameters that have the default of their class, which another version of a library may change."""
    params, found = estimator.get_params(deep=True), []
    for name, value in params.items():
        owner_name, _, own_name = name.rpartition("__")
        owner = params.get(owner_name) if owner_name else estimator
        known = signature(type(owner)).parameters if hasattr(owner, "get_params") else {}
        if own_name in known and _words(known[own_name].default) == _words(value):
            found.append(name)
    return found


def check_params(then: dict[str, str], defaults: list[str], given: Any) -> None:
    now, defaults_now = described(given), defaults_of(given)
    changed = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    others = [
        name
        for name in changed
        if (name in then and name not in defaults) or (name in now and name not in defaults_now)
    ]
    if changed and not others:
        changes = ", ".join(
            f"{name} from {then.get(name, 'nothing')} to {now.get(name, 'nothing')}" for name in changed
        )
        warnings.warn(
            f"The learner was saved with another version of a library, where defaults were different: {changes}. "
            "Trainings from now on use the new ones.",
            stacklevel=callers_level(),
        )
    if others:
        name = others[0]
        raise ValueError(
            f"The learner was saved with {name}={then.get(name)}, and {name}={now.get(name)} was given; give what "
            "it was saved with, and change it afterwards: by use(strategy), or set_params and refit()."
            + (f" Others: {others[1:6]}." if others[1:] else "")
        )


def is_same_value(given: Any, used: Any) -> bool:
    """Whether a value of a parameter is that of a clone; what has a name, a class or a function, is never copied."""
    if type(given) is not type(used):
        return False
    if isinstance(given, MethodType):  # has a name, and is copied with its object
        return given.__func__ is used.__func__ and is_same_value(given.__self__, used.__self__)
    if isinstance(given, partial):
        arguments = [(each.args, each.keywords) for each in (given, used)]
        return is_same_value(given.func, used.func) and is_same_value(*arguments)
    return given is used if hasattr(given, "__name__") else _words(given) == _words(used)
