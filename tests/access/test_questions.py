"""The table of questions: who answers, what is refused, and the checks of the answers."""

import re
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetClassifier
from torch import nn

from skal import access
from skal.access import (
    QUESTIONS,
    Question,
    ask,
    check_requirements,
    critic_scores_and_log_proba,
    decision_function,
    embed,
    embed_and_predict_proba,
    predict_proba,
    provides,
)
from skal.classifiers import NetClassifier, VAALClassifier, WassersteinClassifier
from skal.strategies import BADGE, UncertaintySampling

from .common import Given, Learner, X, Y


@pytest.mark.parametrize("ask", [predict_proba, decision_function, embed])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_answers_that_are_not_finite(ask, value):
    pool = np.full((20, 3), 1 / 3)
    pool[17, 1] = value
    with pytest.raises(ValueError, match=rf"Given\.{ask.__name__} returned NaN or infinity"):
        ask(Given(), pool)
    assert ask(Given(), pool, [3, 4]).shape == (2, 3)


@pytest.mark.parametrize(
    ("answers", "returned"),
    [
        ((np.array([[np.nan], [0]]), np.ones((2, 3))), "embed returned NaN"),
        ((np.ones((2, 1)), np.full((2, 3), -np.inf)), "predict_proba returned NaN"),
        ((np.ones((2, 1)), np.ones((2, 4))), r"predict_proba returned an array of shape \(2, 4\)"),
        ((np.ones(2), np.ones((2, 3))), r"embed returned an array of shape \(2,\).*\(n_rows, n_embedding\)"),
    ],
)
def test_both_parts_of_an_answer_are_checked(answers, returned):
    class Both(Given):
        def embed_and_predict_proba(self, X):
            return answers

    with pytest.raises(ValueError, match=rf"Both\.{returned}"):
        embed_and_predict_proba(Both(), np.zeros((2, 3)))


def test_scores_and_logarithms_are_checked():
    class Critic(Given):
        def critic_scores_and_log_proba(self, X):
            return X[:, 0], X

    with pytest.raises(ValueError, match=r"Critic\.log_proba returned NaN or inf"):
        critic_scores_and_log_proba(Critic(), np.array([[0, -np.inf, 0]]))
    with pytest.raises(ValueError, match=r"Critic\.critic_scores returned NaN or inf"):
        critic_scores_and_log_proba(Critic(), np.array([[np.nan, 0, 0]]))


class Tempered:
    """Flattens the probabilities of another class."""

    def predict_proba(self, X):
        probabilities = super().predict_proba(X) ** 0.1
        return probabilities / probabilities.sum(axis=1, keepdims=True)


class Shifted:
    """Moves the embeddings of another class."""

    def embed(self, X):
        return super().embed(X) + 100


class TemperedNet(Tempered, NetClassifier):
    pass


class ShiftedNet(Shifted, NetClassifier):
    pass


class TemperedRawNet(Tempered, NeuralNetClassifier):
    def embed(self, X):
        return X[:, :2] + 100


class TemperedCritic(Tempered, WassersteinClassifier):
    pass


class ShiftedCritic(WassersteinClassifier):
    def critic_scores(self, X):
        return super().critic_scores(X) + 100


RAW_NET = partial(TemperedRawNet, nn.Sequential(nn.Linear(6, 3), nn.Softmax(dim=1)), verbose=0)


@pytest.mark.parametrize("make", [TemperedNet, ShiftedNet, RAW_NET])
def test_an_overridden_part_takes_precedence_over_both_in_one_pass(make):
    rows, codes = X.astype(np.float32), np.unique(Y, return_inverse=True)[1]
    classifier = make(max_epochs=2).fit(rows, codes)
    embeddings, probabilities = embed_and_predict_proba(classifier, rows)
    assert_array_equal(embeddings, classifier.embed(rows))
    assert_array_equal(probabilities, classifier.predict_proba(rows))


@pytest.mark.parametrize("kind", [TemperedCritic, ShiftedCritic])
def test_an_overridden_part_takes_precedence_over_critic_and_probabilities_in_one_pass(kind):
    partial_labels = np.where(np.arange(60) % 2, np.unique(Y, return_inverse=True)[1], -1)
    classifier = kind(max_epochs=2, random_state=0).fit(X, partial_labels)
    scores, log_probabilities = critic_scores_and_log_proba(classifier, X)
    assert_array_equal(scores, classifier.critic_scores(X))
    assert_array_equal(log_probabilities, np.log(classifier.predict_proba(X)))


def test_both_in_one_pass_below_an_overridden_part_count():
    class Both(TemperedNet):
        def embed_and_predict_proba(self, X):
            return np.zeros((len(X), 1)), np.eye(3)[[0] * len(X)]

    embeddings, probabilities = embed_and_predict_proba(Both(max_epochs=1).fit(X, Y), X)
    assert embeddings.shape == (60, 1)
    assert_array_equal(probabilities[:, 0], 1)


def test_probabilities_need_a_column_per_class():
    with pytest.raises(
        ValueError, match=r"Given\.predict_proba returned .* \(5, 3\); it must be \(n_rows, 4\)"
    ):
        predict_proba(Given(4), np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"\(5,\)"):
        predict_proba(Given(4), np.zeros(5))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, object, np.longdouble])
def test_answers_that_are_no_floats_become_floats(dtype):
    class Votes(Given):
        def decision_function(self, X):
            return np.eye(3)[[0, 1]].astype(dtype)

        predict_proba = embed = decision_function

    for asked in (decision_function, predict_proba, embed):
        found = asked(Votes(), np.zeros((2, 3)))
        assert found.dtype == np.float64
        assert_array_equal(found, np.eye(3)[[0, 1]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, bool])
def test_integer_embeddings_stay_so_where_that_is_asked_for(dtype):
    class Codes(Given):
        def embed(self, X):
            return np.eye(3)[[0, 1]].astype(dtype)

        predict_proba = embed

    for pool in (np.zeros((2, 3)), np.zeros((2, 3), dtype=np.float32)):
        assert embed(Codes(), pool, keep_integers=True).dtype == dtype
        embeddings, probabilities = embed_and_predict_proba(Codes(), pool, keep_integers=True)
        assert embeddings.dtype == dtype
        assert probabilities.dtype == np.float64


@pytest.mark.parametrize("asked", [decision_function, predict_proba, embed])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.coo_matrix])
def test_sparse_answers(asked, kind):
    class Sparse(Given):
        def decision_function(self, X):
            return kind(np.eye(3))

        predict_proba = embed = decision_function

    with pytest.raises(
        ValueError, match=rf"Sparse\.{asked.__name__} returned an array that is sparse; return a dense array"
    ):
        asked(Sparse(), np.zeros((3, 3)))


@pytest.mark.parametrize("values", [[["a", "b", "c"]], [[{}, {}, {}]]])
def test_answers_that_are_no_numbers(values):
    class Words(Given):
        def predict_proba(self, X):
            return values

    with pytest.raises(
        ValueError, match=r"Words\.predict_proba returned an array of dtype .* holds no numbers"
    ):
        predict_proba(Words(), np.zeros((1, 3)))


def test_votes_do_not_wrap_round():
    class Votes(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def decision_function(self, X):
            votes = X[:, 0].astype(np.uint8)
            return np.column_stack([votes, 10 - votes, np.zeros_like(votes)])

    X = np.array([[0.0], [10], [5], [9], [6]])
    strategy = UncertaintySampling("min_distance", random_state=0).fit(X)
    rows = strategy.query(X, n_queries=3, estimator=Votes().fit(X, [0, 1, 2, 0, 1]))
    assert_array_equal(rows, [2, 4, 3])  # 5 of 10, 6 of 10, 9 of 10


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda stack: stack,
        lambda stack: make_pipeline(StandardScaler(), stack),
        lambda stack: GridSearchCV(stack, {}),
        SelfTrainingClassifier,
        FixedThresholdClassifier,
    ],
)
def test_a_stack_has_the_methods_of_its_default_before_it_is_fitted(wrapped):
    classifier = wrapped(StackingClassifier([("nb", GaussianNB())]))
    assert provides(classifier, "predict_proba")
    assert provides(classifier, "decision_function")
    assert not provides(classifier, "embed")
    without = wrapped(StackingClassifier([("nb", GaussianNB())], final_estimator=LinearSVC()))
    assert not provides(without, "predict_proba")


def test_a_frozen_stack_has_the_methods_that_it_was_fitted_with():
    stack = StackingClassifier([("nb", GaussianNB())]).fit(X, Y)
    for classifier in (
        CalibratedClassifierCV(FrozenEstimator(stack)),
        SelfTrainingClassifier(FrozenEstimator(stack)),
    ):
        assert provides(classifier, "predict_proba")
        assert not provides(classifier, "embed")
    assert stack.final_estimator is None


def test_scores_are_one_per_row():
    class Columns(Given):
        def critic_scores(self, X):
            return X[:, :1]

    with pytest.raises(ValueError, match=r"critic_scores returned .* \(5, 1\); it must be \(n_rows\)"):
        ask("critic_scores", Columns(), np.zeros((5, 3)))


LACKING = {
    "predict_proba": (LinearSVC(), "predict_proba", "Wrap it in CalibratedClassifierCV.*RandomSampling"),
    "decision_function": (GaussianNB(), "decision_function", r"Use a linear model or SVM.*measure='margin'"),
    "embed": (SVC(), "penultimate embeddings", r"embed\(X\).*embedding='input'"),
    "labeled_proba": (GaussianNB(), "a discriminator of labelled rows", "VAALClassifier, which trains"),
    "critic_scores": (GaussianNB(), "a critic of unlabelled rows", "WassersteinClassifier, which trains"),
    "predicted_loss": (GaussianNB(), "a prediction of its loss", "LearningLossClassifier, which trains"),
    "dropout_proba": (LogisticRegression(), "dropout layers", r"nn\.Dropout.*'dropout': 0\.5"),
    "committee_proba": (GaussianNB(), "members", r"BaggingClassifier.*n_members=10"),
    "linear_head": (SVC(), "a last linear layer", r"MLPClassifier.*linear_head\(\).*BADGE\(\)"),
    "posterior_proba": (GaussianNB(), "members or dropout layers", r"BaggingClassifier.*n_members=10"),
    "embed_and_predict_proba": (LinearSVC(), "predict_proba", "Wrap it in Calibrated"),
    "critic_scores_and_log_proba": (GaussianNB(), "a critic of unlabelled rows", "Wasserstein"),
    "log_proba": (LinearSVC(), "predict_proba", "Wrap it in Calibrated"),
}


@pytest.mark.parametrize("need", LACKING)
def test_what_a_classifier_lacks_is_named_with_the_remedy(need):
    classifier, asks_for, remedy = LACKING[need]
    name = type(classifier).__name__
    for estimator in (classifier, make_pipeline(StandardScaler(), FrozenEstimator(classifier))):
        assert not provides(estimator, need)
        message = rf"needs a classifier with {asks_for} and {name} has none\. .*{remedy}"
        with pytest.raises(TypeError, match=rf"^{re.escape(str(BADGE()))} {message}"):
            check_requirements(BADGE(), ("fit", need), estimator)
        with pytest.raises(TypeError, match=rf"^skal\.access\.{need} {message}"):
            ask(need, estimator, X)


def test_every_question_is_in_the_table_of_this_test():
    assert set(LACKING) == set(QUESTIONS) - {"margin"}  # of a doctest
    assert all(name == question.name for name, question in QUESTIONS.items())


def test_what_is_there_is_provided():
    for need in ("embed", "decision_function", "predict_proba", "embed_and_predict_proba", "log_proba"):
        assert provides(make_pipeline(StandardScaler(), LogisticRegression()), need)
    check_requirements("BADGE()", ("embed", "predict_proba"), GridSearchCV(LogisticRegression(), {}))
    assert provides(WassersteinClassifier(), "critic_scores_and_log_proba")
    assert provides(VAALClassifier(), "labeled_proba")
    assert provides(Learner(LogisticRegression()), "embed")
    for net in (NetClassifier(), NeuralNetClassifier(nn.Linear)):  # not built, so it may have dropout
        check_requirements("BALD()", ("dropout_proba", "predict_proba", "embed"), net)


def test_a_classifier_with_a_gradient_is_recognised():
    check_requirements("ASAL()", ("as_torch",), make_pipeline(StandardScaler(), LinearSVC()))
    with pytest.raises(
        TypeError, match=r"^ASAL\(\) needs a classifier with a gradient\. Step 'svc'.*kernel='rbf'"
    ):
        check_requirements("ASAL()", ("as_torch",), make_pipeline(StandardScaler(), SVC()))


def test_a_method_of_the_wrapper_counts():
    class Wrapper(GridSearchCV):
        def shout(self, X):
            return X

    assert provides(Wrapper(LogisticRegression(), {}), "shout")
    assert not provides(GridSearchCV(LogisticRegression(), {}), "shout")
    with pytest.raises(
        TypeError, match=r"classifier with shout and LogisticRegression has none\. Use a class"
    ):
        check_requirements("Loud()", ("shout",), GridSearchCV(LogisticRegression(), {}))


def test_a_question_of_ones_own(monkeypatch):
    def depths(classifier):
        if isinstance(classifier, RandomForestClassifier):
            return lambda rows: np.full(len(rows), classifier.max_depth)
        return None

    question = Question("depth", "trees", "Plant some.", ("n_rows",), depths)
    monkeypatch.setitem(QUESTIONS, "depth", question)
    forest = RandomForestClassifier(2, max_depth=3, random_state=0).fit(X, Y)
    assert_array_equal(ask("depth", make_pipeline("passthrough", forest), X, [1, 2]), [3, 3])
    assert provides(forest, "depth")
    assert not provides(GaussianNB(), "depth")
    with pytest.raises(
        TypeError, match=r"Deep needs a classifier with trees and GaussianNB has none\. Plant some\."
    ):
        check_requirements("Deep", ("depth",), GaussianNB())


def test_public_names():
    assert all(callable(getattr(access, name)) for name in access.__all__ if name != "QUESTIONS")
    assert "rows : array-like of int" in access.embed.__doc__
    assert "{" not in access.embed.__doc__
