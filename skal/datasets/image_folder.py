"""Image files in a folder for each class, or in any folders without classes."""

from pathlib import Path

from ..labels import UNLABELED
from .images import class_folders, has_folders, image_endings, list_images, list_unlabeled, load_images
from .request import Folder, ImageSize, Request, Result, Subset


def load_image_folder(
    path: Folder,
    *,
    classes: bool | None = None,
    subset: Subset = None,
    image_size: ImageSize = None,
    channels: int = 3,
    cache: bool | Folder = True,
    n_jobs: int | None = None,
    return_X_y: bool = False,
) -> Result:
    """Load image files from a folder, which may have a folder for each class.

    The files are decoded once, a few at a time, into a cache file, and later calls only map that file. The cache file
    is written again if the names, sizes or times of the image files have changed. Files end in .jpg, .jpeg, .png, .ppm,
    .bmp, .pgm, .tif, .tiff or .webp and may lie deeper in the folder of their class. Photos are turned upright
    according to their metadata.

    If there are too many photos to keep decoded, or if they should be decoded again each time, use a torch dataset
    instead: :class:`skal.pool.DatasetPool` reads rows on demand. The guide to data sets shows how.

    Parameters
    ----------
    path : path-like
        The folder.
    classes : bool, default=None
        Whether the subfolders, in alphabetical order, are the classes 0, 1, .... Images beside these folders are then
        unlabelled. Without classes all images are unlabelled, however deep they lie. None means classes if there are
        subfolders.
    subset : class or iterable of classes, default=None
        Numbers or names of the classes whose rows are kept, in the order of the data. Class numbers do not change.
    image_size : int or (height, width), default=None
        Resize the images, after cutting them around their centre to this aspect ratio. None requires images of equal
        size.
    channels : {1, 3}, default=3
        Grey or RGB images.
    cache : bool or path-like, default=True
        Folder for the decoded images; True is ``skal-cache`` in ``SKAL_DATA``, else in ``~/skal_data``. False decodes
        into memory at each call.
    n_jobs : int, default=None
        Number of threads that decode. None is 1, and -1 means all processors.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a `Bunch`.

    Returns
    -------
    bunch : sklearn.utils.Bunch
        ``data``, read-only uint8 memory map (array, for ``cache=False``) of shape (N, channels, height, width);
        ``target``, int64 array of shape (N,), partial labels as an :class:`~skal.ActiveLearner` takes them: -1 for an
        unlabelled image; ``target_names``, array of the class folders' names; ``filenames``, array of the files' names
        relative to `path`, with slashes, in the order of the rows: folder by folder, and alphabetical in each.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist, it or a class contains no image, or it has no subfolders although there should be
        classes.
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
    >>> images.target, images.filenames
    (array([0, 1]), array(['dark/0.png', 'light/0.png'], dtype='<U11'))
    """
    if channels not in (1, 3):
        raise ValueError(f"channels={channels!r} was given; allowed are 1 (grey) and 3 (RGB)")
    root = Path(path).expanduser()
    request = Request(str(root), ["all"], "all", None, subset, image_size, return_X_y, None, cache, n_jobs)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is no folder; give one that has images, or a folder of them for each class"
        )
    has_classes = has_folders(root) if classes is None else classes
    names = class_folders(root) if has_classes else []
    try:
        samples = list_images(root, names) if has_classes else []
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Where folders are no classes, give classes=False.") from error
    samples += [(file, UNLABELED) for file in list_unlabeled(root, deep=not has_classes)]
    if not samples:
        raise FileNotFoundError(
            f"{root} has no images; give a folder that has some ({', '.join(image_endings())}), or a folder of them "
            "for each class"
        )
    return load_images(request, root, samples, names, channels, with_filenames=True)
