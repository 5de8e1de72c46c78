"""The steps of a diffusion on a device of torch, all rows at a time."""

import warnings
from typing import Any

import numpy as np
import torch

from .nearest import Ints


class DeviceSteps:
    """Diffuses labels by products of a sparse matrix, which is copied to the device by the first diffusion."""

    def __init__(self, matrix: Any, n_steps: int, device: torch.device) -> None:
        self._walks = matrix
        self._n_steps = n_steps
        self._device = device
        self._on_device: torch.Tensor | None = None

    def diffuse(self, labels: Ints, n_classes: int) -> tuple[torch.Tensor, int]:
        """Return the hit probabilities after all steps, and the number of rows that were computed."""
        if self._on_device is None:
            self._on_device = self._copy()
        known = torch.from_numpy(np.flatnonzero(labels >= 0)).to(self._device)
        codes = torch.from_numpy(labels[labels >= 0]).long().to(self._device)
        classes = torch.nn.functional.one_hot(codes, n_classes).to(torch.float32)
        hits = torch.zeros(len(labels), n_classes, device=self._device).index_copy_(0, known, classes)
        for _ in range(self._n_steps):
            hits = (self._on_device @ hits).index_copy_(0, known, classes)
        return hits, len(labels)

    def _copy(self) -> torch.Tensor:
        with warnings.catch_warnings():
            # That sparse matrices are in beta, and that they are not checked.
            warnings.filterwarnings("ignore", "Sparse", UserWarning)
            return torch.sparse_csr_tensor(
                torch.from_numpy(self._walks.indptr.astype(np.int32)),
                torch.from_numpy(self._walks.indices.astype(np.int32)),
                torch.from_numpy(self._walks.data),
                size=self._walks.shape,
                device=self._device,
            )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_on_device": None}
