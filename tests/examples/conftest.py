"""The scripts of the papers, and a few digits to run them on."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parents[2] / "examples" / "papers"


@pytest.fixture(scope="module")
def scripts():
    """The scripts by name, imported as they import each other: from their folder."""
    pytest.importorskip("matplotlib")
    sys.path.insert(0, str(FOLDER))
    try:
        yield {
            name: importlib.import_module(name)
            for name in (
                "_experiments",
                "_alcg_pictures",
                "_dgal_early",
                "_alcg_settings",
                "alcg",
                "asal",
                "dgal",
                "waal",
                "smoke",
            )
        }
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def digits():
    """Byte images of 16x16 pixels: 200 rows to label, 60 to test, 40 to stop early."""
    X, y = load_digits(return_X_y=True)
    X = np.kron(X.reshape(-1, 1, 8, 8), np.ones((2, 2)))[:300] * 15
    parts = {"train": slice(200), "test": slice(200, 260), "validation": slice(260, 300)}
    return {split: (X[rows].astype(np.uint8), y[:300][rows]) for split, rows in parts.items()}
