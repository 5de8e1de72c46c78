"""Mutants of the files that skal writes, and a process of its own that reads them one after the other.

A case is a function that returns a `Case`, named as ``"tests.training.fuzz_cases:gan"``. `fuzz` takes turns with some
of them in a child process, where a signal and the peak of the memory are seen; a mutant that fails stays in the folder.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import importlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skal.exceptions import ModelFileError
from tests import THOROUGH

N_MUTANTS = 30_000 if THOROUGH else 300
SPARE_BYTES = 50 << 20  # beyond four times the file's size
_SECONDS = 20  # for one mutant
_MAX_FAILURES = 5
_DIGEST = b'"sha256":"'
_DEEP = "<deep>"  # stands for lists in lists, which Python's JSON would not write
_ODD = [
    *(None, True, False, 0, -1, 1, 2, 7, 255, 2**31, 2**63, 2**64, 10**12, 10**400, 0.5, -0.0, 1e308),
    *("", "\0", "a" * 5000, "cpu", "cuda", "meta", "float16", "F64", "BOOL", "../x", "__class__", _DEEP),
    *([], {}, [[]], [0], [-1], [1, 2, 3], [30000, 30000], [2**62, 2**62, 0], [""], {"a": 1}, [1] * 3000),
    *({"!float": text} for text in ("nan", "-inf", "1e999", "x")),
    *({"!tuple": [value]} for value in (0, 3, -1, 30000, 10**12, "a", None)),
    *(
        {"!array": value}
        for value in (["<U300000000", [0], ""], ["<U0", [3 * 10**8], ""], ["<f8", [1], "AAAA"])
    ),
    *({"!array": ["|O", [2], value]} for value in (["a", "b"], ["a", 1], [None, None], [[], []])),
    *(
        {"!scalar": value}
        for value in (["<f8", [], "AAAAAAAA+H8="], ["<i8", [], "AQAAAAAAAAA="], ["<i8", [1], ""])
    ),
    *({"!class": f"torch.nn.{name}"} for name in ("Linear", "LazyLinear", "Module", "ReLU", "Transformer")),
    *({"!class": name} for name in ("torch.optim.SGD", "skal.generators.GAN", "skal.nets.MLP", "os.system")),
    *(
        {"!dtype": "float16"},
        {"!dtype": "int8"},
        {"!device": "meta"},
        {"!path": "/nowhere"},
        {"!dict": {"!x": 1}},
    ),
    *({"!tuple": [30000, 30000]}, {"hidden": [30000, 30000]}, {"in_features": 40000, "out_features": 40000}),
]


@dataclass
class Case:
    """What is fuzzed.

    `attempt` reads a file and uses what is in it. `allowed` are the errors that are documented beside `ModelFileError`,
    by their type, with a part of their text. `renew` renews checksums that lie inside header, content and data. Files
    that `more` makes are read after the mutants.
    """

    raw: bytes
    attempt: Callable[[Path], Any]
    allowed: list[tuple[type[Exception], str]] = field(default_factory=list)
    renew: Callable[[dict[str, Any], Any, bytearray], Any] | None = None
    more: list[Callable[[], bytes]] = field(default_factory=list)


def dissected(raw: bytes) -> tuple[dict[str, Any], Any, bytearray]:
    """The header of a file, its content in JSON, and the bytes of its tensors."""
    stop = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:stop])
    return header, json.loads(header["__metadata__"].pop("content")), bytearray(raw[stop:])


def assembled(header: dict[str, Any], content: Any, data: bytes) -> bytes:
    """A file with these parts and the checksum that fits."""
    metadata = {**header["__metadata__"], "content": _text(content)}
    text = _text({**header, "__metadata__": metadata}).encode()
    text += b" " * (-len(text) % 8)
    return sealed(len(text).to_bytes(8, "little") + text + data)


def forge(path: Path, change: Callable[[dict[str, Any], Any], Any]) -> None:
    """Change the header and the content of a file, with the checksum that fits."""
    header, content, data = dissected(path.read_bytes())
    change(header, content)
    path.write_bytes(assembled(header, content, data))


def sealed(raw: bytes) -> bytes:
    """A file with the checksum that fits, if it has room for one."""
    at = raw.find(_DIGEST) + len(_DIGEST)
    if at < len(_DIGEST) or len(raw) < at + 64:
        return raw
    return raw[:at] + sha256(raw[:at] + raw[at + 64 :]).hexdigest().encode() + raw[at + 64 :]


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")).replace(json.dumps(_DEEP), "[" * 20_000 + "]" * 20_000)


def mutants(case: Case, seed: int) -> Iterator[bytes]:
    """Damaged and forged files without end; every other one has checksums that fit."""
    rng = np.random.default_rng(seed)
    while True:
        yield _damaged(case.raw, rng)
        yield _rewritten(case, rng) if rng.random() < 0.8 else sealed(_damaged(case.raw, rng))


def _damaged(raw: bytes, rng: np.random.Generator) -> bytes:
    """Flip bits, cut, lengthen, blank or move bytes."""
    data = bytearray(raw)
    # Half of the positions are in what the header says: the tensors are longer.
    top = len(raw) if rng.random() < 0.5 else min(len(raw), 8 + int.from_bytes(raw[:8], "little"))
    at, length = int(rng.integers(top)), int(rng.integers(1, 65))
    match rng.integers(7):
        case 0:
            data[at] ^= 1 << int(rng.integers(8))
        case 1:
            for where in rng.integers(top, size=length):
                data[where] ^= 1 << int(rng.integers(8))
        case 2:
            del data[at:]
        case 3:
            data += rng.bytes(length)
        case 4:
            data[at : at + length] = bytes(min(length, len(data) - at))
        case 5:
            source = int(rng.integers(top))
            data[at : at + length] = data[source : source + length]
        case 6:
            data[:8] = int(rng.choice([0, 1, at, 2**31, 2**62])).to_bytes(8, "little")
    return bytes(data)


def _rewritten(case: Case, rng: np.random.Generator) -> bytes:
    """Change what the header and the content say, or the numbers, and renew all checksums."""
    header, content, data = dissected(case.raw)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        chosen = rng.random()
        if chosen < 0.6:
            content = mutated(content, rng)
        elif chosen < 0.8:
            metadata = header.pop("__metadata__")
            entries = mutated(header, rng)
            header = {"__metadata__": metadata, **(entries if isinstance(entries, dict) else {})}
        elif data:
            odd = np.array([np.nan, np.inf, -1, 2**31, 1e30, 0], rng.choice(["<f4", "<f8"]))
            number = rng.choice(odd).tobytes() if rng.random() < 0.5 else rng.bytes(4)
            at = len(number) * int(rng.integers(-(-len(data) // len(number))))
            data[at : at + len(number)] = number[: len(data) - at]
    if case.renew is not None:
        with suppress(Exception):  # what is too odd to have a checksum keeps the old one
            header, content, data = case.renew(header, content, data) or (header, content, data)
    return assembled(header, content, data)


def mutated(tree: Any, rng: np.random.Generator) -> Any:
    """A copy of a value of JSON with a change at one place, be it a leaf or a branch."""
    root = [copy.deepcopy(tree)]
    places = list(_places(root))
    holder, key = places[rng.integers(len(places))]
    value = holder[key]
    match rng.integers(8):
        case 0 | 1:
            holder[key] = copy.deepcopy(_ODD[rng.integers(len(_ODD))])
        case 2:  # another value of the file
            other, name = places[rng.integers(len(places))]
            holder[key] = copy.deepcopy(other[name])
        case 3 if isinstance(holder, dict):  # without it, or under another name
            del holder[key]
            if rng.random() < 0.5:
                names = [name for _, name in places if isinstance(name, str)]
                holder[names[rng.integers(len(names))] if rng.random() < 0.7 else f"{key}_"] = value
        case 4 if isinstance(value, dict):
            names = [
                "classes_",
                "checkpoint",
                "__class__",
                "predict",
                "net_",
                "module_",
                "x_",
                "!array",
                "device_",
            ]
            value[names[rng.integers(len(names))]] = copy.deepcopy(_ODD[rng.integers(len(_ODD))])
        case 5 if isinstance(value, list) and value:
            at = rng.integers(len(value))
            holder[key] = [value[:at], value[at:] * 50, value[::-1], [value], value + value[at:]][
                rng.integers(5)
            ]
        case 6 if isinstance(holder, dict):  # exchanged with a brother
            name = list(holder)[rng.integers(len(holder))]
            holder[key], holder[name] = holder[name], holder[key]
        case _:
            holder[key] = _shifted(value, rng)
    return root[0]


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(items):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _shifted(value: Any, rng: np.random.Generator) -> Any:
    """A value of the same kind, or the same value of another kind."""
    if isinstance(value, bool) or value is None:
        return [not value, str(value), 1][rng.integers(3)]
    if isinstance(value, int | float):
        return [
            value + 1,
            -value,
            value * 10**6,
            value // 2,
            str(value),
            float(value) if abs(value) < 1e300 else 0.5,
            [value],
        ][rng.integers(7)]
    if isinstance(value, str):
        at = int(rng.integers(len(value) + 1))
        return [value[:at], value + "x", value[::-1], value * 100, [value], at, value.upper()][
            rng.integers(7)
        ]
    return [str(value)[:100], len(value), None, [value], {"a": value}][rng.integers(5)]


def fuzz(*names: str, folder: Path, n: int = N_MUTANTS, seed: int = 0) -> dict[str, Any]:
    """Read mutants of cases in another process; return how many there were, their errors and the peak of memory."""
    command = [sys.executable, "-m", "tests.fuzzing", str(folder), str(n), str(seed), *names]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, (
        f"{names}, {folder}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return report


def _peak_reset() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _memory(name: str) -> int:
    """VmRSS or VmHWM, the memory of this process now and at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _settled() -> int:
    """The memory of this process without what nobody refers to."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _memory("VmRSS")


def _run(folder: Path, n: int, seed: int, *names: str) -> int:
    # In this process alone: a file may well ask for half a minute of compilation.
    torch._dynamo.config.disable = True
    torch.compile(torch.nn.Identity())(torch.zeros(1))
    places = [name.split(":") for name in names]
    cases: list[Case] = [getattr(importlib.import_module(module), function)() for module, function in places]
    for case in cases:
        (folder / "whole").write_bytes(case.raw)
        case.attempt(folder / "whole")  # works, and imports what is imported late
    gc.collect()
    measured = sys.platform == "linux"
    if measured:  # nothing that is forged may starve the machine
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 30), resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, _too_slow)
    before, peak, found = _settled() if measured else 0, 0, Counter[str]()
    failures: list[str] = []
    for case, path in _files(folder, cases, n, seed):
        size, level = path.stat().st_size, 0
        if measured:
            level = _memory("VmRSS")  # with what the allocator kept of the files before
            _peak_reset()
        signal.alarm(_SECONDS)
        try:
            case.attempt(path)
            found["loaded"] += 1
            failure = None
        except ModelFileError as error:
            failure = None if str(path) in str(error) else f"no name of a file in: {error}"
            found["ModelFileError"] += 1
        except Exception as error:
            kind = type(error)
            known = any(kind is each and text in str(error) for each, text in case.allowed)
            failure = None if known else traceback.format_exc(limit=-6)
            found[kind.__name__] += 1
        finally:
            signal.alarm(0)
        more = _memory("VmHWM") - level if measured else 0
        peak = max(peak, more - 4 * size)
        if failure is None and more > 4 * size + SPARE_BYTES:
            failure = f"{more >> 20} MB for {size} bytes"
        if failure is not None:
            path.rename(folder / f"failed-{len(failures)}")
            failures.append(f"failed-{len(failures)}, file {sum(found.values())}: {failure}")
            if len(failures) == _MAX_FAILURES:
                break
    kept = _settled() - before if measured else 0
    if kept > SPARE_BYTES:
        failures.append(f"{kept >> 20} MB are kept after {sum(found.values())} files")
    print(*failures, sep="\n")
    print(
        json.dumps({"files": sum(found.values()), "found": found, "peak_beyond_4_files": peak, "kept": kept})
    )
    return len(failures)


def _files(folder: Path, cases: list[Case], n: int, seed: int) -> Iterator[tuple[Case, Path]]:
    """Each file lies there as long as it is read, and stays if a signal ends the process."""
    path = folder / "forged"
    turns = itertools.cycle([(case, mutants(case, seed)) for case in cases])
    for case, forged in itertools.islice(turns, n):
        path.write_bytes(next(forged))
        yield case, path
        path.unlink(missing_ok=True)
    for case in cases:
        for make in case.more:
            if not (child := os.fork()):  # whose memory is not counted here
                path.write_bytes(make())
                os._exit(0)
            os.waitpid(child, 0)
            yield case, path
            path.unlink(missing_ok=True)


def _too_slow(*_: Any) -> None:
    raise TimeoutError(f"longer than {_SECONDS} s")


if __name__ == "__main__":
    sys.exit(_run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
