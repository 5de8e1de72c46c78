"""Arrays of objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_objects(items: Any) -> NDArray[Any]:
    """Objects in a 1-D array, whatever is in them."""
    return np.fromiter(items, dtype=object, count=len(items))
