"""SVHN is read back."""

import numpy as np
from scipy.io import savemat

from skal.datasets import load_svhn

from .conftest import pixels


def test_svhn(home, any_checksum):
    (home / "SVHN").mkdir()
    for split in ("train", "test", "extra"):
        images = pixels(7, 3, 32, 32)
        y = np.array([10, 1, 2, 9, 10, 5, 5])
        content = {"X": images.transpose(2, 3, 1, 0), "y": y[:, np.newaxis].astype(np.uint8)}
        savemat(home / "SVHN" / f"{split}_32x32.mat", content)
        bunch = load_svhn(split=split)
        np.testing.assert_array_equal(bunch.data, images)
        np.testing.assert_array_equal(bunch.target, y % 10)
        assert bunch.data.flags.c_contiguous
        X, y = load_svhn(split=split, subset=(0, 5), return_X_y=True)
        np.testing.assert_array_equal(X, images[[0, 4, 5, 6]])
        assert y.tolist() == [0, 0, 5, 5]
