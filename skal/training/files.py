"""Model files: tensors and parameters in one safetensors file, checked by a digest and never unpickled.

A file is a plain safetensors file, which any program that knows the format can read. Its metadata hold the
JSON of the parameters and the SHA-256 digest of every other byte of the file::

    header length, 8 bytes | {"__metadata__":{"format":"skal","sha256":"<64 digits>","version":"1","content":...},
                              <name>:{"dtype":...,"shape":...,"data_offsets":...},...} | bytes of the tensors

In every version the digest comes first, at a fixed place: a reader checks it before it parses anything.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from ..exceptions import ModelFileError
from ..utils.replacing import naming, replacing
from .encoding import decode, encode

_VERSION = 1
_MAGIC = b'{"__metadata__":{"format":"skal","sha256":"'
_DIGEST = slice(8 + len(_MAGIC), 8 + len(_MAGIC) + 64)
_MAX_HEADER = 100_000_000  # the longest that safetensors reads
_LONG_TEXT = 1 << 20
_VALUE_BYTES, _SPARE_BYTES = 90, 48 << 20  # of memory for a value in JSON, and beyond four times the file

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


def write_file(
    path: str | os.PathLike[str], tensors: dict[str, torch.Tensor], content: dict[str, Any]
) -> None:
    """Write tensors and parameters to one file, completely or not at all.

    Parameters
    ----------
    path : str or path-like
        The file. An existing one is replaced at the very end. The folder must exist.
    tensors : dict of str to torch.Tensor
        Dense tensors on any device, in any memory layout. They are copied to the CPU one at a time; tensors that
        share memory are written separately.
    content : dict of str to object
        Values that `encode` accepts.

    Raises
    ------
    TypeError
        If a tensor is sparse or of a type that safetensors does not support, or `encode` refuses the content.
    ValueError
        If a tensor is named "__metadata__", or the content is longer than 100 MB or consists of very many tiny values.
    OSError
        If the file cannot be written; a folder that does not exist is a FileNotFoundError.

    Examples
    --------
    >>> import tempfile, torch
    >>> from skal.training.files import read_file, write_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(f"{folder}/net.skal", {"weight": torch.eye(2)}, {"hidden": (64, 32), "lr": 0.1})
    ...     tensors, content = read_file(f"{folder}/net.skal")
    >>> tensors["weight"].shape, content
    (torch.Size([2, 2]), {'hidden': (64, 32), 'lr': 0.1})
    """
    # The widest first, so that each starts at a multiple of its item size, which readers that map the file need.
    names = sorted(tensors, key=lambda name: -tensors[name].element_size())
    header = _header(tensors, names, json.dumps(encode(content), allow_nan=False))
    digest = sha256(header[: _DIGEST.start])
    digest.update(header[_DIGEST.stop :])
    with replacing(path) as file:
        file.write(header)
        for name in names:
            data = _as_bytes(tensors[name])
            file.write(data)
            digest.update(data)
        file.seek(_DIGEST.start)
        file.write(digest.hexdigest().encode())


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read a file that `write_file` has written.

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
        If skal did not write the file, it was truncated or altered, or a newer skal wrote it.
    OSError
        If the file cannot be read.

    See Also
    --------
    map_file : Leaves large arrays on disk.

    Examples
    --------
    >>> import tempfile, torch
    >>> from skal.training.files import read_file, write_file
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     torch.save({"weight": torch.eye(2)}, file.name)
    ...     read_file(file.name)
    Traceback (most recent call last):
    ...
    skal.exceptions.ModelFileError: ... is not a model file of skal, or only the start of one; ...
    """
    with naming(path):
        raw = Path(path).read_bytes() if os.path.getsize(path) else b""
    data = np.frombuffer(raw, np.uint8)
    _check(data, path, verify=True)
    with parsing(path, ", although its checksum is right"):
        entries, content, _ = _parse(data)
        tensors = safetensors.torch.load(raw)
        return {name: tensors[name] for name in entries}, content


def map_file(
    path: str | os.PathLike[str], *, verify: bool = True
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read the parameters of a model file and map its tensors into memory as read-only arrays.

    Parameters
    ----------
    path : str or path-like
        The file. It must not change while the arrays are used.
    verify : bool, default=True
        Whether to check the digest, for which the whole file is read once. A truncated file is noticed even without
        this check.

    Returns
    -------
    arrays : dict of str to ndarray
        Views of `numpy.memmap`, in the order in which the tensors were given.
    content : dict of str to object
        The parameters.

    Raises
    ------
    ModelFileError
        If skal did not write the file, it was truncated or altered, a newer skal wrote it, or it holds a tensor
        of a type that NumPy does not have.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import tempfile, torch
    >>> from skal.training.files import map_file, write_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_file(f"{folder}/index.skal", {"rows": torch.arange(3)}, {"n_cells": 1})
    ...     arrays, content = map_file(f"{folder}/index.skal")
    ...     arrays["rows"].tolist(), content
    ([0, 1, 2], {'n_cells': 1})
    """
    with naming(path):
        data = np.memmap(path, np.uint8, "r") if os.path.getsize(path) else np.zeros(0, np.uint8)
    _check(data, path, verify)
    with parsing(path):
        entries, content, first = _parse(data)
        offsets = [entry["data_offsets"] for entry in entries.values()]
        if len(data) != first + sum(stop - start for start, stop in offsets):
            raise ModelFileError(
                "is truncated or has grown; copy it again from its source, or save the model again"
            )
        return {name: _array(data[first:], entry) for name, entry in entries.items()}, content


def _header(tensors: dict[str, torch.Tensor], names: list[str], content: str) -> bytes:
    """Return the header of a file that holds the tensors in the order of `names`, with an empty digest."""
    metadata = {"format": "skal", "sha256": "0" * 64, "version": str(_VERSION), "content": content}
    header: dict[str, Any] = {"__metadata__": metadata, **dict.fromkeys(tensors)}
    stop = 0
    for name in names:
        tensor = tensors[name]
        if tensor.layout != torch.strided or tensor.dtype not in _DTYPES or tensor.is_meta:
            raise TypeError(
                f"tensor {name!r} has layout {tensor.layout}, type {tensor.dtype} and device {tensor.device}; "
                "make it dense, of a type that safetensors supports, and on a device that holds its data"
            )
        offsets = [stop, stop := stop + tensor.numel() * tensor.element_size()]
        header[name] = {"dtype": _DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    if "__metadata__" in tensors:
        raise ValueError('no tensor can have the name "__metadata__" in a safetensors file; rename it')
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _MAX_HEADER:
        raise ValueError(
            f"the content takes {len(text)} bytes, a safetensors header at most {_MAX_HEADER}; "
            "write large arrays as tensors"
        )
    _check_size(text, len(text) + stop)
    return len(text).to_bytes(8, "little") + text


def _as_bytes(tensor: torch.Tensor) -> memoryview:
    """Return the numbers of a tensor in C order, without a copy if the tensor is contiguous on the CPU."""
    tensor = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    if not tensor.numel():  # torch takes the strides of an empty array of NumPy, which no view allows
        return memoryview(b"")
    return memoryview(tensor.reshape(-1).view(torch.uint8).numpy())


def _check(data: NDArray[np.uint8], path: str | os.PathLike[str], verify: bool) -> None:
    """Refuse bytes that do not start as our files do or, if asked for, do not have the digest that they state."""
    if data[8 : _DIGEST.start].tobytes() != _MAGIC or _header_stop(data) > min(len(data), 8 + _MAX_HEADER):
        raise ModelFileError(
            f"{path} is not a model file of skal, or only the start of one; give a file that skal has saved"
        )
    if verify:
        digest = sha256(data[: _DIGEST.start])
        digest.update(data[_DIGEST.stop :])
        if digest.hexdigest().encode() != data[_DIGEST].tobytes():
            raise ModelFileError(
                f"{path} is damaged: its bytes do not match its checksum, so it was truncated or altered after it was "
                "saved; copy it again from its source, or save the model again"
            )


def _header_stop(data: NDArray[np.uint8]) -> int:
    return 8 + int.from_bytes(data[:8].tobytes(), "little")


@contextmanager
def parsing(path: str | os.PathLike[str], although: str = "") -> Iterator[None]:
    """Raise `ModelFileError` with the file's name for any error that a forged file causes in a parser.

    Parameters
    ----------
    path : str or path-like
    although : str, default=""
        Appended to the reason.

    Raises
    ------
    ModelFileError
        For all errors except those of the machine.

    Examples
    --------
    >>> from skal.training.files import parsing
    >>> with parsing("net.skal"):
    ...     {}["params"]
    Traceback (most recent call last):
        ...
    skal.exceptions.ModelFileError: net.skal is malformed (KeyError: 'params'): another program has written it; ...
    """
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path} {error}") from error
    except (OSError, MemoryError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ModelFileError(
            f"{path} is malformed ({reason[:500]}){although}: another program has written it; "
            "save the model again with skal"
        ) from error


def _parse(data: NDArray[np.uint8]) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Return the entry of each tensor, the parameters, and where the tensors start."""
    stop = _header_stop(data)
    entries = json.loads(_header_text(data, stop))
    metadata = entries.pop("__metadata__")
    if (version := int(metadata["version"])) > _VERSION:
        raise ModelFileError(f"has format version {version}, this skal reads {_VERSION}; update skal")
    content = decode(json.loads(metadata.pop("content")))
    if not isinstance(content, dict):
        raise TypeError(f"its content is {type(content).__name__}, not a dictionary")
    return entries, content, stop


def _header_text(data: NDArray[np.uint8], stop: int) -> str:
    text = data[8:stop].tobytes()
    _check_size(text, len(data))
    return text.decode()


def _check_size(header: bytes, n_bytes: int) -> None:
    """Refuse a header that takes far more memory, once it is parsed, than a file of this size may ask for."""
    n_values = sum(map(header.count, (b",", b"[", b"{")))  # an empty list takes three bytes in JSON
    n_text = len(header) * (2 if header.isascii() else 8)
    if max(_VALUE_BYTES * n_values, n_text) > 4 * n_bytes + _SPARE_BYTES:
        raise ValueError(
            f"the content holds {n_values} values in {len(header)} bytes, too much for a file of {n_bytes} bytes; "
            "write large arrays as tensors"
        )
    # One character beyond Latin-1 makes a whole text wider. The longest texts are those of arrays, all ASCII.
    for piece in re.finditer(rb'[^"]+', header) if not header.isascii() or rb"\u" in header else ():
        if piece.end() - piece.start() > _LONG_TEXT and (rb"\u" in piece[0] or not piece[0].isascii()):
            raise ValueError(
                f"the content has a text of more than {_LONG_TEXT} characters that are not all ASCII"
            )


def _array(data: NDArray[np.uint8], entry: dict[str, Any]) -> NDArray[Any]:
    """Return a tensor, whose offsets count from the start of `data`, as a view."""
    dtype = {name: dtype for dtype, name in _DTYPES.items()}[entry["dtype"]]
    numbers = data[slice(*entry["data_offsets"])].view(torch.empty(0, dtype=dtype).numpy().dtype)
    return np.asarray(numbers.reshape(entry["shape"]))
