"""What tells an object from others: what it holds and its code, the same in every process."""

from __future__ import annotations

import dis
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import torch
from joblib.hashing import Pickler
from skorch import NeuralNet
from torch.nn.utils.parametrize import is_parametrized

from ..pool.checksum import SCRIPT, ContentHasher
from .saving import SavedEstimator

# What networks hold for their training only, such as optimizer__momentum and callbacks_.
_OF_TRAINING = re.compile(
    "(callbacks|checkpoint|checkpoint_every|history|iterator_train|optimizer|optimizer_params|_params_to_validate|"
    "train_split|verbose|virtual_params)(_|__.*)?"
)
# Where a descriptor, such as a property, has its function.
_FUNCTIONS = ("__func__", "__wrapped__", "fget", "func", "fn")


def fingerprint(*objects: Any) -> str:
    """A hash of what objects hold and of their code, the same in every process.

    Code of Python itself, of skal and of packages in a folder ``site-packages`` is known by its name. Any other
    function is known by its bytecode and constants, its defaults, and the values of the variables of functions around
    it and of its module that it reads. Where one of its module cannot be pickled, such as a lock or the client of a
    service, its class counts. A class is known by its functions and base classes, but not by its other attributes.
    Networks are known without what only their training needs.

    Parameters
    ----------
    *objects : object

    Returns
    -------
    fingerprint : str

    Raises
    ------
    Exception
        Whatever an object raises that cannot be pickled.

    Examples
    --------
    >>> from skal.training.fingerprint import fingerprint
    >>> fingerprint(lambda x: 2 * x) == fingerprint(lambda x: 2 * x)
    True
    >>> fingerprint(lambda x: 2 * x) == fingerprint(lambda x: 3 * x)
    False
    """
    return str(_Fingerprint().hash(objects))


def what_is_known(obj: Any, seen: dict[int, tuple[int, Any]] | None = None) -> str:
    """A hash of what an object holds and of its code, or its class and name where it cannot be pickled.

    Parameters
    ----------
    obj : object
    seen : dict, default=None
        What the hash of another object, of which this one is a part, has met.

    Returns
    -------
    known : str

    Examples
    --------
    >>> from threading import Lock
    >>> from skal.training.fingerprint import what_is_known
    >>> what_is_known(Lock())
    '_thread.lock'
    """
    try:
        return str(_Fingerprint(seen).hash(obj))
    except MemoryError:
        raise
    except Exception:
        kind = type(obj)
        return f"{kind.__module__}.{kind.__qualname__} {getattr(obj, '__qualname__', '')}".strip()


class _Fingerprint(ContentHasher):
    def __init__(self, seen: dict[int, tuple[int, Any]] | None = None) -> None:
        super().__init__()
        self._seen = {} if seen is None else seen

    def save(self, obj: Any) -> None:
        if id(obj) in self._seen:
            super().save(("again", self._seen[id(obj)][0]))
            return
        if isinstance(obj, FunctionType | type):  # before a look at what it reads, which may be itself
            self._seen[id(obj)] = len(self._seen), obj
        parts = self._parts(obj)
        if parts is not None:
            self._seen.setdefault(id(obj), (len(self._seen), obj))
        super().save(obj if parts is None else parts)

    def _parts(self, obj: Any) -> Any:
        """What tells an object from others, where its pickle does not; None where it does."""
        match obj:
            case CodeType():
                return obj.co_code, obj.co_exceptiontable, obj.co_names, obj.co_consts
            case ModuleType():
                return obj.__name__
            case FunctionType() if not _is_known_by_name(obj):
                cells = [cell.cell_contents for cell in obj.__closure__ or ()]
                variables = [(name, what_is_known(value, self._seen)) for name, value in _variables(obj)]
                return _name(obj), obj.__code__, obj.__defaults__, obj.__kwdefaults__, cells, variables
            case type() if not _is_known_by_name(obj):
                return _name(obj), obj.__bases__, [*_functions(obj)]
            case SavedEstimator():  # which makes the rest of its nets from what it holds
                held = [(name, value) for name, value in _lasting(obj) if name not in obj._nets]
                modules = [getattr(obj, name).modules for name in obj._nets if hasattr(obj, name)]
                return type(obj), held, modules
            case NeuralNet():
                return type(obj), _lasting(obj)
            case torch.jit.ScriptModule():
                return obj.save_to_buffer()
            case torch.nn.Module() if hasattr(obj, "_orig_mod"):
                return "compiled", obj._orig_mod
            case torch.nn.Module() if is_parametrized(obj):  # it refuses to be pickled
                return type(obj), vars(obj)
        return None

    def memoize(self, obj: Any) -> None:
        # Whether it was one tuple or two equal ones, a model file does not know.
        if not isinstance(obj, tuple):
            super().memoize(obj)

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        Pickler._batch_setitems(self, items, *args)  # steps in a dict are taken in its order


def _lasting(network: Any) -> list[tuple[str, Any]]:
    """What a network holds that its answers may depend on."""
    of_training = {f"{name}_" for name in getattr(network, "_optimizers", ())}
    made = set(
        getattr(network, "_modules", ())
    )  # what modules were made of, which are there with an underscore
    names = sorted(vars(network).keys() - of_training - made)
    return [(name, vars(network)[name]) for name in names if not _OF_TRAINING.fullmatch(name)]


def _name(obj: Any) -> tuple[str | None, str]:
    return None if obj.__module__ in SCRIPT else obj.__module__, obj.__qualname__


def _is_known_by_name(obj: Any) -> bool:
    """Whether a function or class is of an installed package, where its name finds it."""
    found: Any = sys.modules.get(obj.__module__)
    if found is None or not _is_installed(found):
        return False
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


@cache
def _is_installed(module: ModuleType) -> bool:
    if module.__name__.partition(".")[0] in {"skal", *sys.stdlib_module_names}:
        return True
    file = getattr(module, "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def _functions(cls: type) -> Iterator[tuple[str, Any]]:
    for name, value in sorted(vars(cls).items()):
        for each in (value, *(getattr(value, part, None) for part in _FUNCTIONS)):
            if isinstance(each, FunctionType | type):
                yield name, each


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Variables of its module that a function reads, and those of its own modules that it asks for."""
    codes = [function.__code__]
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        read = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
        for name in sorted(read & function.__globals__.keys()):
            value = function.__globals__[name]
            if isinstance(value, ModuleType) and not _is_installed(value):
                yield from ((each, vars(value)[each]) for each in code.co_names if each in vars(value))
            yield name, value
