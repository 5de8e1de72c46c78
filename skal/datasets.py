"""Image data sets of the papers, read from disk with torchvision's loaders. Nothing is ever downloaded."""

from __future__ import annotations

import csv
import glob
import hashlib
import io
import math
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from itertools import groupby, zip_longest
from numbers import Integral
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from uuid import uuid4

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .utils._torchvision import import_torchvision

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "load_celeba",
    "load_cifar10",
    "load_cifar100",
    "load_emnist",
    "load_fashion_mnist",
    "load_image_folder",
    "load_lsun",
    "load_mini_imagenet",
    "load_mnist",
    "load_stl10",
    "load_svhn",
    "load_tiny_imagenet",
]

Subset: TypeAlias = int | str | Iterable[int | str] | None
ImageSize: TypeAlias = int | tuple[int, int] | None
Folder: TypeAlias = str | os.PathLike[str]
Result: TypeAlias = Any  # a Bunch or, with return_X_y, the pair (data, target): a union would suit no caller
_Size: TypeAlias = tuple[int, int] | None


class _Request(NamedTuple):
    """What a caller wants of a data set, checked as far as it can be without data."""

    title: str
    split: str
    n_validation: int
    subset: list[int | str] | None
    size: _Size  # height, width


class _DataSet(NamedTuple):
    """A data set that a class of torchvision reads whole."""

    loader: str  # a class in torchvision.datasets
    pattern: str  # of the files below the data home
    parts: tuple[str, ...]  # what fills the pattern
    splits: dict[str, dict[str, Any]]  # arguments of the loader
    root: str = ""  # what the loader calls its root, below the data home
    axes: tuple[int, ...] = (0, 1, 2, 3)  # from the loader's images to (N, C, H, W), or to (N, H, W)
    target: str = "targets"  # the loader's attribute
    names: tuple[str, ...] | None = None  # of the classes, where the loader's own are missing or odd
    otherwise: str = ""  # another layout


_TRAIN_TEST: dict[str, dict[str, Any]] = {"train": {"train": True}, "test": {"train": False}}
_DIGITS = tuple("0123456789")
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_STL10 = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
_LSUN = (
    *("bedroom", "bridge", "church_outdoor", "classroom", "conference_room"),
    *("dining_room", "kitchen", "living_room", "restaurant", "tower"),
)
_CELEBA = (
    *("list_attr_celeba", "list_eval_partition"),
    *("identity_CelebA", "list_bbox_celeba", "list_landmarks_align_celeba"),
)
_EMNIST = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
_DATA_SETS = {
    "mnist": _DataSet(
        "MNIST",
        "MNIST/raw/{}-ubyte",
        ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"),
        _TRAIN_TEST,
        axes=(0, 1, 2),
        names=_DIGITS,
    ),
    "fashion_mnist": _DataSet(
        "FashionMNIST",
        "FashionMNIST/raw/{}-ubyte",
        ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"),
        _TRAIN_TEST,
        axes=(0, 1, 2),
    ),
    "emnist": _DataSet(
        "EMNIST",
        "EMNIST/raw/emnist-{variant}-{split}-{}-ubyte",
        ("images-idx3", "labels-idx1"),
        _TRAIN_TEST,
        axes=(0, 2, 1),  # stored on their side
    ),
    "cifar10": _DataSet(
        "CIFAR10",
        "cifar-10-batches-py/{}",
        (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"),
        _TRAIN_TEST,
        axes=(0, 3, 1, 2),
        otherwise="cifar10-images/{train,test}/<class>/*.jpg",
    ),
    "cifar100": _DataSet(
        "CIFAR100", "cifar-100-python/{}", ("train", "test", "meta"), _TRAIN_TEST, axes=(0, 3, 1, 2)
    ),
    "svhn": _DataSet(
        "SVHN",
        "SVHN/{split}_32x32.mat",
        ("",),
        {split: {"split": split} for split in ("train", "test", "extra")},
        root="SVHN",
        target="labels",
        names=_DIGITS,
    ),
    "stl10": _DataSet(
        "STL10",
        "stl10_binary/{}.bin",
        ("train_X", "train_y", "test_X", "test_y", "unlabeled_X"),
        {split: {"split": split} for split in ("train", "test", "unlabeled", "train+unlabeled")},
        target="labels",
        names=_STL10,
    ),
}
_HOLDS_OUT = {spec.loader for spec in _DATA_SETS.values()}  # no validation rows of their own
_CACHE_VERSION = 1  # to be raised when the same files decode to other pixels
_BLOCK_BYTES = 1 << 22  # of decoded images, in each thread


def load_mnist(
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load MNIST: 60,000 + 10,000 grey images of handwritten digits, 28 x 28 pixels.

    ASAL's 50k/10k/10k split is ``n_validation=10_000``, its two-class task ``subset=(5, 7)``.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default="train"
        Which rows to load.
    n_validation : int, default=0
        The last `n_validation` rows of the training set are the split "validation" and leave the split "train".
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in their order. Class numbers stay as they are.
    image_size : int or (height, width), default=None
        Resize the images, cut to this aspect ratio about their centre.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a `Bunch`.
    data_home : path-like, default=None
        Folder of the data sets. None is the environment variable ``SKAL_DATA``, else ``~/skal_data``.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array of shape (N, 1, 28, 28); ``target``, int64 array of shape (N,), the digits;
        ``target_names``, array of shape (10,).

    Raises
    ------
    FileNotFoundError
        If the data set is not there; the message says where it should be and how to get it.
    ValueError
        For an argument that is not allowed, and for damaged files.

    Examples
    --------
    >>> from skal.datasets import load_mnist
    >>> load_mnist(subset=(5, 7), n_validation=10_000, data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: MNIST was not found in no_such_folder: no MNIST/raw/train-images-idx3-ubyte, ...
    """
    return _load_arrays("mnist", split, n_validation, subset, image_size, return_X_y, data_home)


def load_fashion_mnist(
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load Fashion-MNIST: 60,000 + 10,000 grey images of clothes, 28 x 28 pixels.

    WAAL's split of 40k/20k/10k is ``n_validation=20_000``.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default="train"
        Which rows to load.
    n_validation, subset, image_size, return_X_y, data_home
        As in :func:`load_mnist`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array of shape (N, 1, 28, 28); ``target``, int64 array of shape (N,);
        ``target_names``, array of shape (10,).

    Examples
    --------
    >>> from skal.datasets import load_fashion_mnist
    >>> load_fashion_mnist(subset=("Sandal", "Sneaker"), data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: FashionMNIST was not found in no_such_folder: ...
    """
    return _load_arrays("fashion_mnist", split, n_validation, subset, image_size, return_X_y, data_home)


def load_emnist(
    variant: str = "balanced",
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load EMNIST: grey images of handwritten letters and digits, 28 x 28 pixels, upright.

    ===========  =======  =================  ===============
    variant      classes  rows, train        rows, test
    ===========  =======  =================  ===============
    "byclass"    62       697,932            116,323
    "bymerge"    47       697,932            116,323
    "balanced"   47       112,800            18,800
    "letters"    26       124,800            20,800
    "digits"     10       240,000            40,000
    "mnist"      10       60,000             10,000
    ===========  =======  =================  ===============

    Parameters
    ----------
    variant : str, default="balanced"
        A row of the table; DGAL uses "letters", whose class numbers are 1 (a) to 26 (z).
    split : {"train", "validation", "test"}, default="train"
        Which rows to load.
    n_validation, subset, image_size, return_X_y, data_home
        As in :func:`load_mnist`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array of shape (N, 1, 28, 28); ``target``, int64 array of shape (N,);
        ``target_names``, array of str, a name for each class number.

    Examples
    --------
    >>> from skal.datasets import load_emnist
    >>> load_emnist("letters", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: EMNIST was not found in no_such_folder: no EMNIST/raw/emnist-letters-train-images-idx3-ubyte, ...
    """
    _check_choice("EMNIST", "variant", variant, _EMNIST)
    return _load_arrays("emnist", split, n_validation, subset, image_size, return_X_y, data_home, variant)


def load_cifar10(
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load CIFAR-10: 50,000 + 10,000 colour images of animals and vehicles, 32 x 32 pixels.

    ASAL's two-class task is ``subset=("automobile", "horse")``, WAAL's split ``n_validation=5000``.

    Where torchvision's ``cifar-10-batches-py`` is absent, image files in ``cifar10-images/{train,test}/<class>/``
    are decoded. They do not have the original order; their rows go round the ten classes, so that the last rows,
    too, hold them all.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default="train"
        Which rows to load.
    n_validation, subset, image_size, return_X_y, data_home
        As in :func:`load_mnist`.
    cache, n_jobs
        As in :func:`load_image_folder`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array or memory map of shape (N, 3, 32, 32); ``target``, int64 array of shape (N,);
        ``target_names``, array of shape (10,).

    Examples
    --------
    >>> from skal.datasets import load_cifar10
    >>> load_cifar10(subset=("automobile", "horse"), data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: CIFAR10 was not found in no_such_folder: no cifar-10-batches-py/data_batch_1, ...
    """
    home = _data_home(data_home)
    if (home / "cifar-10-batches-py").is_dir() or not (home / "cifar10-images").is_dir():
        return _load_arrays("cifar10", split, n_validation, subset, image_size, return_X_y, data_home)
    request = _check("CIFAR10", split, [*_TRAIN_TEST, "validation"], subset, image_size, n_validation)
    root = home / "cifar10-images" / ("test" if split == "test" else "train")
    by_class = [list(group) for _, group in groupby(_list_images(root, _CIFAR10), key=itemgetter(1))]
    samples = [sample for turn in zip_longest(*by_class) for sample in turn if sample is not None]
    return _load_images(request, root, samples, _CIFAR10, cache, n_jobs, return_X_y, home)


def load_cifar100(
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load CIFAR-100: 50,000 + 10,000 colour images of 100 (fine) classes, 32 x 32 pixels.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default="train"
        Which rows to load.
    n_validation, subset, image_size, return_X_y, data_home
        As in :func:`load_mnist`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array of shape (N, 3, 32, 32); ``target``, int64 array of shape (N,);
        ``target_names``, array of shape (100,).

    Examples
    --------
    >>> from skal.datasets import load_cifar100
    >>> load_cifar100(split="test", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: CIFAR100 was not found in no_such_folder: no cifar-100-python/train, ...
    """
    return _load_arrays("cifar100", split, n_validation, subset, image_size, return_X_y, data_home)


def load_svhn(
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load SVHN: 73,257 + 26,032 colour images of house numbers' digits, 32 x 32 pixels, and 531,131 easier ones.

    WAAL's split of 40k/33k/26k is ``n_validation=33_257``. The digit 0 is class 0, where the files have 10.

    Parameters
    ----------
    split : {"train", "validation", "test", "extra"}, default="train"
        Which rows to load.
    n_validation, subset, image_size, return_X_y, data_home
        As in :func:`load_mnist`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array of shape (N, 3, 32, 32); ``target``, int64 array of shape (N,), the digits;
        ``target_names``, array of shape (10,).

    Examples
    --------
    >>> from skal.datasets import load_svhn
    >>> load_svhn(split="extra", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: SVHN was not found in no_such_folder: no SVHN/extra_32x32.mat. ...
    """
    return _load_arrays("svhn", split, n_validation, subset, image_size, return_X_y, data_home)


def load_stl10(
    *,
    split: str = "train",
    n_validation: int = 0,
    subset: Subset = None,
    image_size: ImageSize = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load STL-10: 5,000 + 8,000 colour images, 96 x 96 pixels, and 100,000 without labels.

    ALCG resizes them: ``image_size=32``.

    Parameters
    ----------
    split : {"train", "validation", "test", "unlabeled", "train+unlabeled"}, default="train"
        Which rows to load. Rows without a label have `skal.UNLABELED` (-1) as their target.
    n_validation, subset, image_size, return_X_y, data_home
        As in :func:`load_mnist`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 array of shape (N, 3, 96, 96); ``target``, int64 array of shape (N,);
        ``target_names``, array of shape (10,).

    Examples
    --------
    >>> from skal.datasets import load_stl10
    >>> load_stl10(split="train+unlabeled", image_size=32, data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: STL10 was not found in no_such_folder: no stl10_binary/train_X.bin, ...
    """
    return _load_arrays("stl10", split, n_validation, subset, image_size, return_X_y, data_home)


def load_celeba(
    attribute: str,
    *,
    split: str = "train",
    image_size: ImageSize = 64,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
    data_home: Folder | None = None,
) -> Result:
    """Load CelebA: 162,770 + 19,867 + 19,962 aligned colour images of faces, 218 x 178 pixels, by one attribute.

    ASAL's four tasks are "Blond_Hair", "Wearing_Hat", "Bangs" and "Eyeglasses", at 64 x 64 pixels.

    Parameters
    ----------
    attribute : str
        The attribute to tell, one of forty, such as "Smiling".
    split : {"train", "validation", "test", "all"}, default="train"
        Which rows to load.
    image_size, return_X_y, data_home
        As in :func:`load_mnist`.
    cache, n_jobs
        As in :func:`load_image_folder`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, uint8 memory map (array, for ``cache=False``) of shape (N, 3, height, width); ``target``, int64
        array of shape (N,), 1 for rows with the attribute and 0 for others; ``target_names``, array of shape (2,).

    Examples
    --------
    >>> from skal.datasets import load_celeba
    >>> load_celeba("Eyeglasses", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: CelebA was not found in no_such_folder: no celeba/img_align_celeba, ...
    """
    splits = {"train": "train", "validation": "valid", "test": "test", "all": "all"}
    request = _check("CelebA", split, splits, None, image_size)
    home = _data_home(data_home)
    files = ["celeba/img_align_celeba", *(f"celeba/{name}.txt" for name in _CELEBA)]
    source = f"torchvision.datasets.CelebA({str(home)!r}, download=True) or from mmlab.ie.cuhk.edu.hk/projects/CelebA"
    _require("CelebA", home, files, source)
    dataset = _read("CelebA", home, source, lambda datasets: datasets.CelebA(str(home), split=splits[split]))
    attributes = [name for name in dataset.attr_names if name]
    _check_choice("CelebA", "attribute", attribute, attributes)
    root = home / "celeba" / "img_align_celeba"
    target = dataset.attr[:, attributes.index(attribute)].tolist()
    samples = [(str(root / name), number) for name, number in zip(dataset.filename, target, strict=True)]
    names = (f"not {attribute}", attribute)
    return _load_images(request, root, samples, names, cache, n_jobs, return_X_y, home)


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
        Numbers or names of the categories, such as ``("bedroom", "tower")``; the others need not be there.
        Their numbers are positions among all ten, in alphabetical order.
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
    suffixes = {"train": "train", "validation": "val"}
    request = _check("LSUN", split, suffixes, subset, image_size)
    home = _data_home(data_home)
    root = home / "lsun"
    samples: list[tuple[_Item, int]] = []
    with ExitStack() as databases:
        for number in sorted(set(_class_numbers(request, _LSUN, range(len(_LSUN))))):
            name = f"{_LSUN[number]}_{suffixes[split]}"
            database = root / f"{name}_lmdb"
            if (root / name).is_dir():
                samples += [(path, number) for path, _ in _list_images(root, [name])]
            elif database.is_dir():
                samples += [(record, number) for record in _list_records(database, databases)]
            else:
                missing = f"lsun/{name} or lsun/{database.name}"
                raise _not_found("LSUN", home, missing, "download.py of github.com/fyu/lsun")
        return _load_images(request, root, samples, _LSUN, cache, n_jobs, return_X_y, home)


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

    Read are the folders ``mini-imagenet/{train,val,test}/<class>/``, or the lists
    ``mini-imagenet/{train,val,test}.csv`` (columns filename and label) with the files in ``mini-imagenet/images``.

    Parameters
    ----------
    split : {"all", "train", "validation", "test"}, default="all"
        Which rows to load. The splits were made for few-shot learning and have 64, 16 and 20 classes of their own;
        active learning, as in DGAL, wants them all.
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in their order. Numbers are positions among the sorted
        names of all 100 classes.
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
    parts = {"train": "train", "validation": "val", "test": "test"}
    request = _check("Mini-ImageNet", split, ["all", *parts], subset, image_size)
    home = _data_home(data_home)
    root = home / "mini-imagenet"
    listed: dict[str, list[tuple[str, str]]] = {}
    for name, part in parts.items():
        table = root / f"{part}.csv"
        if (root / part).is_dir():
            folders = _class_folders(root / part)
            listed[name] = [
                (str(path), folders[number]) for path, number in _list_images(root / part, folders)
            ]
        elif table.is_file():
            with table.open(newline="") as lines:
                rows = [(row.get("filename"), row.get("label")) for row in csv.DictReader(lines)]
            listed[name] = [(str(root / "images" / file), label) for file, label in rows if file and label]
            if len(listed[name]) < len(rows) or not rows:
                raise ValueError(f"{table} is damaged: it needs columns filename and label; get it again")
        else:
            missing = f"mini-imagenet/{part} or mini-imagenet/{table.name}"
            source = (
                "the lists of github.com/twitter-research/meta-learning-lstm, the images from image-net.org"
            )
            raise _not_found("Mini-ImageNet", home, missing, source)
    names = sorted({label for rows in listed.values() for _, label in rows})
    numbers = {label: number for number, label in enumerate(names)}
    chosen = parts if split == "all" else [split]
    samples = [(path, numbers[label]) for name in chosen for path, label in listed[name]]
    return _load_images(request, root, samples, names, cache, n_jobs, return_X_y, home)


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
        Numbers or names of the classes whose rows are kept, in their order. Numbers are positions among the sorted
        names of all 200 classes.
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
    request = _check("Tiny-ImageNet", split, ["train", "validation"], subset, image_size)
    home = _data_home(data_home)
    root = home / "tiny-imagenet-200"
    files = [f"{root.name}/{file}" for file in ("train", "val/images", "val/val_annotations.txt")]
    _require("Tiny-ImageNet", home, files, "http://cs231n.stanford.edu/tiny-imagenet-200.zip")
    names = _class_folders(root / "train")
    if split == "train":
        samples = _list_images(root / "train", names)
    else:
        table = root / "val" / "val_annotations.txt"
        numbers = {name: number for number, name in enumerate(names)}
        rows = [line.split("\t") for line in table.read_text().splitlines()]
        if any(len(row) < 2 or row[1] not in numbers for row in rows):
            raise ValueError(
                f"{table} is damaged: a line has no file and class of the training set; get it again"
            )
        samples = [(str(root / "val" / "images" / row[0]), numbers[row[1]]) for row in rows]
    return _load_images(request, root, samples, names, cache, n_jobs, return_X_y, home)


def load_image_folder(
    path: Folder,
    *,
    subset: Subset = None,
    image_size: ImageSize = None,
    channels: int = 3,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
) -> Result:
    """Load image files from a folder that has a folder for each class.

    The files are decoded once, a few at a time, into a file of the cache, and later calls only map that file. It is
    replaced when the names, sizes or times of the image files have changed. Files end in .jpg, .jpeg, .png, .ppm,
    .bmp, .pgm, .tif, .tiff or .webp and may lie deeper in the folder of their class.

    Parameters
    ----------
    path : path-like
        The folder. Its folders, in alphabetical order, are the classes 0, 1, ....
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in their order. Class numbers stay as they are.
    image_size : int or (height, width), default=None
        Resize the images, cut to this aspect ratio about their centre. None needs images of one size.
    channels : {1, 3}, default=3
        Grey or RGB images.
    cache : bool or path-like, default=True
        Folder for the decoded images; True is ``skal-cache`` in ``SKAL_DATA``, else in ``~/skal_data``. False decodes
        into memory, at each call.
    n_jobs : int, default=None
        Threads that decode. None is 1, -1 all processors.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a `Bunch`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, read-only uint8 memory map (array, for ``cache=False``) of shape (N, channels, height, width);
        ``target``, int64 array of shape (N,); ``target_names``, array of the folders' names.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or no image in a class.
    OSError
        If the cache cannot be written.
    ValueError
        For an argument that is not allowed, images of several sizes, and damaged files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> from skal.datasets import load_image_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name, grey in [("dark", 10), ("light", 250)]:
    ...         Path(folder, name).mkdir()
    ...         Image.new("L", (8, 6), grey).save(Path(folder, name, "0.png"))
    ...     images = load_image_folder(folder, channels=1, cache=False)
    >>> images.data.shape, images.data[:, 0, 0, 0], images.target_names
    ((2, 1, 6, 8), array([ 10, 250], dtype=uint8), array(['dark', 'light'], dtype='<U5'))
    """
    if channels not in (1, 3):
        raise ValueError(f"channels={channels!r} was given; allowed are 1 (grey) and 3 (RGB)")
    root = Path(path).expanduser()
    request = _check(str(root), "all", ["all"], subset, image_size)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is no folder; give one that has a folder of images for each class")
    names = _class_folders(root)
    samples = _list_images(root, names)
    return _load_images(request, root, samples, names, cache, n_jobs, return_X_y, _data_home(None), channels)


class _Record(NamedTuple):
    """An image file in an LMDB database."""

    file: str
    key: bytes
    database: Any

    def __str__(self) -> str:
        return f"{self.file}, key {self.key!r}"

    def open(self) -> io.BytesIO:
        with self.database.begin() as transaction:
            return io.BytesIO(transaction.get(self.key))


_Item: TypeAlias = str | _Record


def _load_arrays(
    key: str,
    split: str,
    n_validation: int,
    subset: Subset,
    image_size: ImageSize,
    return_X_y: bool,
    data_home: Folder | None,
    variant: str | None = None,
) -> Result:
    """Load a data set of the table: read it whole, select rows, resize them."""
    spec = _DATA_SETS[key]
    title = spec.loader
    request = _check(title, split, [*spec.splits, "validation"], subset, image_size, n_validation)
    stored = "train" if split == "validation" else split
    arguments = spec.splits[stored] | ({} if variant is None else {"split": variant})
    home = _data_home(data_home)
    root = str(home / spec.root)
    shown = "".join(f", {name}={value!r}" for name, value in arguments.items())
    source = f"torchvision.datasets.{title}({root!r}{shown}, download=True)"
    files = [spec.pattern.format(part, split=stored, variant=variant) for part in spec.parts]
    _require(title, home, files, source, spec.otherwise)

    def read(datasets: Any) -> tuple[NDArray[Any], NDArray[Any], Sequence[str]]:
        dataset = getattr(datasets, title)(root, **arguments)
        images = np.asarray(dataset.data).transpose(spec.axes)
        target = np.asarray(getattr(dataset, spec.target), dtype=np.int64).reshape(-1)
        names = spec.names or dataset.classes
        if len(images) != len(target) or target.max(initial=-1) >= len(names):
            raise ValueError(f"{len(images)} images, {len(target)} labels up to {target.max(initial=-1)}")
        return images[:, np.newaxis] if images.ndim == 3 else images, target, names

    images, target, names = _read(title, home, source, read)
    rows = _select_rows(request, target, names)
    images = np.ascontiguousarray(_resize(images[rows], request.size))
    return _as_result(images, target[rows], names, return_X_y)


def _load_images(
    request: _Request,
    root: Path,
    samples: Sequence[tuple[_Item, int]],
    names: Sequence[str],
    cache: bool | Folder,
    n_jobs: int | None,
    return_X_y: bool,
    home: Path,
    channels: int = 3,
) -> Result:
    """Select among listed images and decode them, into the cache or into memory."""
    title, split, n_validation, subset, size = request
    if not samples:
        raise ValueError(f"{root} has no image in the split {split!r} of {title}; get the data set again")
    target = np.array([number for _, number in samples], dtype=np.int64)
    rows = _select_rows(request, target, names)
    target = target[rows]
    items = [samples[row][0] for row in np.arange(len(samples))[rows]]
    stamp = _stamp(title, items)
    if cache is False:
        return _as_result(_decode(items, channels, size, n_jobs), target, names, return_X_y)

    folder = home / "skal-cache" if cache is True else Path(cache).expanduser()
    classes = None if subset is None else np.unique(target).tolist()
    made_of = repr((_CACHE_VERSION, str(root.resolve()), split, n_validation, classes, channels, size))
    key = hashlib.blake2b(made_of.encode(), digest_size=8).hexdigest()
    stem = f"{Path(title).name[:40]}-{split}-{key}"
    file = folder / f"{stem}-{stamp}.npy"
    images = _open_cached(file, len(items))
    if images is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            images = _decode(items, channels, size, n_jobs, file)
        except OSError as error:
            raise OSError(
                f"the decoded images of {title} cannot be kept in {folder} ({error}); name another folder with "
                "cache=..., or decode into memory with cache=False"
            ) from error
        for old in folder.glob(f"{glob.escape(stem)}-*.npy"):
            if old != file:
                with suppress(OSError):  # mapped elsewhere, on systems that mind
                    old.unlink()
    return _as_result(images, target, names, return_X_y)


def _as_result(images: NDArray[Any], target: NDArray[Any], names: Sequence[str], return_X_y: bool) -> Result:
    if return_X_y:
        return images, target
    return Bunch(data=images, target=target, target_names=np.array(names))


def _check(
    title: str,
    split: str,
    splits: Iterable[str],
    subset: Subset,
    image_size: ImageSize,
    n_validation: int = 0,
) -> _Request:
    _check_choice(title, "split", split, splits)
    if not _is_integer(n_validation, 0):
        raise ValueError(f"n_validation={n_validation!r} was given; it must be an integer of at least 0")
    if title in _HOLDS_OUT and split == "validation" and not n_validation:
        raise ValueError(
            f"split='validation' of {title} needs n_validation, the number of last training rows that are held out"
        )
    if subset is not None:
        subset = [subset] if isinstance(subset, str | Integral) else list(subset)  # type: ignore[arg-type]
        if not subset:
            raise ValueError("subset is empty; name a class, or give None for all classes")
    size = None
    if image_size is not None:
        sides = tuple(image_size) if isinstance(image_size, Iterable) else (image_size, image_size)
        if len(sides) != 2 or not all(_is_integer(side, 1) for side in sides):
            raise ValueError(
                f"image_size={image_size!r} was given; allowed are an integer of at least 1, a pair (height, width) of "
                "them, and None"
            )
        size = int(sides[0]), int(sides[1])
    return _Request(title, split, int(n_validation), subset, size)


def _check_choice(title: str, name: str, value: str, allowed: Iterable[str]) -> None:
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(
            f"{name}={value!r} was given for {title}; allowed are {', '.join(map(repr, allowed))}"
        )


def _is_integer(value: Any, minimum: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= minimum


def _select_rows(request: _Request, target: NDArray[Any], names: Sequence[str]) -> slice | NDArray[np.intp]:
    """Rows that belong to the split and the subset; a slice, where a view will do."""
    title, split, n_validation, subset, _ = request
    part = slice(None)
    if n_validation and split in ("train", "validation"):
        if n_validation >= len(target):
            raise ValueError(
                f"n_validation={n_validation} was given; {title} has {len(target)} training rows, and must keep one"
            )
        boundary = len(target) - n_validation
        part = slice(boundary) if split == "train" else slice(boundary, None)
    if subset is None:
        return part
    labels = target[part]
    wanted = _class_numbers(request, names, np.unique(labels[labels >= 0]).tolist())
    return np.arange(len(target))[part][np.isin(labels, wanted)]


def _class_numbers(request: _Request, names: Sequence[str], present: Iterable[int]) -> list[int]:
    """Numbers of the classes in the subset, all of which must be present; without a subset, of all that are."""
    numbers = {names[number]: number for number in present}
    if request.subset is None:
        return list(numbers.values())
    wanted = [numbers.get(entry, -1) if isinstance(entry, str) else entry for entry in request.subset]
    unknown = [
        entry for entry, number in zip(request.subset, wanted, strict=True) if number not in numbers.values()
    ]
    if unknown:
        allowed = [f"{number} ({name!r})" for name, number in numbers.items()]
        allowed = allowed if len(allowed) <= 12 else [*allowed[:10], "...", allowed[-1]]
        raise ValueError(
            f"subset={request.subset!r} was given, but the split {request.split!r} of {request.title} has no class "
            f"{', '.join(map(repr, unknown))}; allowed are {', '.join(allowed) or 'none: the rows have no labels'}"
        )
    return wanted


def _data_home(data_home: Folder | None) -> Path:
    return Path(data_home or os.environ.get("SKAL_DATA") or "~/skal_data").expanduser()


def _require(title: str, home: Path, files: Iterable[str], source: str, otherwise: str = "") -> None:
    missing = [file for file in files if not (home / file).exists()]
    if missing:
        shown = ", no ".join(missing) + (f" (nor {otherwise})" if otherwise else "")
        raise _not_found(title, home, shown, source)


def _not_found(title: str, home: Path, missing: str, source: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{title} was not found in {home}: no {missing}. skal downloads nothing: get it with {source}, or name the "
        "folder that has it by data_home or the environment variable SKAL_DATA"
    )


def _read(title: str, home: Path, source: str, read: Callable[[Any], Any]) -> Any:
    """Call `read` with torchvision's data sets; whatever it raises, the files are damaged."""
    datasets = import_torchvision().datasets
    with warnings.catch_warnings():
        # The first releases of numpy 2.4 warn about how CIFAR was pickled.
        warnings.filterwarnings("ignore", r"dtype\(\): align", np.exceptions.VisibleDeprecationWarning)
        try:
            return read(datasets)
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(
                f"the files of {title} in {home} are damaged ({type(error).__name__}: {error}); delete them and get "
                f"them again with {source}"
            ) from error


def _class_folders(root: Path) -> list[str]:
    names = sorted(entry.name for entry in root.iterdir() if entry.is_dir() and entry.name[0] != ".")
    if not names:
        raise FileNotFoundError(f"{root} has no folders; it must have a folder of images for each class")
    return names


def _list_images(root: Path, classes: Sequence[str]) -> list[tuple[_Item, int]]:
    """Image files in folders named like the classes: class by class, each in the order of their names."""
    folder = import_torchvision().datasets.folder
    numbers = {name: number for number, name in enumerate(classes)}
    try:
        return folder.make_dataset(str(root), numbers, extensions=folder.IMG_EXTENSIONS)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{root} lacks images. {error}") from error


def _list_records(folder: Path, databases: ExitStack) -> list[_Record]:
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
    return [_Record(str(folder / "data.mdb"), key, database) for key in keys]


def _stamp(title: str, items: Sequence[_Item]) -> str:
    """Digest of names, sizes and times of image files, by which a cache knows what it was made from."""
    digest = hashlib.blake2b(digest_size=8)
    for item in items:
        try:
            status = os.stat(item if isinstance(item, str) else item.file)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{title} lists {item}, which is not there; get the data set again"
            ) from error
        digest.update(os.fsencode(f"{item}\0{status.st_size}\0{status.st_mtime_ns}\0"))
    return digest.hexdigest()


def _open_cached(file: Path, n_images: int) -> NDArray[np.uint8] | None:
    try:
        images = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):  # absent or damaged
        return None
    return images if images.ndim == 4 and len(images) == n_images else None


def _decode(
    items: Sequence[_Item], channels: int, size: _Size, n_jobs: int | None, file: Path | None = None
) -> NDArray[np.uint8]:
    """Decode images a few at a time, in several threads; into memory, or into a file that is then mapped."""
    from PIL import Image

    Image.init()  # all formats: threads would race to load the rarer ones
    first = _pixels(items[0], channels, size)
    step = max(1, _BLOCK_BYTES // first.nbytes)
    shape = (len(items), *first.shape)
    images = np.empty(shape if file is None else 0, dtype=np.uint8)

    def decode(start: int, write: Callable[[int, NDArray[np.uint8]], None]) -> None:
        block = np.empty((len(items[start : start + step]), *first.shape), dtype=np.uint8)
        for row, item in enumerate(items[start : start + step]):
            image = _pixels(item, channels, size)
            if image.shape != first.shape:
                sizes = ["x".join(map(str, shape[1:])) for shape in (first.shape, image.shape)]
                raise ValueError(
                    f"all images must have one size (height x width), but {items[0]} has {sizes[0]} and {item} has "
                    f"{sizes[1]}; resize them with image_size=..."
                )
            block[row] = image
        write(start, block)

    def assign(start: int, block: NDArray[np.uint8]) -> None:
        images[start : start + len(block)] = block

    with (
        nullcontext(assign) if file is None else _npy_file(file, shape) as write,
        ThreadPoolExecutor(effective_n_jobs(n_jobs)) as pool,
    ):
        for _ in pool.map(partial(decode, write=write), range(0, len(items), step)):
            pass  # in order: the first error is that of the first block
    return images if file is None else np.load(file, mmap_mode="r")


@contextmanager
def _npy_file(file: Path, shape: tuple[int, ...]) -> Iterator[Callable[[int, NDArray[np.uint8]], None]]:
    """Write blocks of rows, in any order, into an .npy file that appears when it is complete.

    Not through a memory map, where a full disk kills the process.
    """
    unfinished = file.with_suffix(f".{uuid4().hex}.tmp")
    lock = threading.Lock()
    try:
        with unfinished.open("xb") as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            offset = stream.tell()

            def write(start: int, block: NDArray[np.uint8]) -> None:
                with lock:
                    stream.seek(offset + start * math.prod(shape[1:]))
                    stream.write(block.data)

            yield write
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _pixels(item: _Item, channels: int, size: _Size) -> NDArray[np.uint8]:
    """One decoded image, (channels, height, width)."""
    from PIL import Image

    try:
        with Image.open(item if isinstance(item, str) else item.open()) as stored:
            if stored.mode[0] in "IF":
                raise ValueError("it has more than 8 bits a channel")
            image = _fit(stored.convert("RGB" if channels == 3 else "L"), size)
    except Exception as error:  # decoders raise anything
        raise ValueError(f"{item} cannot be decoded ({error}); replace or remove it") from error
    return np.atleast_3d(np.asarray(image)).transpose(2, 0, 1)


def _fit(image: Image.Image, size: _Size) -> Image.Image:
    """Cut an image to the aspect ratio of `size` (height, width) about its centre and resize it."""
    from PIL import ImageOps

    return image if size is None else ImageOps.fit(image, size[::-1])


def _resize(images: NDArray[np.uint8], size: _Size) -> NDArray[np.uint8]:
    from PIL import Image

    if size is None or size == images.shape[2:]:
        return images
    resized = np.empty((*images.shape[:2], *size), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        resized[row] = np.atleast_3d(np.asarray(_fit(Image.fromarray(pixels), size))).transpose(2, 0, 1)
    return resized
