"""SVHN."""

from .arrays import ArrayFiles, load_arrays
from .request import Folder, ImageSize, Result, Subset

_SVHN = ArrayFiles(
    "SVHN",
    "SVHN/{split}_32x32.mat",
    ("",),
    {split: {"split": split} for split in ("train", "test", "extra")},
    root="SVHN",
    target="labels",
    names=tuple("0123456789"),
)


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

    WAAL's split of 40k/33k/26k is ``n_validation=33_257``. The digit 0 is class 0; in the files it is 10.

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
    return load_arrays(_SVHN, split, n_validation, subset, image_size, return_X_y, data_home)
