"""Ctrl-C in the training of a net, which skorch keeps to itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet


@contextmanager
def noticing_interrupt(net: NeuralNet) -> Iterator[None]:
    """Remember as ``net.interrupt`` that Ctrl-C ended a training, and not a callback, whose way to stop is the same.

    Parameters
    ----------
    net : skorch net

    Examples
    --------
    >>> from skal.training.interrupts import noticing_interrupt, raise_interrupt
    >>> from skorch import NeuralNetClassifier
    >>> net = NeuralNetClassifier(None)
    >>> with noticing_interrupt(net):
    ...     pass
    >>> raise_interrupt(net)
    """
    kind, is_callbacks = type(net), False

    def notify(*args: Any, **params: Any) -> None:
        nonlocal is_callbacks
        try:
            kind.notify(net, *args, **params)
        except KeyboardInterrupt:
            is_callbacks = True
            raise

    def fit_loop(*args: Any, **params: Any) -> Any:
        try:
            return kind.fit_loop(net, *args, **params)
        except KeyboardInterrupt as error:
            if not is_callbacks:
                vars(net)["interrupt"] = error
            raise

    vars(net).update(notify=notify, fit_loop=fit_loop)
    try:
        yield
    finally:
        del net.notify, net.fit_loop


def raise_interrupt(net: NeuralNet) -> None:
    """Raise the interrupt that a net remembers, once.

    Parameters
    ----------
    net : skorch net

    Raises
    ------
    KeyboardInterrupt
    """
    error = vars(net).pop("interrupt", None)
    if error is not None:
        raise error
