"""The skorch net of the generators and encoders, which maps rows onto the scale of its modules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..training.batches import Rows
from ..training.net import TrainingNet
from ..training.scaling import Scaling


class ScaledNet(TrainingNet):
    """A `TrainingNet` whose modules have their own scale for the rows.

    Parameters
    ----------
    output_range : tuple of float or None
        Range of the rows that the modules return; None if it is unbounded.
    compile_modules : bool, default=False
        Whether to compile the modules with `torch.compile`.
    **params
        Parameters of `TrainingNet`.

    Attributes
    ----------
    scaling : tuple
        Arguments of `Scaling`, the map from the scale of X to the scale of the modules. Set them before `initialize`.
    """

    output_range: tuple[float, float] | None
    compile_modules: bool = False
    scaling: tuple[Any, Any] = (0.0, 1.0)

    def expect(self, tensors: dict[str, Tensor]) -> None:
        """Take the scale from saved weights, which hold as many numbers as the rows need."""
        shift, scale = (tensors[f"scaling/{name}"].double().numpy() for name in ("shift", "scale"))
        self.scaling = shift, scale
        shapes = {(), self.input_shape} if len(self.input_shape) == 1 else {()}
        are_finite = np.isfinite(shift).all() and np.isfinite(scale).all()
        if not ({shift.shape, scale.shape} <= shapes and are_finite and (scale > 0).all()):
            raise ValueError(
                f"has a map of the rows by {scale} from {shift}, which is none of rows of shape {shapes}"
            )

    def initialize_module(self) -> ScaledNet:
        """Build the modules, and the map onto their scale."""
        self.build_modules()
        for module in self.modules_to_compile() if self.compile_modules else []:
            compile_parts(module)
        self.scaling_ = Scaling(*self.scaling).to(self.dtype)
        return self

    def build_modules(self) -> None:
        """Build the modules that are trained."""
        super().initialize_module()

    def modules_to_compile(self) -> list[nn.Module]:
        """Return the modules that torch can compile."""
        return [self.module_]

    def settle(self, data: Rows) -> None:
        """Finish the trained modules with the training rows; by default nothing is done."""

    def prepare_rows(self, rows: Tensor) -> Tensor:
        """Return rows on the modules' scale, in their number type and memory layout."""
        return self.scaling_(super().prepare_rows(rows))


def check_parts(module: nn.Module, kind: str, *names: str) -> None:
    """Raise TypeError if a module lacks an attribute that its kind must have."""
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise TypeError(
            f"the {kind} {type(module).__name__} has no {' and no '.join(missing)}; "
            "add what is missing, as the classes in skal.nets have it"
        )


def check_generated(rows: Tensor, input_shape: tuple[int, ...]) -> None:
    """Raise ValueError if the generated output is not one row with the shape of the rows of X."""
    if rows.shape != (1, *input_shape):
        raise ValueError(
            f"the network generated shape {tuple(rows.shape)} for one row; it must generate "
            f"{(1, *input_shape)}, which follows from its argument input_shape"
        )


def compile_parts(module: nn.Module) -> None:
    """Compile the parts of a module in place: its methods call the parts, and not always through ``forward``."""
    for part in module.children():
        # As `part.compile()`, but from a frame of ours: torch skips those of its own modules, such as `Sequential`.
        part._compiled_call_impl = torch.compile(partial(_called, part._call_impl))


def _called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return function(*args, **kwargs)
