"""CIFAR-10 and CIFAR-100."""

from itertools import groupby, zip_longest
from operator import itemgetter

from .arrays import TRAIN_TEST, ArrayFiles, load_arrays
from .images import list_images, load_images
from .request import Folder, ImageSize, Request, Result, Subset

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR10 = ArrayFiles(
    "CIFAR10",
    "cifar-10-batches-py/{}",
    (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"),
    axes=(0, 3, 1, 2),
    otherwise="cifar10-images/{train,test}/<class>/*.jpg",
)
_CIFAR100 = ArrayFiles("CIFAR100", "cifar-100-python/{}", ("train", "test", "meta"), axes=(0, 3, 1, 2))


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
    are decoded. Their order is not the original one: rows alternate between the ten classes, so that the last rows also
    contain all of them.

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
    options = (split, n_validation, subset, image_size, return_X_y, data_home)
    request = Request("CIFAR10", [*TRAIN_TEST, "validation"], *options, cache, n_jobs)
    home = request.home
    if (home / "cifar-10-batches-py").is_dir() or not (home / "cifar10-images").is_dir():
        return load_arrays(_CIFAR10, *options)
    root = home / "cifar10-images" / ("test" if split == "test" else "train")
    by_class = [list(group) for _, group in groupby(list_images(root, _CLASSES), key=itemgetter(1))]
    samples = [sample for turn in zip_longest(*by_class) for sample in turn if sample is not None]
    return load_images(request, root, samples, _CLASSES)


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
    return load_arrays(_CIFAR100, split, n_validation, subset, image_size, return_X_y, data_home)
