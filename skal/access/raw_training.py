"""Training of raw skorch nets: with the types of numbers and labels that they take, and on few labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch import NeuralNet, NeuralNetBinaryClassifier
from skorch.dataset import ValidSplit

from ..training.devices import seeded
from ..training.interrupts import noticing_interrupt, raise_interrupt
from .networks import weight_dtype
from .raw_nets import as_input


def fit_raw_net(net: NeuralNet, X: Any, y: NDArray[Any], params: dict[str, Any], seed: int) -> None:
    """Fit a skorch net that no `NetClassifier` wraps; torch's global generators are restored afterwards.

    Parameters
    ----------
    net : skorch net
        It is fitted itself. If its ``train_split`` is a `ValidSplit` that is not possible with so few labels, the net
        is trained on all of them.
    X : array-like of shape (n_samples, ...)
        Converted to the types that the module takes, see :func:`skal.access.raw_nets.as_input`.
    y : ndarray of int of shape (n_samples,)
        Class indices; a `NeuralNetBinaryClassifier` gets them as floats.
    params : dict
        Parameters of its `fit`.
    seed : int
        Seeds the initial weights and the order of the batches.

    Raises
    ------
    ValueError
        If the labels are not integers, or negative, or other than 0 and 1 for a `NeuralNetBinaryClassifier`.

    Warns
    -----
    UserWarning
        If no rows are held out because there are too few labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from skal.access.raw_training import fit_raw_net
    >>> X, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> net = NeuralNetClassifier(
    ...     nn.Linear, module__in_features=1, module__out_features=2, criterion=nn.CrossEntropyLoss, lr=1.0,
    ...     train_split=None, verbose=0,
    ... )
    >>> fit_raw_net(net, X, y, params={}, seed=0)
    >>> net.predict(X.astype(np.float32))
    array([0, 1])
    """
    classes = np.unique(y)
    is_binary = isinstance(net, NeuralNetBinaryClassifier)
    if y.dtype.kind not in "iu" or classes[0] < 0 or (is_binary and classes[-1] > 1):
        raise ValueError(
            f"A raw skorch net takes the labels 0, 1{'' if is_binary else ', ...'} and was given "
            f"{classes[:5].tolist()}; wrap its module in skal.classifiers.NetClassifier, which encodes labels."
        )
    with seeded(seed, torch.device(net.device or "cpu")):
        # The module has to be there to say what it takes.
        if not (net.warm_start and net.initialized_):
            net.initialize()
        wide = np.dtype(str(weight_dtype(net.module_)).removeprefix("torch.")) if is_binary else np.int64
        kept: dict[str, Any] = {"warm_start": True}  # else `fit` would initialise it again
        if not _can_hold_out(net.train_split, y):
            warnings.warn(
                f"{type(net).__name__} has too few labels for its train_split, the default of which needs five of each "
                "class: it is trained on all of them, without the callbacks that watch held-out rows. Give "
                "train_split=None to do so always.",
                UserWarning,
                stacklevel=2,
            )
            kept |= {
                "train_split": None,
                "callbacks_": [each for each in net.callbacks_ if not _watches(each[1])],
            }
        with _having(net, kept), noticing_interrupt(net):
            net.fit(as_input(net, X), y.astype(wide), **params)
        raise_interrupt(net)


def seeding_nets(estimator: Any, seed: int) -> AbstractContextManager[None]:
    """Return a context that seeds torch if an estimator has a raw net as a part, such as a step of a pipeline.

    Skorch's nets have no `random_state`.

    Parameters
    ----------
    estimator : estimator
        The estimator that is fitted in the context.
    seed : int

    Returns
    -------
    context : context manager
        It restores torch's global generators, and does nothing if there is no raw net.
    """
    nets = [part for part in estimator.get_params(deep=True).values() if isinstance(part, NeuralNet)]
    return seeded(seed, torch.device(nets[0].device or "cpu")) if nets else nullcontext()


@contextmanager
def _having(net: NeuralNet, attributes: dict[str, Any]) -> Iterator[None]:
    """Set attributes of a net, and set them back afterwards."""
    before = {name: getattr(net, name) for name in attributes}
    vars(net).update(attributes)
    try:
        yield
    finally:
        vars(net).update(before)


def _can_hold_out(split: Any, y: NDArray[Any]) -> bool:
    """Whether skorch can hold out a part of this many labels; a user's own function is left to decide itself."""
    if not isinstance(split, ValidSplit) or not isinstance(split.cv, int | float):
        return True
    if float(split.cv).is_integer():
        fewest = np.unique(y, return_counts=True)[1].min() if split.stratified else len(y)
        return bool(split.cv <= fewest)
    try:  # with a seed, as a trial must draw nothing
        next(ValidSplit(split.cv, split.stratified, random_state=0).check_cv(y).split(np.zeros(len(y)), y))
    except ValueError:
        return False
    return True


def _watches(callback: Any) -> bool:
    """Whether a callback needs losses or scores of held-out rows."""
    monitor = getattr(callback, "monitor", None)
    return isinstance(monitor, str) and monitor.startswith("valid")
