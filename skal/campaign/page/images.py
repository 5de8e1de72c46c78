"""Image files in a folder, shown by their position and re-encoded: no byte of a file reaches a browser as it is."""

from __future__ import annotations

import io
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...pool import DatasetPool
from ...utils.replacing import replacing
from ..database import FILE
from .descriptors import Gradients
from .features import ImageFeatures
from .files import ENDINGS, list_images, upright
from .items import Items
from .pretrained import Pretrained, cached_network

_LISTED = "items.json"
_LARGEST = 2048  # pixels of a side; a photo of a camera has more than a screen
_LOSSLESS = 512  # up to which an image is sent as PNG


class Images(Items):
    """Image files below a folder.

    Parameters
    ----------
    root : Path
    names : sequence of str
        Relative to it, with slashes.
    features : str, default="gradients"
        What a classifier sees: "gradients", or the name of a network of torchvision whose weights are here.
    """

    kind, noun = "image", "image"

    def __init__(self, root: Path, names: Sequence[str], features: str = Gradients.name) -> None:
        self.root, self.names, self.features = root, list(names), features

    @classmethod
    def read(cls, root: Path, folder: Path) -> Images:
        """The images that were there when the campaign in a folder began, or those that are there now."""
        listed = folder / _LISTED
        if listed.exists() and (folder / FILE).exists():
            return cls(root, **json.loads(listed.read_bytes()))
        names = list_images(root)
        if not names:
            raise ValueError(f"{root} has no images; give a folder that has some ({', '.join(ENDINGS)}).")
        return cls(root, names, cached_network() or Gradients.name)

    def keep(self, folder: Path) -> None:
        """Write down which images there are and what is seen of them, so that it goes on when others come."""
        with replacing(folder / _LISTED) as file:
            file.write(json.dumps({"names": self.names, "features": self.features}).encode())

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        return os.fsencode(self.names[row]).decode(errors="replace")  # its bytes may be no text

    def shown(self, row: int) -> dict[str, Any]:
        return {"row": row, "name": self.name(row)}

    def raw(self) -> list[Path]:
        return [self.root / name for name in self.names]

    def pool(self, folder: Path) -> DatasetPool:
        known_as = zlib.crc32("\n".join(self.names).encode(errors="surrogateescape"))
        own = self.features == Gradients.name
        descriptor = Gradients() if own else Pretrained(self.features)
        key = f"{self.features}-{known_as:08x}"
        return DatasetPool(ImageFeatures(self.root, self.names, folder / f"{key}.bin", descriptor), key=key)

    def note(self) -> str:
        known = set(self.names)
        n_new = sum(name not in known for name in list_images(self.root))
        n_gone = sum(not os.path.lexists(self.root / name) for name in known)
        notes = [f"{n_new} new images are not part of this campaign"] if n_new else []
        notes += [f"{n_gone} images are gone and shown as broken"] if n_gone else []
        return "; ".join(notes)

    def image(self, row: int) -> tuple[bytes, str] | None:
        try:
            image = upright(self.root, self.names[row], _LARGEST)
            image.thumbnail((_LARGEST, _LARGEST))
            has_alpha = "A" in image.getbands() or "transparency" in image.info
            image = image.convert("RGBA" if has_alpha else "RGB")
            is_small = max(image.size) <= _LOSSLESS
            data = io.BytesIO()
            if is_small or has_alpha:
                image.save(data, "PNG")
            else:
                image.save(data, "JPEG", quality=90)
        except Exception:  # decoders raise anything
            return None
        return data.getvalue(), "image/png" if is_small or has_alpha else "image/jpeg"
