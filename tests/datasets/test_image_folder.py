"""Image files are read back from a folder per class, and from folders without classes."""

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import Dataset

from skal import UNLABELED, ActiveLearner
from skal.classifiers import CNNClassifier
from skal.datasets import load_image_folder
from skal.pool import DatasetPool
from skal.strategies import BADGE, RandomSampling, UncertaintySampling

from .conftest import write_folder


def test_image_folder(home):
    images = write_folder(home / "zoo")
    for cache in (True, False, home / "elsewhere"):
        bunch = load_image_folder(home / "zoo", cache=cache)
        np.testing.assert_array_equal(bunch.data.transpose(0, 2, 3, 1), images.reshape(6, 6, 8, 3))
        assert bunch.target.tolist() == [0, 0, 0, 1, 1, 1]
        assert bunch.target_names.tolist() == ["ant", "bee"]
        assert bunch.filenames.tolist() == [f"{name}/{n}.png" for name in ("ant", "bee") for n in range(3)]
        assert isinstance(bunch.data, np.memmap) == (cache is not False)
        assert bunch.data.flags.writeable == (cache is False)
    assert len(list((home / "skal-cache").iterdir())) == len(list((home / "elsewhere").iterdir())) == 1
    X, y = load_image_folder(str(home / "zoo"), subset="bee", return_X_y=True)
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), images[1])
    assert y.tolist() == [1, 1, 1]


def photo(path, colour, **options):
    """A plain image, which any compression keeps except for a level or two."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (12, 8), colour).save(path, **options)


COLOURS = {
    "c.JPG": (200, 30, 30),
    "a.png": (10, 20, 30),
    "b.jpeg": (40, 180, 60),
    "2024/07/beach.jpg": (20, 60, 200),
    "2024/1.png": (90, 90, 90),
}


def assert_colours(bunch, names, colours=COLOURS):
    assert bunch.filenames.tolist() == names
    for image, name in zip(bunch.data, names, strict=True):
        assert image.shape == (3, 8, 12)
        np.testing.assert_allclose(
            image, np.reshape(colours[name], (3, 1, 1)) + np.zeros(image.shape), atol=3
        )


@pytest.mark.parametrize("cache", [True, False])
def test_photos_in_any_folders_are_unlabelled(home, cache):
    for name, colour in COLOURS.items():
        photo(home / "photos" / name, colour)
    photo(home / "photos" / ".trash" / "old.png", (0, 0, 0))
    bunch = load_image_folder(home / "photos", classes=False, cache=cache)
    assert_colours(bunch, ["a.png", "b.jpeg", "c.JPG", "2024/1.png", "2024/07/beach.jpg"])
    assert bunch.target.tolist() == [UNLABELED] * 5
    assert bunch.target.dtype == np.int64
    assert bunch.target_names.dtype.kind == "U"
    assert not bunch.target_names.size
    X, y = load_image_folder(home / "photos", classes=False, cache=cache, return_X_y=True)
    np.testing.assert_array_equal(X, bunch.data)
    np.testing.assert_array_equal(y, bunch.target)
    with pytest.raises(ValueError, match=r"no class 'a'; allowed are none: the rows have no labels"):
        load_image_folder(home / "photos", classes=False, subset="a")


def test_a_flat_folder_needs_no_argument(tmp_path):
    flat = [name for name in COLOURS if "/" not in name]
    for name in flat:
        photo(tmp_path / name, COLOURS[name])
    bunch = load_image_folder(tmp_path, cache=False)
    assert_colours(bunch, sorted(flat))
    assert bunch.target.tolist() == [UNLABELED] * 3


def test_images_beside_the_folders_of_the_classes_are_unlabelled(home):
    for name, colour in COLOURS.items():
        photo(home / "photos" / name, colour)
    bunch = load_image_folder(home / "photos")
    assert_colours(bunch, ["2024/1.png", "2024/07/beach.jpg", "a.png", "b.jpeg", "c.JPG"])
    assert bunch.target.tolist() == [0, 0, UNLABELED, UNLABELED, UNLABELED]
    assert bunch.target_names.tolist() == ["2024"]
    only = load_image_folder(home / "photos", subset="2024")
    assert_colours(only, ["2024/1.png", "2024/07/beach.jpg"])
    (home / "photos" / "a.png").rename(home / "photos" / "2024" / "a.png")  # which labels it
    colours = {**COLOURS, "2024/a.png": COLOURS["a.png"]}
    moved = load_image_folder(home / "photos")
    assert_colours(moved, ["2024/1.png", "2024/a.png", "2024/07/beach.jpg", "b.jpeg", "c.JPG"], colours)
    assert moved.target.tolist() == [0, 0, 0, UNLABELED, UNLABELED]


class Photos(Dataset):
    """Image files, decoded when they are asked for."""

    def __init__(self, root, names):
        self.paths = [str(root / name) for name in names]
        self.n_decoded = 0

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        self.n_decoded += 1
        with Image.open(self.paths[row]) as image:
            return np.asarray(image.convert("RGB").resize((16, 16))).transpose(2, 0, 1)


@pytest.mark.parametrize("strategy", [RandomSampling(), UncertaintySampling(), BADGE()], ids=repr)
def test_an_unlabelled_folder_is_a_pool(tmp_path, strategy):
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.arange(24) % 2)
    for number, bright in enumerate(truth):
        image = rng.integers(0, 100, (16, 16, 3), dtype=np.uint8) + np.uint8(90 * bright)
        Image.fromarray(image).save(tmp_path / f"{number:02}.png")
    photos = load_image_folder(tmp_path, cache=tmp_path / "cache", classes=False)
    lazy = Photos(tmp_path, photos.filenames)
    start = [*np.flatnonzero(truth == 0)[:4], *np.flatnonzero(truth == 1)[:4]]

    def learner(X):
        cnn = CNNClassifier("lenet", max_epochs=8, random_state=0)
        fitted = ActiveLearner(cnn, strategy, n_queries=5, random_state=0).fit(X, photos.target)
        assert not len(fitted.y_[fitted.y_ != UNLABELED])
        return fitted.teach(start, truth[start])

    whole, decoded = learner(photos.data), learner(DatasetPool(lazy))
    rows = whole.query()
    np.testing.assert_array_equal(decoded.query(), rows)
    assert not np.isin(rows, start).any()
    assert whole.score(photos.data, truth) > 0.8
    assert set(photos.filenames[rows]) <= {f"{number:02}.png" for number in range(24)}
    if isinstance(strategy, RandomSampling):
        assert (
            lazy.n_decoded < 2 * len(start) * 8 + 24
        )  # the labelled ones, in each epoch, and a look at the first


@pytest.mark.parametrize("place", [".photos", "photos"])
def test_hidden_files_and_folders_are_left_out(tmp_path, monkeypatch, place):
    root = tmp_path / place
    for name in ("cat/1.png", "dog/2.png", "dog/more/3.png", "cat/.thumbs/1.png", "dog/more/.a/b/3.png"):
        photo(root / name, "red")
    for name in ("cat/._1.png", "dog/more/._3.png", "._top.png"):  # as macOS leaves them in archives
        (root / name).write_bytes(b"no image")
    names = ["cat/1.png", "dog/2.png", "dog/more/3.png"]
    monkeypatch.chdir(tmp_path)
    for folder in (root, place, f"./{place}", f"../{tmp_path.name}/{place}"):
        assert load_image_folder(folder, cache=False).filenames.tolist() == names
        assert load_image_folder(folder, cache=False, classes=False).filenames.tolist() == names
    monkeypatch.chdir(root)
    assert load_image_folder(".", cache=False).filenames.tolist() == names


def test_image_folder_without_images(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere is no folder; give one"):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"has no folders; it must have a folder of images for each class"
    ):
        load_image_folder(tmp_path, classes=True)
    with pytest.raises(
        FileNotFoundError, match=r"has no images; give a folder that has some \(\.jpg.*each class"
    ):
        load_image_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".png").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="has no images"):
        load_image_folder(tmp_path)
    write_folder(tmp_path)
    (tmp_path / "cow").mkdir()
    with pytest.raises(FileNotFoundError, match=r"lacks images.*class.* cow.*classes=False"):
        load_image_folder(tmp_path)


def test_image_folder_arguments(tmp_path):
    write_folder(tmp_path)
    with pytest.raises(ValueError, match=r"channels=4 was given; allowed are 1"):
        load_image_folder(tmp_path, channels=4)
    with pytest.raises(ValueError, match=r"no class 'cow'; allowed are 0 \('ant'\), 1 \('bee'\)"):
        load_image_folder(tmp_path, subset="cow")
    with pytest.raises(ValueError, match=r"n_jobs == 0"):
        load_image_folder(tmp_path, n_jobs=0, cache=False)
