"""Features of a network that was trained on ImageNet, where its weights are on this machine already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...nets.torchvision_net import read_weights
from ...utils.torchvision import import_torchvision

# The best first, and how many features each has.
_NETWORKS = {"resnet50": 2048, "resnet34": 512, "resnet18": 512}
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels
_LENGTH = 10.0  # of the features of an image, about that of the other features


def cached_network() -> str | None:
    """The best network of torchvision whose weights are where torch keeps them; None where there is none."""
    return next((name for name in _NETWORKS if _file(name) is not None), None)


class Pretrained:
    """The last features of a network before its classes, all of one length.

    Raises
    ------
    ValueError
        If its weights are not there.
    """

    side = 224

    def __init__(self, name: str) -> None:
        self._file = _file(name)
        if self._file is None:
            raise ValueError(
                f"The campaign was begun with features of {name}, whose weights are not in {_folder()} any more; put "
                "them back, or begin another campaign and import the labels."
            )
        self.name, self.n_features = name, _NETWORKS[name]
        self._module: torch.nn.Module | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_module": None}

    def describe(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of images of shape (n_images, side, side, 3), of shape (n_images, n_features)."""
        if self._module is None:
            self._module = self._loaded()
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        mean, deviation = (torch.tensor(each)[:, None, None] for each in (_MEAN, _DEVIATION))
        with torch.inference_mode():
            features = self._module((pixels - mean) / deviation)
            scaled: NDArray[np.float32] = (_LENGTH * torch.nn.functional.normalize(features)).numpy()
        return scaled

    def _loaded(self) -> torch.nn.Module:
        assert self._file is not None
        module: Any = import_torchvision().models.get_model(self.name, weights=None)
        module.load_state_dict(read_weights(self._file))
        module.fc = torch.nn.Identity()
        return module.eval()  # type: ignore[no-any-return]


def _file(name: str) -> Path | None:
    """The file that torchvision would download, if it is there."""
    if not any(_folder().glob(f"{name}-*.pth")):  # torchvision takes seconds to import
        return None
    known = import_torchvision().models.get_model_weights(name)
    files = (_folder() / weights.url.rpartition("/")[2] for weights in reversed(known))  # the newest first
    return next((file for file in files if file.exists()), None)


def _folder() -> Path:
    return Path(torch.hub.get_dir(), "checkpoints")
