"""The display of a learner: its labels by class and round, from its state alone."""

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skal import ActiveLearner, SimulatedLearner
from skal.strategies import QueryStrategy, RandomSampling

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.array(["cat", "dog"] * 20, dtype=object)


def learner(strategy=None, **params):
    return ActiveLearner(LogisticRegression(), strategy or RandomSampling(), random_state=0, **params)


def some(n_labeled):
    return np.where(np.arange(len(X)) < n_labeled, Y, None)


def shown(fitted):
    """The sentences and the table, as lists of the texts in their cells."""
    html = fitted._repr_html_().partition('<div class="skal-labels">')[2]
    lines = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in re.findall(r"<tr>(.*?)</tr>", html)]
    return [re.sub("<.*?>", "", text) for text in re.findall(r"<p>(.*?)</p>", html)], lines


class Untouchable(QueryStrategy):
    """A strategy that may be prepared, and nothing else."""

    def _query(self, query):
        raise AssertionError("a query")


class Rows(list):
    """Rows of a pool that refuse to be read once they are locked."""

    is_locked = False

    def _refuse(self):
        if self.is_locked:
            raise AssertionError("the pool was read")

    def __getitem__(self, key):
        self._refuse()
        return super().__getitem__(key)

    def __iter__(self):
        self._refuse()
        return super().__iter__()

    def __repr__(self):
        self._refuse()
        return super().__repr__()


def test_labels_by_class_and_round():
    fitted = learner().fit(X, some(4)).teach([10, 11, 12], ["dog", "dog", "bird"]).skip([20, 21])
    fitted.teach([30], ["cat"], audit=True).teach([12], ["cat"], overwrite=True, refit=False)
    fitted.extend(X[:1], ["bird"], refit=False)
    (rows, trained), table = shown(fitted)
    assert rows == "40 rows: 7 labelled, 2 skipped, 1 audit, 30 unlabelled; 1 more sample outside the pool"
    assert trained == "The classifier has not learned all labels."
    assert table[1:] == [
        ["", "0", "1", "2", "all"],
        ["bird", "·", "·", "1", "1"],
        ["cat", "2", "·", "1", "3"],
        ["dog", "2", "2", "·", "4"],
        ["all", "4", "2", "2", "8"],
    ]
    assert {line[0]: int(line[-1]) for line in table[2:-1]} == fitted.class_counts_
    (_, trained), table = shown(fitted.refit().forget([10]))
    assert trained == "The classifier has learned all labels."
    assert table[4] == ["dog", "2", "1", "·", "3"]


def test_a_simulation_has_the_rounds_of_its_history():
    simulated = SimulatedLearner(
        LogisticRegression(), RandomSampling(), n_initial=6, n_queries=5, budget=20, random_state=0
    ).fit(X, Y)
    _, table = shown(simulated)
    assert table[1] == ["", "0", "1", "2", "3", "all"]
    assert simulated.record_["row"].tolist() == simulated.labeled_rows_.tolist()
    counts = np.diff(simulated.history_["class_counts"], axis=0, prepend=0)
    assert [[int(cell.replace("·", "0")) for cell in line[1:-1]] for line in table[2:4]] == counts.T.tolist()
    simulated.teach(np.flatnonzero(simulated.row_states_ == 0)[:1], ["cat"])
    assert shown(simulated)[1][1] == ["", "0", "1", "2", "3", "4", "all"]


def test_showing_touches_neither_pool_nor_strategy():
    pool = Rows(map(list, X))
    fitted = learner(Untouchable()).fit(pool, some(6))
    state, entries = fitted._state, dict(vars(fitted._state))
    pool.is_locked = True
    assert "6</b> labelled" in fitted._repr_html_()
    assert "6</b> labelled" in fitted._repr_mimebundle_()["text/html"]
    pool.is_locked = False
    assert fitted._state is state
    assert {key: vars(state)[key] for key in entries} == entries


def test_the_rows_of_the_pool_are_not_shown():
    fitted = learner().fit(np.full((40, 3), 0.123456) * np.arange(40)[:, None], some(6))
    assert "4.81" not in fitted._repr_html_()  # the last row, which scikit-learn 1.9 would show


def test_names_are_escaped():
    script = "<script>alert('x')</script>"
    names = np.where(Y == "cat", script, "a & b").astype(object)
    fitted = learner(classes=[script, "a & b", "<b>"]).fit(
        X, np.where(np.arange(len(X)) < 6, names, None), ids=[f"<img src={i}>" for i in range(len(X))]
    )
    html = fitted._repr_html_()
    assert "<script>alert" not in html
    assert "<img" not in html
    _, table = shown(fitted)
    assert table[2:5] == [
        ["&lt;b&gt;", "·", "0"],
        ["&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;", "3", "3"],
        ["a &amp; b", "3", "3"],
    ]


def test_half_of_a_surrogate_pair_can_be_written_to_a_file():
    names = np.where(Y == "cat", "\ud83d", "dog").astype(object)
    fitted = learner().fit(X, np.where(np.arange(len(X)) < 6, names, None))
    assert "<th>?</th>" in fitted._repr_html_().encode("utf-8").decode()


def test_many_classes_and_rounds_stay_a_small_table():
    names = [f"class {i:05} {'x' * 60}" for i in range(10_000)]
    fitted = learner(classes=names).fit(
        np.zeros((1100, 1)), np.array([*names[:100] * 2, *[None] * 900], object)
    )
    _, table = shown(fitted)
    assert [line[0] for line in table[9:]] == [f"class 00007 {'x' * 27}…", "and 9,992 more", "all"]
    assert [line[1] for line in table[9:]] == ["2", "184", "200"]
    many = learner().fit(np.zeros((1100, 1)), np.array(["cat", "dog", *[None] * 1098], object))
    for i in range(1, 1000):  # as many trainings, without their time
        many._state = replace(many._state, round=i)
        many.teach([i + 1], ["cat"], refit=False)
    _, table = shown(many)
    assert table[1] == ["", "0", "1", "992 more", *map(str, range(994, 1000)), "all"]
    assert table[-1][1:] == ["2", "1", "992", *["1"] * 6, "1,001"]
    for each in (fitted, many):
        assert len(each._repr_html_()) - len(estimator_html_repr(each)) < 5000


def test_what_is_shown_before_fit_and_inside_other_estimators():
    assert "skal-labels" not in learner()._repr_html_()
    assert "LogisticRegression" in learner()._repr_html_()
    untrained = learner().fit(X, np.full(len(X), None))
    assert shown(untrained) == (
        ["40 rows: 0 labelled, 0 skipped, 0 audit, 40 unlabelled", "No label yet."],
        [],
    )
    pipeline = make_pipeline(StandardScaler(), learner()).fit(X, some(6))
    assert "RandomSampling" in pipeline._repr_html_()
    around = ActiveLearner(make_pipeline(StandardScaler(), LogisticRegression()), RandomSampling())
    assert "StandardScaler" in around.fit(X, some(6))._repr_html_()
    with config_context(display="text"):
        assert not hasattr(around, "_repr_html_")
        assert list(around._repr_mimebundle_()) == ["text/plain"]


def test_why_a_classifier_is_not_trained_is_said():
    fitted = ActiveLearner(KNeighborsClassifier(5), RandomSampling())
    with pytest.warns(FitFailedWarning, match="cannot be trained"):
        fitted.fit(X, some(3))
    (_, trained), _ = shown(fitted)
    assert trained.startswith(
        "The classifier has not learned all labels: Expected n_neighbors &lt;= n_samples"
    )
