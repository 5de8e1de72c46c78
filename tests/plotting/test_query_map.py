"""A map of what was asked."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skal import ActiveLearner, RowState
from skal.plotting import QueryMapDisplay
from skal.strategies import RandomSampling
from tests.simulation.common import X, Y, learner


def test_rounds_of_a_simulation():
    simulated = learner(budget=15).fit(X, Y)
    display = QueryMapDisplay.from_learner(simulated)
    assert_array_equal(display.rows, np.arange(150))
    rounds = np.full(150, -1)
    for i, (start, end) in enumerate([(0, 6), (6, 10), (10, 14), (14, 15)]):
        rounds[simulated.labeled_rows_[start:end]] = i
    assert_array_equal(display.rounds, rounds)
    expected = PCA(2).fit_transform(X)
    assert_allclose(np.abs(display.embedding), np.abs(expected), atol=1e-4)
    assert_allclose(display.queried_.get_offsets(), display.embedding[rounds >= 0])
    assert_array_equal(display.queried_.get_array(), rounds[rounds >= 0])
    assert len(display.pool_.get_offsets()) == 135


def test_rounds_after_a_simulation():
    simulated = learner(budget=15).fit(X, Y)
    first, *_, last = simulated.labeled_rows_
    new = np.flatnonzero(simulated.row_states_ == RowState.UNLABELED)[:5]
    simulated.teach(new, Y[new]).forget([first])
    rounds = QueryMapDisplay.from_learner(simulated).rounds
    assert_array_equal(rounds >= 0, simulated.row_states_ == RowState.LABELED)
    assert (rounds[first], rounds[last], {*rounds[new].tolist()}) == (-1, 3, {4})


def test_rounds_of_a_simulation_without_initial_labels():
    simulated = learner(n_initial=0, budget=10, cold_start=RandomSampling()).fit(X, Y)
    rounds = QueryMapDisplay.from_learner(simulated).rounds
    assert_array_equal(rounds[simulated.labeled_rows_], np.repeat([1, 2, 3], [4, 4, 2]))


@pytest.mark.parametrize("budget", [6, 10, 14, 30])
def test_the_colorbar_has_whole_rounds(budget):
    display = QueryMapDisplay.from_learner(learner(budget=budget).fit(X, Y))
    ticks = display.colorbar_.get_ticks()
    assert_array_equal(ticks, np.round(ticks))


def test_rounds_of_a_record():
    y = np.full(150, -1)
    y[[0, 60, 120]] = Y[[0, 60, 120]]
    by_hand = ActiveLearner(LogisticRegression(max_iter=1000), RandomSampling(), random_state=0).fit(X, y)
    by_hand.teach([5], Y[[5]], refit=False)
    by_hand.teach([3, 7], Y[[3, 7]])
    by_hand.skip([8]).teach([9, 0], [1, 1], overwrite=True).forget([7])
    by_hand.teach([10], Y[[10]])
    display = QueryMapDisplay.from_learner(by_hand)
    found = {int(row): int(display.rounds[row]) for row in np.flatnonzero(display.rounds >= 0)}
    first, second = found[5], found[9]
    assert found == {0: 0, 60: 0, 120: 0, 5: first, 3: first, 9: second, 10: second + 1}
    assert (first, second) == (1, 2)


def test_a_pool_without_any_label():
    fresh = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=0)
    display = QueryMapDisplay.from_learner(fresh.fit(X, np.full(150, -1)))
    assert (display.rounds == -1).all()
    assert len(display.queried_.get_offsets()) == 0


def test_a_large_pool_is_drawn_in_part_with_all_its_labels():
    simulated = learner().fit(X, Y)
    display = QueryMapDisplay.from_learner(simulated, n_rows=20, s=5)
    assert {*simulated.labeled_rows_} <= {*display.rows}
    assert 20 <= len(display.rows) <= 39
    assert np.count_nonzero(display.rounds >= 0) == 19
    same = QueryMapDisplay.from_learner(simulated, n_rows=20)
    assert_array_equal(display.embedding, same.embedding)
    other = QueryMapDisplay.from_learner(simulated, n_rows=20, random_state=1)
    assert not np.array_equal(display.rows, other.rows)
    assert display.queried_.get_sizes().tolist() == [5]


def flat(X):
    return X.reshape(len(X), -1)


@pytest.mark.parametrize("shape", [(150, 4), (150, 2, 2)])
def test_a_transformer_that_only_fits(shape):
    classifier = make_pipeline(FunctionTransformer(flat), LogisticRegression(max_iter=1000))
    y = np.where(np.arange(150) % 10, -1, Y)
    learner = ActiveLearner(classifier, RandomSampling(), random_state=0).fit(X.reshape(shape), y)
    transformer = TSNE(perplexity=10, init="random", method="exact", max_iter=250)
    display, same = (QueryMapDisplay.from_learner(learner, transformer=transformer) for _ in range(2))
    assert_array_equal(display.embedding, same.embedding)
    assert transformer.random_state is None
    transformer.random_state = 3
    display = QueryMapDisplay.from_learner(learner, transformer=transformer)
    assert_allclose(display.embedding, transformer.fit_transform(X))


def test_texts_and_bad_transformers():
    texts = [f"a{i % 3} b{i % 5}" for i in range(30)]
    labels = np.where(np.arange(30) < 6, np.arange(30) % 3, -1)
    of_texts = ActiveLearner(make_pipeline(TfidfVectorizer(), LogisticRegression()), RandomSampling()).fit(
        texts, labels
    )
    reader = make_pipeline(TfidfVectorizer(), PCA(2))
    assert QueryMapDisplay.from_learner(of_texts, transformer=reader).embedding.shape == (30, 2)
    with pytest.raises(ValueError, match=r"the default transformer, cannot read these rows: .*TruncatedSVD"):
        QueryMapDisplay.from_learner(of_texts)
    with pytest.raises(ValueError, match="PCA made 3 numbers of a row, and a map has two"):
        QueryMapDisplay.from_learner(learner().fit(X, Y), transformer=PCA(3))
