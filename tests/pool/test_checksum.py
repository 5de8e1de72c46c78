"""Checksums read about as much as they may, in pieces, and every piece counts."""

import pickle
import sys
import threading
import zlib

import numpy as np
import pytest
import torch

from skal.pool.checksum import as_text, checksum, how_columns_differ, object_checksum
from tests.processes import run_fresh


@pytest.fixture
def pieces(monkeypatch):
    """Bytes of the pieces that were read."""
    sizes = []

    def reading(data, value=0):
        sizes.append(len(data))
        return zlib_crc32(data, value)

    zlib_crc32 = zlib.crc32
    monkeypatch.setattr(zlib, "crc32", reading)
    return sizes


@pytest.mark.parametrize("n_rows", [100, 300_000, 1_050_000, 1_500_000, 10_000_000])
@pytest.mark.parametrize("max_bytes", [1 << 18, 1 << 24])
def test_a_bounded_share_is_read_in_small_pieces(n_rows, max_bytes, pieces):
    X = np.broadcast_to(np.float64(1), (n_rows, 4))  # takes no memory
    checksum(X, max_bytes)
    row, wanted = 32, min(X.nbytes, max_bytes)
    assert wanted / 2 - 2 * row < sum(pieces) <= wanted + 2 * row
    assert max(pieces) <= 1 << 22


def test_every_piece_counts():
    X = np.zeros((4, 1 << 18))  # 2 MiB per row, two to a piece
    before = checksum(X, X.nbytes)
    for row in range(4):
        X[row, 5] = 1
        assert checksum(X, X.nbytes) != before
        X[row, 5] = 0
    assert checksum(X, X.nbytes) == before


def test_objects_are_read_by_what_they_print():
    X = np.array([["a", None], ["b", 3]], dtype=object)
    before = checksum(X, 1 << 18)
    assert checksum(X.copy(), 1 << 18) == before
    X[1, 1] = 4
    assert checksum(X, 1 << 18) != before


@pytest.mark.parametrize("inner", [list, tuple])
def test_lists_of_tokens_are_read_by_what_they_print(inner, monkeypatch):
    tokens = [["a", "b"], ["c"]]
    texts = {as_text(list(map(inner, rows))) for rows in (tokens, [["a"], ["b", "c"]], [["a", "b"], [None]])}
    assert len(texts) == 3
    assert as_text([*map(inner, tokens)]) in texts
    assert as_text([*map(inner, tokens), {"a"}]) == object_checksum([*map(inner, tokens), {"a"}])
    monkeypatch.setattr("skal.pool.checksum.object_checksum", lambda _: pytest.fail("they were pickled"))
    as_text([*map(inner, tokens)])


def cells(*objects):
    array = np.empty((len(objects), 1), dtype=object)
    for row, each in enumerate(objects):  # torch's old tensors and NumPy do not like to be given together
        array[row, 0] = each
    return array


class Thing:
    """Prints as its address."""

    def __init__(self, content):
        self.content = content


OBJECTS = {
    "arrays": [np.zeros(5000), np.zeros(5001)],
    "tensors": [torch.zeros(2), torch.zeros(3)],
    "things": [Thing(1), Thing({"b", "a", None})],
    "sets": [frozenset([frozenset("ab"), frozenset("c")]), {"a", None, 3}],
    "views": [np.arange(60.0).reshape(6, 10)[:, 1], np.arange(60.0).reshape(6, 10)[1:2, ::3]],
    "views of files": [np.arange(60.0)[::2].view(np.memmap), np.arange(3)],
    "orders": [np.arange(6.0).reshape(2, 3).T, np.arange(60).reshape(6, 10)[::2, 3:5]],
    "keys": [{"a": 1, None: {"b", "c"}, 3: "b"}, {}],
}


def test_objects_are_known_in_another_process():
    expected = [(object_checksum(each), checksum(cells(*each), 1 << 18)) for each in OBJECTS.values()]
    code = (
        "import pickle\n"
        "from skal.pool.checksum import checksum, object_checksum\n"
        "found = [(object_checksum(each), checksum(array, 1 << 18)) for each, array in pickle.loads(given)]\n"
        "assert found == expected"
    )
    given = pickle.dumps([(each, cells(*each)) for each in OBJECTS.values()])
    run_fresh(code, given=given, expected=expected)


def test_classes_of_a_script_are_known_in_processes_that_it_starts(monkeypatch):
    monkeypatch.setattr(Thing, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Thing", Thing, raising=False)
    expected = object_checksum([Thing(1), Thing])
    assert object_checksum([Thing(2), Thing]) != expected
    monkeypatch.setattr(Thing, "__module__", "__mp_main__")
    monkeypatch.setitem(sys.modules, "__mp_main__", sys.modules["__main__"])
    assert object_checksum([Thing(1), Thing]) == expected


def test_objects_are_watched_whole():
    objects = [np.zeros(5000), {"a": torch.zeros(3)}, Thing([1, 2])]
    for change in (
        lambda: objects[0].__setitem__(2500, 1),
        lambda: objects[1]["a"].__setitem__(2, 1),
        lambda: objects[2].content.append(3),
    ):
        before = object_checksum(objects), checksum(cells(*objects), 1 << 18)
        change()
        after = object_checksum(objects), checksum(cells(*objects), 1 << 18)
        assert before[0] != after[0]
        assert before[1] != after[1]


def test_what_cannot_be_pickled_has_none():
    assert object_checksum([lambda: None]) == object_checksum([threading.Lock()]) == ""


def test_the_last_row_counts_always():
    X = np.zeros((1000, 4))
    before = checksum(X, 64)
    X[-1] = 1
    assert checksum(X, 64) != before


@pytest.mark.parametrize(
    ("was", "is_", "are_alike"),
    [
        ("int64", "int32", True),
        ("int64", "Int64", True),
        ("uint16", "Int64", True),
        ("bool", "boolean", True),
        ("Sparse[float64, nan]", "float64", True),
        ("float64", "Float64", True),
        ("int64", "uint8", False),  # which networks scale
        ("int64", "bool", False),
        ("int64", "float64", False),
        ("float64", "float32", False),
        ("category", "str", False),
        ("object", "str", False),
        ("interval[int64, right]", "int64", False),
        ("datetime64[ns]", "datetime64[us]", False),
        ("Int64", "Int32", False),  # of polars
    ],
)
def test_types_that_are_read_alike(was, is_, are_alike):
    for then, now in ((was, is_), (is_, was)):
        assert (how_columns_differ([["'a'", then]], [["'a'", now]]) is None) == are_alike


@pytest.mark.parametrize(
    ("was", "is_read"), [("category", True), ("Int64", True), ("object", False), ("datetime64[ns]", False)]
)
def test_types_are_given_to_a_reader_that_knows_them(was, is_read):
    told = how_columns_differ([["'a'", "Sparse[int64, 0]"], ["'b'", was]], [["'a'", "str"], ["'b'", "str"]])
    assert ("such as dtype={'b': " in told) == is_read
    assert "dtype={'a'" not in told
