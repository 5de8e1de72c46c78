"""Data sets that a torchvision class reads as a whole."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .decoding import resize
from .request import Request, Result

TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}


class ArrayFiles(NamedTuple):
    """The files of a data set, and how torchvision reads them."""

    loader: str  # a class in torchvision.datasets
    pattern: str  # of the files below the data home
    parts: tuple[str, ...]  # what fills the pattern
    splits: dict[str, dict[str, Any]] = TRAIN_TEST  # arguments of the loader
    root: str = ""  # what the loader calls its root, below the data home
    axes: tuple[int, ...] = (0, 1, 2, 3)  # from the loader's images to (N, C, H, W), or to (N, H, W)
    target: str = "targets"  # the loader's attribute
    names: tuple[str, ...] | None = None  # of the classes, where the loader's own are missing or odd
    otherwise: str = ""  # another layout


def load_arrays(files: ArrayFiles, *options: Any, variant: str | None = None) -> Result:
    """Read a whole data set, select rows, and resize them. The options are those of a `Request`, from `split` on."""
    title = files.loader
    request = Request(title, [*files.splits, "validation"], *options)
    stored = "train" if request.split == "validation" else request.split
    arguments = files.splits[stored] | ({} if variant is None else {"split": variant})
    root = str(request.home / files.root)
    shown = "".join(f", {name}={value!r}" for name, value in arguments.items())
    source = f"torchvision.datasets.{title}({root!r}{shown}, download=True)"
    needed = [files.pattern.format(part, split=stored, variant=variant) for part in files.parts]
    request.require(needed, source, files.otherwise)

    def read(datasets: Any) -> tuple[NDArray[Any], NDArray[Any], Sequence[str]]:
        dataset = getattr(datasets, title)(root, **arguments)
        images = np.asarray(dataset.data).transpose(files.axes)
        target = np.asarray(getattr(dataset, files.target), dtype=np.int64).reshape(-1)
        names = files.names or dataset.classes
        if len(images) != len(target) or target.max(initial=-1) >= len(names):
            raise ValueError(f"{len(images)} images, {len(target)} labels up to {target.max(initial=-1)}")
        return images[:, np.newaxis] if images.ndim == 3 else images, target, names

    images, target, names = request.read(source, read)
    rows = request.rows(target, names)
    images = np.ascontiguousarray(resize(images[rows], request.image_size))
    return request.result(images, target[rows], names)
