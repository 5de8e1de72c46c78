"""Checksums read about as much as they may, in pieces, and every piece counts."""

import zlib

import numpy as np
import pytest

from skal.pool.checksum import checksum


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
