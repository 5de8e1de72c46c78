"""Raw skorch nets are asked through a view, because their answers change flags and generators that threads share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import issparse
from skorch import NeuralNet
from skorch.helper import SliceDict
from skorch.utils import is_pandas_ndframe, multi_indexing
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from ..pool import DatasetPool, MappingPool, as_pool, dense
from ..training.batches import as_tensor
from ..training.devices import seeded
from ..training.estimator import evaluating
from ..training.net import takes_integers
from ..training.recording import Recorder, private_view
from .networks import weight_dtype


@contextmanager
def asked(estimator: Any, X: Any) -> Iterator[Any]:
    """Yield a stand-in for a fitted estimator that can be asked about rows without affecting other threads.

    For a raw skorch net, which toggles the training flags of its modules and draws from torch's generators in each
    prediction, this is a net of the same class: its modules are private views, which share only the weights, and its
    loader has its own generator. A net that still draws random numbers, or that has TorchScript parts, is asked by one
    thread at a time, and flags and generators are restored. Any other estimator is yielded itself.

    Parameters
    ----------
    estimator : fitted estimator
    X : array-like of shape (n_samples, ...)
        The rows that it will be asked about. A raw net makes a trial with the first two.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from skal.access.raw_nets import asked
    >>> X = np.zeros((4, 2), dtype=np.float32)
    >>> net = NeuralNetClassifier(nn.Sequential(nn.Linear(2, 3), nn.Softmax(dim=1))).initialize()
    >>> with asked(net, X) as view:
    ...     view.predict_proba(X).shape
    (4, 3)
    >>> net.module_.training
    True
    """
    if not isinstance(estimator, NeuralNet):
        yield estimator
        return
    view = _private_net(estimator)
    modules = [value for value in vars(view).values() if isinstance(value, nn.Module)]
    shared = [part for each in modules for part in each.modules() if isinstance(part, torch.jit.ScriptModule)]
    if not shared and _draws_nothing(view, X):
        yield view
        return
    with seeded(None, torch.device(estimator.device or "cpu")), evaluating(*shared):
        yield view


def _private_net(net: NeuralNet) -> NeuralNet:
    view = object.__new__(type(net))
    vars(view).update(
        {name: private_view(own) if isinstance(own, nn.Module) else own for name, own in vars(net).items()}
    )
    if net.iterator_valid is DataLoader:
        view.iterator_valid__generator = torch.Generator()
    return view


def _draws_nothing(net: NeuralNet, X: Any) -> bool:
    try:
        with _NoDraws():
            net.predict_proba(multi_indexing(X, slice(2)))  # a single row is too few for some normalisations
    except Exception:  # one that is not due to the trial comes again
        return False
    return True


class _NoDraws(TorchDispatchMode):
    """Stop this thread before it draws from torch's global generators."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded in function.tags and kwargs.get("generator") is None:
            raise RuntimeError(f"{function} draws from torch's global generators.")
        return function(*args, **kwargs)


def as_input(estimator: Any, X: Any) -> Any:
    """Return rows as a raw skorch net takes them, since it converts nothing itself; for other estimators, unchanged.

    Parameters
    ----------
    estimator : estimator
    X : array-like
        Numbers, in an array, tensor, list or data frame, become an array in the type of the parameters: float32 before
        the net is initialised. Integers that the module looks up become int64. The arrays of a mapping keep integers
        and booleans. A pandas data frame whose columns the module takes by name is unchanged, as are sparse rows and
        anything without numbers.

    Returns
    -------
    X : array-like

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from skal.access.raw_nets import as_input
    >>> as_input(NeuralNetClassifier(nn.Linear), np.zeros(2)).dtype
    dtype('float32')
    """
    return _cast(estimator, X) if isinstance(estimator, NeuralNet) and not issparse(X) else X


def _cast(net: NeuralNet, X: Any) -> Any:
    module = getattr(net, "module_", None)
    if module is not None and _names_columns(module, X):
        return X
    pool = as_pool(X)
    if not isinstance(pool, MappingPool | DatasetPool) and pool.obstacle is not None:
        return X
    rows = pool.whole() if isinstance(pool, MappingPool | DatasetPool) else dense(X)
    dtype = torch.float32 if module is None else weight_dtype(module)
    if isinstance(rows, Mapping):
        parts = {name: _as_numbers(part, dtype, kept="biu") for name, part in rows.items()}
        return SliceDict(**parts)
    return _as_numbers(rows, dtype, kept="iu" if module is not None and takes_integers(module) else "")


def _as_numbers(array: NDArray[Any], dtype: torch.dtype, kept: str) -> NDArray[Any]:
    """An array that torch can read in the type of the weights; kinds in `kept` stay, integers as int64."""
    kind = array.dtype.kind
    if kind in kept:
        array = array if kind == "b" else array.astype(np.int64, copy=False)
    elif kind in "biuf":
        array = array.astype(np.float64 if dtype == torch.float64 else np.float32, copy=False)
    return array if array.flags.writeable else as_tensor(array).numpy()  # torch warns of the others


def _names_columns(module: nn.Module, X: Any) -> bool:
    """Whether a module takes the columns of a data frame of pandas as arguments, as skorch gives them."""
    return (
        is_pandas_ndframe(X)
        and set(getattr(X, "columns", [None])) <= signature(module.forward).parameters.keys()
    )


def linear_layers(module: nn.Module) -> list[nn.Module]:
    """Return the linear layers of a module."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


def net_predict_proba(net: NeuralNet, X: Any) -> NDArray[Any]:
    """Return the class probabilities of a raw net."""
    X = _cast(net, X)
    with asked(net, X) as view:
        return view.predict_proba(X)


def net_embed_and_predict_proba(net: NeuralNet, X: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the input of the last linear layer that ran in a raw net, and the class probabilities."""
    X = _cast(net, X)
    batches: list[NDArray[Any]] = []
    with asked(net, X) as view:
        recorder = Recorder(view.module_)
        view.module_ = recorder.view
        for layer in linear_layers(recorder.view):
            recorder.record_input(layer)

        def collect(*_: Any) -> None:
            if recorder.last:
                batches.append(recorder.last.pop().flatten(1).numpy(force=True))

        recorder.view.register_forward_hook(collect)
        probabilities = view.predict_proba(X)
    if not batches:
        raise TypeError(
            f"{type(net.module_).__name__} ran no torch.nn.Linear, so it has no penultimate embedding. End the module "
            "in one, or use the rows themselves (embedding='input')."
        )
    return np.concatenate(batches), probabilities
