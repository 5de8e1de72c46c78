"""Query synthesis: what learners and simulations do with strategies that make samples."""

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import entropy
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skal import ActiveLearner, SimulatedLearner, simulate
from skal.classifiers import BoundarySVC
from skal.pool import as_pool
from skal.strategies import ADBA, GAAL, RandomSampling, SynthesisStrategy, UncertaintySampling

from ..networks import generator_states, same_tensors, tiny_gan, weights

RNG = np.random.default_rng(0)
X = RNG.normal([3.0, -1.0, 0.0, 2.0], [1.0, 5.0, 0.2, 1.0], size=(60, 4))
TRUTH = (X @ [1.0, 0.3, 2.0, 0.0] > 2.5).astype(int)
Y = np.where(np.arange(60) < 12, TRUTH, -1)


class Jitter(SynthesisStrategy):
    """Random rows of the pool with noise, as small a strategy as there can be."""

    def _synthesize(self, query):
        rows = query.rng.choice(query.pool.dense(), query.n_queries)
        return query.pool.like(rows + query.rng.normal(size=(query.n_queries, 1)))


class Untrainable(LogisticRegression):
    """Bad input must be refused before this is fitted."""

    def fit(self, X, y):
        raise AssertionError("the classifier was trained on bad input")


def gaal(**params):
    return GAAL(tiny_gan(random_state=None), n_steps=3, **params)


STRATEGIES = [Jitter(), gaal(), ADBA()]
over_strategies = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)


def learner(strategy, classifier=None, **params):
    return ActiveLearner(
        classifier or LogisticRegression(), clone(strategy), **{"n_queries": 3, "random_state": 0, **params}
    )


def answer(learner, samples, truth=TRUTH):
    """Labels by a classifier that knows everything, as rows for extend."""
    annotator = LogisticRegression(C=100.0).fit(X, truth)
    new, labels, params = learner.strategy_.annotate(samples, annotator.predict, learner.classes_)
    assert params == {}
    return new, labels


@over_strategies
def test_samples_are_the_same_until_labels_change(strategy):
    fitted = learner(strategy).fit(X, Y)
    samples = fitted.synthesize()
    assert len(samples) == 3
    assert samples.shape[-1] == 4
    assert_array_equal(samples, fitted.synthesize())
    assert_array_equal(samples, clone(fitted).fit(X.copy(), Y).synthesize())
    assert_array_equal(samples, pickle.loads(pickle.dumps(fitted)).synthesize())
    assert len(fitted.synthesize(5)) == 5
    fitted.extend(*answer(fitted, samples))
    later = fitted.synthesize()
    assert not np.array_equal(samples, later)
    fitted.teach([20], TRUTH[[20]])
    assert not np.array_equal(later, fitted.synthesize())


@pytest.mark.parametrize("strategy", [Jitter(), gaal()], ids=["Jitter", "GAAL"])
def test_another_random_state_gives_others(strategy):
    fitted = learner(strategy).fit(X, Y)
    assert_array_equal(fitted.synthesize(random_state=1), fitted.synthesize(random_state=1))
    assert not np.array_equal(fitted.synthesize(random_state=1), fitted.synthesize())
    own = clone(strategy).set_params(random_state=7)
    if isinstance(own, GAAL):
        own.set_params(generator__random_state=7)
    first, second = (
        learner(own, random_state=None).fit(X, Y).synthesize() for _ in range(2)
    )  # the strategy's own seed decides
    assert_array_equal(first, second)


@over_strategies
def test_a_synthesis_changes_nothing(strategy):
    fitted = learner(strategy).fit(X, Y)
    states, pool, y, coef = generator_states(), X.copy(), fitted.y_.copy(), fitted.estimator_.coef_.copy()
    gan = getattr(fitted.strategy_, "generator_", None)
    before = gan and {name: tensor.clone() for name, tensor in weights(gan).items()}
    fitted.synthesize()
    assert generator_states() == states
    assert_array_equal(X, pool)
    assert_array_equal(fitted.y_, y)
    assert_array_equal(fitted.estimator_.coef_, coef)
    assert gan is None or same_tensors(before, weights(gan))


@over_strategies
def test_extend_learns_the_samples_and_keeps_the_strategy(strategy):
    fitted = learner(strategy).fit(X, Y)
    kept = fitted.strategy_
    new, labels = answer(fitted, fitted.synthesize())
    assert len(new) == len(labels) == (33 if isinstance(strategy, ADBA) else 3)
    fitted.extend(new, labels)
    assert fitted.strategy_ is kept
    by_hand = LogisticRegression().fit(np.vstack([X[:12], new]), np.append(TRUTH[:12], labels))
    assert_allclose(fitted.predict_proba(X), by_hand.predict_proba(X))


@over_strategies
@pytest.mark.parametrize("names", [["cat", "dog"], [1, 2], [0, 7]])
def test_other_labels(strategy, names):
    truth = np.array(names)[TRUTH]
    hidden = None if isinstance(names[0], str) else -1
    y = np.array([label if i < 12 else hidden for i, label in enumerate(truth.tolist())])
    fitted = learner(strategy).fit(X, y)
    samples = fitted.synthesize()
    assert_array_equal(samples, learner(strategy).fit(X, Y).synthesize())
    fitted.extend(*answer(fitted, samples, truth))
    assert set(fitted.classes_) == set(names)


@over_strategies
def test_frames_and_pipelines(strategy):
    frame = pd.DataFrame(X, columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())
    fitted = learner(strategy, pipeline).fit(frame, Y)
    new, labels, _ = fitted.strategy_.annotate(
        fitted.synthesize(), lambda rows: np.arange(len(rows)) % 2, fitted.classes_
    )
    assert list(new.columns) == list("abcd")
    fitted.extend(new, labels)
    last = make_pipeline(StandardScaler(), learner(strategy)).fit(X, Y)
    assert len(last[-1].synthesize()) == 3


@over_strategies
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_have_the_floating_type_of_the_pool(strategy, dtype):
    fitted = learner(strategy).fit(X.astype(dtype), Y)
    assert answer(fitted, fitted.synthesize())[0].dtype == dtype


@over_strategies
def test_query_and_synthesize_name_each_other(strategy):
    for each in (learner(strategy), learner(strategy).fit(X, Y)):
        with pytest.raises(TypeError, match=r"learner.synthesize\(n\) gives samples.*learner.extend\(X, y\)"):
            each.query(X)
        with pytest.raises(TypeError, match=r"learner.query\(\) gives the rows.*learner.teach\(rows, y\)"):
            each.set_params(strategy=UncertaintySampling()).synthesize()


# The rows of docs/bad_input.md that apply.


@over_strategies
@pytest.mark.parametrize("n_queries", [0, -1, 2.5, True, "3"])
def test_bad_n_queries(strategy, n_queries):
    fitted = learner(strategy).fit(X, Y)
    with pytest.raises(ValueError, match="n_queries"):
        fitted.synthesize(n_queries)
    with pytest.raises(ValueError, match="n_queries"):
        fitted.strategy_.synthesize(n_queries, estimator=fitted.estimator_)


@over_strategies
def test_bad_pools(strategy):
    for value in (np.nan, np.inf):
        bad = X.copy()
        bad[20, 1] = value
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            learner(strategy, Untrainable()).fit(bad, Y)
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            clone(strategy).fit(bad)
    with pytest.raises(ValueError, match="0 sample"):
        learner(strategy, Untrainable()).fit(X[:0], Y[:0])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        learner(strategy, Untrainable()).fit(X, Y[:-1])
    with pytest.raises(TypeError, match="Sparse data was passed"):
        learner(strategy, Untrainable()).fit(sparse.csr_array(X), Y)
    pool = X.copy()
    fitted = learner(strategy).fit(pool, Y)
    pool[:, 0] *= 2
    with pytest.raises(ValueError, match="changed in place"):
        fitted.synthesize()


@over_strategies
def test_unfitted(strategy):
    with pytest.raises(NotFittedError):
        learner(strategy).synthesize()
    with pytest.raises(NotFittedError):
        clone(strategy).synthesize()


@over_strategies
@pytest.mark.parametrize("n_labels", [0, 3])
def test_no_labels_or_one_class(strategy, n_labels):
    y = np.full(60, -1)
    y[:n_labels] = 1
    fitted = learner(strategy).fit(X, y)
    if strategy.requires:
        with pytest.raises(NotFittedError, match=r"RandomSampling\(\)"):
            fitted.synthesize()
    else:
        assert len(fitted.synthesize()) == 3


@over_strategies
def test_bad_labels_are_not_recorded(strategy):
    fitted = learner(strategy).fit(X, Y)
    before = fitted.estimator_
    for labels, message in [
        ([-1, 0, 1], "unlabelled"),
        (["cat"] * 3, "as numbers"),
        ([0, 1], "3 rows and 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            fitted.extend(X[:3], labels)
    assert fitted.estimator_ is before


@pytest.mark.parametrize("strategy", [gaal(), ADBA()], ids=["GAAL", "ADBA"])
@pytest.mark.parametrize(
    ("classifier", "reason"),
    [
        (RandomForestClassifier(), "RandomForestClassifier cannot be differentiated"),
        (KNeighborsClassifier(), "KNeighborsClassifier cannot be differentiated"),
        (SVC(), "kernel='rbf'"),
        (make_pipeline(StandardScaler(), RandomForestClassifier()), "Step 'randomforestclassifier'"),
        (GridSearchCV(KNeighborsClassifier(), {}), "KNeighborsClassifier cannot be differentiated"),
    ],
    ids=str,
)
def test_classifiers_without_a_gradient_are_refused(strategy, classifier, reason):
    def refuse(*_, **__):
        raise AssertionError("the classifier was trained")

    classifier = clone(classifier)
    with pytest.raises(
        TypeError, match=f"(?s){type(strategy).__name__}.*with a gradient.*{reason}.*as_torch"
    ):
        strategy.check(as_pool(X), classifier)
    fitted_class = type(type(classifier).__name__, (type(classifier),), {"fit": refuse})
    classifier.__class__ = fitted_class
    with pytest.raises(TypeError, match="with a gradient"):
        ActiveLearner(classifier, strategy).fit(X, Y)
    for taken in (LogisticRegression(), SVC(kernel="linear"), make_pipeline(StandardScaler(), LinearSVC())):
        strategy.check(as_pool(X), taken)


class TooMany(Jitter):
    """An author's mistake."""

    def _synthesize(self, query):
        return super()._synthesize(replace(query, n_queries=query.n_queries + 1))


def test_an_authors_mistake_is_found():
    with pytest.raises(RuntimeError, match="returned 4 samples; it must return 3"):
        TooMany().fit(X).synthesize(3)


class TwoParts(Jitter):
    """As written before samples could come with more than their labels."""

    def annotate(self, samples, annotator, classes=None):
        return super().annotate(samples, annotator, classes)[:2]


def test_an_answer_without_what_samples_come_with_is_an_authors_mistake():
    with pytest.raises(
        RuntimeError, match=r"TwoParts.annotate returned 2 parts; it must return samples, their"
    ):
        simulated(TwoParts()).fit(X, TRUTH)


# Simulation.

ANNOTATOR = FrozenEstimator(LogisticRegression(C=100.0).fit(X, TRUTH))


def simulated(strategy, **params):
    defaults = {"n_initial": 6, "n_queries": 4, "budget": 15, "random_state": 0, "annotator": ANNOTATOR}
    return SimulatedLearner(LogisticRegression(), clone(strategy), **{**defaults, **params})


@over_strategies
def test_the_loop_done_by_hand(strategy):
    fitted = simulated(strategy).fit(X, TRUTH, X_val=X, y_val=TRUTH)
    history = fitted.history_
    assert_array_equal(history["n_labeled"], [6, 10, 14, 15])
    assert len(fitted.labeled_rows_) == 6
    y = np.full(60, -1)
    y[fitted.labeled_rows_] = TRUTH[fitted.labeled_rows_]
    by_hand = learner(strategy).fit(X, y)
    for i, n_queries in enumerate([4, 4, 1], start=1):
        seed = by_hand.strategy_.seed_after(history["n_labeled"][i - 1])
        samples = by_hand.synthesize(n_queries, random_state=seed)
        entropies = entropy(by_hand.predict_proba(samples.reshape(-1, 4)), axis=1)
        assert_allclose(history["query_entropy"][i], entropies.mean())
        new, labels = answer(by_hand, samples)
        by_hand.extend(new, labels)
        assert_allclose(history["score"][i], by_hand.score(X, TRUTH))
        assert_array_equal(
            history["class_counts"][i] - history["class_counts"][i - 1], np.bincount(labels, minlength=2)
        )
    assert_allclose(fitted.predict_proba(X), by_hand.predict_proba(X))
    assert np.isnan(history["query_entropy"][0])
    assert history["class_counts"].sum(axis=1)[-1] == (6 + 9 * 11 if isinstance(strategy, ADBA) else 15)


def test_boundaries_in_the_loop(tmp_path):
    params = {"validation_fraction": 0.3, "random_state": 0, "n_queries": 6, "budget": 24}
    fitted = simulated(ADBA(answers="boundary"), **params).set_params(estimator=BoundarySVC(alpha=0.01))
    fitted.fit(X, TRUTH)
    history = fitted.history_
    assert_array_equal(history["n_labeled"], [6, 12, 18, 24])
    assert history["class_counts"][-1].sum() > 24  # a line is a row and perhaps a point on the boundary
    assert history["score"][-1] > 0.8
    samples = fitted.synthesize()
    fitted.save(tmp_path / "learner")
    again = SimulatedLearner.load(tmp_path / "learner", X[fitted.pool_rows_], clone(fitted))
    assert_array_equal(again.synthesize(), samples)
    answers = fitted.strategy_.annotate(samples, ANNOTATOR.predict, [0, 1])
    for learner in (fitted, again):
        learner.extend(answers.X, answers.y, **answers.params)
    assert_allclose(again.estimator_.coef_, fitted.estimator_.coef_)
    learners = {"points": simulated(ADBA(), **params), "boundary": fitted}
    histories = simulate(learners, X, TRUTH, n_repeats=2, random_state=0)
    starts = [each["class_counts"][:, 0] for each in histories.values()]
    assert_array_equal(*starts)
    with pytest.raises(ValueError, match=r"fit was given \['sample_weight'\] with a value per row"):
        clone(fitted).set_params(estimator=LogisticRegression(), strategy=ADBA()).fit(
            X, TRUTH, sample_weight=np.ones(60)
        )


@pytest.mark.parametrize("classes", [[0, 1, 2], [-5, 0, 1]])
def test_a_class_without_a_row_may_be_declared(classes):
    counts, expected = (
        simulated(ADBA(), classes=given).fit(X, TRUTH).history_["class_counts"] for given in (classes, None)
    )
    assert_array_equal(counts, expected)


def test_the_budget_is_not_bound_to_the_pool():
    history = simulated(Jitter(), budget=70, n_queries=30).fit(X, TRUTH).history_
    assert_array_equal(history["n_labeled"], [6, 36, 66, 70])


def test_declined_samples_cost_an_annotation():
    def picky(samples):
        labels = ANNOTATOR.predict(samples)
        labels[samples[:, 1] > 0] = -1
        return labels

    learner = simulated(Jitter(), annotator=picky).fit(X, TRUTH)
    history = learner.history_
    with pytest.raises(ValueError, match="no answer to take back"):
        learner.undo()  # which would leave the history alone
    assert_array_equal(history["n_labeled"], [6, 10, 14, 15])
    assert 6 < history["class_counts"].sum(axis=1)[-1] < 15
    never = simulated(Jitter(), annotator=lambda samples: np.full(len(samples), -1)).fit(X, TRUTH)
    assert_array_equal(never.history_["class_counts"].sum(axis=1), [6, 6, 6, 6])
    names = np.array(["cat", "dog"])
    words = simulated(Jitter(), annotator=lambda samples: [None, "cat", "dog", "cat"][: len(samples)])
    history = words.fit(X, names[TRUTH]).history_
    assert_array_equal(np.diff(history["class_counts"], axis=0), [[2, 1], [2, 1], [0, 0]])


def test_an_annotator_belongs_to_synthesis():
    with pytest.raises(ValueError, match=r"labels are not in y; give an annotator.*FrozenEstimator"):
        simulated(Jitter(), annotator=None).fit(X, TRUTH)
    with pytest.raises(ValueError, match="chooses rows of the pool, whose labels are in y"):
        simulated(RandomSampling()).fit(X, TRUTH)
    with pytest.raises(NotFittedError, match="give it in a FrozenEstimator"):
        clone(simulated(Jitter(), annotator=LogisticRegression().fit(X, TRUTH))).fit(X, TRUTH)
    with pytest.raises(ValueError, match=r"annotator answered 5, and the classes of y are \[0, 1\]"):
        simulated(Jitter(), annotator=lambda samples: np.full(len(samples), 5)).fit(X, TRUTH)
    with pytest.raises(ValueError, match="annotator"):
        simulated(Jitter(), annotator=3).fit(X, TRUTH)
    with pytest.raises(ValueError, match=r"sample_weight.*synthetic samples do not have"):
        simulated(Jitter()).fit(X, TRUTH, sample_weight=np.ones(60))


def test_simulate_and_grid_search():
    learners = [simulated(Jitter(), validation_fraction=0.3), simulated(ADBA(), validation_fraction=0.3)]
    histories = simulate(learners, X, TRUTH, n_repeats=2, random_state=0)
    assert histories["ADBA"]["score"].shape == (2, 4)
    assert_array_equal(histories["ADBA"]["score"][:, 0], histories["Jitter"]["score"][:, 0])
    search = GridSearchCV(
        simulated(gaal()), {"strategy__generator__n_iter": [1, 2], "strategy__n_steps": [1, 2]}, cv=2
    )
    assert search.fit(X, TRUTH).cv_results_["mean_test_score"].shape == (4,)


@pytest.mark.parametrize("strategy", [GAAL(tiny_gan(architecture="dense"), n_steps=5), ADBA()], ids=str)
def test_digits(strategy):
    digits, y = load_digits(return_X_y=True)
    digits, y = digits[(y == 5) | (y == 7)] / 16, y[(y == 5) | (y == 7)]
    annotator = FrozenEstimator(LogisticRegression().fit(digits, y))
    history = simulated(strategy, annotator=annotator, budget=30, n_queries=8).fit(
        digits[::2], y[::2], X_val=digits[1::2], y_val=y[1::2]
    )
    assert history.history_["score"].min() > 0.5
    assert_array_equal(history.history_["n_labeled"], [6, 14, 22, 30])
