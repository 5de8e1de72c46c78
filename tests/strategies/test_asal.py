"""ASAL against its own definition: brute-force matches of the synthetic rows that it reports."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.validation import check_is_fitted

from skal import ActiveLearner, SimulatedLearner
from skal.classifiers import CNNClassifier, NetClassifier
from skal.generators import VAE
from skal.strategies import ASAL, CoreSet, UncertaintySampling
from skal.strategies.uncertainty import entropy
from tests.networks import (
    DIGITS,
    AffineGenerator,
    generator_states,
    same_tensors,
    tiny_autoencoder,
    tiny_gan,
    weights,
)

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(shift, 1, (40, 3)) for shift in (-2, 0, 2)]).astype(np.float32)
TRUTH = np.repeat([0, 1, 2], 40)
LABELED = np.arange(0, 120, 10)
Y = np.full(120, -1)
Y[LABELED] = TRUTH[LABELED]
CLASSIFIER = LogisticRegression().fit(X[LABELED], TRUTH[LABELED])
GAN_ = tiny_gan(n_iter=5).fit(X)


def asal(features="pixels", **params):
    return ASAL(
        FrozenEstimator(GAN_), features, **{"n_steps": 10, "n_components": None, "random_state": 0, **params}
    )


def greedy_matches(features, queries, available, n_neighbors=1):
    """The definition, in float64: nearest free rows, in the order of the queries."""
    free = available.copy()
    rows = []
    for query in queries.astype(np.float64):
        distances = np.where(free, np.linalg.norm(features.astype(np.float64) - query, axis=1), np.inf)
        nearest = np.argsort(distances, kind="stable")[:n_neighbors]
        free[nearest] = False
        rows.append(nearest)
    return np.array(rows)


@pytest.mark.parametrize("n_components", [None, 2])
@pytest.mark.parametrize("features", ["pixels", "discriminator", "autoencoder", "transformer", "classifier"])
def test_matches_are_the_nearest_unlabeled_rows(features, n_components):
    autoencoder = tiny_autoencoder().fit(X)
    given = {
        "autoencoder": FrozenEstimator(autoencoder),
        "transformer": StandardScaler(),
    }.get(features, features)
    scaled = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[LABELED], TRUTH[LABELED])
    strategy = asal(given, n_components=n_components).fit(X)
    rows = strategy.query(X, Y, n_queries=6, estimator=scaled)
    report = strategy.query_report_

    compute = {
        "pixels": lambda x: x,
        "discriminator": GAN_.transform,
        "autoencoder": autoencoder.transform,
        "transformer": StandardScaler().fit(X).transform,
        "classifier": scaled[0].transform,
    }[features]
    pool, synthetic = compute(X), compute(report.synthetic)
    if n_components is not None:
        pca = PCA(n_components).fit(pool)
        pool, synthetic = pca.transform(pool), pca.transform(synthetic)
    expected = greedy_matches(pool, synthetic, Y == -1)
    np.testing.assert_array_equal(report.rows, expected)
    np.testing.assert_allclose(
        report.distances[:, 0], np.linalg.norm(pool[expected[:, 0]] - synthetic, axis=1), rtol=1e-3, atol=1e-5
    )
    # Best first: the matched row of the largest entropy.
    order = np.argsort(-entropy(scaled.predict_proba(X[expected[:, 0]])))
    np.testing.assert_array_equal(rows, expected[order, 0])


def test_report_says_what_was_done():
    strategy = asal(n_steps=30).fit(X)
    strategy.query(X, Y, n_queries=6, estimator=CLASSIFIER)
    report = strategy.query_report_
    np.testing.assert_allclose(
        report.entropy_after, entropy(CLASSIFIER.predict_proba(report.synthetic)), rtol=1e-4
    )
    np.testing.assert_allclose(report.synthetic, GAN_.decode(report.latents), rtol=1e-5)
    assert (report.entropy_after > report.entropy_before).all()
    assert report.n_collisions >= 0
    assert report.n_steps.shape == (6,)


@pytest.mark.parametrize("seed", range(3))
def test_entropy_rises_for_every_seed_and_classifier(seed):
    for classifier in (CLASSIFIER, CNNClassifier(max_epochs=3, random_state=seed)):
        pool = DIGITS if isinstance(classifier, CNNClassifier) else X
        if isinstance(classifier, CNNClassifier):
            rng = np.random.default_rng(seed)
            classifier.fit(pool[:80], rng.integers(0, 3, 80))
        gan = tiny_gan(architecture="digits", n_latent=8) if pool is DIGITS else FrozenEstimator(GAN_)
        if pool is DIGITS:
            gan.set_params(generator_params=None, critic_params=None)
        strategy = ASAL(gan, "pixels", n_steps=5, random_state=seed).fit(pool)
        strategy.query(pool, n_queries=5, estimator=classifier)
        report = strategy.query_report_
        assert (report.entropy_after >= report.entropy_before).all()
        assert report.entropy_after.mean() > report.entropy_before.mean()


def test_generate_keeps_the_most_uncertain_matches():
    strategy = asal(n_candidates=20).fit(X)
    rows = strategy.query(X, Y, n_queries=5, estimator=CLASSIFIER)
    matched = strategy.query_report_.rows.ravel()
    assert len(set(matched)) == 20
    certain = entropy(CLASSIFIER.predict_proba(X[matched]))
    np.testing.assert_array_equal(rows, matched[np.argsort(-certain)[:5]])


def test_neighbors_keep_the_most_uncertain_matches():
    strategy = asal(n_neighbors=4, criterion=UncertaintySampling("margin")).fit(X)
    rows = strategy.query(X, Y, n_queries=5, estimator=CLASSIFIER)
    report = strategy.query_report_
    np.testing.assert_array_equal(report.rows, greedy_matches(X, report.synthetic, Y == -1, 4))
    p = np.sort(CLASSIFIER.predict_proba(X[report.rows.ravel()]), axis=1)
    expected = report.rows.ravel()[np.argsort(p[:, -1] - p[:, -2])[:5]]
    assert set(rows) == set(expected)


def test_any_criterion_chooses_among_the_matches():
    strategy = asal(n_candidates=10, criterion=CoreSet("input")).fit(X)
    rows = strategy.query(X, Y, n_queries=3, estimator=CLASSIFIER)
    assert set(rows) <= set(strategy.query_report_.rows.ravel())


@pytest.mark.parametrize("index", ["exact", "approximate", NearestNeighbors(algorithm="kd_tree")])
def test_indexes_agree(index):
    rows = asal(index=index).fit(X).query(X, Y, n_queries=6, estimator=CLASSIFIER)
    np.testing.assert_array_equal(rows, asal().fit(X).query(X, Y, n_queries=6, estimator=CLASSIFIER))


def test_min_distance_and_callables_need_no_probabilities():
    two = TRUTH[LABELED] > 0
    svm = LinearSVC().fit(X[LABELED], two)
    strategy = asal(objective="min_distance", n_steps=50).fit(X)
    rows = strategy.query(X, Y, n_queries=4, estimator=svm)
    report = strategy.query_report_
    np.testing.assert_allclose(
        report.objective_after, -np.abs(svm.decision_function(report.synthetic)), atol=1e-5
    )
    distances = np.abs(svm.decision_function(X[rows]))
    assert (np.diff(distances) >= 0).all()  # best first
    strategy = asal(objective=lambda logits: -logits[:, 1].abs()).fit(X)
    assert len(strategy.query(X, Y, n_queries=4, estimator=svm)) == 4


@pytest.mark.parametrize("features", ["discriminator", PCA(10, random_state=0)])
def test_images_and_their_rows_give_the_same_answer(features):
    flat = DIGITS.reshape(len(DIGITS), -1)
    truth = np.arange(len(DIGITS)) % 3
    classifier = CNNClassifier(max_epochs=1, random_state=0, image_shape=(1, 8, 8))
    answers = []
    for pool in (DIGITS, flat):
        gan = tiny_gan(n_latent=8, image_shape=(1, 8, 8), generator_params=None, critic_params=None)
        strategy = ASAL(gan, features, n_steps=3, n_components=10, random_state=0).fit(pool)
        answers.append(
            strategy.query(pool, n_queries=5, estimator=clone(classifier).fit(pool[:60], truth[:60]))
        )
        assert strategy.query_report_.synthetic.shape == (5, *pool.shape[1:])
    np.testing.assert_array_equal(*answers)


def test_generator_classifier_and_random_states_are_unchanged():
    gan = tiny_gan().fit(X)
    before, states = copy.deepcopy(weights(gan)), generator_states()
    classifier = copy.deepcopy(CLASSIFIER)
    strategy = ASAL(FrozenEstimator(gan), n_steps=5, random_state=0).fit(X)
    strategy.query(X, Y, n_queries=4, estimator=classifier)
    assert same_tensors(before, weights(gan))
    assert generator_states() == states
    np.testing.assert_array_equal(classifier.coef_, CLASSIFIER.coef_)
    cnn = CNNClassifier("digits", max_epochs=1, random_state=0).fit(DIGITS[:60], np.arange(60) % 3)
    before = copy.deepcopy(weights(cnn))
    images = tiny_gan(n_latent=8, generator_params=None, critic_params=None).fit(DIGITS)
    ASAL(FrozenEstimator(images), n_steps=3).fit(DIGITS).query(DIGITS, n_queries=3, estimator=cnn)
    assert same_tensors(before, weights(cnn))


def test_rounds_draw_other_latents_and_repeat_themselves():
    strategy = asal().fit(X)
    first = strategy.query(X, Y, n_queries=4, estimator=CLASSIFIER)
    latents = strategy.query_report_.latents
    np.testing.assert_array_equal(strategy.query(X, Y, n_queries=4, estimator=CLASSIFIER), first)
    later = Y.copy()
    later[first] = TRUTH[first]
    assert not set(strategy.query(X, later, n_queries=4, estimator=CLASSIFIER)) & set(first)
    assert not np.array_equal(strategy.query_report_.latents, latents)


def test_queries_one_by_one_choose_the_rows_of_a_batch():
    learner = ActiveLearner(FrozenEstimator(CLASSIFIER), asal(), random_state=0).fit(X, Y)
    batch, pending = learner.query(n_queries=5), []
    latents = learner.strategy_.query_report_.latents
    for n in range(5):
        pending += learner.query(pending=pending).tolist()
        np.testing.assert_allclose(learner.strategy_.query_report_.latents, latents[n : n + 1], rtol=1e-5)
    assert set(pending) == set(batch)
    skipped = np.setdiff1d(np.flatnonzero(Y < 0), batch)[:3]
    learner.skip(skipped).query(n_queries=5)
    np.testing.assert_array_equal(learner.strategy_.query_report_.latents, latents)


def test_rows_in_float16_are_matched_as_in_float32():
    # The product of their mean and the first component overflows in float16.
    rng = np.random.default_rng(0)
    rows = (30000 + rng.normal(0, 500, (80, 1)) + rng.normal(0, 100, (80, 30))).astype(np.float16)
    labels, answers = np.where(np.arange(80) < 20, rows[:, 0] > 30000, -1), []
    for dtype in (np.float16, np.float32):
        pool = rows.astype(dtype)
        classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(pool[:20], labels[:20])
        strategy = ASAL(tiny_gan(n_iter=2), n_steps=2, n_components=5, random_state=0).fit(pool)
        answers.append(strategy.query(pool, labels, 4, estimator=classifier))
        assert np.isfinite(strategy.query_report_.distances).all()
    np.testing.assert_array_equal(*answers)


def test_the_whole_pool_can_be_asked_for():
    for params in ({}, {"n_neighbors": 3}, {"n_candidates": 200}):
        strategy = asal(**params).fit(X)
        rows = strategy.query(X, Y, n_queries=108, estimator=CLASSIFIER)
        assert sorted(rows) == np.flatnonzero(Y == -1).tolist()


def test_another_pool_gets_its_own_index_and_the_report():
    strategy = asal().fit(X)
    other = X[::2] + 0.25
    rows = strategy.query(other, n_queries=5, estimator=CLASSIFIER)
    report = strategy.query_report_
    np.testing.assert_array_equal(
        report.rows, greedy_matches(other, report.synthetic, np.ones(len(other), dtype=bool))
    )
    assert set(rows) == set(report.rows.ravel())
    assert len(strategy.query(X, Y, n_queries=5, estimator=CLASSIFIER)) == 5


@pytest.mark.parametrize("features", ["pixels", "discriminator", PCA(2)], ids=str)
def test_components_are_those_of_the_whole_pool(features, monkeypatch):
    monkeypatch.setattr("skal.pool.base.BLOCK_BYTES", 1000)
    strategy = asal(features, n_components=2).fit(X)
    encoder = {"pixels": None, "discriminator": strategy.generator_}.get(
        str(features), getattr(strategy, "encoder_", None)
    )
    rows = X if encoder is None else encoder.transform(X)
    expected = PCA(2, svd_solver="full").fit(rows)
    assert strategy.pca_.n_samples_ == len(X)
    np.testing.assert_allclose(strategy.pca_.transform(rows), expected.transform(rows), atol=1e-4)


def test_data_frames_clones_and_pickles():
    frame = pd.DataFrame(X, columns=list("abc"))
    classifier = LogisticRegression().fit(frame.iloc[LABELED], TRUTH[LABELED])
    strategy = asal("discriminator").fit(frame)
    rows = strategy.query(frame, Y, n_queries=4, estimator=classifier)
    np.testing.assert_array_equal(
        rows, asal("discriminator").fit(X).query(X, Y, n_queries=4, estimator=CLASSIFIER)
    )
    copied = pickle.loads(pickle.dumps(strategy))
    np.testing.assert_array_equal(copied.query(frame, Y, n_queries=4, estimator=classifier), rows)
    params = ASAL(tiny_gan(), StandardScaler(), criterion=CoreSet()).get_params()
    assert {"generator__n_iter", "features__with_mean", "criterion__embedding"} <= params.keys()


def test_works_out_of_the_box(monkeypatch):
    monkeypatch.setattr("skal.strategies.latent_search.GAN", tiny_gan)
    for features in ("discriminator", "autoencoder"):
        monkeypatch.setattr("skal.strategies.asal.AutoEncoder", tiny_autoencoder)
        strategy = ASAL(features=features, n_steps=3)
        learner = SimulatedLearner(LogisticRegression(), strategy, n_initial=9, n_queries=4, budget=20)
        history = learner.fit(X, TRUTH, X_val=X, y_val=TRUTH).history_
        assert history["n_labeled"].tolist() == [9, 13, 17, 20]
        check_is_fitted(learner.strategy_.generator_)


def test_hyperparameters_are_searched():
    learner = SimulatedLearner(
        LogisticRegression(),
        ASAL(AffineGenerator(), n_steps=3),
        n_initial=6,
        n_queries=5,
        budget=16,
        random_state=0,
    )
    grid = {"strategy__n_neighbors": [1, 3], "strategy__features": ["pixels", StandardScaler()]}
    search = GridSearchCV(learner, grid, cv=2).fit(X, TRUTH)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(X, TRUTH) > 0.5


FLAT = DIGITS.reshape(len(DIGITS), -1)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("rows", [DIGITS, DIGITS[:, 0], FLAT, pd.DataFrame(FLAT)], ids=np.shape)
def test_a_network_embeds_synthetic_rows_in_the_numbers_of_the_pool(rows, dtype):
    pool, y = rows[:60].astype(dtype), np.where(np.arange(60) < 20, np.arange(60) % 3, -1)
    classifier = NetClassifier() if rows.ndim == 2 else CNNClassifier("digits")
    classifier.set_params(max_epochs=1, random_state=0)
    gan = tiny_gan(n_latent=8, generator_params=None, critic_params=None)
    learner = ActiveLearner(
        classifier, ASAL(gan, "classifier", n_steps=2, n_components=None), n_queries=4, random_state=0
    ).fit(pool, y)
    rows = learner.query()
    report, embed = learner.strategy_.query_report_, learner.estimator_.embed
    assert report.synthetic.dtype == np.float32
    synthetic = report.synthetic.reshape(4, -1)
    if dtype == np.uint8:
        synthetic = synthetic.round().clip(0, 255).astype(dtype)
    synthetic = synthetic.reshape(4, *pool.shape[1:])
    if isinstance(pool, pd.DataFrame):
        synthetic = pd.DataFrame(synthetic)
    np.testing.assert_array_equal(report.rows, greedy_matches(embed(pool), embed(synthetic), y == -1))
    assert set(rows) == set(report.rows.ravel())


def test_a_new_fit_forgets_the_old_features():
    strategy = asal(StandardScaler()).fit(X)
    strategy.set_params(features="pixels").fit(X)
    rows = strategy.query(X, Y, n_queries=6, estimator=CLASSIFIER)
    np.testing.assert_array_equal(rows, asal().fit(X).query(X, Y, n_queries=6, estimator=CLASSIFIER))


def test_vae_is_a_generator_too():
    vae = VAE(n_latent=2, max_epochs=1, module_params={"hidden": (4,)}, random_state=0)
    rows = ASAL(vae, n_steps=3).fit(X).query(X, Y, n_queries=3, estimator=CLASSIFIER)
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("strategy", "estimator", "error", "message"),
    [
        (asal(), RandomForestClassifier(), TypeError, "cannot be differentiated"),
        (asal(objective="min_distance"), SVC(), TypeError, "kernel"),
        (asal(), LinearSVC(), TypeError, "predict_proba"),
        (asal(objective="largest"), LogisticRegression(), ValueError, "objective"),
        (asal(n_steps=-1), LogisticRegression(), ValueError, "n_steps"),
        (asal(learning_rate=0), LogisticRegression(), ValueError, "learning_rate"),
        (asal(tol=-1), LogisticRegression(), ValueError, "tol"),
        (asal(n_neighbors=0), LogisticRegression(), ValueError, "n_neighbors"),
        (asal(n_candidates=0), LogisticRegression(), ValueError, "n_candidates"),
        (asal(latent_batch=0), LogisticRegression(), ValueError, "latent_batch"),
        (asal(n_components=0), LogisticRegression(), ValueError, "n_components"),
        (asal(index="fast"), LogisticRegression(), ValueError, "index"),
        (asal("colour"), LogisticRegression(), ValueError, "features"),
        (ASAL(StandardScaler()), LogisticRegression(), TypeError, "torch_decoder"),
        (ASAL(FrozenEstimator(GAN_)), LogisticRegression(), ValueError, r"rows of shape \(3,\)"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_bad_input_is_refused_before_any_training(strategy, estimator, error, message):
    pool = X[:, :2] if "rows of shape" in message else X
    with pytest.raises(error, match=message):
        ActiveLearner(estimator, strategy).fit(pool, np.full(len(pool), -1))
