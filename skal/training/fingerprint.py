"""Fingerprints that identify objects by their content, the same in every process."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from joblib.hashing import NumpyHasher, Pickler
from numpy.typing import NDArray
from skorch import NeuralNet
from torch.nn.utils.parametrize import is_parametrized

from ..pool.checksum import SCRIPT, ContentHasher
from .saving import SavedEstimator

# What networks hold for their training only, such as optimizer__momentum and callbacks_.
_OF_TRAINING = re.compile(
    "(callbacks|checkpoint|checkpoint_every|history|iterator_train|optimizer|optimizer_params|_params_to_validate|"
    "train_split|verbose|virtual_params)(_|__.*)?"
)


def fingerprint(*objects: Any) -> str:
    """A hash of the content of objects, the same in every process and for any memory order of arrays.

    Tensors are identified by their numbers, networks without the parts that only training needs, and functions and
    classes by their names, not by their code.

    Parameters
    ----------
    *objects : object

    Returns
    -------
    fingerprint : str

    Raises
    ------
    Exception
        Any error that an object raises if it cannot be pickled.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.training.fingerprint import fingerprint
    >>> X = np.eye(3)[:, :2]
    >>> fingerprint(X) == fingerprint(np.asfortranarray(X))
    True
    """
    return str(_Fingerprint().hash(objects))


class _Fingerprint(ContentHasher):
    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[int, tuple[int, Any]] = {}

    def save(self, obj: Any) -> None:
        if type(obj) in (np.ndarray, np.memmap) and obj.dtype.kind != "O":
            NumpyHasher.save(self, _in_order(obj))
        elif type(obj) is dict:  # of any size
            NumpyHasher.save(self, obj)
        elif id(obj) in self._seen:  # a module that its part refers to
            super().save(("again", self._seen[id(obj)][0]))
        else:
            parts = _parts(obj)
            if parts is not None:
                self._seen[id(obj)] = len(self._seen), obj
            super().save(obj if parts is None else parts)

    def _batch_setitems(self, items: Any, *args: Any) -> None:
        items = list(items)
        try:
            items.sort(key=itemgetter(0))
        except Exception:  # keys of several kinds, or tensors
            items.sort(key=lambda item: fingerprint(item[0]))
        Pickler._batch_setitems(self, items, *args)

    def memoize(self, obj: Any) -> None:
        # Whether it was one tuple or two equal ones, a model file does not know.
        if not isinstance(obj, tuple):
            super().memoize(obj)


def _parts(obj: Any) -> Any:
    """An identifier of an object whose pickle does not identify it; None if the pickle does."""
    match obj:
        case torch.Tensor():
            return "tensor", *_numbers(obj)
        case set() | frozenset() if all(isinstance(each, str) for each in obj):
            return type(obj).__name__, sorted(obj)
        case SavedEstimator():  # which makes the rest of its nets from what it holds
            held = [(name, value) for name, value in _lasting(obj) if name not in obj._nets]
            modules = [getattr(obj, name).modules for name in obj._nets if hasattr(obj, name)]
            return _name(obj), held, modules
        case NeuralNet():
            return _name(obj), _lasting(obj)
        case torch.jit.ScriptModule():
            return obj.save_to_buffer()
        case torch.nn.Module() if hasattr(obj, "_orig_mod"):
            return "compiled", obj._orig_mod
        case torch.nn.Module():  # a parametrized one refuses to be pickled
            state = vars(obj) if is_parametrized(obj) else obj.__getstate__()
            return _name(obj), [*obj._modules], state  # parts may run in the order of their names
    return None


def _name(obj: Any) -> tuple[str | None, str]:
    """The name of an object's class, which torch may have made for it."""
    kind = type(obj)
    return None if kind.__module__ in SCRIPT else kind.__module__, kind.__qualname__


def _lasting(network: Any) -> list[tuple[str, Any]]:
    """The content of a network on which its answers may depend."""
    of_training = {f"{name}_" for name in getattr(network, "_optimizers", ())}
    made = set(getattr(network, "_modules", ()))  # what its modules, which have an underscore, were made of
    names = sorted(vars(network).keys() - of_training - made)
    return [(name, vars(network)[name]) for name in names if not _OF_TRAINING.fullmatch(name)]


def _in_order(array: NDArray[Any]) -> NDArray[Any]:
    """An array in C order, with the strides that a pickle of it has; a copy only where it has to be one."""
    return np.ascontiguousarray(array).reshape(-1).reshape(array.shape)


def _numbers(tensor: torch.Tensor) -> tuple[Any, ...]:
    if tensor.layout is not torch.strided:
        return str(tensor.layout), _numbers(tensor.to_dense())
    if tensor.is_quantized:
        return str(tensor.dtype), _numbers(tensor.dequantize())
    try:
        return (tensor.numpy(force=True),)
    except TypeError:  # bfloat16, say, which NumPy lacks
        numbers = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        return str(tensor.dtype), tuple(tensor.shape), numbers
