"""Parameters in JSON, from which they are restored with their exact types and without running code."""

from __future__ import annotations

import base64
import binascii
import importlib
import math
import re
import reprlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from ..exceptions import ModelFileError

# Numbers, strings and dates whose bytes are their value, and objects, each of which is encoded.
_ARRAY_DTYPE = re.compile(r"[<>|](O|[biufcmMSU]\d+(\[\w+\])?)")
_CLASSES = (torch.nn.Module, torch.optim.Optimizer, BaseEstimator)
# What reading something that skal has not written can raise.
MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def encode(value: Any) -> Any:
    """Express a value in JSON, so that `decode` returns it with its exact type.

    A value that JSON does not have becomes an object with one key that starts with "!", and so does a dictionary
    that has such a key.

    Parameters
    ----------
    value : object
        None, a bool, int, float (also NaN and infinite), str, list, tuple, dict with str keys, NumPy scalar or
        array (numbers, strings, dates, objects of these types), `torch.dtype`, `torch.device`, `pathlib.Path`,
        or a public class of torch or skal that is a module, an optimizer or an estimator.

    Returns
    -------
    encoded : object
        Strict JSON: no NaN, no infinity.

    Raises
    ------
    TypeError
        If the value is or contains anything else: functions, classes and instances of other packages, subclasses
        of the types above.

    Examples
    --------
    >>> import torch
    >>> from skal.training.encoding import encode
    >>> encode({"optimizer": torch.optim.Adam, "betas": (0.5, float("inf"))})
    {'optimizer': {'!class': 'torch.optim.Adam'}, 'betas': {'!tuple': [0.5, {'!float': 'inf'}]}}
    """
    kind = type(value)
    if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
        return value
    if kind is list:
        return [encode(item) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        items = {key: encode(item) for key, item in value.items()}
        return {"!dict": items} if _has_tag(items) else items
    if kind is float:
        return {"!float": str(value)}
    if kind is tuple:
        return {"!tuple": [encode(item) for item in value]}
    if kind is np.ndarray or (isinstance(value, np.generic) and kind.__module__ == "numpy"):
        array = np.asarray(value)
        if _ARRAY_DTYPE.fullmatch(array.dtype.str) and (array.itemsize or array.size < 2):
            return {"!array" if kind is np.ndarray else "!scalar": _encode_array(array)}
    if kind is torch.dtype:
        return {"!dtype": str(value).removeprefix("torch.")}
    if kind is torch.device:
        return {"!device": str(value)}
    if kind is type(Path()):
        return {"!path": str(value)}
    if isinstance(value, type) and (name := _class_name(value)):
        return {"!class": name}
    raise TypeError(
        f"{reprlib.repr(value)} of type {kind.__module__}.{kind.__qualname__} cannot be written to a model file; "
        "basic Python and NumPy values can, and the public modules, optimizers and estimators of torch and skal"
    )


def decode(value: Any) -> Any:
    """Return the value that `encode` was given.

    Only constructors of the plain types in `encode` are called. A class is looked up among the modules, optimizers
    and estimators that torch and skal define, and no other package is imported. Arrays are never larger than the data
    of their elements.

    Parameters
    ----------
    value : object
        What `encode` returned. Its lists and dictionaries are used for the result, so that no second copy takes memory.

    Returns
    -------
    decoded : object
        The value, with its type.

    Raises
    ------
    ModelFileError
        If `encode` never returns such a value, or it names anything except those classes.

    Examples
    --------
    >>> from skal.training.encoding import decode
    >>> decode({"!tuple": [0.5, {"!float": "inf"}]})
    (0.5, inf)
    """
    if isinstance(value, list):
        value[:] = map(decode, value)
        return value
    if not isinstance(value, dict):
        return value
    if not _has_tag(value):
        return _decode_items(value)
    try:
        ((tag, data),) = value.items()
        return _DECODERS[tag](data)
    except ModelFileError:
        raise
    except MALFORMED as error:
        raise ModelFileError(
            f"holds {reprlib.repr(value)}, which this skal cannot read ({error!r}); update skal or save the model again"
        ) from error


def _has_tag(items: dict[str, Any]) -> bool:
    return any(key.startswith("!") for key in items)


def _decode_items(items: dict[str, Any]) -> dict[str, Any]:
    for key, item in items.items():
        items[key] = decode(item)
    return items


def _encode_array(array: NDArray[Any]) -> list[Any]:
    """Return type, shape and elements: the bytes, which are exact, or the encoded objects."""
    is_object = array.dtype.kind == "O"
    data = [encode(item) for item in array.flat] if is_object else base64.b64encode(array.tobytes()).decode()
    return [array.dtype.str, list(array.shape), data]


def _decode_array(encoded: list[Any]) -> NDArray[Any]:
    name, shape, data = encoded
    dtype = array_dtype(name, shape)
    if dtype.hasobject:
        return np.fromiter((decode(item) for item in data), dtype=object).reshape(shape)
    raw = binascii.a2b_base64(data, strict_mode=True)
    # A shape that asks for more than the bytes raises before anything is allocated.
    return np.ndarray(tuple(shape), dtype, buffer=raw).copy()


def array_dtype(name: str, shape: list[int]) -> np.dtype[Any]:
    """Return the type of an array in a file.

    Parameters
    ----------
    name : str
        As in ``dtype.str``.
    shape : list of int

    Raises
    ------
    ValueError
        If no array of a file has this type, or the array would take no bytes in the file and some in memory.
    TypeError
        If the name is not a text, or the shape is not a list of integers.

    Examples
    --------
    >>> from skal.training.encoding import array_dtype
    >>> array_dtype("<f4", [2, 3])
    dtype('float32')
    """
    if not _ARRAY_DTYPE.fullmatch(name):
        raise ValueError(f"arrays of type {name} are not allowed")
    dtype = np.dtype(name)
    if not dtype.itemsize and math.prod(shape) > 1:  # an empty text takes no bytes, and its copy takes some
        raise ValueError(f"an array of type {name} and shape {shape} has no bytes")
    return dtype


def _decode_dtype(name: str) -> torch.dtype:
    if not isinstance(dtype := vars(torch)[name], torch.dtype):
        raise TypeError(f"torch.{name} is not a torch.dtype")
    return dtype


def _class_name(value: type) -> str | None:
    """Return the shortest name under which a class of torch or skal is found; None if there is no such name."""
    packages = value.__module__.split(".")
    names = (".".join([*packages[:n], value.__qualname__]) for n in range(1, len(packages) + 1))
    return next((name for name in names if _find_class(name) is value), None)


def _find_class(name: str) -> type | None:
    """Return the module, optimizer or estimator that torch or skal define under a name, or None."""
    module_name, _, attribute = name.rpartition(".")
    if not re.fullmatch(r"(skal|torch)(\.\w+)*", module_name):
        return None
    if module_name.startswith("skal") and module_name not in sys.modules:
        try:
            importlib.import_module(module_name)
        except ImportError:
            return None
    # Modules of torch are not imported: an import runs code, and those with public classes are already imported.
    module = sys.modules.get(module_name)
    value = vars(module).get(attribute) if module else None
    if not isinstance(value, type) or not issubclass(value, _CLASSES):
        return None
    return value if value.__module__.partition(".")[0] in ("skal", "torch") else None


def _decode_class(name: str) -> type:
    if found := _find_class(name):
        return found
    raise ModelFileError(
        f"names {name!r}, which is not a module, optimizer or estimator of the installed torch or skal; "
        "if you trust the file, install the versions that it was saved with"
    )


_DECODERS: dict[str, Callable[[Any], Any]] = {
    "!array": _decode_array,
    "!class": _decode_class,
    "!device": torch.device,
    "!dict": _decode_items,
    "!dtype": _decode_dtype,
    "!float": float,
    "!path": Path,
    "!scalar": lambda encoded: _decode_array(encoded)[()],
    "!tuple": lambda items: tuple(decode(item) for item in items),
}
