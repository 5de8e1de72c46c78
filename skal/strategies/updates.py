"""What classifiers would predict with one more labelled row, found without training them again.

Each function returns another one, which maps a block of candidates to probabilities: for each class, an array of shape
(n_block, n_evaluated, n_classes) with the probabilities of the evaluated rows if each candidate had this class as its
label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.utils.extmath import randomized_svd, safe_sparse_dot

from ..selection.points import squares_fit

Floats = NDArray[np.float64]
After = Callable[[slice], Iterator[Floats]]

MOST_PARAMETERS = 2048  # of a linear model, whose second derivatives are a matrix
_N_STEPS, _N_HALVED = 20, 30  # at most, until the residuals of all rows are so small
_SOLVED = 1e-9


@dataclass(frozen=True, eq=False)
class Seen:
    """The rows that an update looks at, as the classifier gets them.

    Attributes
    ----------
    labeled, candidates, evaluated : ndarray or CSR matrix of shape (n_rows, n_features)
        In float64.
    codes : ndarray of int of shape (n_labeled,)
        The classes of the labelled rows.
    weights, new_weights : ndarray of shape (n_labeled,), (n_candidates,)
        The weights of labelled rows, and of candidates, in training.
    """

    labeled: Any
    candidates: Any
    evaluated: Any
    codes: NDArray[np.intp]
    weights: Floats
    new_weights: Floats


def updates_of(classifier: Any) -> Callable[[Any, Seen], After] | None:
    """Return the function that updates a classifier; None where it has to be trained again.

    Parameters
    ----------
    classifier : fitted classifier
        An instance of exactly one of the supported classes: a subclass may train in another way.

    Returns
    -------
    updates : callable or None

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skal.strategies.updates import updates_of
    >>> updates_of(GaussianNB()).__name__, updates_of(DecisionTreeClassifier())
    ('gaussian', None)
    """
    if type(classifier) is GaussianNB:
        return gaussian
    if type(classifier) is MultinomialNB and np.min(classifier.alpha) > 0:
        return multinomial
    if type(classifier) is LogisticRegression and _has_plain_loss(classifier):
        return linear
    return None


def _has_plain_loss(classifier: LogisticRegression) -> bool:
    penalty = getattr(classifier, "penalty", "l2")
    return (
        penalty in ("l2", "deprecated")
        and not classifier.l1_ratio
        and classifier.class_weight is None
        and classifier.solver != "liblinear"  # which regularises the intercept
        and np.isfinite(classifier.C)
    )


def softmax(logits: Floats) -> Floats:
    """Turn logits into probabilities over the last axis, in place."""
    logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    return logits


def gaussian(classifier: GaussianNB, rows: Seen) -> After:
    r"""Add a row to the means and variances of one class, with the same result as training again.

    With a weight w in a class of weight n, :math:`\mu' = \mu + \frac{w}{n + w} (x - \mu)` and
    :math:`\sigma'^2 = \frac{n}{n + w} \sigma^2 + \frac{n w}{(n + w)^2} (x - \mu)^2`. The smoothing is a share of the
    largest variance of all rows, and so changes the other classes too.
    """
    X, U, n_classes = rows.candidates, rows.evaluated, len(classifier.classes_)
    counts = np.bincount(rows.codes, rows.weights, n_classes)
    means = np.zeros((n_classes, X.shape[1]))
    variances = np.zeros_like(means)
    for code in np.flatnonzero(counts):
        own = rows.codes == code
        members, weights = rows.labeled[own], rows.weights[own]
        means[code] = np.average(members, axis=0, weights=weights)
        variances[code] = np.average((members - means[code]) ** 2, axis=0, weights=weights)
    n_rows = len(rows.labeled)
    center, spread = rows.labeled.mean(axis=0), rows.labeled.var(axis=0)
    is_fixed = classifier.priors is not None
    with np.errstate(divide="ignore"):
        priors = np.log(classifier.priors if is_fixed else counts)

    def after(block: slice) -> Iterator[Floats]:
        x, weight = X[block], rows.new_weights[block, np.newaxis]
        overall = (spread + (x - center) ** 2 / (n_rows + 1)) * (n_rows / (n_rows + 1))
        smoothing = classifier.var_smoothing * overall.max(axis=1, keepdims=True)
        before = np.empty((len(x), len(U), n_classes))
        for code in range(n_classes):
            wide = variances[code] + smoothing
            squares = (1 / wide) @ ((U - means[code]) ** 2).T
            before[:, :, code] = priors[code] - (np.log(wide).sum(axis=1, keepdims=True) + squares) / 2
        for code in range(n_classes):
            logits, total = before.copy(), counts[code] + weight
            if total.min() > 0:
                away, U_away = x - means[code], U - means[code]
                shift = away * (weight / total)
                wide = counts[code] / total * (variances[code] + shift * away) + smoothing
                # The mean moves by less than the variance grows, so nothing cancels out in the square.
                squares = (1 / wide) @ (U_away**2).T - 2 * (shift / wide) @ U_away.T
                squares += (shift**2 / wide).sum(axis=1, keepdims=True)
                prior = priors[code] if is_fixed else np.log(total)
                logits[:, :, code] = prior - (np.log(wide).sum(axis=1, keepdims=True) + squares) / 2
            yield softmax(logits)

    return after


def multinomial(classifier: MultinomialNB, rows: Seen) -> After:
    r"""Add a row to the feature counts of one class, with the same result as training again.

    Only the logarithms of this class change: by :math:`\log(1 + w x_j / (n_j + \alpha_j))` where the row has the
    feature j, and by the sum of all.
    """
    X, U, n_classes = rows.candidates, rows.evaluated, len(classifier.classes_)
    alpha = np.asarray(classifier.alpha, dtype=float)
    alpha = alpha if classifier.force_alpha else np.maximum(alpha, 1e-10)
    counts = np.bincount(rows.codes, rows.weights, n_classes)
    members = sparse.csr_array(
        (rows.weights, (rows.codes, np.arange(len(rows.codes)))), (n_classes, len(rows.codes))
    )
    found = members @ rows.labeled
    found = (found.toarray() if sparse.issparse(found) else found) + alpha
    sums, length = found.sum(axis=1), np.asarray(U.sum(axis=1)).reshape(-1, 1)
    added = rows.new_weights * np.asarray(X.sum(axis=1)).ravel()
    learns_prior = classifier.class_prior is None and classifier.fit_prior
    priors = np.zeros(n_classes) if classifier.class_prior is None else np.log(classifier.class_prior)
    with np.errstate(divide="ignore"):
        priors = np.log(counts) if learns_prior else priors
        grown = (
            np.log(counts + rows.new_weights[:, np.newaxis])
            if learns_prior
            else np.tile(priors, (X.shape[0], 1))
        )
    before = np.asarray(safe_sparse_dot(U, np.log(found).T)) - length * np.log(sums)

    def after(block: slice) -> Iterator[Floats]:
        weight, x = rows.new_weights[block], X[block]
        for code in range(n_classes):
            ratio = sparse.diags_array(weight) @ x
            if sparse.issparse(ratio):
                ratio = sparse.csr_array(ratio)
                ratio.data = np.log1p(ratio.data / found[code, ratio.indices])
            else:
                ratio = np.log1p(ratio / found[code])
            gained = safe_sparse_dot(U, ratio.T, dense_output=True)
            gained -= length * np.log1p(added[block] / sums[code])
            logits = np.tile(before + priors, (len(weight), 1, 1))
            # Nothing is subtracted from a prior: that of a class whose labels weigh nothing is minus infinity.
            logits[:, :, code] = before[:, code] + gained.T + grown[block, code, np.newaxis]
            yield softmax(logits)

    return after


def linear(classifier: LogisticRegression, rows: Seen) -> After:
    r"""Add the loss of a row to the quadratic approximation of the others' at the fitted coefficients.

    With their second derivatives H, and E the features of the new row once for each class, coefficients change by
    :math:`-H^{-1} E a` where :math:`a = w (p(z - E^T H^{-1} E a) - e_c)`. This is solved by Newton's method, whose
    first step is that for the coefficients themselves, by a low-rank update of H.

    Features beyond 2048 coefficients are reduced to the main directions of the labelled rows; in all others only the
    regularisation bends the loss.
    """
    for part in (rows.labeled, rows.candidates, rows.evaluated):
        if not squares_fit(part.data if sparse.issparse(part) else part):
            raise ValueError(
                f"The rows go from {part.min():g} to {part.max():g}, as the classifier gets them, and their squares "
                "overflow; scale them."
            )
    n_classes, penalty = len(classifier.classes_), 1 / classifier.C
    n_values, has_intercept = len(classifier.coef_), bool(classifier.fit_intercept)
    labeled, X, U, beside, own = _reduced(rows, max(MOST_PARAMETERS // n_values - 1, 1))
    p = _proba(_values(classifier, rows.labeled))
    Z_new, Z = _values(classifier, rows.candidates), _values(classifier, rows.evaluated)
    if has_intercept:
        labeled, X, U = (np.column_stack([part, np.ones(len(part))]) for part in (labeled, X, U))
    n_features = labeled.shape[1]
    H = np.zeros((n_values, n_features, n_values, n_features))
    for i in range(n_values):
        for j in range(n_values):
            bends = rows.weights * p[:, i] * ((1 - p[:, i]) if i == j else -p[:, j])
            H[i, :, j] = labeled.T @ (labeled * bends[:, np.newaxis])
        H[i, np.arange(n_features), i, np.arange(n_features)] += penalty
        if has_intercept:  # not regularised; equal changes of all intercepts change nothing
            H[i, -1, i, -1] -= penalty
            H[i, -1, :, -1] += 1.0 if n_values > 1 else 0.0
    size = n_values * n_features
    flat = H.reshape(size, size)
    flat[np.arange(size), np.arange(size)] += 1e-10 * np.trace(flat) / size
    inverse = linalg.inv(flat, overwrite_a=True).reshape(H.shape)

    def after(block: slice) -> Iterator[Floats]:
        x, weight, z = X[block], rows.new_weights[block, np.newaxis], Z_new[block]
        moved = np.einsum("ifjg,bg->ifbj", inverse, x, optimize=True)
        S = np.einsum("bf,ifbj->bij", x, moved, optimize=True)
        S += own[block, np.newaxis, np.newaxis] / penalty * np.eye(n_values)
        for code in range(n_classes):
            target = np.eye(n_values)[code] if n_values > 1 else np.array([float(code)])
            a = _solved(S, z, weight, target)
            change = np.einsum("ifbj,bj->bfi", moved, a, optimize=True)
            logits = Z - U @ change - beside[:, block].T[:, :, np.newaxis] * (a / penalty)[:, np.newaxis]
            yield softmax(logits if n_values > 1 else np.concatenate([np.zeros_like(logits), logits], axis=2))

    return after


def _solved(S: Floats, z: Floats, weight: Floats, target: Floats) -> Floats:
    """Solve a = w (p(z - S a) - e_c) for each row.

    By Newton's method. A step is halved while it raises the function that is minimal there, a^T S a / 2 and the loss of
    z - S a: for a row far from all others whole steps go back and forth for ever.
    """

    def risen(a: Floats) -> Floats:
        moved = np.einsum("bij,bj->bi", S, a)
        now = z - moved
        loss = np.logaddexp(0, now) if now.shape[1] == 1 else np.logaddexp.reduce(now, axis=1, keepdims=True)
        return (a * moved).sum(axis=1) / 2 + weight[:, 0] * (loss[:, 0] - now @ target)

    a = np.zeros_like(z)
    value = risen(a)
    for _ in range(_N_STEPS):
        now = z - np.einsum("bij,bj->bi", S, a)
        residual = a - weight * (_proba(now) - target)
        if np.abs(residual).max(initial=0) <= _SOLVED:
            break
        slope = np.eye(len(target)) + weight[:, :, np.newaxis] * (_second_derivatives(now) @ S)
        step = np.linalg.solve(slope, residual[:, :, np.newaxis])[:, :, 0]
        for _ in range(_N_HALVED):
            after = risen(a - step)
            is_higher = after > value + _SOLVED * np.abs(value)
            if not is_higher.any():
                break
            step[is_higher] /= 2
        a, value = a - step, after
    return a


def _reduced(rows: Seen, n_most: int) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Return all rows in a few directions, and the remainder of the products of evaluated rows and candidates."""
    parts = rows.labeled, rows.candidates, rows.evaluated
    if rows.labeled.shape[1] <= n_most:
        labeled, X, U = (part.toarray() if sparse.issparse(part) else part for part in parts)
        return labeled, X, U, np.zeros((len(U), len(X))), np.zeros(len(X))
    n_directions = min(n_most, rows.labeled.shape[0])
    directions = randomized_svd(rows.labeled, n_directions, random_state=0)[2].T
    labeled, X, U = (np.asarray(part @ directions) for part in parts)
    between = safe_sparse_dot(rows.evaluated, rows.candidates.T, dense_output=True) - U @ X.T
    squares = (
        rows.candidates.multiply(rows.candidates) if sparse.issparse(rows.candidates) else rows.candidates**2
    )
    return labeled, X, U, between, np.maximum(np.asarray(squares.sum(axis=1)).ravel() - (X**2).sum(axis=1), 0)


def _values(classifier: LogisticRegression, X: Any) -> Floats:
    values = np.asarray(classifier.decision_function(X), dtype=np.float64)
    return values.reshape(len(values), -1)


def _proba(values: Floats) -> Floats:
    """Return the probabilities of decision values: of the second class, where there is one value."""
    return softmax(values.copy()) if values.shape[1] > 1 else expit(values)


def _second_derivatives(values: Floats) -> Floats:
    """Return those of the loss of each row in its decision values, of shape (n_rows, n_values, n_values)."""
    p = _proba(values)
    if p.shape[1] == 1:
        return (p * (1 - p))[:, :, np.newaxis]
    return p[:, :, np.newaxis] * (np.eye(p.shape[1]) - p[:, np.newaxis])
