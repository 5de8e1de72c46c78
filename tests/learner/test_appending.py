"""Containers that their owner appends to after `fit`."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skal.strategies import RandomSampling

from .test_containers import TEXTS, TRUTH, X, Y, learner, logistic


class Rows(torch.utils.data.Dataset):
    """A dataset whose owner may append to its rows."""

    def __init__(self, rows):
        self.rows = list(rows)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, row):
        return self.rows[row]


def _appended_to_series(series):
    series.loc[len(series)] = "a red thing"


GROWING = {
    "list": (list(TEXTS), lambda texts: texts.append("a red thing"), lambda texts: texts.pop()),
    "Series": (pd.Series(TEXTS), _appended_to_series, lambda texts: texts.pop(150)),
    "dataset": (
        Rows(X.astype(np.float32)),
        lambda dataset: dataset.rows.append(np.ones(4, dtype=np.float32)),
        lambda dataset: dataset.rows.pop(),
    ),
}


@pytest.mark.parametrize(("pool", "append", "take_back"), GROWING.values(), ids=GROWING)
def test_a_container_that_its_owner_appends_to_is_refused(pool, append, take_back):
    reader = make_pipeline(TfidfVectorizer(), logistic()) if pool is not GROWING["dataset"][0] else logistic()
    fitted = learner(reader, RandomSampling()).fit(pool, Y)
    append(pool)
    states = fitted.row_states_
    asks = [
        fitted.query,
        lambda: fitted.teach([1], TRUTH[1:2]),
        lambda: fitted.teach([150], [0]),
        lambda: fitted.skip([150]),
        lambda: fitted.audit(5),
    ]
    for ask in asks:
        with pytest.raises(ValueError, match="changed in place"):
            ask()
    assert_array_equal(fitted.row_states_, states)
    take_back(pool)
    assert len(fitted.teach([1], TRUTH[1:2]).query()) == 5
