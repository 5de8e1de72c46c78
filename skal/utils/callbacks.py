"""scikit-learn's callbacks where the installed scikit-learn has them (1.9), and nothing where it has not."""

from __future__ import annotations

from typing import Any

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


__all__ = ["CallbackSupportMixin", "with_callbacks"]
