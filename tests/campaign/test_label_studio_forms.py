"""What Label Studio shows of an item."""

import json

import numpy as np
import pandas as pd
import pytest

from skal.campaign.label_studio.forms import item_at, kind_of, shown


@pytest.mark.parametrize(
    ("item", "kind"),
    [
        ("a/b.JPG", "image"),
        ("https://x.org/y.png?size=3", "image"),
        ("https://x.org/y", "text"),
        ("a cat.png\nand more", "text"),
        ({"a": 1}, "table"),
        (np.arange(3), "table"),
    ],
)
def test_kinds(item, kind):
    assert kind_of(item) == kind


def test_items_that_cannot_be_shown():
    with pytest.raises(ValueError, match="give paths of images"):
        kind_of(np.zeros((3, 3)))


def test_rows_of_tables_have_names_and_plain_values():
    frame = pd.DataFrame({"a": [1, 2], "b": [np.nan, 0.5], "c": ["x", np.nan]}, index=[7, 8])
    assert shown(item_at(frame, 0), "table") == {"a": 1, "b": "nan", "c": "x"}
    assert json.loads(json.dumps(shown(item_at(frame, 1), "table"))) == {"a": 2, "b": 0.5, "c": "nan"}
    assert item_at(frame["c"], 0) == "x"
    assert shown(np.array([1.5, np.inf]), "table") == {"0": 1.5, "1": "inf"}
