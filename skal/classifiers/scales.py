"""How the numbers of X are scaled for a classifier's network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..training.net import Scale

# Mean and deviation of numbers in [0, 1], by the names of the scales.
_SCALES: dict[str, tuple[Any, Any]] = {
    "auto": (0.0, 1.0),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def are_bytes(rows: Any) -> bool:
    """Whether rows are bytes (uint8)."""
    return getattr(rows, "dtype", None) == np.uint8


def resolve_scale(scale: Any, rows: Any, input_shape: tuple[int, ...]) -> Scale:
    """Return the mean that is subtracted from rows and the deviation that then divides them; None if nothing changes.

    Parameters
    ----------
    scale : {"auto", "imagenet"}, pair or None
        The parameter of a classifier.
    rows : array-like
    input_shape : tuple of int
        Empty for mappings.
    """
    if scale is None:
        return None
    is_name = isinstance(scale, str)
    if not input_shape and scale != "auto":
        raise ValueError(
            f"scale={scale!r} was given, and the arrays of mappings are not scaled; use scale=None, and scale "
            "them in the module"
        )
    top = 255.0 if is_name and are_bytes(rows) else 1.0
    values = [top * np.asarray(each, dtype=np.float64) for each in (_SCALES[scale] if is_name else scale)]
    check_scale(scale, values, input_shape)
    mean, deviation = (tuple(each.tolist()) if each.ndim else each.item() for each in values)
    return None if (mean, deviation) == (0, 1) else (mean, deviation)


def check_scale(given: Any, values: Any, input_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless values are a mean and a deviation of rows of some shape; `given` is in the error."""
    arrays: list[NDArray[np.float64]] = [np.asarray(each, dtype=np.float64) for each in values]
    shapes = {(), input_shape[:1] if len(input_shape) == 3 else ()}
    are_finite = all(each.shape in shapes and np.isfinite(each).all() for each in arrays)
    if len(arrays) != 2 or not are_finite or arrays[1].min() <= 0:
        raise ValueError(
            f"scale={given!r} was given, and the rows have shape {input_shape}; give a mean and a deviation, "
            "each a finite number or one per channel of images (C, H, W), and no deviation of zero or less"
        )
