"""What a classifier sees of images: features that are computed once, when they are asked for, and kept in a file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from .descriptors import Gradients
from .files import upright
from .pretrained import Pretrained

_N_THREADS = 4  # that decode; Pillow lets others work meanwhile


class ImageFeatures(Dataset):
    """Features of image files; for one that cannot be decoded those of a black image, until it can.

    Parameters
    ----------
    root : Path
    names : sequence of str
        Files below it.
    file : Path
        Where features are kept. Several processes may use it: they write the same.
    descriptor : Gradients or Pretrained
        Computes them.
    """

    def __init__(
        self, root: Path, names: Sequence[str], file: Path, descriptor: Gradients | Pretrained
    ) -> None:
        self._root, self._names, self._file, self._descriptor = root, names, file, descriptor
        self._kept: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, row: int) -> NDArray[np.float32]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[NDArray[np.float32]]:
        """Features of some rows; torch asks for a batch at once."""
        kept = self._open()
        missing = [row for row in rows if kept[row, -1] == 0]
        if missing:
            images, side = self._decoded(missing), self._descriptor.side
            black = np.zeros((side, side, 3), dtype=np.uint8)
            kept[missing, :-1] = self._descriptor.describe(
                np.stack([black if image is None else image for image in images])
            )
            # An image that cannot be read now, on a disk that is not connected say, is tried again.
            kept[missing, -1] = [image is not None for image in images]
        return list(np.array(kept[rows, :-1]))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": None}

    def _open(self) -> NDArray[np.float32]:
        """The file, a row per image, whose last number says whether the others were computed."""
        if self._kept is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            shape = (len(self), self._descriptor.n_features + 1)
            with open(self._file, "ab") as file:
                file.truncate(4 * shape[0] * shape[1])  # zeros, which take no place on most disks
            self._kept = np.memmap(self._file, np.float32, "r+", shape=shape)
        return self._kept

    def _decoded(self, rows: Sequence[int]) -> list[NDArray[np.uint8] | None]:
        with ThreadPoolExecutor(_N_THREADS) as threads:
            return list(threads.map(self._thumbnail, rows))

    def _thumbnail(self, row: int) -> NDArray[np.uint8] | None:
        side = self._descriptor.side
        try:
            image = upright(self._root, self._names[row], 2 * side).convert("RGB")
            return np.asarray(image.resize((side, side)))
        except Exception:  # decoders raise anything
            return None
