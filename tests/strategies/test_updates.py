"""Updated classifiers against classifiers of scikit-learn that are trained again."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import ComplementNB, GaussianNB, MultinomialNB

from skal.strategies import updates
from skal.strategies.updates import Seen, updates_of

RNG = np.random.default_rng(0)


def problem(seed, n_classes, n_features, *, scale=1.0, n_labeled=12):
    rng = np.random.default_rng(seed)
    codes = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n_labeled - n_classes)])
    labeled, new, evaluated = (
        rng.integers(0, 4, (n, n_features)) * scale + rng.integers(0, 2, n_features)
        for n in (n_labeled, 3, 4)
    )
    weights, new_weights = rng.choice([0.5, 1, 2], n_labeled), rng.choice([0.5, 1, 3], 3)
    return Seen(labeled, new, evaluated, codes, weights, new_weights)


def fitted(classifier, seen):
    return clone(classifier).fit(seen.labeled, seen.codes, seen.weights)


def updated(classifier, seen):
    after = updates_of(classifier)(classifier, seen)
    blocks = [np.stack(list(after(block)), axis=1) for block in (slice(0, 2), slice(2, 3))]
    return np.concatenate(blocks)  # candidate, class, evaluated, probability


def trained_again(classifier, seen):
    stack = sparse.vstack if sparse.issparse(seen.labeled) else np.vstack
    answers = [
        clone(classifier)
        .fit(
            stack([seen.labeled, seen.candidates[i : i + 1]]),
            np.append(seen.codes, code),
            np.append(seen.weights, seen.new_weights[i]),
        )
        .predict_proba(seen.evaluated)
        for i in range(len(seen.new_weights))
        for code in range(len(classifier.classes_))
    ]
    return np.reshape(answers, (len(seen.new_weights), len(classifier.classes_), *answers[0].shape))


@given(st.integers(0, 999), st.integers(2, 4), st.integers(1, 3), st.sampled_from([1.0, 1e-3, 1e6]))
def test_gaussian_naive_bayes_is_the_one_trained_again(seed, n_classes, n_features, scale):
    seen = problem(seed, n_classes, n_features, scale=scale)
    if not seen.labeled.var(axis=0).any():
        return
    priors = None if seed % 2 else np.arange(1, n_classes + 1) / sum(range(n_classes + 1))
    classifier = fitted(GaussianNB(priors=priors, var_smoothing=1e-2), seen)
    assert_allclose(updated(classifier, seen), trained_again(classifier, seen), rtol=1e-6, atol=1e-10)


@given(st.integers(0, 999), st.integers(2, 4), st.integers(1, 4), st.booleans(), st.booleans())
def test_multinomial_naive_bayes_is_the_one_trained_again(seed, n_classes, n_features, is_sparse, learns):
    seen = problem(seed, n_classes, n_features)
    if is_sparse:
        parts = (sparse.csr_array(part) for part in (seen.labeled, seen.candidates, seen.evaluated))
        seen = Seen(*parts, seen.codes, seen.weights, seen.new_weights)
    priors = np.arange(1, n_classes + 1) / sum(range(n_classes + 1)) if seed % 3 == 0 else None
    alpha = 0.3 if seed % 2 else np.arange(1.0, n_features + 1)
    classifier = fitted(MultinomialNB(alpha=alpha, fit_prior=learns, class_prior=priors), seen)
    assert_allclose(updated(classifier, seen), trained_again(classifier, seen), rtol=1e-9, atol=1e-12)


@pytest.mark.filterwarnings("ignore:divide by zero encountered in log")
def test_a_class_whose_labels_weigh_nothing():
    seen = problem(0, 3, 3)
    seen = replace(seen, weights=np.where(seen.codes == 1, 0.0, seen.weights))
    classifier = fitted(MultinomialNB(), seen)
    assert_allclose(updated(classifier, seen), trained_again(classifier, seen), atol=1e-9)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_rows_far_away_overflow_nowhere_or_are_refused(n_classes):
    seen = problem(1, n_classes, 3)
    classifier = fitted(LogisticRegression(), seen)
    far = replace(seen, evaluated=seen.evaluated * 1e6)
    found = updated(classifier, far)
    assert_allclose(found.sum(axis=-1), 1)
    for name in ("labeled", "candidates", "evaluated"):
        part = getattr(seen, name)
        for values in (part * 1e160, sparse.csr_array(part * 1e160)):
            with pytest.raises(ValueError, match=r"their squares overflow; scale them"):
                updated(classifier, replace(seen, **{name: values}))


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@pytest.mark.parametrize("params", [{}, {"fit_intercept": False}, {"C": 0.05}, {"C": 20.0}], ids=str)
def test_logistic_regression_is_nearly_the_one_trained_again(n_classes, params):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(92, 4))
    codes = (X @ rng.normal(size=(4, n_classes)) + rng.normal(size=(len(X), n_classes))).argmax(axis=1)
    seen = Seen(X[:80], X[80:83], X[83:], codes[:80], rng.uniform(1, 2, 80), rng.uniform(1, 2, 3))
    classifier = fitted(LogisticRegression(tol=1e-10, max_iter=10_000, **params), seen)
    now, then = classifier.predict_proba(seen.evaluated), trained_again(classifier, seen)
    # Labels count as much as they are likely: those that nobody expects move coefficients far.
    shares = classifier.predict_proba(seen.candidates)[:, :, np.newaxis, np.newaxis]
    error, change = (shares * np.abs(each - then) for each in (updated(classifier, seen), now))
    assert change.max() > 1e-3
    assert error.max() < 0.3 * change.max()
    assert error.mean() < 0.2 * change.mean()


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("has_intercept", [True, False])
def test_logistic_regression_changes_by_its_derivative_where_a_label_weighs_little(n_classes, has_intercept):
    seen = problem(0, n_classes, 3, n_labeled=40)
    seen = replace(seen, new_weights=np.array([1e-4, 2e-4, 3e-4]))
    classifier = fitted(
        LogisticRegression(solver="newton-cholesky", tol=1e-12, fit_intercept=has_intercept), seen
    )
    now = classifier.predict_proba(seen.evaluated)
    change = trained_again(classifier, seen) - now
    assert_allclose(updated(classifier, seen) - now, change, rtol=0.01, atol=1e-3 * np.abs(change).max())


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_row_far_from_all_others_is_learned(n_classes):
    """Whole Newton steps go back and forth, and left the label that was added with a probability below a half."""
    pixels, digits = load_digits(n_class=n_classes, return_X_y=True)
    few = np.concatenate([np.flatnonzero(digits == c)[:3] for c in range(n_classes)])
    new = np.arange(100, 140)
    seen = Seen(pixels[few], pixels[new], pixels[new], digits[few], np.ones(len(few)), np.ones(40))
    classifier = fitted(LogisticRegression(max_iter=5000), seen)
    after = np.stack(list(updates_of(classifier)(classifier, seen)(slice(None))), axis=1)
    each, codes = np.arange(40)[:, np.newaxis], np.arange(n_classes)
    own, trained = (p[each, codes, each, codes] for p in (after, trained_again(classifier, seen)))
    assert own.min() > 0.9
    assert_allclose(own, trained, atol=0.1)


@given(st.integers(0, 1000), st.integers(1, 4), st.sampled_from([1e-3, 1, 100, 1e4]))
def test_the_equation_of_a_row_is_solved(seed, n_values, leverage):
    rng = np.random.default_rng(seed)
    root, z = rng.normal(size=(7, n_values, n_values)), 4 * rng.normal(size=(7, n_values))
    S, weight = leverage * root @ root.transpose(0, 2, 1), rng.uniform(0.1, 3, (7, 1))
    target = (
        np.eye(n_values)[rng.integers(n_values)] if n_values > 1 else rng.integers(2, size=1).astype(float)
    )
    a = updates._solved(S, z, weight, target)
    now = z - np.einsum("bij,bj->bi", S, a)
    assert_allclose(a, weight * (updates._proba(now) - target), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_loss_of_a_surprising_label_is_no_parabola(n_classes, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(207, 2))
    codes = (X @ rng.normal(size=(2, n_classes)) + rng.normal(size=(207, n_classes))).argmax(axis=1)
    seen = Seen(X[:200], 3 * X[200:203], X[203:], codes[:200], np.ones(200), np.full(3, 5.0))
    classifier = fitted(LogisticRegression(C=10.0, tol=1e-10), seen)
    then = trained_again(classifier, seen)
    error = np.abs(updated(classifier, seen) - then).mean()
    monkeypatch.setattr(updates, "_N_STEPS", 1)
    assert error < 0.75 * np.abs(updated(classifier, seen) - then).mean()


@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_many_features_are_those_of_the_labelled_rows(is_sparse, n_classes, monkeypatch):
    rng = np.random.default_rng(0)
    make = sparse.csr_array if is_sparse else np.asarray
    X = rng.normal(size=(42, 60)) * (rng.random((42, 60)) < 0.4)
    parts = (make(part) for part in (X[:30], X[30:33], X[33:]))
    seen = Seen(*parts, np.arange(30) % n_classes, np.ones(30), np.ones(3))
    classifier = fitted(LogisticRegression(C=0.3, tol=1e-10, max_iter=10_000), seen)
    whole = updated(classifier, seen)
    monkeypatch.setattr(updates, "MOST_PARAMETERS", 31 * max(n_classes, 1) if n_classes > 2 else 31)
    assert_allclose(
        updated(classifier, seen), whole, atol=1e-8
    )  # the directions of 30 rows are all that bend
    monkeypatch.setattr(updates, "MOST_PARAMETERS", 15 * (n_classes if n_classes > 2 else 1))
    change = np.abs(whole - classifier.predict_proba(seen.evaluated)).mean()
    assert 0 < np.abs(updated(classifier, seen) - whole).mean() < 0.5 * change


def test_whatever_else_is_trained_again():
    for classifier in (
        ComplementNB(),
        type("Own", (GaussianNB,), {})(),
        MultinomialNB(alpha=0.0, force_alpha=True),
        LogisticRegression(class_weight="balanced"),
        LogisticRegression(solver="liblinear"),
        LogisticRegression(l1_ratio=0.5, solver="saga"),
        LogisticRegression(C=np.inf),
    ):
        assert updates_of(classifier) is None
    assert updates_of(LogisticRegression(C=3.0)) is updates.linear
