"""How a learner trains its classifier on what is labelled."""

import threading

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skal import UNLABELED, ActiveLearner, SimulatedLearner
from skal.access.wrappers import last_step
from skal.classifiers import LabelEncodedClassifier, LinearClassifier, VAALClassifier, WassersteinClassifier
from skal.model_selection import LabeledSplit
from skal.strategies import BADGE, RandomSampling
from tests.learner.common import TRUTH, X, Y, learner, logistic
from tests.networks import tiny_acgan, tiny_vaal, tiny_wasserstein


def test_frozen_classifier_is_never_refitted_and_needs_no_label():
    pretrained = logistic().fit(X[::2], TRUTH[::2])
    before = pretrained.coef_.copy()
    fitted = learner(estimator=FrozenEstimator(pretrained)).fit(X, np.full(150, UNLABELED))
    rows = fitted.query()
    fitted.teach(rows, TRUTH[rows])
    assert_array_equal(pretrained.coef_, before)
    assert fitted.estimator_.estimator is pretrained
    assert_array_equal(fitted.predict(X), pretrained.predict(X))
    with pytest.raises(ValueError, match=r"\[7\] are unknown to the pretrained classifier"):
        fitted.teach([0], [7])


def test_a_pipeline_of_frozen_steps_is_pretrained():
    scaler = StandardScaler().fit(X)
    pretrained = make_pipeline(
        FrozenEstimator(scaler), FrozenEstimator(logistic().fit(scaler.transform(X), TRUTH))
    )
    fitted = learner(estimator=pretrained).fit(X, np.full(150, UNLABELED))
    rows = fitted.query()
    assert_array_equal(fitted.teach(rows, TRUTH[rows]).predict(X), pretrained.predict(X))


def test_a_frozen_scaler_before_a_classifier_is_no_pretrained_pipeline():
    pipeline = make_pipeline(FrozenEstimator(StandardScaler().fit(X)), logistic())
    fitted = learner(estimator=pipeline).fit(X, Y)
    assert fitted.score(X, TRUTH) > 0.8


def test_raw_skorch_net_unwrapped():
    X8, y8 = load_digits(return_X_y=True)
    X8 = X8[:300]  # float64, as users have it
    y = np.where(np.arange(300) < 60, y8[:300], UNLABELED)
    net = NeuralNetClassifier(
        Net, max_epochs=100, lr=0.1, train_split=None, verbose=0, criterion=nn.CrossEntropyLoss
    )
    state = torch.get_rng_state()
    fitted = ActiveLearner(net, BADGE(), n_queries=5, random_state=0).fit(X8, y)
    rows = fitted.query()
    assert fitted.score(X8, y8[:300]) > 0.6
    assert_array_equal(rows, ActiveLearner(net, BADGE(), n_queries=5, random_state=0).fit(X8, y).query())
    assert_array_equal(torch.get_rng_state(), state)
    with pytest.raises(ValueError, match="NetClassifier"):
        ActiveLearner(net, RandomSampling()).fit(X8, y8[:300].astype(str))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(64, 32), nn.Linear(32, 10)

    def forward(self, X):
        return self.out(torch.relu(self.hidden(X / 16)))


@pytest.mark.parametrize(
    "classifier",
    [SelfTrainingClassifier(logistic()), make_pipeline(StandardScaler(), LabelSpreading())],
    ids=repr,
)
def test_semi_supervised_classifiers_get_the_unlabelled_rows(classifier):
    fitted = learner(estimator=classifier).fit(X, Y)
    alone = clone(classifier).fit(X, Y)
    assert_allclose(fitted.predict_proba(X), alone.predict_proba(X))
    fitted.extend(X[:1], TRUTH[:1])
    assert fitted.query().shape == (5,)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda classifier: GridSearchCV(classifier, {}),
        lambda classifier: RandomizedSearchCV(make_pipeline(StandardScaler(), classifier), {}),
        lambda classifier: GridSearchCV(
            Pipeline([("classifier", logistic())]), [{"classifier": [logistic(), classifier]}]
        ),
        lambda classifier: make_pipeline(StandardScaler(), GridSearchCV(classifier, {})),
        LabelEncodedClassifier,
        lambda classifier: LabelEncodedClassifier(make_pipeline(StandardScaler(), classifier)),
        lambda classifier: make_pipeline(StandardScaler(), LabelEncodedClassifier(classifier)),
        CalibratedClassifierCV,
        lambda classifier: VotingClassifier([("one", logistic()), ("two", classifier)]),
        lambda classifier: make_pipeline(SelectFromModel(classifier), logistic()),
        lambda classifier: SelfTrainingClassifier(classifier),
    ],
)
@pytest.mark.parametrize(
    "classifier", [tiny_wasserstein(), tiny_vaal(), SelfTrainingClassifier(logistic()), LabelSpreading()]
)
def test_what_keeps_unlabelled_rows_from_a_classifier_is_refused(wrap, classifier, monkeypatch):
    estimator, name = wrap(classifier), type(classifier).__name__
    for kind in (
        WassersteinClassifier,
        VAALClassifier,
        SelfTrainingClassifier,
        LabelSpreading,
        StandardScaler,
    ):
        monkeypatch.setattr(kind, "fit", lambda self, *given, **params: pytest.fail("it was trained"))
    given = {"estimator": estimator, "strategy": RandomSampling()}
    message = rf"^{name} learns from unlabelled rows too, and inside (?!Pipeline)\w+ it would get none. Give"
    with pytest.raises(TypeError, match=message) as caught:
        learner(**given).fit(X, Y)
    assert ("LabeledSplit" in str(caught.value)) == ("SearchCV" in repr(estimator))
    with pytest.raises(TypeError, match=message):
        SimulatedLearner(estimator, RandomSampling()).fit(X, TRUTH)
    fitted = learner(strategy=RandomSampling()).fit(X, Y).set_params(estimator=estimator)
    with pytest.raises(TypeError, match=message):
        fitted.teach([1], [0])


def test_the_remedies_of_a_search_train_on_unlabelled_rows():
    search = GridSearchCV(tiny_wasserstein(max_epochs=1), {"lr": [0.01]}, cv=LabeledSplit(2)).fit(X, Y)
    assert "train_divergence" in search.best_estimator_.net_.history[-1]
    learners = GridSearchCV(
        learner(estimator=tiny_wasserstein(max_epochs=1)), {"estimator__lr": [0.01]}, cv=LabeledSplit(2)
    ).fit(X, Y)
    assert "train_divergence" in learners.best_estimator_.estimator_.net_.history[-1]


def test_a_trained_classifier_needs_no_unlabelled_rows():
    trained = FrozenEstimator(tiny_wasserstein(max_epochs=1).fit(X, Y))
    for estimator in (trained, CalibratedClassifierCV(trained), make_pipeline(StandardScaler(), trained)):
        assert learner(estimator=estimator).fit(X, Y).query().shape == (5,)


@pytest.mark.parametrize("container", [np.asarray, list, pd.Series, np.asfortranarray])
def test_weights_are_those_that_fit_was_given(container):
    weight = np.random.default_rng(0).uniform(size=150)
    given = container(weight.copy())
    fitted = learner().fit(X, Y, sample_weight=given)
    for row in range(0, 150, 2):  # the caller uses the container for something else
        given[row] = 1e-3
    assert_array_equal(fitted.sample_weight_, weight)
    fitted.teach([1, 2], TRUTH[1:3])
    expected = learner().fit(X, Y, sample_weight=weight).teach([1, 2], TRUTH[1:3])
    assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))


def test_sample_weight_is_masked_with_y():
    weight = np.random.default_rng(0).uniform(size=150)
    known = Y >= 0
    alone = logistic().fit(X[known], Y[known], sample_weight=weight[known])
    plain = learner().fit(X, Y, sample_weight=weight)
    assert_allclose(plain.predict_proba(X), alone.predict_proba(X))
    rows = plain.query()
    plain.teach(rows, TRUTH[rows])
    now = plain.y_ >= 0
    alone = logistic().fit(X[now], TRUTH[now], sample_weight=weight[now])
    assert_allclose(plain.predict_proba(X), alone.predict_proba(X))
    with pytest.raises(ValueError, match="one entry per row of X, 150"):
        learner().fit(X, Y, sample_weight=weight[known])
    with pytest.raises(ValueError, match="sample_weight"):
        plain.extend(X[:2], TRUTH[:2])
    plain.extend(X[:2], TRUTH[:2], sample_weight=[0.5, 2.0])
    rows = np.append(np.flatnonzero(now), [0, 1])
    alone = logistic().fit(X[rows], TRUTH[rows], sample_weight=np.append(weight[now], [0.5, 2.0]))
    assert_allclose(plain.predict_proba(X), alone.predict_proba(X), rtol=1e-5)


def test_one_class_with_a_semi_supervised_classifier():
    fitted = learner(estimator=SelfTrainingClassifier(logistic()), strategy=RandomSampling())
    fitted.fit(X, np.where(np.arange(150) < 3, 1, UNLABELED))
    assert set(fitted.predict(X)) == {1}
    assert fitted.query().shape == (5,)


def test_random_state_decides_everything():
    forest = RandomForestClassifier(5)
    runs = [learner(estimator=forest, random_state=seed).fit(X, Y).predict_proba(X) for seed in (0, 0, 1)]
    assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()
    fresh = [learner(strategy=RandomSampling(), random_state=None).fit(X, Y).query() for _ in range(2)]
    assert (fresh[0] != fresh[1]).any()
    same = [
        learner(estimator=forest, random_state=np.random.RandomState(3)).fit(X, Y).query() for _ in range(2)
    ]
    assert_array_equal(same[0], same[1])


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_warm_start_goes_on_with_the_weights_of_the_last_refit(in_pipeline):
    net = LinearClassifier(max_epochs=3, warm_start=True, random_state=1)
    estimator = make_pipeline(FrozenEstimator(StandardScaler().fit(X)), net) if in_pipeline else net
    fitted = learner(estimator=estimator).fit(X, Y)
    before = fitted.predict_proba(X)
    rows = fitted.query()
    known = np.union1d(np.flatnonzero(Y >= 0), rows)

    expected = clone(estimator).fit(X[Y >= 0], TRUTH[Y >= 0])
    assert_array_equal(before, expected.predict_proba(X))
    expected.set_params(**{"linearclassifier__lr" if in_pipeline else "lr": 0.3})
    expected.fit(X[known], TRUTH[known])
    fitted.set_params(**{"estimator__linearclassifier__lr" if in_pipeline else "estimator__lr": 0.3})
    last = fitted.estimator_
    fitted.teach(rows, TRUTH[rows])
    assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(last.predict_proba(X), before)  # the last one is left as it was
    assert (clone(expected).fit(X[known], TRUTH[known]).predict_proba(X) != fitted.predict_proba(X)).any()

    fitted.set_params(estimator=estimator).fit(X, Y)
    assert_array_equal(
        fitted.predict_proba(X), clone(estimator).fit(X[Y >= 0], TRUTH[Y >= 0]).predict_proba(X)
    )


def test_a_refitted_scaler_ends_a_warm_start():
    """The old weights would meet other inputs; where PCA keeps another number of them, they do not even fit."""
    net = LinearClassifier(max_epochs=3, warm_start=True)
    rows = np.arange(1, 30)
    for scaler in (StandardScaler(), PCA(0.95)):
        estimator = make_pipeline(scaler, net)
        fitted = learner(estimator=estimator).fit(X, np.where(np.arange(150) % 50 == 0, TRUTH, UNLABELED))
        anew = learner(estimator=estimator).fit(X, fitted.teach(rows, TRUTH[rows]).y_)
        assert_array_equal(fitted.predict_proba(X), anew.predict_proba(X))


def test_callbacks_that_cannot_be_copied_do_for_a_warm_start():
    class Locked(Callback):
        def on_train_begin(self, net, **params):
            self.lock = threading.Lock()

    estimator = LinearClassifier(max_epochs=1, warm_start=True, callbacks=[("locked", Locked())])
    fitted = learner(estimator=estimator).fit(X, Y)
    rows = fitted.query()
    assert len(fitted.teach(rows, TRUTH[rows]).query()) == 5


def test_a_checkpoint_is_refused_before_any_training(tmp_path):
    estimator = make_pipeline(StandardScaler(), tiny_acgan(checkpoint=tmp_path / "acgan.skal"))
    with pytest.raises(ValueError, match="belongs to one training"):
        learner(estimator=estimator).fit(X, Y)
    assert not any(tmp_path.iterdir())


def test_a_failed_fit_leaves_no_classifier():
    fitted = learner().fit(X, Y).set_params(estimator__C=-1)
    with pytest.raises(ValueError, match="'C' parameter"):
        fitted.fit(X, Y)
    with pytest.raises(NotFittedError, match="its training failed"):
        fitted.predict(X)


def test_whether_the_classifier_has_learned_all_labels(tmp_path):
    fitted = learner()
    assert not hasattr(fitted, "is_trained_")
    fitted.fit(X, Y)
    assert fitted.is_trained_
    rows = fitted.query()
    fitted.teach(rows, TRUTH[rows], refit=False)
    assert not fitted.is_trained_
    fitted.save(tmp_path)
    assert not ActiveLearner.load(tmp_path, X, learner()).is_trained_
    assert fitted.refit().is_trained_
    rows = fitted.audit(2)
    assert fitted.teach(rows, TRUTH[rows], audit=True).is_trained_  # those are not learned
    with pytest.raises(ValueError, match="'C' parameter"):
        fitted.set_params(estimator__C=-1).forget([np.flatnonzero(Y >= 0)[0]])
    assert not fitted.is_trained_
    assert fitted.undo().is_trained_


def test_a_new_class_ends_a_warm_start():
    net = LinearClassifier(max_epochs=3, warm_start=True)
    two = np.where(Y == 2, UNLABELED, Y)
    fitted = learner(estimator=net).fit(X, two)
    rows = np.flatnonzero(Y == 2)
    fitted.teach(rows, TRUTH[rows])
    assert_array_equal(fitted.predict_proba(X), learner(estimator=net).fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("wrap", [lambda own: own, lambda own: make_pipeline(StandardScaler(), own)])
def test_the_size_of_the_next_query_reaches_the_loss(wrap):
    """It is a factor of the critic's labelled rows; here it decides the critic."""
    own = WassersteinClassifier(max_epochs=3, mu=1.0, random_state=0)
    rows = X.astype(np.float64)

    def critic(n_queries, asked):
        """What the critic says after a training with a parameter of its own, or with the learner's."""
        classifier = wrap(clone(own).set_params(n_queries=n_queries))
        fitted = ActiveLearner(classifier, RandomSampling(), n_queries=asked).fit(rows, Y)
        return fitted, last_step(fitted.estimator_).critic_scores(rows)

    fitted, told = critic(None, 40)
    assert_array_equal(told, critic(40, 1)[1])
    assert_array_equal(critic(None, 1)[1], critic(1, 40)[1])
    assert np.abs(told - critic(1, 40)[1]).max() > 1e-6
    assert last_step(fitted.estimator_).n_queries == 40
    assert last_step(fitted.estimator).n_queries is None
