"""What all data sets that are read whole have in common: splits, damage."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from skal.datasets import load_mnist

from .conftest import pixels, write_idx, write_mnist


def test_last_training_rows_are_the_validation_rows(home):
    images, labels = write_mnist(home)["train"]
    X, y = load_mnist(n_validation=6, return_X_y=True)
    np.testing.assert_array_equal(X[:, 0], images[:14])
    np.testing.assert_array_equal(y, labels[:14])
    X, y = load_mnist(split="validation", n_validation=6, return_X_y=True)
    np.testing.assert_array_equal(X[:, 0], images[14:])
    np.testing.assert_array_equal(y, labels[14:])
    assert len(load_mnist(split="test", n_validation=6).data) == 10


def test_subset_keeps_rows_of_its_classes_in_order(home):
    images, _ = write_mnist(home)["train"]  # labels 0 ... 9, 0 ... 9
    for subset in [(5, 7), (7, 5, 5), ("7", 5), np.array([5, 7]), iter([5, 7])]:
        X, y = load_mnist(subset=subset, return_X_y=True)
        np.testing.assert_array_equal(y, [5, 7, 5, 7])
        np.testing.assert_array_equal(X[:, 0], images[[5, 7, 15, 17]])
    X, y = load_mnist(subset=5, n_validation=8, return_X_y=True)
    np.testing.assert_array_equal(X[:, 0], images[[5]])
    assert load_mnist(subset="3", return_X_y=True)[1].tolist() == [3, 3]


@given(data=st.data())
def test_splits_of_a_subset_are_its_parts(tmp_path_factory, data):
    home = tmp_path_factory.mktemp("mnist")
    n = data.draw(st.integers(2, 40))
    written = write_mnist(home, n_train=n, n_test=1)
    n_validation = data.draw(st.integers(1, n - 1))
    images, labels = written["train"]
    in_both = sorted({*labels[:-n_validation]} & {*labels[-n_validation:]})
    assume(in_both)
    subset = data.draw(st.sets(st.sampled_from(in_both), min_size=1))
    options = {"subset": subset, "data_home": home, "return_X_y": True}
    parts = [load_mnist(split=s, n_validation=n_validation, **options) for s in ("train", "validation")]
    kept = np.isin(labels, list(subset))
    np.testing.assert_array_equal(np.concatenate([X for X, _ in parts])[:, 0], images[kept])
    np.testing.assert_array_equal(np.concatenate([y for _, y in parts]), labels[kept])
    assert len(parts[1][1]) == kept[n - n_validation :].sum()


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "fewer labels", "label 10", "wrong rank"])
def test_damaged_files(home, damage):
    write_mnist(home)
    images, labels = (
        home / "MNIST" / "raw" / f"train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")
    )
    if damage == "fewer labels":
        write_idx(labels, np.arange(10))
    elif damage == "label 10":
        write_idx(labels, np.arange(20) % 11)
    elif damage == "wrong rank":
        write_idx(images, pixels(20, 28))
    else:
        content = {"truncated": images.read_bytes()[:-100], "text": b"no images", "empty": b""}
        images.write_bytes(content[damage])
    with pytest.raises(
        ValueError, match=r"the files of MNIST in .* are damaged \(.*get them again with torchvision"
    ):
        load_mnist()


def test_memory_error_is_no_damage(home, monkeypatch):
    write_mnist(home)

    def too_large(*args):
        raise MemoryError

    monkeypatch.setattr("torchvision.datasets.mnist.read_image_file", too_large)
    with pytest.raises(MemoryError):
        load_mnist()
