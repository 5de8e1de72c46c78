"""Checkpoints: the whole state of a training in one file, from which it continues as if never interrupted."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from skorch.callbacks import Callback, EarlyStopping

from ..pool import as_pool
from .files import read_file, write_file
from .net import TrainingNet, part

# What early stopping counts; the best weights are kept separately.
_BOOKS = ("misses_", "dynamic_threshold_", "best_epoch_")
# How much of the rows and labels is read to know them again.
_MAX_BYTES = 1 << 26


class Checkpoint(Callback):
    """Writes a checkpoint at the end of the first epoch after every `every` steps, and when training ends.

    It holds the weights, the optimizers, the history, the counters of early stopping and the states of torch's random
    generators. The order of the batches follows from the seed and the step.

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
        """Read the checkpoint if it exists, and return the seed of its training, else the one given.

        Parameters
        ----------
        estimator : estimator
            Its `_deciding_params`, and a `random_state` that is an integer, must be those of the checkpoint's training.
        rows : ndarray
            Recognised by their digest.
        seed : int
            The seed of a new training.
        labels : ndarray, default=None
            Labels of the rows, if any; recognised by their digest too.

        Raises
        ------
        ValueError
            If the file belongs to another training. It is a `ModelFileError` if the file is not a whole checkpoint.
        """
        self.identity = _identity(estimator, rows, labels)
        self.tensors: dict[str, torch.Tensor] = {}
        self.found: dict[str, Any] = {}
        if not self.path.exists():
            return seed
        self.tensors, self.found = read_file(self.path)
        identity = self.found.get("identity", {})
        differing = [name for name, value in self.identity.items() if identity.get(name) != value]
        if isinstance(estimator.random_state, Integral) and self.found.get("seed") != seed:
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
            If that training has made more steps than the net is asked for.
        """
        if not self.found:
            return
        net.load_state_dict(self.tensors)
        for name in net._optimizers:
            state = self.found["optimizers"][name]
            _load_optimizer(getattr(net, f"{name}_"), part(self.tensors, name), state)
        net.history.extend(self.found["history"])
        torch.set_rng_state(self.tensors["random_state"])
        if "random_state_cuda" in self.tensors and torch.device(net.device).type == "cuda":
            torch.cuda.set_rng_state(self.tensors["random_state_cuda"], net.device)
        if self.found["stopped"]:
            net.max_epochs = len(net.history)
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
        if net.n_steps - self._written >= self.every or net.remaining_epochs == 0:
            self._write(net)

    def on_train_end(self, net: TrainingNet, **_: Any) -> None:
        """Write the last checkpoint if training stopped early; Ctrl-C leaves the one before."""
        if any(stopping.misses_ >= stopping.patience for stopping in _early_stopping(net)):
            self._write(net, stopped=True)

    def _write(self, net: TrainingNet, stopped: bool = False) -> None:
        tensors = {"random_state": torch.get_rng_state(), **net.state_dict()}
        if torch.device(net.device).type == "cuda":
            tensors["random_state_cuda"] = torch.cuda.get_rng_state(net.device)
        optimizers = {}
        for name in net._optimizers:
            state, optimizers[name] = _optimizer_state(getattr(net, f"{name}_"))
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
    """Return what decides a training, except its seed, as JSON."""
    identity: dict[str, Any] = {
        "estimator": type(estimator).__name__,
        "X": repr(as_pool(rows).digest(_MAX_BYTES)),
    }
    if labels is not None:
        identity["y"] = repr(as_pool(labels).digest(_MAX_BYTES))
    for name, value in estimator._deciding_params().items():
        identity[name] = getattr(value, "__qualname__", repr(value))
    return identity


def _early_stopping(net: TrainingNet) -> list[EarlyStopping]:
    return [callback for _, callback in net.callbacks_ if isinstance(callback, EarlyStopping)]


def _named(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Split an optimizer's state into named tensors and the rest, which JSON can hold."""
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    others: dict[str, Any] = {}
    for parameter, values in state["state"].items():
        for name, value in values.items():
            (tensors if isinstance(value, torch.Tensor) else others)[f"{parameter}/{name}"] = value
    groups = [
        {name: value.item() if isinstance(value, torch.Tensor) else value for name, value in group.items()}
        for group in state["param_groups"]
    ]
    return tensors, {"state": others, "param_groups": groups}


def _load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], content: dict[str, Any]
) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **content["state"]}.items():
        number, name = key.split("/", 1)
        parameter = parameters[int(number)]
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
            # A fused optimizer walks through memory, so its tensors need the memory layout of the weights.
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict({"state": state, "param_groups": content["param_groups"]})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, torch.Tensor):  # a captured step reads the learning rate from this tensor
            group["lr"] = rate.fill_(group["lr"])
