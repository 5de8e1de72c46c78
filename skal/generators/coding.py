"""The base of the estimators with an encoder and a decoder in one module."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ..nets import VAES
from ..training.estimator import evaluating
from .base import GenerativeEstimator
from .generator import GeneratorMixin
from .maps import LatentsToRows, RowsToFeatures
from .scaled_net import ScaledNet, check_generated, check_parts


@dataclass(eq=False, repr=False, kw_only=True)
class CodingEstimator(GenerativeEstimator):
    """Base of the estimators whose module has an encoder to latents and a decoder back to rows.

    Attributes
    ----------
    module_ : torch.nn.Module
        The trained network, in evaluation mode. It works with rows on its own scale.
    """

    _architectures: ClassVar[dict[str, type[nn.Module]]]
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "module_params": [dict, None],
    }

    architecture: str | Callable[..., nn.Module] = "auto"
    module_params: dict[str, Any] | None = None

    @property
    def module_(self) -> nn.Module:
        """The trained module, in evaluation mode. It works with rows on its own scale."""
        return self.net_.module_

    @property
    def n_latent_(self) -> int:
        """Length of a latent vector."""
        return self.module_.n_latent  # type: ignore[return-value]

    def inverse_transform(self, Z: ArrayLike) -> NDArray[np.floating]:
        """Compute the rows for latent vectors; the same as `decode`.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_latent)

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw.
        """
        return self.decode(Z)

    @abstractmethod
    def _choose(self, input_shape: tuple[int, ...]) -> str:
        """Return the name of the architecture for rows of the given shape."""

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        """Return a builder of the module for rows of the given shape."""
        name = self._choose(input_shape) if self.architecture == "auto" else self.architecture
        return self._architectures[name] if isinstance(name, str) else name

    def _module_params(self) -> dict[str, Any] | None:
        return self.module_params

    def _encoder(self) -> nn.Module:
        return RowsToFeatures(self.module_, "encode", self.net_)

    def _decoder(self) -> nn.Module:
        return LatentsToRows(self.module_, "decode", self.net_, self.row_shape_)


def check_coder(net: ScaledNet) -> None:
    """Raise an error if the module of a net does not encode, or does not decode latents to rows of X."""
    check_parts(net.module_, "module", "encode", "decode", "n_latent")
    with evaluating(net.module_), torch.no_grad():
        rows = net.module_.decode(torch.zeros(1, net.module_.n_latent, dtype=net.dtype))
    check_generated(rows, net.input_shape)


class PosteriorMixin(GeneratorMixin):
    """Mixin of generators whose encoder gives the posterior of `n_latent` latents, by a module of `VAES`."""

    _architectures: ClassVar[dict[str, type[nn.Module]]] = VAES
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "architecture": [StrOptions({"auto", *VAES}), callable],
    }

    n_latent: int
    module_params: dict[str, Any] | None

    def _choose(self, input_shape: tuple[int, ...]) -> str:
        return "conv" if len(input_shape) == 3 and min(input_shape[1:]) >= 16 else "dense"

    def _module_params(self) -> dict[str, Any]:
        return {"n_latent": self.n_latent, **(self.module_params or {})}
