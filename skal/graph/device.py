"""The steps of a diffusion on a device of torch, all rows at a time."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag, one_hot

from ..neighbors.base import positions_dtype
from ..utils.progress import counted
from .nearest import Floats, Ints


class DeviceSteps:
    """Diffuses labels by products with a sparse matrix, which the first diffusion copies to the device."""

    def __init__(self, matrix: Any, n_steps: int, device: torch.device) -> None:
        self._walks = matrix
        self._n_steps = n_steps
        self._device = device
        self._on_device: dict[str, Any] | None = None

    def diffuse(self, rows: Any, codes: Ints, n_classes: int) -> tuple[torch.Tensor, None]:
        """Return the hit probabilities after all steps, and None because all rows are computed."""
        if self._on_device is None:
            self._on_device = self._copy()
        known = torch.from_numpy(rows).to(self._device)
        classes = one_hot(torch.from_numpy(codes).long().to(self._device), n_classes).to(torch.float32)
        self.n_updated = self._walks.shape[0]
        hits = torch.zeros(self.n_updated, n_classes, device=self._device).index_copy_(0, known, classes)
        for _ in counted(range(self._n_steps), "steps of the diffusion"):
            sums = embedding_bag(weight=hits, mode="sum", include_last_offset=True, **self._on_device)
            hits = sums.index_copy_(0, known, classes)
        return hits, None

    def _copy(self) -> dict[str, Any]:
        # The arrays of the sparse matrix. torch's own sparse matrices warn of being in beta.
        position = positions_dtype(max(self._walks.nnz, self._walks.shape[1]))
        parts = {
            "input": self._walks.indices.astype(position),
            "offsets": self._walks.indptr.astype(position),
            "per_sample_weights": self._walks.data,
        }
        return {name: torch.from_numpy(part).to(self._device) for name, part in parts.items()}

    def walks(self) -> tuple[NDArray[np.int64], Ints, Floats]:
        """The matrix: where the entries of each row begin, their columns, and the entries."""
        columns = self._walks.indices.astype(positions_dtype(self._walks.shape[1]))
        return self._walks.indptr.astype(np.int64), columns, self._walks.data

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_on_device": None}
