"""Images decoded by Pillow, and scaled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def pixels(item: Any, channels: int, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Decode one image, a path or a record, upright, to an array of shape (channels, height, width)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(item if isinstance(item, str) else item.open()) as stored:
            if stored.mode[0] in "IF":
                raise ValueError("it has more than 8 bits per channel")
            return _fitted(ImageOps.exif_transpose(stored).convert("RGB" if channels == 3 else "L"), size)
    except Exception as error:  # decoders raise anything
        raise ValueError(f"{item} cannot be decoded ({error}); replace or remove it") from error


def in_8_bits(image: Any) -> Any:
    """Return an image of Pillow with grey values of more than 8 bits stretched from the darkest to the brightest.

    Pillow itself would show all values above 255 as white. Other images are unchanged.
    """
    from PIL import Image

    if image.mode[0] not in "IF":  # integers of 16 and 32 bits, and floats
        return image
    values = np.asarray(image, np.float64)
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    shares = np.nan_to_num((values - low) / max(high - low, 1e-300), posinf=1, neginf=0)
    return Image.fromarray((255 * shares).round().astype(np.uint8))


def resize(images: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """Cut images (N, C, H, W) to the aspect ratio of `size` (height, width) about their centre and resize them."""
    from PIL import Image

    if size is None or size == images.shape[2:]:
        return images
    stored = images[:, 0] if images.shape[1] == 1 else images.transpose(0, 2, 3, 1)
    fitted = [_fitted(Image.fromarray(image), size) for image in stored]
    return np.array(fitted, dtype=np.uint8).reshape(-1, images.shape[1], *size)


def _fitted(image: Any, size: tuple[int, int] | None) -> NDArray[np.uint8]:
    from PIL import ImageOps

    fitted = image if size is None else ImageOps.fit(image, size[::-1])
    return np.atleast_3d(np.asarray(fitted)).transpose(2, 0, 1)
