"""Mini- and Tiny-ImageNet are read back."""

import numpy as np
import pytest

from skal.datasets import load_mini_imagenet, load_tiny_imagenet

from .conftest import pixels, write_folder, write_image


@pytest.mark.parametrize("layout", ["folders", "lists"])
def test_mini_imagenet(home, layout):
    root = home / "mini-imagenet"
    classes = {"train": ["n03", "n01"], "val": ["n04"], "test": ["n02"]}
    images = {name: pixels(2, 84, 84, 3) for names in classes.values() for name in names}
    for part, names in classes.items():
        lines = ["filename,label"]
        for name in names:
            for i, image in enumerate(images[name]):
                file = f"{name}0000{i}.jpg"
                write_image(
                    root / part / name / file if layout == "folders" else root / "images" / file, image
                )
                lines.append(f"{file},{name}")
        if layout == "lists":
            (root / f"{part}.csv").write_text("\n".join(lines))
    bunch = load_mini_imagenet()
    assert bunch.target_names.tolist() == ["n01", "n02", "n03", "n04"]
    assert sorted(bunch.target.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3]
    for image, number, i in zip(bunch.data, bunch.target, [0, 1] * 4, strict=True):
        np.testing.assert_array_equal(image.transpose(1, 2, 0), images[f"n0{number + 1}"][i])
    for split, numbers in {"train": {0, 2}, "validation": {3}, "test": {1}}.items():
        assert set(load_mini_imagenet(split=split).target.tolist()) == numbers
    assert load_mini_imagenet(subset=("n02", 3), image_size=8).target.tolist() == [3, 3, 1, 1]
    with pytest.raises(
        ValueError, match=r"split 'test' of Mini-ImageNet has no class 'n01'; allowed are 1 \('n02'\)$"
    ):
        load_mini_imagenet(split="test", subset="n01")


def test_mini_imagenet_with_a_part_missing_or_damaged(home):
    for part in ("train", "val"):
        write_folder(home / "mini-imagenet" / part, [part])
    with pytest.raises(FileNotFoundError, match=r"no mini-imagenet/test or mini-imagenet/test\.csv\. "):
        load_mini_imagenet(split="train")
    for text in ("", "file,class\n0.jpg,n01\n", "filename,label\n0.jpg\n"):
        (home / "mini-imagenet" / "test.csv").write_text(text)
        with pytest.raises(ValueError, match=r"test\.csv is damaged: it needs columns filename and label"):
            load_mini_imagenet()


def test_tiny_imagenet(home):
    root = home / "tiny-imagenet-200"
    classes = ["n01", "n02", "n03"]
    train = pixels(3, 2, 64, 64, 3)
    for name, group in zip(classes, train, strict=True):
        for i, image in enumerate(group):
            write_image(root / "train" / name / "images" / f"{name}_{i}.JPEG", image)
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
    val = pixels(4, 64, 64, 3)
    labels = [2, 0, 2, 1]
    for i, image in enumerate(val):
        write_image(root / "val" / "images" / f"val_{i}.JPEG", image)
    lines = [f"val_{i}.JPEG\t{classes[label]}\t0\t0\t62\t63\n" for i, label in enumerate(labels)]
    (root / "val" / "val_annotations.txt").write_text("".join(lines))

    bunch = load_tiny_imagenet()
    np.testing.assert_array_equal(bunch.data.transpose(0, 2, 3, 1), train.reshape(6, 64, 64, 3))
    assert bunch.target.tolist() == [0, 0, 1, 1, 2, 2]
    assert bunch.target_names.tolist() == classes
    X, y = load_tiny_imagenet(split="validation", return_X_y=True)
    np.testing.assert_array_equal(X.transpose(0, 2, 3, 1), val)
    assert y.tolist() == labels
    X, y = load_tiny_imagenet(split="validation", subset=("n01", "n02"), image_size=32, return_X_y=True)
    assert (X.shape, y.tolist()) == ((2, 3, 32, 32), [0, 1])
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG n01\n")
    with pytest.raises(ValueError, match=r"val_annotations\.txt is damaged"):
        load_tiny_imagenet(split="validation")
