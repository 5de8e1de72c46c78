"""MNIST and data sets of the same form."""

from .arrays import ArrayFiles, load_arrays
from .request import Folder, ImageSize, Result, Subset, check_choice

_PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
_MNIST = ArrayFiles("MNIST", "MNIST/raw/{}-ubyte", _PARTS, axes=(0, 1, 2), names=tuple("0123456789"))
_FASHION_MNIST = ArrayFiles("FashionMNIST", "FashionMNIST/raw/{}-ubyte", _PARTS, axes=(0, 1, 2))
_EMNIST = ArrayFiles(
    "EMNIST",
    "EMNIST/raw/emnist-{variant}-{split}-{}-ubyte",
    ("images-idx3", "labels-idx1"),
    axes=(0, 2, 1),  # stored on their side
)
_VARIANTS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")


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
        The last `n_validation` rows of the training set form the split "validation", and are left out of the split
        "train".
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in the order of the data. Class numbers do not change.
    image_size : int or (height, width), default=None
        Resize the images, after cutting them around their centre to this aspect ratio.
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
        If the data set is missing; the message tells where it should be and how to get it.
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
    return load_arrays(_MNIST, split, n_validation, subset, image_size, return_X_y, data_home)


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
    return load_arrays(_FASHION_MNIST, split, n_validation, subset, image_size, return_X_y, data_home)


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
    check_choice("EMNIST", "variant", variant, _VARIANTS)
    return load_arrays(
        _EMNIST, split, n_validation, subset, image_size, return_X_y, data_home, variant=variant
    )
