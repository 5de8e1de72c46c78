"""Image files below a folder, and nothing outside of it."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image, ImageOps

from ...datasets.decoding import in_8_bits

# Formats that Pillow decodes. SVG is none: it is a document that may hold scripts.
ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")


def list_images(root: Path) -> list[str]:
    """The images below a folder in the order of their names, without hidden ones, and without links that lead out."""
    found = []
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name[0] != "."]
        for name in names:
            if name[0] == "." or not name.lower().endswith(ENDINGS):
                continue
            path = Path(place, name)
            if path.is_symlink() and not _leads_inside(root, path):
                continue
            found.append(path.relative_to(root).as_posix())
    return sorted(found)


def upright(root: Path, name: str, side: int) -> Image.Image:
    """An image as a camera was held, decoded to less than its size, as JPEG can be, where `side` pixels are enough.

    Grey values of more than 8 bits are stretched, as `in_8_bits` does.

    Raises
    ------
    Exception
        Of any kind, as decoders raise them.
    """
    with Image.open(_inside(root, name)) as stored:
        stored.draft("RGB", (side, side))
        return in_8_bits(ImageOps.exif_transpose(stored))


def _inside(root: Path, name: str) -> Path:
    """The file of a name, which must be one below a folder, also where it is a link by now.

    Raises
    ------
    OSError
        If there is no such file.
    PermissionError
        If it is elsewhere.
    """
    path = (root / name).resolve(strict=True)
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise PermissionError(f"{name} is no file in {root}")
    return path


def _leads_inside(root: Path, path: Path) -> bool:
    try:
        _inside(root, path.relative_to(root).as_posix())
    except (OSError, RuntimeError):  # before Python 3.13 a loop of links is the latter
        return False
    return True
