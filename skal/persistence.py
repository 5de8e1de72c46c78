"""Model files: tensors and parameters in one safetensors file, checked by a digest and never unpickled.

A file is a plain safetensors file, which any program that knows the format can read. Its metadata hold the
JSON of the parameters and the SHA-256 digest of every other byte of the file::

    header length, 8 bytes | {"__metadata__":{"format":"skal","sha256":"<64 digits>","version":"1","content":...},
                              <name>:{"dtype":...,"shape":...,"data_offsets":...},...} | bytes of the tensors

The digest comes first, at a fixed place, in every version: a reader checks it before it parses anything.
"""

from __future__ import annotations

import base64
import errno
import importlib
import json
import math
import os
import re
import reprlib
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from sklearn.base import BaseEstimator

from .exceptions import ModelFileError

_VERSION = 1
_MAGIC = b'{"__metadata__":{"format":"skal","sha256":"'
_DIGEST = slice(8 + len(_MAGIC), 8 + len(_MAGIC) + 64)
_MAX_HEADER = 100_000_000  # safetensors reads no longer one

_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2",
    torch.complex64: "C64",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint64: "U64",
    torch.uint32: "U32",
    torch.uint16: "U16",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
# Numbers, strings and dates whose bytes are their value, and objects, each of which is encoded.
_ARRAY_DTYPE = re.compile(r"[<>|](O|[biufcmMSU]\d+(\[\w+\])?)")
_CLASSES = (torch.nn.Module, torch.optim.Optimizer, BaseEstimator)
# What parsers say of a file whose digest is right, but that skal has not written.
_MALFORMED = (
    SafetensorError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def write_file(
    path: str | os.PathLike[str], tensors: dict[str, torch.Tensor], content: dict[str, Any]
) -> None:
    """Write tensors and parameters to one file, which appears whole or not at all.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced, at the very end. Its folder must exist.
    tensors : dict of str to torch.Tensor
        Dense tensors on any device, in any memory layout. They are copied to the CPU one at a time; those that
        share memory are written one by one.
    content : dict of str to object
        What `encode` takes.

    Raises
    ------
    TypeError
        If a tensor is sparse or of a type that safetensors does not know, or `encode` refuses the content.
    ValueError
        If a tensor is named "__metadata__", or the content is longer than 100 MB.
    FileNotFoundError, IsADirectoryError
        If the folder does not exist, or `path` is one.

    Examples
    --------
    >>> import tempfile, torch
    >>> from skal.persistence import read_file, write_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(f"{folder}/net.skal", {"weight": torch.eye(2)}, {"hidden": (64, 32), "lr": 0.1})
    ...     tensors, content = read_file(f"{folder}/net.skal")
    >>> tensors["weight"].shape, content
    (torch.Size([2, 2]), {'hidden': (64, 32), 'lr': 0.1})
    """
    # The widest first: all lie at a multiple of their size, as readers that map the file want it.
    names = sorted(tensors, key=lambda name: -tensors[name].element_size())
    header = _header(tensors, names, json.dumps(encode(content), allow_nan=False))
    digest = sha256(header[: _DIGEST.start])
    digest.update(header[_DIGEST.stop :])
    with _replacing(Path(path)) as file:
        file.write(header)
        for name in names:
            data = _as_bytes(tensors[name])
            file.write(data)
            digest.update(data)
        file.seek(_DIGEST.start)
        file.write(digest.hexdigest().encode())


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read what `write_file` has written.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    tensors : dict of str to torch.Tensor
        On the CPU, contiguous, in the order in which they were given.
    content : dict of str to object
        The parameters.

    Raises
    ------
    ModelFileError
        If the file is not one of skal's, is truncated or altered, or comes from a newer skal.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile, torch
    >>> from skal.persistence import read_file, write_file
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     torch.save({"weight": torch.eye(2)}, file.name)
    ...     read_file(file.name)
    Traceback (most recent call last):
    ...
    skal.exceptions.ModelFileError: ... is not a model file of skal, or only the start of one; ...
    """
    with open(path, "rb") as file:
        if file.read(_DIGEST.start)[8:] != _MAGIC:
            raise ModelFileError(
                f"{path} is not a model file of skal, or only the start of one; give a file that skal has saved"
            )
        file.seek(0)
        data = file.read()
    view = memoryview(data)
    digest = sha256(view[: _DIGEST.start])
    digest.update(view[_DIGEST.stop :])
    if digest.hexdigest().encode() != view[_DIGEST]:
        raise ModelFileError(
            f"{path} is damaged: its bytes do not match its checksum, so it was truncated or altered after it was "
            "saved; copy it anew from where it came, or save the model again"
        )
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        metadata = header.pop("__metadata__")
        if (version := int(metadata["version"])) > _VERSION:
            raise ModelFileError(f"has format version {version}, this skal reads {_VERSION}; update skal")
        tensors = safetensors.torch.load(data)
        return {name: tensors[name] for name in header}, decode(json.loads(metadata["content"]))
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error
    except _MALFORMED as error:
        raise ModelFileError(
            f"{path} is malformed ({error}), although its checksum is right: another program has written it; "
            "save the model again with skal"
        ) from error


def encode(value: Any) -> Any:
    """Return a value in terms of JSON, such that `decode` gives it back with its exact type.

    A value that JSON does not know becomes an object with one key that starts with "!", and so does a
    dictionary that has such a key.

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
        If the value is or holds anything else: functions, classes and instances of other packages, subclasses of
        the types above.

    Examples
    --------
    >>> import torch
    >>> from skal.persistence import encode
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
        if _ARRAY_DTYPE.fullmatch(array.dtype.str):
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

    Nothing is called but constructors of the plain types above: a class is looked up among the modules,
    optimizers and estimators that torch and skal define, and no other package is imported.

    Parameters
    ----------
    value : object
        What `encode` returned.

    Returns
    -------
    decoded : object
        The value, with its type.

    Raises
    ------
    ModelFileError
        If `encode` returns no such thing, or it names anything else than those classes.

    Examples
    --------
    >>> from skal.persistence import decode
    >>> decode({"!tuple": [0.5, {"!float": "inf"}]})
    (0.5, inf)
    """
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if not _has_tag(value):
        return _decode_items(value)
    try:
        ((tag, data),) = value.items()
        return _DECODERS[tag](data)
    except ModelFileError:
        raise
    except _MALFORMED as error:
        raise ModelFileError(
            f"holds {reprlib.repr(value)}, which this skal cannot read ({error!r}); update skal or save the model again"
        ) from error


def _header(tensors: dict[str, torch.Tensor], names: list[str], content: str) -> bytes:
    """Return the header of a file that holds the tensors in the order of `names`, with an empty digest."""
    offsets, stop = {}, 0
    for name in names:
        tensor = tensors[name]
        if tensor.layout != torch.strided or tensor.dtype not in _DTYPES or tensor.is_meta:
            raise TypeError(
                f"tensor {name!r} has layout {tensor.layout}, type {tensor.dtype} and device {tensor.device}; "
                "make it dense, of a type that safetensors knows, and on a device that holds its data"
            )
        offsets[name] = [stop, stop := stop + tensor.numel() * tensor.element_size()]
    if "__metadata__" in tensors:
        raise ValueError('no tensor can have the name "__metadata__" in a safetensors file; rename it')
    metadata = {"format": "skal", "sha256": "0" * 64, "version": str(_VERSION), "content": content}
    entries = {
        name: {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets[name]}
        for name, tensor in tensors.items()
    }
    header = {"__metadata__": metadata} | entries
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise ValueError(
            f"the content takes {len(text)} bytes, a safetensors header at most {_MAX_HEADER}; "
            "write large arrays as tensors"
        )
    return len(text).to_bytes(8, "little") + text


def _as_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the numbers of a tensor, row by row: its own memory where it lies so on the CPU."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends, and is removed when it fails."""
    path = path.resolve()  # of a link, what it points to is replaced
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "There is no such folder; make it first", str(path.parent))
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "This is a folder; give the name of a file", str(path))
    temporary = path.with_name(f".skal-{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a crash may leave the new name without the data
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _has_tag(items: dict[str, Any]) -> bool:
    return any(key.startswith("!") for key in items)


def _decode_items(items: dict[str, Any]) -> dict[str, Any]:
    return {key: decode(item) for key, item in items.items()}


def _encode_array(array: NDArray[Any]) -> list[Any]:
    """Return type, shape and elements: the bytes, which are exact, or the encoded objects."""
    is_object = array.dtype.kind == "O"
    data = [encode(item) for item in array.flat] if is_object else base64.b64encode(array.tobytes()).decode()
    return [array.dtype.str, list(array.shape), data]


def _decode_array(encoded: list[Any]) -> NDArray[Any]:
    dtype, shape, data = encoded
    if not _ARRAY_DTYPE.fullmatch(dtype):
        raise ValueError(f"arrays of type {dtype} are not allowed")
    if dtype == "|O":
        return np.fromiter((decode(item) for item in data), dtype=object).reshape(shape)
    # A shape that asks for more than the bytes raises before anything is allocated.
    return np.ndarray(tuple(shape), np.dtype(dtype), buffer=base64.b64decode(data, validate=True)).copy()


def _decode_dtype(name: str) -> torch.dtype:
    if not isinstance(dtype := vars(torch)[name], torch.dtype):
        raise TypeError(f"torch.{name} is not a torch.dtype")
    return dtype


def _class_name(value: type) -> str | None:
    """Return the shortest name by which a class of torch or skal is found, None where there is none."""
    packages = value.__module__.split(".")
    names = (".".join([*packages[:n], value.__qualname__]) for n in range(1, len(packages) + 1))
    return next((name for name in names if _find_class(name) is value), None)


def _find_class(name: str) -> type | None:
    """Return the module, optimizer or estimator that torch or skal define under a name, else None."""
    module_name, _, attribute = name.rpartition(".")
    if not re.fullmatch(r"(skal|torch)(\.\w+)*", module_name):
        return None
    if module_name.startswith("skal") and module_name not in sys.modules:
        try:
            importlib.import_module(module_name)
        except ImportError:
            return None
    # Modules of torch are not imported: import runs code, and those with public classes are there already.
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
