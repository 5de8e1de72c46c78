"""How the benchmarks measure: contestants take turns, so that a slow moment of the machine meets all of them."""

import time
from collections.abc import Callable

import numpy as np
import torch

Times = dict[str, float]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def in_turns(contestants: dict[str, Callable], rounds: int) -> Times:
    """The median seconds of each contestant; every round runs all of them, in an order that rotates."""
    names = list(contestants)
    times: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            contestants[name]()
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def report(benchmark, title: str, times: Times, n_rows: int = 0) -> None:
    """Print each median beside that of the first contestant, ours; `n_rows` adds rows a second."""
    print(f"\n{title}")
    ours = next(iter(times.values()))
    for name, seconds in times.items():
        benchmark.extra_info[name] = seconds
        rate = f"{n_rows / seconds:>10,.0f} rows/s" if n_rows else ""
        print(f"  {name:<40} {1e3 * seconds:>9.1f} ms {rate}   {seconds / ours:>7.2f} of ours")
