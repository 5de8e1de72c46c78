"""Checkpoints: the whole state of training in one file, from which it continues as if never interrupted."""

from __future__ import annotations

import os
import re
import zlib
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback, EarlyStopping

from ..exceptions import ModelFileError
from ..pool import as_pool
from .files import parsing, read_file, write_file
from .fingerprint import fingerprint
from .loading import check_same
from .net import TrainingNet, part
from .optimizers import load_optimizer, optimizer_state

# What early stopping counts; the best weights are kept separately.
_BOOKS = ("misses_", "dynamic_threshold_", "best_epoch_")
# How much of the rows and labels is read to know them again.
_MAX_BYTES = 1 << 26


class Checkpoint(Callback):
    """Writes a checkpoint at the end of the first epoch after every `every` steps, and when training ends.

    It holds the weights, the optimizers, the history, the counters of early stopping and the states of torch's random
    generators. The order of the batches follows from the seed and the step.

    It holds nothing of other callbacks. skorch's ``LRScheduler`` continues as before with ``ExponentialLR``,
    ``LambdaLR`` and ``CosineAnnealingLR``; ``StepLR`` and ``MultiStepLR`` drop twice if the checkpoint was written at a
    drop, and ``ReduceLROnPlateau`` starts counting again. If there are two ``EarlyStopping`` callbacks, both continue
    with the counters of the last one.

    Parameters
    ----------
    path : str or path-like
    every : int
        Steps between two checkpoints.
    """

    def __init__(self, path: str | os.PathLike[str], every: int) -> None:
        self.path = Path(path)
        self.every = every

    def open(self, estimator: Any, rows: NDArray[Any], seed: int, labels: NDArray[Any] | None = None) -> int:
        """Read the checkpoint if it exists, and return the seed of its training run; otherwise return the given seed.

        Parameters
        ----------
        estimator : estimator
            Its `_deciding_params`, and a `random_state` that is an integer, must be those of the checkpoint's training
            run. Functions and classes are recognised by their names, lambdas by their code.
        rows : ndarray
            Recognised by their digest.
        seed : int
            The seed of a new training run.
        labels : ndarray, default=None
            Labels of the rows, if any; also recognised by their digest.

        Raises
        ------
        ValueError
            If the file belongs to another training run. It is a `ModelFileError` if the file is not a complete
            checkpoint.
        """
        self.identity = _identity(estimator, rows, labels)
        self.tensors: dict[str, torch.Tensor] = {}
        self.found: dict[str, Any] = {}
        if not self.path.exists():
            return seed
        self.tensors, self.found = read_file(self.path)
        with parsing(self.path):
            identity = self.found.get("identity", {})
            differing = [name for name, value in self.identity.items() if identity.get(name) != value]
            saved = self.found.get("seed")
            if not differing and (type(saved) is not int or saved < 0):
                raise ModelFileError(f"has the seed {saved!r}")
            if isinstance(estimator.random_state, Integral) and saved != seed:
                differing.append("random_state")
        if differing:
            raise ValueError(
                f"the checkpoint {str(self.path)!r} belongs to another training: {', '.join(differing)} differ; "
                "delete the file, or name another one"
            )
        return self.found["seed"]

    def restore(self, net: TrainingNet) -> None:
        """Put an initialized net, and torch's generators, into the state of the checkpoint that `open` read.

        Raises
        ------
        ValueError
            If that training run has made more steps than the net is asked for. It is a `ModelFileError` if the state is
            not one of this net.
        """
        if not self.found:
            return
        with parsing(self.path):
            self._restore(net)
        if net.remaining_epochs < 0:
            raise ValueError(
                f"the checkpoint {str(self.path)!r} holds {net.n_steps} steps in {len(net.history)} epochs or records, "
                "more than are asked for; raise n_iter or max_epochs, or name another file"
            )
        if net.remaining_epochs == 0:
            # Nothing is left to train, so this does what early stopping does at the end of training.
            if best := part(self.tensors, "best"):
                net.module_.load_state_dict(best)
            self.tensors = {}

    def _restore(self, net: TrainingNet) -> None:
        weights = net.state_dict()
        check_same(weights, {name: tensor for name, tensor in self.tensors.items() if name in weights})
        if best := part(self.tensors, "best"):
            check_same(net.module_.state_dict(), best)
        _check_history(self.found["history"])
        if (books := self.found["books"]) != {}:
            _check_books(books)
        for name in net._optimizers:
            state = self.found["optimizers"][name]
            load_optimizer(getattr(net, f"{name}_"), part(self.tensors, name), state)
        net.load_state_dict(self.tensors)
        net.history.extend(self.found["history"])
        torch.set_rng_state(self.tensors["random_state"])
        if "random_state_cuda" in self.tensors and torch.device(net.device).type == "cuda":
            torch.cuda.set_rng_state(self.tensors["random_state_cuda"], net.device)
        if self.found["stopped"]:
            net.max_epochs = len(net.history)

    def on_train_begin(self, net: TrainingNet, **_: Any) -> None:
        """Restore the counters of early stopping, which skorch has just reset."""
        self._written = net.n_steps
        for stopping in _early_stopping(net):
            for name, value in self.found.get("books", {}).items():
                setattr(stopping, name, value)
            stopping.best_model_weights_ = part(self.tensors, "best") or None
        self.tensors = {}

    def on_epoch_end(self, net: TrainingNet, **_: Any) -> None:
        """Write a checkpoint if one is due."""
        if self.found and _losses(net.history[0]) != _losses(net.history[-1]):
            given, recorded = (sorted(_losses(net.history[number])) for number in (0, -1))
            raise ModelFileError(
                f"{self.path} has a history of {given}, and this training records {recorded}"
            )
        if net.n_steps - self._written >= self.every or net.remaining_epochs == 0:
            self._write(net)

    def on_train_end(self, net: TrainingNet, **_: Any) -> None:
        """Write the last checkpoint if training stopped early; after Ctrl-C the previous one remains."""
        if any(stopping.misses_ >= stopping.patience for stopping in _early_stopping(net)):
            self._write(net, stopped=True)

    def _write(self, net: TrainingNet, stopped: bool = False) -> None:
        tensors = {"random_state": torch.get_rng_state(), **net.state_dict()}
        if torch.device(net.device).type == "cuda":
            tensors["random_state_cuda"] = torch.cuda.get_rng_state(net.device)
        optimizers = {}
        for name in net._optimizers:
            state, optimizers[name] = optimizer_state(getattr(net, f"{name}_"))
            tensors |= _named(name, state)
        books: dict[str, Any] = {}
        for stopping in _early_stopping(net):
            books = {name: getattr(stopping, name) for name in _BOOKS}
            tensors |= _named("best", stopping.best_model_weights_ or {})
        content = {
            "identity": self.identity,
            "seed": net.seed,
            "stopped": stopped,
            "optimizers": optimizers,
            "history": net.saved_history(),
            "books": books,
        }
        write_file(self.path, tensors, content)
        self._written = net.n_steps


def _identity(estimator: Any, rows: NDArray[Any], labels: NDArray[Any] | None) -> dict[str, Any]:
    """Return everything that decides a training run, except its seed, as JSON."""
    identity: dict[str, Any] = {
        "estimator": type(estimator).__name__,
        "X": repr(as_pool(rows).digest(_MAX_BYTES)),
    }
    if labels is not None:
        identity["y"] = repr(as_pool(labels).digest(_MAX_BYTES))
    for name, value in estimator._deciding_params().items():
        told = _told(value)
        # Addresses in memory are others in another process.
        identity[name] = getattr(told, "__qualname__", re.sub(r" at 0x\w+", "", repr(told)))
    return identity


def _told(value: Any) -> Any:
    """A printable identifier of a value; functions and classes are identified by name, because code may be mended."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return fingerprint(value)
    if type(value) is dict:
        return {name: _told(each) for name, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_told, value))
    code = getattr(value, "__code__", None)
    if code is not None and code.co_name == "<lambda>":
        return f"lambda {zlib.crc32(code.co_code)} {code.co_names} {code.co_consts}"
    return value


def _check_history(rows: Any) -> None:
    """Refuse a history from which training cannot continue."""
    steps = [row["step"] for row in rows]
    if any(type(step) is not int for step in steps) or steps != sorted({*steps}) or min(steps, default=1) < 1:
        raise ModelFileError(f"has a history of the steps {steps[:5]}")
    if any(_losses(row) != _losses(rows[0]) for row in rows):
        raise ModelFileError("has a history whose epochs differ in their losses")


def _check_books(books: Any) -> None:
    """Refuse counters that early stopping does not have."""
    misses, threshold, best = (books[name] for name in _BOOKS)
    if len(books) > len(_BOOKS) or not (
        type(misses) is type(best) is int and min(misses, best) >= 0 and isinstance(threshold, float)
    ):
        raise ModelFileError(f"has {books} as what early stopping counts")


def _losses(row: Any) -> set[str]:
    """Return the names of the losses of an epoch."""
    return {
        name
        for name, value in row.items()
        if name.startswith(("train_", "valid_")) and isinstance(value, float)
    }


def _early_stopping(net: TrainingNet) -> list[EarlyStopping]:
    return [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]


def _named(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
