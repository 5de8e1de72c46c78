"""CelebA."""

from .images import load_images
from .request import Folder, ImageSize, Request, Result, check_choice

_SPLITS = {"train": "train", "validation": "valid", "test": "test", "all": "all"}
_LISTS = (
    *("list_attr_celeba", "list_eval_partition"),
    *("identity_CelebA", "list_bbox_celeba", "list_landmarks_align_celeba"),
)


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
        The attribute to predict, one of forty, such as "Smiling".
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
        array of shape (N,), 1 for rows with the attribute and 0 for the others; ``target_names``, array of shape (2,).

    Examples
    --------
    >>> from skal.datasets import load_celeba
    >>> load_celeba("Eyeglasses", data_home="no_such_folder")
    Traceback (most recent call last):
    ...
    FileNotFoundError: CelebA was not found in no_such_folder: no celeba/img_align_celeba, ...
    """
    request = Request("CelebA", _SPLITS, split, None, None, image_size, return_X_y, data_home, cache, n_jobs)
    home = str(request.home)
    source = (
        f"torchvision.datasets.CelebA({home!r}, download=True) or from mmlab.ie.cuhk.edu.hk/projects/CelebA"
    )
    request.require(["celeba/img_align_celeba", *(f"celeba/{name}.txt" for name in _LISTS)], source)
    dataset = request.read(source, lambda datasets: datasets.CelebA(home, split=_SPLITS[split]))
    attributes = [name for name in dataset.attr_names if name]
    check_choice("CelebA", "attribute", attribute, attributes)
    root = request.home / "celeba" / "img_align_celeba"
    target = dataset.attr[:, attributes.index(attribute)].tolist()
    samples = [(str(root / name), number) for name, number in zip(dataset.filename, target, strict=True)]
    return load_images(request, root, samples, (f"not {attribute}", attribute))
