"""The place to which a warning points."""

from __future__ import annotations

import sys
import traceback


def callers_level() -> int:
    """Return the stack level, for ``warnings.warn``, of the line outside skal and scikit-learn that called it.

    Examples
    --------
    >>> from skal.utils.warnings import callers_level
    >>> callers_level() >= 1
    True
    """
    frames = (frame for frame, _ in traceback.walk_stack(sys._getframe(1)))
    inside = (f"{frame.f_globals.get('__name__')}.".startswith(("skal.", "sklearn.")) for frame in frames)
    return next((level for level, is_inside in enumerate(inside, start=1) if not is_inside), 1)
