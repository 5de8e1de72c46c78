"""Query times in seconds over pools of growing size."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from _experiments import count, markdown, write_report
from _results import write_results
from PIL import Image
from torch.utils.data import Dataset

from skal.utils.replacing import replacing

SIZES = [10_000, 60_000, 250_000, 1_000_000]
N_ASKED = 10

# For each method, seconds of its fit and of a query of so many rows.
Taken = dict[str, tuple[float, dict[int, float]]]


def add_times(parser: argparse.ArgumentParser) -> None:
    """The arguments of the experiment "times"."""
    parser.add_argument("--sizes", type=count, nargs="+", default=SIZES, help="pool sizes for times")
    parser.add_argument("--turns", type=count, default=4, help="queries of each method for times")
    parser.add_argument("--asked", type=count, nargs="+", default=[N_ASKED], help="rows per query for times")


class ImageFiles(Dataset[np.ndarray[Any, Any]]):
    """Images, each in a file of its own, from which it is read whenever it is asked for."""

    def __init__(self, images: np.ndarray[Any, Any], folder: Path) -> None:
        self.files = [folder / f"{row // 1000}" / f"{row}.png" for row in range(len(images))]
        for file, image in zip(self.files, images, strict=True):
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                with replacing(file) as stream:
                    Image.fromarray(image[0]).save(stream, "png")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> np.ndarray[Any, Any]:
        return np.asarray(Image.open(self.files[row]))[np.newaxis]

    def forget(self) -> None:
        """Let the system forget what it has read of the files, where it can be told to."""
        if not hasattr(os, "posix_fadvise"):
            return
        for file in self.files:
            with file.open("rb") as stream:
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(
    methods: dict[str, Any],
    pool: Any,
    labels: np.ndarray[Any, Any],
    classifier: Any,
    options: argparse.Namespace,
    folder: Path,
) -> Taken:
    """Seconds of fit, and the median of a query: all methods in turns, the first of several not counted.

    They are kept in a file of the folder, and what an earlier run has kept is not measured again. Of a pool of files
    the rows that were chosen are read, too, and the system has forgotten all of them before.
    """
    n_turns, asked = options.turns, tuple(dict.fromkeys(options.asked))
    has_files = isinstance(pool, ImageFiles)
    kind = "files" if has_files else "rows"
    file = folder / f"times-{len(pool)}-{kind}-{n_turns}-turns-{'-'.join(map(str, asked))}-asked.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if methods.keys() <= kept.keys():
        return {name: (kept[name][0], dict(zip(asked, kept[name][1:], strict=True))) for name in methods}
    labels, fits = labels.copy(), {}
    for name, strategy in methods.items():
        if has_files:
            pool.forget()
        started = time.perf_counter()
        strategy.fit(pool)
        fits[name] = time.perf_counter() - started
    seconds: dict[str, dict[int, list[float]]] = {name: {n: [] for n in asked} for name in methods}
    for _ in range(n_turns):
        for n_queries in asked:
            for name, strategy in methods.items():
                if has_files:
                    pool.forget()
                started = time.perf_counter()
                rows = strategy.query(pool, labels, n_queries=n_queries, estimator=classifier)
                if has_files:
                    _ = [pool[row] for row in rows]
                seconds[name][n_queries].append(time.perf_counter() - started)
            labels[rows] = 0
    taken = {
        name: (fits[name], {n: float(np.median(each[n_turns > 1 :])) for n, each in seconds[name].items()})
        for name in methods
    }
    for name, (fit, queries) in taken.items():
        found = ", ".join(f"query of {n} {query:.3f} s" for n, query in queries.items())
        print(f"{len(pool):,} rows, {name}: fit {fit:.1f} s, {found}", flush=True)
    file.write_text(json.dumps({name: [fit, *queries.values()] for name, (fit, queries) in taken.items()}))
    return taken


def write_times(
    options: argparse.Namespace,
    output: Path,
    found: dict[int, Taken],
    *,
    report: Iterable[str] = (),
    words: Iterable[str] = (),
    flags: Iterable[str] = (),
    setting: str,
    cut: Iterable[str] = (),
    numbers: dict[str, float] | None = None,
) -> None:
    """Write the table and the figures, with their command and setting."""
    methods = list(next(iter(found.values())))
    rows = []
    figures = dict(numbers or {})
    for size, taken in found.items():
        rows.append([f"{size:,}"])
        for name, (fit, queries) in taken.items():
            rows[-1].append(", ".join(f"{each:.3f}" for each in (fit, *queries.values())))
            figures[f"{name}, {size} rows: fit"] = fit
            for n_queries, query in queries.items():
                part = "query" if n_queries == N_ASKED else f"query of {n_queries}"
                figures[f"{name}, {size} rows: {part}"] = query
    table = markdown(["pool", *(f"{name}: fit s, query s" for name in methods)], rows)
    write_report([table, *report], output, "times")
    asked = [str(n) for n in options.asked]
    is_usual = options.asked == [N_ASKED]
    parts = [
        *words,
        f"to-{max(options.sizes)}",
        *([] if is_usual else ["asked", *asked]),
        *(options.methods or ()),
    ]
    write_results(
        options,
        output,
        part="-".join(parts).replace(" ", "_"),
        flags=[
            *flags,
            *("--sizes", *map(str, options.sizes), "--turns", str(options.turns)),
            *([] if is_usual else ["--asked", *asked]),
            *("--methods", *methods),
        ],
        setting=f"MNIST and shifted copies, {setting}; seconds of a fit and of a query of "
        f"{' or '.join(asked)} rows, the median of {max(1, options.turns - 1)}, methods in turns",
        cut=cut,
        numbers=figures,
    )


def augmented(X: np.ndarray[Any, Any], n_rows: int, folder: Path) -> np.ndarray[Any, Any]:
    """The images, and copies of them shifted by up to three pixels, with other contrast and a little noise.

    They are made once, in a file, and mapped.
    """
    file = folder / f"pool-{n_rows}.npy"
    if file.exists():
        return np.load(file, mmap_mode="r")
    rng = np.random.default_rng(0)
    pool = np.empty((n_rows, *X.shape[1:]), X.dtype)
    for start in range(0, n_rows, len(X)):
        block = pool[start : start + len(X)]
        block[:] = X[: len(block)]
        if start:
            # A shift for each part; the images come in random order.
            for part in np.array_split(np.arange(len(block)), 49):
                shift = tuple(rng.integers(-3, 4, size=2))
                noisy = np.roll(block[part], shift, axis=(2, 3)) * rng.uniform(0.7, 1, (len(part), 1, 1, 1))
                noisy += rng.normal(0, 4, noisy.shape) * (noisy > 0)
                block[part] = np.clip(noisy, 0, 255)
    with replacing(file) as stream:  # other processes may wait for it
        np.save(stream, pool)
    return np.load(file, mmap_mode="r")
