"""What images look like in numbers, without any training: directions of their edges, and their colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 64  # pixels, to which images are scaled
_CELL = 8  # pixels of a side; others are twice as large
_N_DIRECTIONS = 9
_N_COLOURS = 8  # squares of a side, whose mean colours are told
N_FEATURES = (
    sum(4 * _N_DIRECTIONS * (SIDE // cell - 1) ** 2 for cell in (_CELL, 2 * _CELL)) + 3 * _N_COLOURS**2
)
_MOST = 0.2  # share of a block that one direction may have


class Gradients:
    """Features of images by what can be computed of their pixels."""

    name, side, n_features = "gradients", SIDE, N_FEATURES

    def describe(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Features of images of shape (n_images, side, side, 3), of shape (n_images, n_features)."""
        return describe(images)


def describe(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Histograms of the directions of edges, of two sizes, and a small copy of each image.

    Parameters
    ----------
    images : ndarray of uint8 of shape (n_images, SIDE, SIDE, 3)

    Returns
    -------
    features : ndarray of float32 of shape (n_images, N_FEATURES)

    Notes
    -----
    Dalal, Triggs. Histograms of oriented gradients for human detection. CVPR 2005: gradients of the strongest channel,
    votes shared between neighbouring directions, which have no sign, blocks of 2x2 cells normalised, clipped and
    normalised again.
    """
    small = _votes(*_gradients(images))
    large = small[:, ::2, ::2] + small[:, 1::2, ::2] + small[:, ::2, 1::2] + small[:, 1::2, 1::2]
    histograms = [_blocks(small, _CELL), _blocks(large, 2 * _CELL)]
    step = SIDE // _N_COLOURS
    squares = images.reshape(len(images), _N_COLOURS, step, _N_COLOURS, step, 3).mean((2, 4), np.float32)
    return np.hstack([*histograms, squares.reshape(len(images), -1) / np.float32(255)])


def _gradients(images: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Strength of each pixel's edge, and its direction as a share of half a turn, both of shape (n, SIDE, SIDE)."""
    down = np.zeros(images.shape[:3], dtype=np.float32)
    right, strength = np.zeros_like(down), np.zeros_like(down)
    for channel in range(3):
        values = images[..., channel].astype(np.float32)
        own_down, own_right = np.zeros_like(down), np.zeros_like(down)
        own_down[:, 1:-1] = values[:, 2:] - values[:, :-2]
        own_right[:, :, 1:-1] = values[:, :, 2:] - values[:, :, :-2]
        own = own_down**2 + own_right**2
        is_stronger = own > strength
        for all_channels, one in ((down, own_down), (right, own_right), (strength, own)):
            np.copyto(all_channels, one, where=is_stronger)
    direction = np.arctan2(down, right) / np.float32(np.pi) % np.float32(1)
    return np.sqrt(strength), direction


def _votes(strength: NDArray[np.float32], direction: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each cell's pixels vote for, of shape (n, n_cells, n_cells, directions)."""
    n, n_cells = len(strength), SIDE // _CELL
    cell = np.arange(SIDE) // _CELL
    first = ((np.arange(n)[:, None, None] * n_cells + cell[:, None]) * n_cells + cell) * _N_DIRECTIONS
    place = direction * _N_DIRECTIONS
    low = place.astype(np.intp)
    share = place - low
    votes = sum(
        np.bincount(
            (first + (low + step) % _N_DIRECTIONS).ravel(),
            (strength * weight).ravel(),
            minlength=n * n_cells * n_cells * _N_DIRECTIONS,
        )
        for step, weight in ((0, 1 - share), (1, share))
    )
    return np.asarray(votes, dtype=np.float32).reshape(n, n_cells, n_cells, _N_DIRECTIONS)


def _blocks(votes: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """Blocks of 2x2 neighbouring cells, normalised, in one line per image."""
    corners = votes[:, :-1, :-1], votes[:, 1:, :-1], votes[:, :-1, 1:], votes[:, 1:, 1:]
    blocks = np.concatenate(corners, axis=-1)
    blocks /= np.sqrt((blocks**2).sum(-1, keepdims=True) + cell**4)  # noise of flat areas stays small
    np.minimum(blocks, _MOST, out=blocks)
    blocks /= np.sqrt((blocks**2).sum(-1, keepdims=True) + 1e-6)
    return blocks.reshape(len(blocks), -1)
