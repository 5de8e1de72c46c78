"""What every classifier refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_classes(estimator: Any, classes: NDArray[Any]) -> None:
    """Raise ValueError where the rows to learn from are of fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs rows of at least two classes, got one class: "
            f"{classes[0]!r}; add labelled rows of another class"
        )


def check_continues(estimator: Any, classes: NDArray[Any], input_shape: tuple[int, ...]) -> None:
    """Raise ValueError where a warm start meets other classes or rows than those of the last `fit`."""
    if not (np.array_equal(classes, estimator.classes_) and input_shape == estimator.input_shape_):
        raise ValueError(
            f"warm_start=True continues with the classes {estimator.classes_} and rows of shape "
            f"{estimator.input_shape_}, got {classes} and {input_shape}; fit with warm_start=False to start anew"
        )
