"""Maps between the scale of X and the scale of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from ..pool import row_blocks

# Blocks of this size are read as float64, eight times as large where X has bytes.
_BLOCK_BYTES = 8 * 2**20


class Scaling(torch.nn.Module):
    """The affine map ``(x - shift) / scale`` from X's own scale to a network's; `inverse` maps back.

    Parameters
    ----------
    shift, scale : array-like of shape () or (n_features,)
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, shift: Any, scale: Any) -> None:
        super().__init__()
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float64))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64))

    def load_state_dict(self, state: Any, *_: Any, assign: bool = False) -> None:  # type: ignore[override]
        """Take a saved map, whatever its shape."""
        like: Any = self.shift.dtype if assign else self.shift
        self.shift, self.scale = state["shift"].to(like), state["scale"].to(like)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.shift) / self.scale

    def inverse(self, x: torch.Tensor) -> torch.Tensor:
        """Return rows on the network's scale in the scale of X."""
        return x * self.scale + self.shift


def learn_scaling(
    X: NDArray[Any], output_range: tuple[float, float] | None, is_image: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Learn the map for a network with a given range of outputs, reading X block by block.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
    output_range : tuple of float or None
        X's extreme values are mapped onto this range; for bytes they are 0 and 255. Without a range, X is standardised.
    is_image : bool
        All pixels of images share one map; each feature of flat rows has its own.

    Returns
    -------
    shift, scale : ndarray of shape () or (n_features,)
        The arguments of `Scaling`.
    """
    whole_bytes = output_range is not None and X.dtype == np.uint8
    moments = StandardScaler()
    low, high = np.array([np.inf]), np.array([-np.inf])
    for block, _ in () if whole_bytes else row_blocks(X, max_bytes=_BLOCK_BYTES):
        if output_range is None:
            columns = block.reshape(-1, 1) if is_image else block.reshape(len(block), -1)
            with np.errstate(over="ignore", invalid="ignore"):  # told below
                moments.partial_fit(columns.astype(np.float64))
        else:
            axis = None if is_image else 0
            columns = block.reshape(len(block), -1)
            low, high = np.minimum(low, columns.min(axis)), np.maximum(high, columns.max(axis))
    if output_range is None:
        shift, scale = moments.mean_, moments.scale_
        if not np.isfinite(moments.var_).all():
            raise ValueError(
                f"X has numbers from {X.min():g} to {X.max():g}, whose variance overflows; scale X"
            )
    else:
        if whole_bytes:
            low, high = np.zeros(1), np.full(1, 255.0)
        scale = np.where(high > low, high - low, 1.0) / (output_range[1] - output_range[0])
        shift = low - output_range[0] * scale
    return (shift[0], scale[0]) if len(shift) == 1 else (shift, scale)
