"""The result files from which report.py builds its page: figures of runs, with command, settings and machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from _experiments import Experiment, read_arrays, run_file, seeds_of
from sklearn.base import BaseEstimator

import skal

KEPT = ("query_entropy", "query_time", "fit_time")  # of a history, beside its scores
PACKAGES = (skal, torch, sklearn, np)


def write_results(
    options: argparse.Namespace,
    folder: Path,
    methods: Iterable[str] = (),
    *,
    flags: Iterable[str] = (),
    part: str = "",
    setting: str = "",
    cut: Iterable[str] = (),
    numbers: dict[str, Any] | None = None,
) -> None:
    """Write the figures of the runs that are there to the folder `--results`, if it is given.

    `flags` ask the script for these methods, `cut` says what `--quick` leaves out, `numbers` are figures that no
    history has: one each, or one per seed.
    """
    if options.results is None:
        return
    curves = {name: found for name in methods if (found := curve(folder, name))}
    seeds = sorted({seed for found in curves.values() for seed in found["seeds"]})
    name = "-".join(
        [options.script, options.experiment, *["quick"] * options.quick, *([part] if part else [])]
    )
    words = [options.experiment, *["--quick"] * options.quick, *flags]
    words += ["--seeds", *map(str, seeds)] if seeds else []
    result = {
        "command": f"python examples/papers/{options.script}.py {shlex.join(words)}",
        "setting": setting,
        "cut": list(cut),
        "machine": machine(),
        "versions": {package.__name__: package.__version__ for package in PACKAGES}
        | {"python": platform.python_version()},
        "seconds": short(
            sum(np.sum(found["fit_time"]) + np.sum(found["query_time"]) for found in curves.values())
        ),
        "curves": curves,
        "numbers": {key: short(value) for key, value in (numbers or {}).items()},
    }
    path = options.results / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dense(result) + "\n")
    print(f"figures in {path}", flush=True)


def curve(folder: Path, method: str) -> dict[str, Any]:
    """What the runs of a method have recorded, a list per seed; nothing if there are none."""
    seeds = seeds_of(folder, method)
    runs = [read_arrays(run_file(folder, method, seed)) for seed in seeds]
    if not runs:
        return {}
    kept = [key for key in runs[0] if key.startswith("score") or key in KEPT]
    figures = {key: short([run[key] for run in runs]) for key in kept}
    if "class_counts" in runs[0]:
        figures["class_counts"] = short([run["class_counts"][-1] for run in runs])
    return {"seeds": seeds, "n_labeled": short(runs[0]["n_labeled"]), **figures}


def machine() -> dict[str, Any]:
    """What kind of machine this is, without its name."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def short(values: Any) -> Any:
    """Numbers with four digits, in lists."""
    values = np.asarray(values)
    if values.ndim:
        return [short(value) for value in values]
    if np.issubdtype(values.dtype, np.integer):
        return int(values)
    return None if np.isnan(values) else float(f"{values:.4g}")


def dense(result: dict[str, Any]) -> str:
    """JSON with a line per list of numbers."""
    text = json.dumps(result, indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found.group().split()), text)


def cuts(full: Experiment, quick: Experiment) -> list[str]:
    """What differs between two experiments, each with the paper's value in brackets."""
    if full is quick:
        return []
    found = []
    for field in dataclasses.fields(full):
        found += differences(field.name, getattr(full, field.name), getattr(quick, field.name))
    return found


def differences(name: str, before: Any, after: Any) -> list[str]:
    """What differs between two parameters, or in the parameters of two estimators or the values of two mappings."""
    if isinstance(before, dict) and isinstance(after, dict):
        parts = [differences(f"{name} {key}", before.get(key), after.get(key)) for key in {**before, **after}]
    elif isinstance(before, BaseEstimator) and type(before) is type(after):
        parts = [differences(name, before.get_params(deep=False), after.get_params(deep=False))]
    else:
        # Two functions or callbacks that are alike differ by their addresses in memory.
        first, second = (re.sub(r" at 0x\w+", "", repr(value)) for value in (before, after))
        return [] if first == second else [f"{name} {after} ({before})"]
    return [text for part in parts for text in part]
