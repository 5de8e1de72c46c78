"""A linear support vector machine that also learns from points on its boundary (Huijser and van Gemert, 2017)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from ..utils.warnings import callers_level
from .checks import check_classes


@dataclass(eq=False, repr=False, kw_only=True)
class BoundarySVC(LinearClassifierMixin, BaseEstimator):
    r"""A linear support vector machine of two classes that also learns from points on its boundary.

    It is the classifier of ADBA ([1]_). With labelled rows :math:`x_i` of the classes :math:`y_i = \pm 1`, and points
    :math:`z_j` on the boundary, whose score is to be 0, it minimises

    .. math::
        \frac{1 - \beta}{n} \sum_{i=1}^n \max(0, 1 - y_i (w^\top x_i + b))
        + \frac{\beta}{m} \sum_{j=1}^m (w^\top z_j + b)^2 + \alpha \lVert w \rVert^2

    Without points on the boundary the second term is missing. The intercept b has no penalty.

    Parameters
    ----------
    alpha : float, default=1.0
        Weight :math:`\alpha` of the L2 penalty; the authors use 1. The smaller it is, the fewer labelled rows
        lie within the margin. It depends on the scale of the rows.
    boundary_weight : float, default=0.5
        Weight :math:`\beta` of the points on the boundary, less than 1.

    Attributes
    ----------
    coef_ : ndarray of shape (1, n_features)
    intercept_ : ndarray of shape (1,)
    classes_ : ndarray of shape (2,)
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the features, where `X` is a data frame with such names.

    See Also
    --------
    skal.strategies.ADBA : Asks for such points, with ``answers="boundary"``.

    Notes
    -----
    The objective is convex. The authors take up to 100 steps of Adam towards its minimum. Here an interior point method
    finds the minimum to about eight digits. Its time grows with the number of rows times the square of the number of
    features, and with the cube of the latter. If several intercepts are equally good, it returns one between them. If
    no hinge loss is left and alpha is below about 1e-12, for rows of unit scale, rounding decides how steep the
    decision function is.

    As printed in the paper, the mean of the second term is over the points. The authors' code first adds copies of the
    mean point until there are as many points as labelled rows. While there are no points, it fits the classifier
    without a penalty.

    By default, ``fit`` requests `boundary` from scikit-learn's metadata routing.

    References
    ----------
    .. [1] Huijser, van Gemert. Active Decision Boundary Annotation with Deep Generative Models. ICCV 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.classifiers import BoundarySVC
    >>> X = np.array([[-2.0, 0.0], [2.0, 0.0], [0.5, 1.0], [0.5, -1.0]])
    >>> classifier = BoundarySVC(alpha=0.01).fit(X, [0, 1, 0, 0], boundary=[False, False, True, True])
    >>> classifier.decision_function(X).round(2)
    array([-1.64,  1.  ,  0.01,  0.01])
    """

    alpha: float = 1.0
    boundary_weight: float = 0.5

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "boundary_weight": [Interval(Real, 0, 1, closed="left")],
    }
    __metadata_request__fit: ClassVar[dict[str, bool]] = {"boundary": True}

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: ArrayLike, boundary: ArrayLike | None = None) -> Self:
        """Find the hyperplane.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Labelled rows and points on the boundary.
        y : array-like of shape (n_samples,)
            Their classes. The class of a point on the boundary does not matter, but it must be one of the two.
        boundary : array-like of bool of shape (n_samples,), default=None
            Which rows are points on the boundary; by default none.

        Returns
        -------
        self : BoundarySVC

        Raises
        ------
        ValueError
            If there are not two classes among the labelled rows, or `boundary` is not one boolean per row, or the
            squares of `X` overflow.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        y = np.asarray(y)
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) > 2:
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {type_of_target(y)}."
            )
        is_point = _mask(boundary, len(X))
        if is_point.all():
            raise ValueError(
                f"{type(self).__name__} needs rows of at least two classes, and all rows are on the boundary; add "
                "labelled rows."
            )
        check_classes(self, np.unique(y[~is_point]))
        with np.errstate(over="ignore", invalid="ignore"):
            signs, center = 2 * codes[~is_point] - 1, X.mean(axis=0)
            centered = np.c_[X - center, np.ones(len(X))]
            points = centered[is_point]
            penalty = np.diag([self.alpha] * len(center) + [0.0])
            if len(points):
                penalty += self.boundary_weight * points.T @ points / len(points)
            share = (1 - self.boundary_weight) / len(signs)
            v = least_hinge(signs[:, None] * centered[~is_point], 2 * penalty / share)
        if not np.isfinite(v).all():
            raise ValueError(
                f"X has values up to {np.abs(X).max():.3g}, and alpha is {self.alpha:.3g}: numbers overflow; scale the "
                "features, or give a smaller alpha."
            )
        self.coef_, self.intercept_, self.classes_ = v[None, :-1], v[-1:] - v[:-1] @ center, classes
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def least_hinge(
    A: NDArray[np.float64], H: NDArray[np.float64], *, tol: float = 1e-14, max_iter: int = 200
) -> NDArray[np.float64]:
    r"""Return the v that minimises :math:`\frac{1}{2} v^\top H v + \sum_i \max(0, 1 - a_i^\top v)`.

    This is a primal-dual interior point method with predictor and corrector. It needs about twenty steps, whatever the
    scales.

    Parameters
    ----------
    A : ndarray of shape (n_rows, n_features)
    H : ndarray of shape (n_features, n_features)
        Positive semidefinite.
    tol : float, default=1e-14
        The mean product of slacks and multipliers at the end.
    max_iter : int, default=200

    Returns
    -------
    v : ndarray of shape (n_features,)

    Examples
    --------
    >>> import numpy as np
    >>> from skal.classifiers.boundary_svc import least_hinge
    >>> least_hinge(np.array([[2.0, 0.0], [0.0, 0.25]]), np.eye(2)).round(6)
    array([0.5 , 0.25])
    """
    n_rows, v, sizes = len(A), np.zeros(A.shape[1]), np.abs(A).sum(axis=0)
    # Slacks s = A v + t - 1 and t, which are not negative, and their multipliers a and r = 1 - a.
    s, t, a, r = np.full(n_rows, 1.0), np.full(n_rows, 2.0), np.full(n_rows, 0.5), np.full(n_rows, 0.5)
    for _ in range(max_iter):
        gradient, off, gap = A.T @ a - H @ v, 1 - A @ v - t + s, (a @ s + r @ t) / (2 * n_rows)
        is_feasible = (
            np.abs(off).max() < 1e-8 and (np.abs(gradient) <= 1e-8 * (sizes + np.abs(H) @ np.abs(v))).all()
        )
        if np.isnan(gap) or (gap < tol and (is_feasible or gap < 1e-8 * tol)):
            break
        scales = 1 / (s / a + t / r)
        system = H + (A.T * scales) @ A
        # Against rounding, which may make it singular: parameters in units of their own, and a penalty of no effect.
        units = np.sqrt(system.diagonal())
        system = system / np.outer(units, units) + 1e-14 * np.eye(len(v))
        target, ds, dt, da = 0.0, *np.zeros((3, n_rows))
        for _ in range(2):  # the predictor aims at products of 0, the corrector at what is in reach then
            to_s, to_t = target - a * s - da * ds, target - r * t + da * dt
            rest = off + to_s / a - to_t / r
            right = gradient + A.T @ (scales * rest)
            dv = np.linalg.solve(system, right / units) / units
            da = scales * (rest - A @ dv)
            ds, dt = (to_s - s * da) / a, (to_t + t * da) / r
            length = _length((s, t, a, r), (ds, dt, da, -da))
            left = (a + length * da) @ (s + length * ds) + (r - length * da) @ (t + length * dt)
            target = gap * (left / (2 * n_rows * gap)) ** 3
        length *= 0.995  # away from 0
        v, s, t, a, r = v + length * dv, s + length * ds, t + length * dt, a + length * da, r - length * da
    else:
        warnings.warn(
            f"The minimum was not found in {max_iter} steps; scale the features, or give a larger alpha.",
            ConvergenceWarning,
            stacklevel=callers_level(),
        )
    return v


def _length(values: Iterable[NDArray[np.float64]], steps: Iterable[NDArray[np.float64]]) -> float:
    """How far positive values may go along their steps, at most 1, until one is 0."""
    least = min(float((step / value).min()) for value, step in zip(values, steps, strict=True))
    return min(1.0, -1 / least) if least < 0 else 1.0


def _mask(boundary: ArrayLike | None, n_samples: int) -> NDArray[np.bool_]:
    if boundary is None:
        return np.zeros(n_samples, dtype=bool)
    mask = np.asarray(boundary)
    if mask.shape != (n_samples,) or mask.dtype != bool:
        raise ValueError(
            f"boundary of shape {mask.shape} and type {mask.dtype} was given; give True or False for each of the "
            f"{n_samples} rows."
        )
    return mask
