"""scikit-learn's callbacks if the installed scikit-learn has them (from 1.9 on), and nothing otherwise."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class _NoContext:
        """Stands in for scikit-learn's callback context: every hook does nothing."""

        def subcontext(self, **_: Any) -> _NoContext:
            return self

        def call_on_fit_task_begin(self, **_: Any) -> None:
            pass

        def call_on_fit_task_end(self, **_: Any) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        def _init_callback_context(self, **_: Any) -> _NoContext:
            return _NoContext()

    def with_callbacks(method: Any) -> Any:  # type: ignore[misc]
        return method


class EpochTasks(Callback):
    """A skorch callback that reports each epoch to scikit-learn's callbacks, such as a progress bar.

    Parameters
    ----------
    estimator : estimator
        The estimator in whose `fit` the net is trained.
    context : callback context of that `fit`
    **task : object
        What is reported for each epoch: the data and the attributes that make up a fitted estimator.
    """

    def __init__(self, estimator: Any, context: Any, **task: Any) -> None:
        self.estimator = estimator
        self.context = context
        self.task = task

    def on_epoch_begin(self, net: NeuralNet, **_: Any) -> None:
        """Begin a task."""
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator)

    def on_epoch_end(self, net: NeuralNet, **_: Any) -> None:
        """End the task, and end training if a callback asks for that."""
        if self.epoch.call_on_fit_task_end(estimator=self.estimator, **self.task):
            raise KeyboardInterrupt  # skorch's way to end a training and keep what was learned


__all__ = ["CallbackSupportMixin", "EpochTasks", "with_callbacks"]
