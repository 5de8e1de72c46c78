"""STL-10."""

from .arrays import ArrayFiles, load_arrays
from .request import Folder, ImageSize, Result, Subset

_STL10 = ArrayFiles(
    "STL10",
    "stl10_binary/{}.bin",
    ("train_X", "train_y", "test_X", "test_y", "unlabeled_X"),
    {split: {"split": split} for split in ("train", "test", "unlabeled", "train+unlabeled")},
    target="labels",
    names=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
)


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

    ALCG resizes the images: ``image_size=32``.

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
    return load_arrays(_STL10, split, n_validation, subset, image_size, return_X_y, data_home)
