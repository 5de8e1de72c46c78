"""The base of the networks with a torchvision body: the head, pickling, and weights from a file."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import safetensors.torch
import torch
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from ..utils.torchvision import import_torchvision
from .bases import HeadNet
from .shapes import as_images


class TorchvisionNet(HeadNet):
    """A linear head, and an optional linear layer before it, on the features that `body` returns.

    `body` is a module of torchvision or timm without its own head.
    """

    without_weights: ClassVar[dict[str, Any]] = {"weights": None}  # builds the module without a file

    def __init__(self, body: nn.Module, n_features: int, n_classes: int, n_hidden: int | None) -> None:
        super().__init__()
        if n_hidden is not None and n_hidden < 1:
            raise InvalidParameterError(
                f"n_hidden={n_hidden} was given; pass a positive integer, or None for no such layer"
            )
        self.body = body
        self.hidden: nn.Module = nn.Identity() if n_hidden is None else nn.Linear(n_features, n_hidden)
        self.head = nn.Linear(n_hidden or n_features, n_classes)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features, or their projection to ``n_hidden`` numbers."""
        return self.hidden(self.body(as_images(x)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process must import torchvision in our way before it unpickles the body.
        return _blank, (type(self),), self.__dict__


def _blank(net: type[TorchvisionNet]) -> TorchvisionNet:
    import_torchvision()
    return net.__new__(net)


def read_weights(weights: str | os.PathLike[str]) -> dict[str, torch.Tensor]:
    """Return the state dict in a file of torch or, with the suffix ".safetensors", of safetensors.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds anything else.
    """
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"weights={str(path)!r} was given, which is not a file. skal downloads nothing: get the weights yourself, "
            "or pass weights=None to start from random ones"
        )
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state.get("model", state))  # checkpoints hold more than the weights
        if not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
            raise TypeError("not all values are tensors")
    except OSError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise InvalidParameterError(
            f"{path} holds no weights ({type(error).__name__}: {reason}); give what torch.save(module.state_dict(), "
            'path) writes, or a safetensors file with the suffix ".safetensors"'
        ) from error
    return dict(state)


def read_body(
    file: str | os.PathLike[str] | dict[str, torch.Tensor],
    head: str | tuple[str, ...],
    first: str,
    n_channels: int,
    rename: Callable[[str], str] = str,
) -> dict[str, torch.Tensor]:
    """Return a state dict without the head, for images with some number of channels.

    Parameters
    ----------
    file : str, path-like or dict
        As in `read_weights`, or its result.
    head : str or tuple of str
        The prefixes of the keys of the head.
    first : str
        New name of the first convolution's kernels. For gray images they are summed over three channels, as if all
        three were equal.
    n_channels : int
    rename : callable, default=str
        Maps the keys in the file to their new names.
    """
    weights = (file if isinstance(file, dict) else read_weights(file)).items()
    state = {rename(key): tensor for key, tensor in weights if not key.startswith(head)}
    if n_channels == 1 and first in state and state[first].ndim == 4 and state[first].shape[1] == 3:
        state[first] = state[first].sum(1, keepdim=True)
    return state


def load_weights(body: nn.Module, state: dict[str, torch.Tensor], file: str | os.PathLike[str]) -> None:
    """Load a state dict without the head.

    Raises
    ------
    ValueError
        If keys or shapes do not match those of the body.
    """
    own = body.state_dict()
    problems = [
        f"lacks {key}" for key in own if key not in state and not key.endswith(".num_batches_tracked")
    ]
    problems += [f"has an unknown {key}" for key in state if key not in own]
    problems += [
        f"has {key} of shape {tuple(state[key].shape)} instead of {tuple(tensor.shape)}"
        for key, tensor in own.items()
        if key in state and state[key].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InvalidParameterError(
            f"{os.fspath(file)} does not fit this network: it {', '.join(problems[:3])}{more}; "
            "give weights of the same architecture and channels, with torchvision's or timm's names, or weights=None"
        )
    body.load_state_dict({**own, **state})  # the oldest files do not count batches
