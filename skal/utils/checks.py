"""Checks of what is given to a method, where scikit-learn's constraints of parameters do not reach."""

from __future__ import annotations

from math import inf
from numbers import Integral
from typing import Any


def check_integer(name: str, value: Any, least: int = 1, most: float = inf) -> int:
    """Return a number as an int; ValueError unless it is an integer in the range."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        rule = f"of at least {least}" if most == inf else f"from {least} to {most}"
        raise ValueError(f"{name}={value!r} was given; it must be an integer {rule}.")
    return int(value)
