"""ActiveLearner with every kind of classifier, container and label that it promises to take."""

import pickle
import threading

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn

from skal import UNLABELED, ActiveLearner
from skal.classifiers import CNNClassifier, LinearClassifier
from skal.strategies import BADGE, CoreSet, RandomSampling, UncertaintySampling

from .networks import tiny_acgan

X, TRUTH = load_iris(return_X_y=True)
Y = np.where(np.arange(150) % 10 == 0, TRUTH, UNLABELED)


def logistic():
    return LogisticRegression(max_iter=1000)


def learner(**params):
    return ActiveLearner(logistic(), UncertaintySampling(), n_queries=5, random_state=0).set_params(**params)


def test_only_labelled_rows_reach_the_classifier():
    fitted = learner().fit(X, Y)
    alone = logistic().fit(X[Y >= 0], Y[Y >= 0])
    assert_allclose(fitted.predict_proba(X), alone.predict_proba(X))
    assert_array_equal(fitted.classes_, [0, 1, 2])
    assert fitted.n_features_in_ == 4


def test_teach_refits_the_classifier_and_keeps_the_strategy():
    fitted = learner().fit(X, Y)
    strategy = fitted.strategy_
    rows = fitted.query()
    fitted.teach(rows, TRUTH[rows])
    assert fitted.strategy_ is strategy
    known = np.union1d(np.flatnonzero(Y >= 0), rows)
    assert_allclose(fitted.predict_proba(X), logistic().fit(X[known], TRUTH[known]).predict_proba(X))
    assert not set(rows) & set(fitted.query())


def test_extend_adds_samples_that_are_not_in_the_pool():
    fitted = learner().fit(X, Y)
    new = X[1:4] + 0.01
    fitted.extend(new, TRUTH[1:4])
    known = Y >= 0
    alone = logistic().fit(np.vstack([X[known], new]), np.append(TRUTH[known], TRUTH[1:4]))
    assert_allclose(fitted.predict_proba(X), alone.predict_proba(X))
    assert len(fitted.query(n_queries=135)) == 135


def test_extend_can_bring_the_first_labels():
    fitted = learner().fit(X, np.full(150, UNLABELED))
    fitted.extend(X[[0, 149]], TRUTH[[0, 149]])
    assert_array_equal(fitted.classes_, [0, 2])


@pytest.mark.parametrize(
    "container", ["list", "array", "fortran", "memmap", "pandas", "polars", "csr", "csr_array", "N-D"]
)
@pytest.mark.parametrize(
    "strategy", [UncertaintySampling(), CoreSet("input"), BADGE(), RandomSampling()], ids=str
)
def test_every_container_gives_the_same_rows(container, strategy, tmp_path):
    names = ["a", "b", "c", "d"]

    def contain(rows):
        if container == "memmap":
            file = np.memmap(tmp_path / f"{len(rows)}.dat", dtype=rows.dtype, mode="w+", shape=rows.shape)
            file[:] = rows
            return file
        return {
            "list": rows.tolist,
            "array": rows.copy,
            "fortran": lambda: np.asfortranarray(rows),
            "pandas": lambda: pd.DataFrame(rows, columns=names),
            "polars": lambda: pl.DataFrame(rows, schema=names),
            "csr": lambda: sparse.csr_matrix(rows),
            "csr_array": lambda: sparse.csr_array(rows),
            "N-D": lambda: rows.reshape(-1, 1, 2, 2),
        }[container]()

    classifier = make_pipeline(Flatten(), logistic()) if container == "N-D" else logistic()
    expected = learner(strategy=strategy).fit(X, Y)
    fitted = learner(estimator=classifier, strategy=strategy).fit(contain(X), Y)
    assert_array_equal(fitted.query(), expected.query())
    assert_array_equal(fitted.query(contain(X)), expected.query())
    assert fitted.n_features_in_ == 4
    assert_allclose(fitted.score(contain(X), TRUTH), expected.score(X, TRUTH))
    rows = expected.query()
    fitted.teach(rows, TRUTH[rows]).extend(contain(X[:2] + 0.5), TRUTH[:2])
    expected.teach(rows, TRUTH[rows]).extend(X[:2] + 0.5, TRUTH[:2])
    assert_array_equal(fitted.query(), expected.query())


class Flatten(sklearn.base.TransformerMixin, sklearn.base.BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.asarray(X).reshape(len(X), -1)


def test_a_memmap_stays_on_disk(tmp_path):
    pool = np.memmap(tmp_path / "pool.dat", dtype=np.float64, mode="w+", shape=X.shape)
    pool[:] = X
    assert learner().fit(pool, Y).X_ is pool


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
def test_string_labels(missing):
    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    y = np.array([missing if code < 0 else names[code] for code in Y], dtype=object)
    fitted = learner().fit(X, y)
    rows = fitted.query()
    assert_array_equal(rows, learner().fit(X, Y).query())
    fitted.teach(rows, names[TRUTH[rows]])
    assert_array_equal(fitted.classes_, names)
    assert set(fitted.predict(X)) == set(names)
    assert fitted.score(X, y) == fitted.score(X[Y >= 0], names[TRUTH[Y >= 0]])


def test_score_ignores_unlabelled_rows():
    fitted = learner().fit(X, Y)
    assert fitted.score(X, Y) == logistic().fit(X[Y >= 0], Y[Y >= 0]).score(X[Y >= 0], Y[Y >= 0])
    with pytest.raises(ValueError, match="no labelled row"):
        fitted.score(X, np.full(150, UNLABELED))


def test_grid_search_on_partial_labels_scores_labelled_rows_only():
    search = GridSearchCV(learner(), {"estimator__C": [1e-4, 1.0]}, cv=3).fit(X, Y)
    assert search.best_params_ == {"estimator__C": 1.0}
    assert (
        search.best_score_ > 0.8
    )  # four of five rows are unlabelled: counted as wrong, it would be below 0.2


def test_pipeline_inside_and_outside():
    inside = ActiveLearner(
        make_pipeline(StandardScaler(), logistic()), BADGE(), n_queries=5, random_state=0
    ).fit(X, Y)
    assert inside.query().shape == (5,)
    outside = make_pipeline(StandardScaler(), learner()).fit(X, Y)
    rows = outside[-1].query()
    assert not (Y[rows] >= 0).any()
    outside[-1].teach(rows, TRUTH[rows])
    assert outside.predict(X).shape == (150,)
    assert outside.score_samples(X).shape == (150,)
    assert_array_equal(outside[-1].query(outside[:-1].transform(X)), outside[-1].query())


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


@pytest.mark.parametrize("n_labels", [0, 1])
def test_cold_start(n_labels):
    y = np.full(150, UNLABELED)
    y[:n_labels] = 0
    cold = learner().fit(X, y)
    with pytest.raises(NotFittedError, match="RandomSampling"):
        cold.query()
    if n_labels == 0:
        with pytest.raises(NotFittedError, match="no row is labelled"):
            cold.predict(X)
    else:
        assert_array_equal(cold.predict(X), np.zeros(150))
    starter = learner(strategy=RandomSampling()).fit(X, y)
    rows = starter.query(n_queries=20)
    cold.teach(rows, TRUTH[rows])
    assert cold.query().shape == (5,)


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


def test_metadata_routing():
    weight = np.random.default_rng(0).uniform(size=150)
    known = Y >= 0
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = logistic().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = learner(estimator=classifier).fit(X, Y, sample_weight=weight)
        alone = logistic().fit(X[known], Y[known], sample_weight=weight[known])
        assert_allclose(routed.predict_proba(X), alone.predict_proba(X))
        assert_allclose(
            routed.score(X, Y, sample_weight=weight),
            alone.score(X[known], Y[known], sample_weight=weight[known]),
        )
        search = GridSearchCV(learner(estimator=classifier), {"estimator__C": [0.1, 1.0]}, cv=2)
        assert search.fit(X, Y, sample_weight=weight).best_score_ > 0.5
        with pytest.raises(sklearn.exceptions.UnsetMetadataPassedError):
            learner().fit(X, Y, sample_weight=weight)


def test_frames_keep_their_columns_for_the_classifiers_own_pipeline():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.where(X[:, 0] > 5.8, "long", "short"))
    encoder = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    fitted = learner(estimator=make_pipeline(encoder, logistic())).fit(frame, Y)
    assert_array_equal(fitted.feature_names_in_, [*"abcd", "kind"])
    assert fitted.query(frame.copy()).shape == (5,)
    with pytest.raises(ValueError, match="feature names"):
        fitted.query(frame.rename(columns={"a": "z"}))


def test_missing_values_pass_where_the_classifier_takes_them():
    holes = X.copy()
    holes[::7, 1] = np.nan
    fitted = learner(estimator=HistGradientBoostingClassifier(min_samples_leaf=2, max_iter=5)).fit(holes, Y)
    assert fitted.query().shape == (5,)
    with pytest.raises(ValueError, match="NaN"):
        learner().fit(holes, Y)
    with pytest.raises(ValueError, match="NaN"):
        learner(estimator=HistGradientBoostingClassifier(), strategy=CoreSet("input")).fit(holes, Y)


def test_another_pool_has_no_labelled_rows():
    fitted = learner().fit(X, Y)
    assert_array_equal(np.sort(fitted.query(X + 1, n_queries=150)), np.arange(150))
    assert_array_equal(np.sort(fitted.query(X[:30], n_queries=30)), np.arange(30))
    # An equal array is the fitted pool: its labelled rows stay out.
    assert not (Y[fitted.query(X.copy(), n_queries=100)] >= 0).any()


def test_the_fitted_pool_is_known_by_its_content():
    images = X.reshape(-1, 1, 2, 2)
    fitted = learner(estimator=make_pipeline(Flatten(), logistic())).fit(images, Y)
    assert_array_equal(fitted.query(X.copy()), fitted.query())
    frame = pd.DataFrame(X, columns=list("abcd"))
    fitted = learner().fit(frame, Y)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_array_equal(fitted.query(X), fitted.query())
    assert not len(set(fitted.query(frame.iloc[::-1], n_queries=150)) - set(range(150)))


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_a_frame_changed_in_place_is_noticed(frame):
    pool = frame(np.zeros((500, 3)) + np.arange(500)[:, None])
    fitted = learner(strategy=RandomSampling()).fit(pool, np.arange(500) % 2)
    if frame is pd.DataFrame:
        pool.iloc[77, 1] = -1
    else:
        pool[77, 1] = -1
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query(pool)


def test_one_class_with_a_semi_supervised_classifier():
    fitted = learner(estimator=SelfTrainingClassifier(logistic()), strategy=RandomSampling())
    fitted.fit(X, np.where(np.arange(150) < 3, 1, UNLABELED))
    assert set(fitted.predict(X)) == {1}
    assert fitted.query().shape == (5,)


def test_images_and_flat_rows_give_the_same_queries():
    X8, y8 = load_digits(return_X_y=True)
    X8, y = (X8[:200] / 16).astype(np.float32), np.where(np.arange(200) < 40, y8[:200], UNLABELED)
    for strategy in (UncertaintySampling(), BADGE(), CoreSet()):
        flat = learner(estimator=CNNClassifier(image_shape=(1, 8, 8), max_epochs=3), strategy=strategy).fit(
            X8, y
        )
        images = learner(estimator=CNNClassifier(max_epochs=3), strategy=strategy).fit(
            X8.reshape(-1, 1, 8, 8), y
        )
        assert_array_equal(flat.query(), images.query())
        assert_array_equal(flat.query(X8.reshape(-1, 1, 8, 8)), flat.query())


def test_a_pool_changed_in_place_is_noticed():
    pool = X.copy()
    fitted = learner().fit(pool, Y)
    pool[3] += 1
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query(pool)
    with pytest.raises(ValueError, match="changed in place"):
        fitted.query()


def test_score_samples_only_for_score_strategies():
    fitted = learner().fit(X, Y)
    probabilities = np.sort(fitted.predict_proba(X), axis=1)
    assert_allclose(fitted.score_samples(X), probabilities[:, -2] - probabilities[:, -1])
    assert not hasattr(learner(strategy=CoreSet()), "score_samples")


def test_methods_are_those_of_the_classifier():
    assert hasattr(learner(), "decision_function")
    assert not hasattr(learner(estimator=RandomForestClassifier()), "decision_function")
    assert not hasattr(learner(), "transform")
    assert_allclose(np.exp(learner().fit(X, Y).predict_log_proba(X)), learner().fit(X, Y).predict_proba(X))


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


def test_html_shows_classifier_and_strategy():
    html = learner()._repr_html_()
    assert "LogisticRegression" in html
    assert "UncertaintySampling" in html


def test_pickle_keeps_one_pool():
    fitted = learner(strategy=CoreSet("input")).fit(
        np.zeros((20_000, 10)) + np.arange(10), np.arange(20_000) % 2
    )
    assert len(pickle.dumps(fitted)) < 1.5 * fitted.X_.nbytes


def test_a_failing_refit_leaves_the_labels_as_they_were():
    class Failing(LogisticRegression):
        def fit(self, X, y):
            if len(y) > 15:
                raise RuntimeError("no")
            return super().fit(X, y)

    fitted = learner(estimator=Failing(max_iter=1000)).fit(X, Y)
    rows = fitted.query()
    with pytest.raises(RuntimeError, match="no"):
        fitted.teach(rows, TRUTH[rows])
    with pytest.raises(RuntimeError, match="no"):
        fitted.extend(X[:1], TRUTH[:1])
    assert_array_equal(fitted.y_, Y)
    assert_array_equal(fitted.query(), rows)


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


def test_a_new_class_ends_a_warm_start():
    net = LinearClassifier(max_epochs=3, warm_start=True)
    two = np.where(Y == 2, UNLABELED, Y)
    fitted = learner(estimator=net).fit(X, two)
    rows = np.flatnonzero(Y == 2)
    fitted.teach(rows, TRUTH[rows])
    assert_array_equal(fitted.predict_proba(X), learner(estimator=net).fit(X, Y).predict_proba(X))
