"""Networks with weights from a file; nothing is allocated before names and shapes agree."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode
from torch.utils._device import DeviceContext

from ..exceptions import ModelFileError
from .net import TrainingNet

# Calls of torch's functions in building a network, for each tensor in the file and 100 more. torchvision's and timm's
# need up to 13.
_CALLS = 100
# What widths and rates of layers are computed from, which must be numbers in some networks.
_SEQUENCES = (torch.arange, torch.linspace, torch.tensor)
_LONGEST = 1000


def with_weights(
    make_net: Callable[..., TrainingNet],
    tensors: dict[str, torch.Tensor],
    device: torch.device,
    *,
    own_code: bool,
) -> TrainingNet:
    """Return an initialized net with weights that `TrainingNet.state_dict` has returned.

    The modules are built on the meta device, where tensors have no numbers, and get the tensors of the file if all
    names, shapes and types agree. If the file does not cover all of their tensors (some are not in the state dict, or
    one tensor has two names), the modules are then built a second time, in memory.

    Parameters
    ----------
    make_net : callable
        ``make_net(device=...)`` returns the net, not initialized.
    tensors : dict of str to Tensor
        The tensors that become the weights.
    device : torch.device
    own_code : bool
        Whether a module may look at numbers while it is built, so that it cannot be built without them. This holds only
        for modules that no file can name.

    Raises
    ------
    ModelFileError
        If a name, a shape or a type differs. The error does not name the file.
    """
    for with_sequences in (False, True):
        plan = _Plan(len(tensors), with_sequences)
        try:
            with plan:
                net = make_net(device="meta")
                net.expect(tensors)
                net.initialize()
        except ModelFileError:
            raise
        except (RuntimeError, TypeError, ValueError) as error:
            needs_numbers = re.search("meta|unsupported scalarType", str(error)) is not None
            if not needs_numbers or (with_sequences and not own_code):
                raise
            continue
        check_same(net.state_dict(), tensors)
        if not _are_tied(net.state_dict()):
            # A buffer that no file has cannot go to a device, and a module may load a state in its own way.
            with suppress(RuntimeError, TypeError):
                net.take(tensors, device)
                if not plan.is_left():
                    return net
        break
    net = make_net(device=str(device))
    net.expect(tensors)
    net.initialize()
    check_same(net.state_dict(), tensors)
    net.load_state_dict(tensors)
    return net


def check_same(own: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> None:
    """Raise ModelFileError if tensors differ in a name, a shape or a type.

    Parameters
    ----------
    own : mapping of str to Tensor
        Lazy parameters, which have no shape yet, accept any.
    given : mapping of str to Tensor

    Examples
    --------
    >>> import torch
    >>> from skal.training.loading import check_same
    >>> check_same({"weight": torch.zeros(2)}, {"weight": torch.zeros(3)})
    Traceback (most recent call last):
        ...
    skal.exceptions.ModelFileError: has 'weight' of shape (3,) and type torch.float32 instead of (2,) and torch.float32
    """
    for name in sorted(own.keys() ^ given.keys()):
        raise ModelFileError(f"{'lacks' if name in own else 'has an unknown'} tensor {name!r}")
    for name, tensor in own.items():
        other = given[name]
        shape = other.shape if is_lazy(tensor) else tensor.shape
        if (shape, tensor.dtype) != (other.shape, other.dtype):
            raise ModelFileError(
                f"has {name!r} of shape {tuple(other.shape)} and type {other.dtype} instead of {tuple(shape)} and "
                f"{tensor.dtype}"
            )


def _are_tied(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether one tensor has two names."""
    storages = [tensor.untyped_storage()._cdata for tensor in tensors.values() if not is_lazy(tensor)]
    return len(set(storages)) < len(storages)


class _Plan(TorchFunctionMode):
    """Makes new tensors without numbers, in this thread only, and knows which of them are still there.

    It counts the calls of torch's functions, and can let short sequences have numbers.
    """

    on_meta = DeviceContext("meta")  # not entered, which would be seen in all threads

    def __init__(self, n_tensors: int, with_sequences: bool) -> None:
        super().__init__()
        self.n_calls = _CALLS * (n_tensors + 100)
        self.with_sequences = with_sequences
        self.storages: list[StorageWeakRef] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.n_calls -= 1
        if self.n_calls < 0:
            raise ModelFileError("describes networks of far more parts than it has tensors")
        made = self.on_meta.__torch_function__(func, types, args, dict(kwargs or {}))
        if self.with_sequences and func in _SEQUENCES and made.numel() <= _LONGEST:
            return func(*args, **{**(kwargs or {}), "device": "cpu"})
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, torch.Tensor) and each.is_meta and not is_lazy(each):
                self.storages.append(StorageWeakRef(each.untyped_storage()))
        return made

    def is_left(self) -> bool:
        """Whether the modules still contain tensors without numbers."""
        if self._are_left():
            gc.collect()
        return self._are_left()

    def _are_left(self) -> bool:
        return not all(storage.expired() for storage in self.storages)
