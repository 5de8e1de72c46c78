"""The parts of ImageNet for few-shot learning and for small images."""

import csv
from pathlib import Path

from .images import class_folders, list_images, load_images
from .request import Folder, ImageSize, Request, Result, Subset

_MINI_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def load_mini_imagenet(
    *,
    split: str = "all",
    subset: Subset = None,
    image_size: ImageSize = 84,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load Mini-ImageNet: 600 colour images of each of 100 classes.

    It reads the folders ``mini-imagenet/{train,val,test}/<class>/``, or the lists
    ``mini-imagenet/{train,val,test}.csv`` (columns filename and label) with the files in ``mini-imagenet/images``.

    Parameters
    ----------
    split : {"all", "train", "validation", "test"}, default="all"
        Which rows to load. The splits were made for few-shot learning and have separate classes, 64, 16 and 20 of them;
        active learning, as in DGAL, uses all.
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in the order of the data. Numbers are positions among the
        sorted names of all 100 classes.
    image_size, return_X_y, data_home
        As in :func:`load_mnist`.
    cache, n_jobs
        As in :func:`load_image_folder`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 memory map (array, for ``cache=False``) of shape (N, 3, height, width); ``target``, int64
        array of shape (N,); ``target_names``, array of the WordNet identifiers.

    Examples
    --------
    >>> from skal.datasets import load_mini_imagenet
    >>> load_mini_imagenet(data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: Mini-ImageNet was not found in no_such_folder: no mini-imagenet/train or ...
    """
    options = (split, None, subset, image_size, return_X_y, data_home, cache, n_jobs)
    request = Request("Mini-ImageNet", ["all", *_MINI_SPLITS], *options)
    root = request.home / "mini-imagenet"
    listed: dict[str, list[tuple[str, str]]] = {}
    for name, part in _MINI_SPLITS.items():
        table = root / f"{part}.csv"
        if (root / part).is_dir():
            folders = class_folders(root / part)
            listed[name] = [(path, folders[number]) for path, number in list_images(root / part, folders)]
        elif table.is_file():
            listed[name] = _listed(table)
        else:
            raise request.not_found(
                f"mini-imagenet/{part} or mini-imagenet/{table.name}",
                "the lists of github.com/twitter-research/meta-learning-lstm, the images from image-net.org",
            )
    names = sorted({label for rows in listed.values() for _, label in rows})
    numbers = {label: number for number, label in enumerate(names)}
    chosen = _MINI_SPLITS if split == "all" else [split]
    samples = [(path, numbers[label]) for name in chosen for path, label in listed[name]]
    return load_images(request, root, samples, names)


def _listed(table: Path) -> list[tuple[str, str]]:
    """The files and classes in a list of Mini-ImageNet."""
    with table.open(newline="") as lines:
        rows = [(row.get("filename"), row.get("label")) for row in csv.DictReader(lines)]
    if not rows or not all(file and label for file, label in rows):
        raise ValueError(f"{table} is damaged: it needs columns filename and label; get it again")
    return [(str(table.parent / "images" / str(file)), str(label)) for file, label in rows]


def load_tiny_imagenet(
    *,
    split: str = "train",
    subset: Subset = None,
    image_size: ImageSize = None,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load Tiny-ImageNet: 100,000 + 10,000 colour images of 200 classes, 64 x 64 pixels.

    ALCG uses ten classes at ``image_size=32``. The test set has no public labels and is not read.

    Parameters
    ----------
    split : {"train", "validation"}, default="train"
        Which rows to load.
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in the order of the data. Numbers are positions among the
        sorted names of all 200 classes.
    image_size, return_X_y, data_home
        As in :func:`load_mnist`.
    cache, n_jobs
        As in :func:`load_image_folder`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 memory map (array, for ``cache=False``) of shape (N, 3, 64, 64); ``target``, int64
        array of shape (N,); ``target_names``, array of the WordNet identifiers.

    Examples
    --------
    >>> from skal.datasets import load_tiny_imagenet
    >>> load_tiny_imagenet(split="validation", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: Tiny-ImageNet was not found in no_such_folder: no tiny-imagenet-200/train, ...
    """
    options = (split, None, subset, image_size, return_X_y, data_home, cache, n_jobs)
    request = Request("Tiny-ImageNet", ["train", "validation"], *options)
    root = request.home / "tiny-imagenet-200"
    files = [f"{root.name}/{file}" for file in ("train", "val/images", "val/val_annotations.txt")]
    request.require(files, "http://cs231n.stanford.edu/tiny-imagenet-200.zip")
    names = class_folders(root / "train")
    if split == "train":
        return load_images(request, root, list_images(root / "train", names), names)
    table = root / "val" / "val_annotations.txt"
    numbers = {name: number for number, name in enumerate(names)}
    rows = [line.split("\t") for line in table.read_text().removesuffix("\n").split("\n")]
    if any(len(row) < 2 or row[1] not in numbers for row in rows):
        raise ValueError(
            f"{table} is damaged: a line has no file and class of the training set; get it again"
        )
    samples = [(str(root / "val" / "images" / row[0]), numbers[row[1]]) for row in rows]
    return load_images(request, root, samples, names)
