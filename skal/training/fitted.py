"""The fitted attributes of an estimator: its classes declare them, with the type of their values."""

from __future__ import annotations

import inspect
import sys
from functools import cache
from numbers import Integral, Real
from types import SimpleNamespace, UnionType
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints


@cache
def fitted_attributes(cls: type) -> dict[str, Any]:
    """Return the types of the attributes that end in an underscore, by name, as a class and its bases annotate them.

    Returns
    -------
    types : dict
        Without class variables, and without attributes that a class defines, such as properties.

    Examples
    --------
    >>> from skal.training.fitted import fitted_attributes
    >>> class Calibrated:
    ...     temperature_: float
    >>> fitted_attributes(Calibrated)
    {'temperature_': <class 'float'>}
    """
    types: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        annotations = inspect.get_annotations(base)
        names = [
            name for name in annotations if name.endswith("_") and not callable(getattr(base, name, None))
        ]
        # One by one: others may name what is imported for type checkers only.
        own = SimpleNamespace(__annotations__={name: annotations[name] for name in names})
        types |= get_type_hints(own, vars(sys.modules[base.__module__]))
    return {
        name: kind
        for name, kind in types.items()
        if get_origin(kind) is not ClassVar
        and not isinstance(inspect.getattr_static(cls, name, None), property)
    }


def check_attribute(cls: type, name: str, value: Any) -> None:
    """Raise TypeError unless a class declares a fitted attribute of a type that suits the value.

    Examples
    --------
    >>> from skal.training.fitted import check_attribute
    >>> class Calibrated:
    ...     temperature_: float
    >>> check_attribute(Calibrated, "temperature_", "hot")
    Traceback (most recent call last):
        ...
    TypeError: the attribute temperature_ of Calibrated is a str, and its class declares a float
    >>> check_attribute(Calibrated, "predict", 1)
    Traceback (most recent call last):
        ...
    TypeError: Calibrated declares no fitted attribute predict; annotate it in the class, such as predict: int
    """
    types = fitted_attributes(cls)
    if name not in types:
        # Under `@dataclass` a bare annotation would be a parameter, and elsewhere a field would be its value.
        field = " = field(init=False)" if "__dataclass_fields__" in vars(cls) else ""
        raise TypeError(
            f"{cls.__name__} declares no fitted attribute {name}; annotate it in the class, such as "
            f"{name}: {type(value).__name__}{field}"
        )
    if not _fits(value, types[name]):
        kind = getattr(types[name], "__name__", types[name]) if not get_args(types[name]) else types[name]
        raise TypeError(
            f"the attribute {name} of {cls.__name__} is a {type(value).__name__}, and its class declares a {kind}"
        )


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value has a type; of containers, only the elements of tuples are checked."""
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, each) for each in args)
    if origin is tuple and args and isinstance(value, tuple):
        kinds = args[:1] * len(value) if args[-1] is ... else args
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if kind is Any or isinstance(value, bool):
        return kind in (Any, bool)
    kind = {int: Integral, float: Real, None: type(None)}.get(kind, origin or kind)
    return not isinstance(kind, type) or isinstance(value, kind)
