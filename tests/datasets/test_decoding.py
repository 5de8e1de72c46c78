"""Images are decoded, cut and scaled as Pillow does."""

import functools

import numpy as np
import pytest
from PIL import Image

from skal.datasets import load_image_folder

from .conftest import pixels, write_image


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "LA", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_modes_of_images(tmp_path, mode, channels):
    image = Image.fromarray(pixels(6, 8, 3)).convert(mode)
    (tmp_path / "a").mkdir()
    image.save(tmp_path / "a" / "0.tiff")
    X = load_image_folder(tmp_path, channels=channels, cache=False).data
    expected = np.asarray(image.convert("RGB" if channels == 3 else "L")).reshape(6, 8, channels)
    np.testing.assert_array_equal(X[0].transpose(1, 2, 0), expected)


def test_jpeg_is_decoded_as_pillow_does(tmp_path):
    write_image(tmp_path / "a" / "deep" / "0.JPEG", pixels(32, 32, 3), format="JPEG", quality=75)
    write_image(tmp_path / "a" / "1.webp", pixels(32, 32, 3), format="WEBP")
    (tmp_path / "a" / "notes.txt").write_text("not an image")
    (tmp_path / ".hidden").mkdir()
    X = load_image_folder(tmp_path, cache=False).data
    for image, path in zip(X, [tmp_path / "a" / "1.webp", tmp_path / "a" / "deep" / "0.JPEG"], strict=True):
        np.testing.assert_array_equal(image.transpose(1, 2, 0), np.asarray(Image.open(path).convert("RGB")))


def test_turned_photos_are_upright(tmp_path):
    image = pixels(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned to the left
    write_image(tmp_path / "a" / "0.png", image, exif=exif)
    X = load_image_folder(tmp_path, cache=False).data
    np.testing.assert_array_equal(X[0].transpose(1, 2, 0), np.rot90(image, -1))


def test_images_are_cut_about_their_centre(tmp_path):
    wide, tall = pixels(6, 10), pixels(12, 6)
    write_image(tmp_path / "a" / "0.png", wide)
    write_image(tmp_path / "a" / "1.png", tall)
    load = functools.partial(load_image_folder, tmp_path, channels=1, cache=False)
    X = load(image_size=6).data
    np.testing.assert_array_equal(X[:, 0], [wide[:, 2:8], tall[3:9]])
    np.testing.assert_array_equal(load(image_size=(12, 6)).data[1, 0], tall)
    bicubic = {"size": (4, 2), "resample": Image.Resampling.BICUBIC}  # width, height
    expected = [
        Image.fromarray(wide).resize(box=(0, 0.5, 10, 5.5), **bicubic),
        Image.fromarray(tall).resize(box=(0, 4.5, 6, 7.5), **bicubic),
    ]
    np.testing.assert_array_equal(load(image_size=(np.int64(2), 4)).data[:, 0], expected)
