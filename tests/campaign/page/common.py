"""A page over a few images or texts, without a server."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette")

from starlette.testclient import TestClient

from skal.campaign.page import begin, make_app, read_items

CLASSES = ["cat", "dog"]


def save_image(path, seed, size=(20, 16)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def image_folder(tmp_path, n=12):
    folder = tmp_path / "photos"
    for i in range(n):
        save_image(folder / f"{i:02d}.png", i)
    return folder


def text_file(tmp_path, texts):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(texts))
    return path


class Browser:
    """What the page of an annotator does."""

    def __init__(self, campaign, items, annotator="anna", **params):
        self.campaign, self.annotator, self.n_ops = campaign, annotator, 0
        self.client = TestClient(make_app(campaign, items, **params), base_url="http://localhost")

    def get(self, path, **params):
        return self.client.get(path, **params)

    def op(self, kind, row, **more):
        self.n_ops += 1
        return {"id": f"{self.annotator}{self.n_ops}", "kind": kind, "row": row, **more}

    def post(self, *ops, n=2, **more):
        body = {"campaign": self.campaign.key, "annotator": self.annotator, "ops": list(ops), "n": n, **more}
        return self.client.post("/sync", json=body)

    def sync(self, *ops, **more):
        response = self.post(*ops, **more)
        assert response.status_code == 200, response.text
        return response.json()


def begun(path, *, folder=None, classes=CLASSES, training=None, **params):
    """A campaign about what is at a path, and its items."""
    items = read_items(path)
    where = path.with_name("campaign") if folder is None else folder
    return begin(where, items, classes=classes, training=training, **params), items
