"""Ctrl-C during training of a net, which skorch swallows."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from skorch import NeuralNet


@contextmanager
def noticing_interrupt(net: NeuralNet) -> Iterator[None]:
    """Remember in ``net.interrupt`` that Ctrl-C ended training, not a callback that raises the same exception.

    Examples
    --------
    >>> from skal.training.interrupts import noticing_interrupt, raise_interrupt
    >>> from skorch import NeuralNetClassifier
    >>> net = NeuralNetClassifier(None)
    >>> with noticing_interrupt(net):
    ...     pass
    >>> raise_interrupt(net)
    """
    # Methods that pickle and copy with the net, as callbacks do in a training.
    vars(net).update(notify=partial(_notify, net), fit_loop=partial(_fit_loop, net))
    try:
        yield
    finally:
        del net.notify, net.fit_loop


def _notify(net: NeuralNet, /, *args: Any, **params: Any) -> None:
    try:
        type(net).notify(net, *args, **params)
    except KeyboardInterrupt as error:
        if _is_raised_by_code(error):
            error.is_callbacks = True  # type: ignore[attr-defined]
        raise


def _fit_loop(net: NeuralNet, /, *args: Any, **params: Any) -> Any:
    try:
        return type(net).fit_loop(net, *args, **params)
    except KeyboardInterrupt as error:
        if not hasattr(error, "is_callbacks"):
            vars(net)["interrupt"] = error
        raise


def _is_raised_by_code(error: KeyboardInterrupt) -> bool:
    """Whether a ``raise`` statement raised an error; Ctrl-C comes between other instructions."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_code[trace.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def raise_interrupt(net: NeuralNet) -> None:
    """Raise the interrupt that a net remembers, but only once."""
    error = vars(net).pop("interrupt", None)
    if error is not None:
        raise error
