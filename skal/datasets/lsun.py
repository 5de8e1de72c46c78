"""LSUN, as image files or as databases."""

import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from .images import list_images, load_images
from .request import Folder, ImageSize, Request, Result, Subset

_SPLITS = {"train": "train", "validation": "val"}
_CATEGORIES = (
    *("bedroom", "bridge", "church_outdoor", "classroom", "conference_room"),
    *("dining_room", "kitchen", "living_room", "restaurant", "tower"),
)


def load_lsun(
    *,
    split: str = "train",
    subset: Subset = None,
    image_size: ImageSize = 64,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load LSUN scenes: ten million colour images of ten categories, and 300 of each for validation.

    A category is a folder ``lsun/<category>_train`` (``_val``) of image files, or a database
    ``lsun/<category>_train_lmdb`` (``_val_lmdb``), which needs the package lmdb.

    Parameters
    ----------
    split : {"train", "validation"}, default="train"
        Which rows to load.
    subset : category or iterable of categories, default=None
        Numbers or names of the categories, such as ``("bedroom", "tower")``; the others need not be present. Numbers
        are positions among all ten categories, in alphabetical order.
    image_size, return_X_y, data_home
        As in :func:`load_mnist`.
    cache, n_jobs
        As in :func:`load_image_folder`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 memory map (array, for ``cache=False``) of shape (N, 3, height, width); ``target``, int64
        array of shape (N,); ``target_names``, array of shape (10,).

    Raises
    ------
    ImportError
        For a database without the package lmdb; other errors as in :func:`load_mnist`.

    Examples
    --------
    >>> from skal.datasets import load_lsun
    >>> load_lsun(subset=("bedroom", "tower"), split="validation", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: LSUN was not found in no_such_folder: no lsun/bedroom_val or lsun/bedroom_val_lmdb. ...
    """
    request = Request("LSUN", _SPLITS, split, None, subset, image_size, return_X_y, data_home, cache, n_jobs)
    root = request.home / "lsun"
    samples: list[tuple[Any, int]] = []
    with ExitStack() as databases:
        for number in sorted(set(request.classes(_CATEGORIES, range(len(_CATEGORIES))))):
            folder = root / f"{_CATEGORIES[number]}_{_SPLITS[split]}"
            database = root / f"{folder.name}_lmdb"
            if folder.is_dir():
                samples += [(path, number) for path, _ in list_images(root, [folder.name])]
            elif database.is_dir():
                samples += [(record, number) for record in _list_records(database, databases)]
            else:
                missing = f"lsun/{folder.name} or lsun/{database.name}"
                raise request.not_found(missing, "download.py of github.com/fyu/lsun")
        return load_images(request, root, samples, _CATEGORIES)


class Record(NamedTuple):
    """An image file in an LMDB database."""

    file: str
    key: bytes
    database: Any

    def __str__(self) -> str:
        return f"{self.file}, key {self.key!r}"

    def open(self) -> io.BytesIO:
        with self.database.begin() as transaction:
            return io.BytesIO(transaction.get(self.key))


def _list_records(folder: Path, databases: ExitStack) -> list[Record]:
    """Images of an LMDB database, opened until `databases` closes.

    torchvision's own reader pickles the keys into the working directory and keeps the database open.
    """
    try:
        import lmdb
    except ImportError as error:
        raise ImportError(
            f"{folder} is a database: reading it needs `pip install lmdb`. Image files in a folder "
            f"{folder.name.removesuffix('_lmdb')} beside it need nothing"
        ) from error
    try:
        database = databases.enter_context(lmdb.open(str(folder), readonly=True, lock=False, readahead=False))
        with database.begin() as transaction:
            keys = list(transaction.cursor().iternext(values=False))
    except lmdb.Error as error:
        raise ValueError(f"{folder} is damaged ({error}); delete it and get it again") from error
    return [Record(str(folder / "data.mdb"), key, database) for key in keys]
