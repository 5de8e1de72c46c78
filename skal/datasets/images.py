"""Data sets of image files, decoded once into a cache that is then mapped."""

import glob
import hashlib
import math
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from ..utils.progress import counted
from ..utils.replacing import replacing
from ..utils.torchvision import import_torchvision
from .decoding import pixels
from .request import Request, Result

_CACHE_VERSION = 2  # to be raised when the same files decode to other pixels
_BLOCK_BYTES = 1 << 22  # of decoded images, in each thread


def load_images(
    request: Request,
    root: Path,
    samples: Sequence[tuple[Any, int]],
    names: Sequence[str],
    channels: int = 3,
    *,
    with_filenames: bool = False,
) -> Result:
    """Select among listed images, paths or records with their classes, and decode them, cached or into memory."""
    title, split, size = request.title, request.split, request.image_size
    if not samples:
        raise ValueError(f"{root} has no image in the split {split!r} of {title}; get the data set again")
    target = np.array([number for _, number in samples], dtype=np.int64)
    rows = request.rows(target, names)
    target = target[rows]
    items = [samples[row][0] for row in np.arange(len(samples))[rows]]
    stamp = _stamp(title, items)
    decode = partial(_decode, items, channels, size, request.n_jobs)
    finish = partial(request.result, target=target, names=names)
    if with_filenames:
        finish.keywords["filenames"] = np.array([Path(item).relative_to(root).as_posix() for item in items])
    if request.cache is False:
        (n_images, *shape), decoded = decode()
        image_type = np.dtype((np.uint8, tuple(shape)))
        return finish(np.fromiter(decoded, image_type, n_images))

    folder = request.home / "skal-cache" if request.cache is True else Path(request.cache).expanduser()
    classes = None if request.subset is None else np.unique(target).tolist()
    n_validation = request.n_validation or 0
    made_of = repr((_CACHE_VERSION, str(root.resolve()), split, n_validation, classes, channels, size))
    key = hashlib.blake2b(made_of.encode(), digest_size=8).hexdigest()
    stem = f"{Path(title).name[:40]}-{split}-{key}"
    file = folder / f"{stem}-{stamp}.npy"
    images = _open_cached(file, len(items))
    if images is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _save(*decode(), file)
            images = np.load(file, mmap_mode="r")
        except OSError as error:
            raise OSError(
                f"the decoded images of {title} cannot be kept in {folder} ({error}); name another folder with "
                "cache=..., or decode into memory with cache=False"
            ) from error
        for old in folder.glob(f"{glob.escape(stem)}-*.npy"):
            if old != file:
                with suppress(OSError):  # mapped elsewhere, on systems that mind
                    old.unlink()
    return finish(images)


def has_folders(root: Path) -> bool:
    return any(_is_folder(entry) for entry in root.iterdir())


def _is_folder(entry: Path) -> bool:
    return entry.is_dir() and entry.name[0] != "."


def class_folders(root: Path) -> list[str]:
    names = sorted(entry.name for entry in root.iterdir() if _is_folder(entry))
    if not names:
        raise FileNotFoundError(f"{root} has no folders; it must have a folder of images for each class")
    return names


def list_images(root: Path, classes: Sequence[str]) -> list[tuple[str, int]]:
    """Image files in folders named like the classes: class by class, in order of their names, without hidden files."""
    folder = import_torchvision().datasets.folder
    numbers = {name: number for number, name in enumerate(classes)}
    endings = image_endings()

    def is_image(path: str) -> bool:
        return path.lower().endswith(endings) and f"{os.sep}." not in path.removeprefix(str(root))

    try:
        return folder.make_dataset(str(root), numbers, is_valid_file=is_image)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{root} lacks images. {error}Supported extensions are: {', '.join(endings)}"
        ) from error


def list_unlabeled(root: Path, *, deep: bool) -> list[str]:
    """Image files in a folder and optionally in the folders below it: folder by folder, in the order of their names."""
    endings = image_endings()
    files = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if deep and name[0] != "."]
        files += [Path(folder, name) for name in names if name[0] != "." and name.lower().endswith(endings)]
    return [str(file) for file in sorted(files, key=lambda file: (str(file.parent), file.name))]


def image_endings() -> tuple[str, ...]:
    """The endings of the names of image files."""
    return import_torchvision().datasets.folder.IMG_EXTENSIONS  # type: ignore[no-any-return]


def _stamp(title: str, items: Sequence[Any]) -> str:
    """Digest of names, sizes and times of image files, by which a cache is matched to the files."""
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
    items: Sequence[Any], channels: int, size: tuple[int, int] | None, n_jobs: int | None
) -> tuple[tuple[int, ...], Iterator[NDArray[np.uint8]]]:
    """The shape of all images, and the images one by one, which are decoded in several threads."""
    from PIL import Image

    Image.init()  # all formats: threads would race to load the rarer ones
    shape = pixels(items[0], channels, size).shape
    step, n_threads = max(1, _BLOCK_BYTES // math.prod(shape)), effective_n_jobs(n_jobs)

    def block(start: int) -> list[NDArray[np.uint8]]:
        images = [pixels(item, channels, size) for item in items[start : start + step]]
        for item, image in zip(items[start:], images, strict=False):
            if image.shape != shape:
                sizes = ["x".join(map(str, sides[1:])) for sides in (shape, image.shape)]
                raise ValueError(
                    f"all images must have one size (height x width), but {items[0]} has {sizes[0]} and {item} has "
                    f"{sizes[1]}; resize them with image_size=..."
                )
        return images

    def decoded() -> Generator[NDArray[np.uint8], None, None]:
        with ThreadPoolExecutor(n_threads) as pool:
            for wave in gen_batches(len(items), step * n_threads):  # no more images wait in memory
                for images in pool.map(block, range(wave.start, wave.stop, step)):
                    yield from images

    return (len(items), *shape), counted(decoded(), "images", len(items))


def _save(shape: tuple[int, ...], images: Iterable[NDArray[np.uint8]], file: Path) -> None:
    """Write images into an .npy file that appears when it is complete.

    Not through a memory map, where a full disk kills the process.
    """
    with replacing(file) as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for image in images:
            stream.write(image.tobytes())
