"""Raw skorch nets as a learner's classifier: each strategy chooses as with the same network in a `NetClassifier`."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import ClassifierMixin, clone
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skal import ActiveLearner
from skal.strategies import (
    BADGE,
    BALD,
    SEALS,
    CoreSet,
    DeepFool,
    KMedian,
    RandomSampling,
    UncertaintySampling,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 6))
TRUTH = (X[:, 0] + X[:, 1] > 0).astype(int)
Y = np.where(np.arange(80) < 20, TRUTH, -1)
IDS = RNG.integers(0, 10, size=(80, 5))
WORDS = ((IDS < 4).sum(axis=1) > 1).astype(int)


class OneLogit(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.last = nn.Linear(6, 8), nn.Dropout(0.3), nn.Linear(8, 1)

    def forward(self, x):
        return self.last(self.drop(torch.tanh(self.hidden(x))))


class TwoLogits(OneLogit):
    """The same function with the logits 0 and f."""

    def forward(self, x):
        return nn.functional.pad(super().forward(x), (1, 0))


class Wide(OneLogit):
    def __init__(self):
        super().__init__()
        self.double()


def one_logit(module=OneLogit, **params):
    return NeuralNetBinaryClassifier(
        module, **{"train_split": None, "verbose": 0, "max_epochs": 10, "lr": 0.3, **params}
    )


def two_logits(module=TwoLogits):
    return NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0, max_epochs=10, lr=0.3
    )


def fitted(net, strategy, X=X, y=Y):
    return ActiveLearner(net, clone(strategy), n_queries=6, random_state=0).fit(X, y)


@pytest.mark.parametrize(
    "strategy",
    [
        RandomSampling(),
        UncertaintySampling("margin"),
        UncertaintySampling("entropy"),
        BADGE(),
        BALD(n_passes=3),
        CoreSet("classifier"),
        DeepFool(2),
        KMedian("classifier", max_iter=2),
        SEALS("classifier", n_neighbors=5),
    ],
    ids=repr,
)
def test_one_logit_chooses_as_two(strategy):
    one, two = fitted(one_logit(), strategy), fitted(two_logits(), strategy)
    assert_allclose(one.predict_proba(X), two.predict_proba(X), atol=1e-5)
    assert_array_equal(one.predict(X), two.predict(X))
    assert one.score(X, TRUTH) == two.score(X, TRUTH) > 0.75
    rows = one.query()
    assert_array_equal(rows, two.query())
    assert_array_equal(one.teach(rows, TRUTH[rows]).query(), two.teach(rows, TRUTH[rows]).query())


@pytest.mark.parametrize(
    "rows",
    [X, X.astype(np.float32), X.tolist(), torch.tensor(X), pd.DataFrame(X)],
    ids=lambda rows: type(rows).__name__,
)
def test_numbers_of_any_kind_reach_a_module_of_any(rows):
    narrow, wide = fitted(one_logit(), BADGE(), rows), fitted(one_logit(Wide), BADGE(), rows)
    assert_array_equal(narrow.query(), fitted(one_logit(), BADGE()).query())
    assert_allclose(narrow.predict_proba(rows), fitted(one_logit(), BADGE()).predict_proba(X), atol=1e-6)
    assert wide.predict_proba(rows).dtype == np.float64
    assert_allclose(wide.predict_proba(rows), fitted(one_logit(Wide), BADGE()).predict_proba(X), atol=1e-6)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.last = nn.Embedding(10, 8), nn.Linear(8, 2)

    def forward(self, ids, padding=None):
        words = self.table(ids)
        if padding is None:
            return self.last(words.mean(dim=1))
        return self.last((words * ~padding[..., None]).sum(dim=1) / (~padding).sum(dim=1, keepdim=True))


@pytest.mark.parametrize(
    "strategy", [UncertaintySampling(), BADGE(), CoreSet("classifier"), KMedian("classifier")]
)
def test_tokens_and_mappings(strategy):
    y = np.where(np.arange(80) < 30, WORDS, -1)
    whole = fitted(two_logits(Bag), strategy, IDS, y)
    narrow = fitted(two_logits(Bag), strategy, IDS.astype(np.uint8), y)
    padded = np.column_stack([IDS, np.zeros((80, 2), int)])
    mapping = {"ids": padded, "padding": np.arange(7) >= np.full((80, 1), 5)}
    by_name = fitted(two_logits(Bag), strategy, mapping, y)
    assert whole.score(IDS, WORDS) > 0.7
    for other, rows in ((narrow, IDS.astype(np.uint8)), (by_name, mapping)):
        assert_array_equal(other.query(), whole.query())
        assert_allclose(other.predict_proba(rows), whole.predict_proba(IDS), atol=1e-5)
        assert other.score(rows, WORDS) == whole.score(IDS, WORDS)


def test_the_default_split_of_skorch_from_the_first_labels_on():
    y, rest = np.full(80, -1), {"max_epochs": 5, "verbose": 0}
    first = np.concatenate([np.flatnonzero(c == TRUTH)[:2] for c in (0, 1)])
    y[first] = TRUTH[first]
    with pytest.warns(UserWarning, match="train_split=None") as caught:
        learner = fitted(NeuralNetBinaryClassifier(OneLogit, **rest), RandomSampling(), y=y)
    assert len(caught) == 1
    assert_array_equal(
        learner.predict_proba(X), fitted(one_logit(lr=0.01, **rest), RandomSampling(), y=y).predict_proba(X)
    )
    more = np.concatenate([np.flatnonzero(c == TRUTH)[2:10] for c in (0, 1)])
    learner.teach(more, TRUTH[more])
    assert "valid_acc" in learner.estimator_.history[-1]


def test_labels_that_one_logit_cannot_have():
    with pytest.raises(ValueError, match=r"takes the labels 0, 1 and was given \[1, 2\]"):
        fitted(one_logit(), RandomSampling(), y=np.where(Y < 0, Y, Y + 1))
    assert isinstance(one_logit(), ClassifierMixin)
