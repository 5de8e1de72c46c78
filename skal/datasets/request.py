"""A caller's request for a data set, and the folder that it comes from."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..utils.checks import check_integer
from ..utils.torchvision import import_torchvision

Subset: TypeAlias = int | str | Iterable[int | str] | None
ImageSize: TypeAlias = int | tuple[int, int] | None
Folder: TypeAlias = str | os.PathLike[str]
Result: TypeAlias = Any  # a Bunch or, with return_X_y, the pair (data, target): a union would suit no caller


@dataclass
class Request:
    """The arguments of a loader, checked as far as possible without data.

    Parameters
    ----------
    title : str
        Name of the data set in errors.
    splits : iterable of str
        The splits of the data set.
    split, n_validation, subset, image_size, return_X_y, data_home, cache, n_jobs
        As in the loaders. `n_validation` is None if the split "validation" has its own rows. `subset` becomes a
        list and `image_size` a pair (height, width), unless None.
    """

    title: str
    splits: Iterable[str]
    split: str
    n_validation: int | None
    subset: Any
    image_size: Any
    return_X_y: bool  # noqa: N815
    data_home: Folder | None = None
    cache: bool | Folder = True
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        check_choice(self.title, "split", self.split, self.splits)
        if self.n_validation is not None:
            check_integer("n_validation", self.n_validation, least=0)
            if self.split == "validation" and not self.n_validation:
                raise ValueError(
                    f"split='validation' of {self.title} needs n_validation, the number of last training rows that "
                    "are held out"
                )
        if self.subset is not None:
            self.subset = [self.subset] if isinstance(self.subset, str | Integral) else list(self.subset)
            if not self.subset:
                raise ValueError("subset is empty; name a class, or give None for all classes")
        if self.image_size is not None:
            size = self.image_size
            sides = tuple(size) if isinstance(size, Iterable) else (size, size)
            if len(sides) != 2 or not all(_is_integer(side, 1) for side in sides):
                raise ValueError(
                    f"image_size={size!r} was given; allowed are an integer of at least 1, a pair (height, width) of "
                    "them, and None"
                )
            self.image_size = int(sides[0]), int(sides[1])

    @property
    def home(self) -> Path:
        """Folder of the data sets."""
        return Path(self.data_home or os.environ.get("SKAL_DATA") or "~/skal_data").expanduser()

    def require(self, files: Iterable[str], source: str, otherwise: str = "") -> None:
        """Raise FileNotFoundError unless all files are in the data home."""
        missing = [file for file in files if not (self.home / file).exists()]
        if missing:
            raise self.not_found(", no ".join(missing) + (f" (nor {otherwise})" if otherwise else ""), source)

    def not_found(self, missing: str, source: str) -> FileNotFoundError:
        """The error for missing files, which tells where to get them."""
        return FileNotFoundError(
            f"{self.title} was not found in {self.home}: no {missing}. skal downloads nothing: get it with {source}, "
            "or name the folder that has it by data_home or the environment variable SKAL_DATA"
        )

    def read(self, source: str, read: Callable[[Any], Any]) -> Any:
        """Call `read` with torchvision's data sets; any error that it raises means that the files are damaged."""
        datasets = import_torchvision().datasets
        try:
            return read(datasets)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(
                f"the files of {self.title} in {self.home} are damaged ({type(error).__name__}: {error}); delete "
                f"them and get them again with {source}"
            ) from error

    def rows(self, target: NDArray[Any], names: Sequence[str]) -> slice | NDArray[np.intp]:
        """Rows of the split and the subset; a slice if a view is enough."""
        part = slice(None)
        if self.n_validation and self.split in ("train", "validation"):
            boundary = len(target) - self.n_validation
            if boundary <= 0:
                raise ValueError(
                    f"n_validation={self.n_validation} was given; {self.title} has {len(target)} training rows, and "
                    "must keep one"
                )
            part = slice(boundary) if self.split == "train" else slice(boundary, None)
        if self.subset is None:
            return part
        labels = target[part]
        wanted = self.classes(names, np.unique(labels[labels >= 0]).tolist())
        return np.arange(len(target))[part][np.isin(labels, wanted)]

    def classes(self, names: Sequence[str], present: Iterable[int]) -> list[int]:
        """Numbers of the classes in the subset, which must be present; without a subset, of all classes present."""
        numbers = {names[number]: number for number in present}
        if self.subset is None:
            return list(numbers.values())
        wanted = [numbers.get(entry, -1) if isinstance(entry, str) else entry for entry in self.subset]
        unknown = [
            entry for entry, number in zip(self.subset, wanted, strict=True) if number not in numbers.values()
        ]
        if unknown:
            allowed = [f"{number} ({name!r})" for name, number in numbers.items()]
            allowed = allowed if len(allowed) <= 12 else [*allowed[:10], "...", allowed[-1]]
            raise ValueError(
                f"subset={self.subset!r} was given, but the split {self.split!r} of {self.title} has no class "
                f"{', '.join(map(repr, unknown))}; allowed are {', '.join(allowed) or 'none: the rows have no labels'}"
            )
        return wanted

    def result(self, images: NDArray[Any], target: NDArray[Any], names: Sequence[str], **more: Any) -> Result:
        """The result of the loader."""
        if self.return_X_y:
            return images, target
        return Bunch(data=images, target=target, target_names=np.array(names, dtype=str), **more)


def check_choice(title: str, name: str, value: str, allowed: Iterable[str]) -> None:
    """Raise ValueError unless an argument is one of the allowed values."""
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(
            f"{name}={value!r} was given for {title}; allowed are {', '.join(map(repr, allowed))}"
        )


def _is_integer(value: Any, minimum: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= minimum
