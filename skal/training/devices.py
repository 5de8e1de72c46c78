"""Devices by name, and their random generators."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from sklearn.utils._param_validation import InvalidParameterError

from ..utils.threads import Turns

# Held by whoever moves torch's global generators, from which layers draw, until they are back where they were.
_GENERATORS = Turns()


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that a parameter names, with its number if it is a GPU."""
    available = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if available else "cpu"
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise InvalidParameterError(
            f'device={device!r} is not a device of torch; use "auto", "cpu", "cuda" or "cuda:1"'
        ) from error
    if device.type != "cuda":
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, ImportError) as error:
            raise InvalidParameterError(f'device="{device}" is not there; use "auto" or "cpu"') from error
        return device
    if not available or (device.index or 0) >= torch.cuda.device_count():
        raise InvalidParameterError(
            f'device="{device}" is not there (number of GPUs: {torch.cuda.device_count()}); use "auto" or "cpu"'
        )
    return torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Within the context, seed torch's generators of the CPU and the device; restore their old states afterwards.

    The generators belong to the process, so only one thread enters at a time: parallel training runs take turns, and
    each draws the same numbers as it would alone.

    Parameters
    ----------
    seed : int or None
        None leaves the generators in their present state.
    device : torch.device
    """
    on_gpu = device.type == "cuda"
    with _GENERATORS, torch.random.fork_rng(devices=[device] if on_gpu else []):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every GPU
            if on_gpu:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
        yield
