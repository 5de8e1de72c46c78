"""What is read from folders and files, and how it is shown."""

import json
import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skal.campaign.page import begin, read_items
from skal.campaign.page.descriptors import N_FEATURES, SIDE, Gradients, describe
from skal.campaign.page.features import ImageFeatures
from skal.campaign.page.reading import campaign_folder
from skal.campaign.page.texts import Texts

from .common import begun, image_folder, save_image

pytest.importorskip("pandas")


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_images_are_found_in_folders_of_folders(tmp_path):
    for name in ("b/2.JPG", "a.png", "b/c/3.webp", "b/1.gif"):
        save_image(tmp_path / "photos" / name, 0)
    written(tmp_path / "photos", "notes.txt", "no image")
    items = read_items(tmp_path / "photos")
    assert items.kind == "image"
    assert items.names == ["a.png", "b/1.gif", "b/2.JPG", "b/c/3.webp"]
    assert items.raw()[1] == tmp_path / "photos" / "b" / "1.gif"
    for row in range(4):
        data, media_type = items.image(row)
        assert media_type == "image/png"
        assert data.startswith(b"\x89PNG")


def test_relative_folders_are_the_same_ones_wherever_the_process_goes(tmp_path, monkeypatch):
    image_folder(tmp_path, 3)
    monkeypatch.chdir(tmp_path)
    items = read_items("photos")
    with begin("campaign", items, classes=["cat", "dog"], training=None) as campaign:
        monkeypatch.chdir("photos")
        assert items.image(0) is not None
        assert len(campaign.answer("anna", 0, "cat").next("anna", 3)) == 2
        assert items.pool(campaign.path).take(np.arange(3)).shape[0] == 3
    assert [path.name for path in (tmp_path / "photos").iterdir() if path.is_dir()] == []


def test_large_images_are_sent_smaller(tmp_path):
    save_image(tmp_path / "photos" / "large.jpg", 0, size=(3000, 1500))
    data, media_type = read_items(tmp_path / "photos").image(0)
    assert media_type == "image/jpeg"
    from io import BytesIO

    from PIL import Image

    assert Image.open(BytesIO(data)).size == (2048, 1024)


def test_turned_photos_are_shown_upright(tmp_path):
    from io import BytesIO

    from PIL import Image

    photo = Image.new("RGB", (40, 20))
    exif = photo.getexif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = "where it was taken"
    (tmp_path / "photos").mkdir()
    photo.save(tmp_path / "photos" / "turned.jpg", exif=exif)
    data, _ = read_items(tmp_path / "photos").image(0)
    assert Image.open(BytesIO(data)).size == (20, 40)
    assert b"where" not in data


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_grey_values_of_many_bits_are_stretched(tmp_path, dtype):
    from io import BytesIO

    from PIL import Image

    steps = np.arange(256).reshape(16, 16)
    values = (steps * 200 + 1000).astype(dtype) / (1 if dtype != np.float32 else dtype(1e6))
    (tmp_path / "photos").mkdir()
    for name, each in (("0.tif", values), ("1.tif", np.full_like(values, 70))):
        Image.fromarray(each).save(tmp_path / "photos" / name)
    if dtype == np.float32:
        values[0, :2] = np.nan, np.inf
        Image.fromarray(values).save(tmp_path / "photos" / "2.tif")
    items = read_items(tmp_path / "photos")
    shown = [np.asarray(Image.open(BytesIO(items.image(row)[0])))[..., 0] for row in range(len(items))]
    assert_array_equal(shown[0], steps)
    assert not shown[1].any()
    assert len(items) == 2 or shown[2][0, :2].tolist() == [0, 255]
    features = items.pool(tmp_path / "campaign")
    assert np.abs(features.dense()[0] - features.dense()[1]).max() > 0


def test_a_campaign_goes_on_when_images_come_and_go(tmp_path):
    folder = image_folder(tmp_path, 4)
    campaign, _ = begun(folder, folder=campaign_folder(folder))
    with campaign:
        campaign.answer("anna", 2, "cat")
    save_image(folder / "000.png", 9)
    (folder / "03.png").unlink()
    again = read_items(folder)
    assert again.names == ["00.png", "01.png", "02.png", "03.png"]
    assert again.note() == "1 new images are not part of this campaign; 1 images are gone and shown as broken"
    assert again.image(3) is None
    with begin(str(campaign_folder(folder)), again, training=None) as campaign:
        assert campaign.said(2) == {"anna": "cat"}


def test_a_campaign_may_move_with_its_images(tmp_path):
    folder = image_folder(tmp_path, 4)
    begun(folder, folder=campaign_folder(folder))[0].close()
    (tmp_path / "elsewhere").mkdir()
    for path in (folder, campaign_folder(folder)):
        shutil.move(path, tmp_path / "elsewhere" / path.name)
    moved = tmp_path / "elsewhere" / "photos"
    items = read_items(moved)
    with begin(campaign_folder(moved), items, training="foreground") as campaign:
        assert len(campaign.next("anna", 4)) == 4
    assert len(items.pool(campaign_folder(moved)).dense()) == 4


@pytest.mark.parametrize(
    ("name", "text", "kind", "n", "first"),
    [
        ("a.txt", "one\ntwo\n", "text", 2, "one"),
        ("a.log", "\ufeffone\n\nthree\n", "text", 3, "one"),
        ("a.csv", "text\nfirst of all\nsecond\n", "text", 2, "first of all"),
        ("a.csv", 'text\n"with, comma\nand line"\nsecond\n', "text", 2, "with, comma and line"),
        (
            "a.tsv",
            "id\twords\nx\tthis is a long text\ny\tthis is another one\n",
            "text",
            2,
            "this is a long text",
        ),
        ("a.jsonl", '{"text": "one"}\n{"text": "two"}\n', "text", 2, "one"),
        ("a.csv", "a,b\n1,x\n2.5,y\n", "table", 2, "1, x"),
        ("a.csv", "a\n1\n2\n", "table", 2, "1"),
        (
            "a.csv",
            "id,words\n1,this is a long text\n2,this is another one\n",
            "table",
            2,
            "1, this is a long text",
        ),
        ("a.jsonl", '{"a": 1, "b": null}\n{"a": 2, "b": "z"}\n', "table", 2, "1, –"),
    ],
)
def test_files_are_texts_or_tables(tmp_path, name, text, kind, n, first):
    items = read_items(written(tmp_path, name, text))
    assert (items.kind, len(items), items.name(0)) == (kind, n, first)


def test_a_column_is_named(tmp_path):
    path = written(tmp_path, "a.csv", "id,words,more\n1,one,x\n2,,y\n")
    items = read_items(path, column="words")
    assert items.kind == "text"
    assert items.raw() == ["one", ""]
    assert read_items(path, kind="table").kind == "table"
    with pytest.raises(ValueError, match=r"no column 'word'; there are \['id', 'words', 'more'\]"):
        read_items(path, column="word")
    with pytest.raises(ValueError, match=r"--column, one of \['id', 'words', 'more'\]"):
        read_items(path, kind="text")


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv", "a.jsonl"])
def test_texts_are_shown_as_they_are_written(tmp_path, name):
    texts = ["None", "NA is bad", "NA", "null", "nan", "", "007", "1e5", "3", "1.50", "TRUE"]
    texts += ["one\u2028one", "two\x85two", "three\x0cthree", "four\x1cfour", " spaces "]
    if name == "a.jsonl":
        lines = [json.dumps({"id": i, "words": text}) for i, text in enumerate(texts)]
    else:
        separator = {"a.csv": ",", "a.tsv": "\t"}.get(name, "")
        lines = [f"{i}{separator}{text}" for i, text in enumerate(texts)] if separator else texts
        lines = [f"id{separator}words", *lines] if separator else lines
    path = tmp_path / name
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    column = None if name == "a.txt" else "words"
    assert read_items(path, column=column).raw() == texts


def test_numbers_of_json_are_shown_as_they_are_written(tmp_path):
    cells = ["12345678901234567", "1.50", "null", "true", '{"a": [1, "é"]}', "123456789012345678901", '"x"']
    path = written(tmp_path, "a.jsonl", "".join(f'{{"a": {cell}}}\n' for cell in cells) + '{"b": 1}\n')
    expected = [*cells[:2], "", *cells[3:6], "x", ""]
    assert read_items(path, column="a").raw() == expected


def test_cells_are_shown_as_they_are_written_and_numbers_are_learned(tmp_path):
    for name, text in (
        ("a.csv", "a,b,c\n007,1234567.50,NA\n,12345678901234567,x\n"),
        ("a.jsonl", '{"a": 7, "b": 1234567.50, "c": "NA"}\n{"b": 12345678901234567, "c": "x"}\n'),
    ):
        items = read_items(written(tmp_path, name, text), kind="table")
        first = "007" if name == "a.csv" else "7"
        assert items.shown(0)["fields"] == [("a", first), ("b", "1234567.50"), ("c", "NA")]
        assert items.shown(1)["fields"] == [("a", "–"), ("b", "12345678901234567"), ("c", "x")]
        assert [kind.kind for kind in items.raw().dtypes[:2]] == ["f", "f"]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.csv", "text\nhello, world\nb, c\n", "more cells than there are names of columns; put texts"),
        (
            "a.csv",
            "text\nhello\nb, c\n",
            "Expected 1 fields in line 3, saw 2.*put texts that hold the separator",
        ),
        ("a.csv", 'text\nhello\n"b\n', "EOF inside string.*put texts that hold the separator, quotes"),
        ("a.jsonl", '{"a": 1}\n{"a": \n', r"holds '\{\"a\": ', which is no JSON .*; mend this line"),
        ("a.jsonl", '["a"]\n', "each line must be an object"),
    ],
)
def test_rows_that_would_lose_something_are_refused(tmp_path, name, text, match):
    with pytest.raises(ValueError, match=match):
        read_items(written(tmp_path, name, text))


@pytest.mark.parametrize(
    ("name", "params", "error", "match"),
    [
        ("nothing", {}, FileNotFoundError, "is not there"),
        ("empty", {}, ValueError, "no images"),
        ("empty", {"kind": "text"}, ValueError, "is a folder"),
        ("empty", {"column": "a"}, ValueError, "is a folder"),
        ("a.txt", {"kind": "image"}, ValueError, "is a file"),
        ("a.txt", {"kind": "table"}, ValueError, "no columns"),
        ("a.txt", {"kind": "movie"}, ValueError, "'image', 'text' or 'table'"),
        ("blank.txt", {}, ValueError, "is empty"),
        ("blank.csv", {}, ValueError, "is empty"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, name, params, error, match):
    (tmp_path / "empty").mkdir()
    for file, text in (("a.txt", "one\n"), ("blank.txt", ""), ("blank.csv", "a,b\n")):
        written(tmp_path, file, text)
    with pytest.raises(error, match=match):
        read_items(tmp_path / name, **params)


def test_other_texts_are_another_campaign(tmp_path):
    path = written(tmp_path, "a.txt", "one\ntwo\n")
    begun(path)[0].close()
    written(tmp_path, "a.txt", "one\nthree\n")
    with pytest.raises(ValueError, match="not the pool of the campaign"):
        begun(path)


def test_other_classes_are_another_campaign(tmp_path):
    path = written(tmp_path, "a.txt", "one\ntwo\n")
    begun(path)[0].close()
    for classes in (None, ["dog", "cat"]):
        begun(path, classes=classes)[0].close()
    with pytest.raises(ValueError, match=r"campaign with the classes \['cat', 'dog'\]"):
        begun(path, classes=["cat", "bird"])


def test_wide_tables_and_long_cells_are_cut(tmp_path):
    header, cells = ",".join(f"c{i}" for i in range(300)), ",".join(["x" * 5000, *"y" * 299])
    shown = read_items(written(tmp_path, "a.csv", f"{header}\n{cells}\n")).shown(0)
    assert len(shown["fields"]) == 200
    assert shown["n_left"] == 100
    assert shown["fields"][0][1] == "x" * 2000 + " … (5000 characters)"


@pytest.mark.parametrize(("name", "noun"), [("a.txt", "text"), ("a.csv", "row"), ("a.jsonl", "row")])
def test_what_is_not_in_utf8_is_told(tmp_path, name, noun):
    text = {"a.txt": "\xe9t\xe9\ntea\n", "a.csv": "a,b\n\xe9t\xe9,1\ntea,2\n"}
    text["a.jsonl"] = '{"a": "\xe9t\xe9", "b": 1}\n{"a": "tea", "b": 2}\n'
    for encoding, note in (("latin-1", f"1 {noun}s have characters that cannot be read"), ("utf-8", "")):
        (tmp_path / name).write_bytes(text[name].encode(encoding))
        found = read_items(tmp_path / name, kind="table" if noun == "row" else None).note()
        assert found.startswith(note)
        assert bool(found) == bool(note)


def test_half_characters_are_shown():
    assert Texts(["half \ud83d"]).shown(0)["part"] == "half ?"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "a\nb\nc\nd\n"),
        ("a.txt", "\n".join(f"{'good' if i % 2 else 'bad'} words {i}" for i in range(40))),
        ("a.txt", "\n".join(f"{'私は学生です' if i % 2 else '彼は先生でした'}{i}" for i in range(40))),
        ("a.txt", "🙂\n\n🙃\n \n"),
        ("a.csv", "number,word\n" + "".join(f"{i % 2 + 0.1},w{i}\n" for i in range(40))),
        ("a.csv", "number,word,nothing\n1,x,\n,,\n3,y,\n4,x,\n"),
        ("a.csv", "when,is\n2020-01-01,True\n2021-01-01,False\n2022-01-01,True\n2022-01-02,True\n"),
    ],
)
def test_the_default_learner_trains_on_whatever_there_is(tmp_path, name, text):
    begun(written(tmp_path, name, text), retrain_every=4)[0].close()
    campaign, _ = begun(written(tmp_path, name, text), training="foreground")  # the journal has the learner
    with campaign:
        for row in campaign.next("anna", 4):
            campaign.answer("anna", row, ["cat", "dog"][row % 2])
        campaign.next("anna", 1)
        progress = campaign.progress()
        assert progress.failure is None
        assert progress.by_model[-1]["n_labeled"] == 4
        assert campaign.batches()[0]["note"] is None


def brute_force(image, cell):
    """Histograms of gradients of one image, pixel by pixel."""
    n = SIDE // cell
    votes = np.zeros((n, n, 9))
    for i in range(SIDE):
        for j in range(SIDE):
            down = image[i + 1, j] - image[i - 1, j] if 0 < i < SIDE - 1 else np.zeros(3)
            right = image[i, j + 1] - image[i, j - 1] if 0 < j < SIDE - 1 else np.zeros(3)
            best = int(np.argmax(down**2 + right**2))
            angle = np.arctan2(down[best], right[best]) % np.pi / np.pi * 9
            low, share = int(angle), angle - int(angle)
            votes[i // cell, j // cell, low % 9] += np.hypot(down[best], right[best]) * (1 - share)
            votes[i // cell, j // cell, (low + 1) % 9] += np.hypot(down[best], right[best]) * share
    blocks = []
    for i in range(n - 1):
        for j in range(n - 1):
            block = np.concatenate([votes[i, j], votes[i + 1, j], votes[i, j + 1], votes[i + 1, j + 1]])
            block = np.minimum(block / np.sqrt((block**2).sum() + cell**4), 0.2)
            blocks.append(block / np.sqrt((block**2).sum() + 1e-6))
    return np.concatenate(blocks)


def test_features_are_histograms_of_gradients():
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    features = describe(images)
    assert features.shape == (2, N_FEATURES)
    for image, found in zip(images.astype(float), features, strict=True):
        small = image.reshape(8, 8, 8, 8, 3).mean((1, 3)).ravel() / 255
        expected = np.concatenate([brute_force(image, 8), brute_force(image, 16), small])
        assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_features_are_computed_once_an_image_is_there(tmp_path):
    folder = image_folder(tmp_path, 2)
    names, file = ["00.png", "01.png"], tmp_path / "features.bin"
    (folder / "00.png").rename(tmp_path / "away.png")
    first = np.stack(ImageFeatures(folder, names, file, Gradients()).__getitems__([0, 1]))
    assert not first[0].any()
    (tmp_path / "away.png").rename(folder / "00.png")
    features = ImageFeatures(folder, names, file, Gradients())
    assert features[0].any()
    assert_array_equal(features[1], first[1])


def test_features_are_computed_once(tmp_path):
    folder = image_folder(tmp_path, 5)
    (folder / "02.png").write_bytes(b"broken")
    names = [f"{i:02d}.png" for i in range(5)]
    features = ImageFeatures(folder, names, tmp_path / "c" / "features.bin", Gradients())
    first = np.stack([features[i] for i in range(3)])
    assert not first[2].any()
    assert first[0].any()
    assert not np.array_equal(first[0], first[1])
    shutil.rmtree(folder)
    again = ImageFeatures(folder, names, tmp_path / "c" / "features.bin", Gradients())
    assert_array_equal(again.__getitems__([2, 0, 1]), first[[2, 0, 1]])
    assert not again[3].any()  # its file is gone
