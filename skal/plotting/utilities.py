"""What a strategy wants in a plane, and the boundaries between the classifier's classes."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from ..learner import ActiveLearner, RowState
from ..pool import as_pool
from ..utils.checks import check_integer
from .drawing import axes_or_new


@dataclass(eq=False, repr=False)
class UtilityDisplay:
    """The utility of each point of a plane, the decision boundary, and the rows of a pool.

    It is recommended to use :meth:`from_learner`. All parameters are stored as attributes.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (n_points, n_points)
        The grid.
    utility : ndarray of shape (n_points, n_points)
        What the strategy wants: higher is more wanted.
    predicted : ndarray of int of shape (n_points, n_points)
        Codes of the predicted classes.
    X : ndarray of shape (n_rows, 2)
        The rows of the pool.
    codes : ndarray of int of shape (n_rows,)
        Codes of their labels, -1 where there is no label.
    names : tuple of str
        Names of the two features.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    surface_ : matplotlib contour set
        The utilities.
    boundary_ : matplotlib contour set or None
        The lines between the classes; None if all points have the same prediction.
    pool_, labeled_ : matplotlib PathCollection
        The rows without and with a label.
    colorbar_ : matplotlib Colorbar

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sklearn.datasets import make_moons
    >>> from sklearn.gaussian_process import GaussianProcessClassifier
    >>> from skal import ActiveLearner
    >>> from skal.plotting import UtilityDisplay
    >>> from skal.strategies import UncertaintySampling
    >>> X, truth = make_moons(100, noise=0.1, random_state=0)
    >>> y = np.where(np.arange(100) < 10, truth, -1)
    >>> learner = ActiveLearner(GaussianProcessClassifier(), UncertaintySampling(), random_state=0).fit(X, y)
    >>> UtilityDisplay.from_learner(learner, grid_resolution=20).utility.shape
    (20, 20)
    """

    xx0: NDArray[np.floating]
    xx1: NDArray[np.floating]
    utility: NDArray[np.floating]
    predicted: NDArray[np.intp]
    _: KW_ONLY
    X: NDArray[Any]
    codes: NDArray[np.intp]
    names: tuple[str, str] = ("", "")

    @classmethod
    def from_learner(
        cls,
        learner: ActiveLearner,
        X: Any = None,
        *,
        grid_resolution: int = 100,
        eps: float = 0.5,
        ax: Any = None,
        **contour_kwargs: Any,
    ) -> Self:
        """Draw what a learner wants.

        Parameters
        ----------
        learner : ActiveLearner
            Fitted on rows of two features, with a strategy that scores rows, a `ScoreStrategy`. The points are scored
            as the rows of a separate pool.
        X : array-like of shape (n_rows, 2), default=None
            Rows to draw instead of the pool, all without a label.
        grid_resolution : int, default=100
            Points along each side.
        eps : float, default=0.5
            How far the plane extends beyond the rows, as in scikit-learn's ``DecisionBoundaryDisplay``.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default.
        **contour_kwargs : dict
            Passed to matplotlib's ``contourf``.

        Returns
        -------
        display : UtilityDisplay

        Raises
        ------
        ValueError
            If the rows do not have two features.
        TypeError
            If the strategy does not score rows.
        NotFittedError
            If the learner is not fitted.
        """
        check_is_fitted(learner)
        grid_resolution = check_integer("grid_resolution", grid_resolution, least=2)
        if not hasattr(learner, "score_samples"):
            raise TypeError(
                f"{type(learner.strategy).__name__} scores no rows; a utility is what a ScoreStrategy has, such as "
                "UncertaintySampling()."
            )
        pool = as_pool(learner.X_ if X is None else X)
        if pool.row_shape != (2,):
            raise ValueError(
                f"Rows of shape {pool.row_shape} were given, and a plane has two features; train the learner on two, "
                "for instance on PCA(2).fit_transform(X)."
            )
        rows = pool.dense()
        sides = [
            np.linspace(low - eps, high + eps, grid_resolution)
            for low, high in zip(rows.min(0), rows.max(0), strict=True)
        ]
        xx0, xx1 = np.meshgrid(*sides)
        points: Any = np.column_stack([xx0.ravel(), xx1.ravel()])
        columns = getattr(pool.X, "columns", None)
        if columns is not None:
            points = pool.like(points)
        codes_of = {label: code for code, label in enumerate(learner.classes_.tolist())}
        utility = learner.score_samples(points).reshape(xx0.shape)
        predicted = _codes(learner.predict(points), codes_of).reshape(xx0.shape)
        codes = np.full(len(rows), -1)
        if X is None:
            is_labeled = learner.row_states_ == RowState.LABELED
            codes[is_labeled] = _codes(learner.labels_[is_labeled], codes_of)
        names = ("", "") if columns is None else (str(columns[0]), str(columns[1]))
        display = cls(xx0, xx1, utility, predicted, X=rows, codes=codes, names=names)
        return display.plot(ax=ax, **contour_kwargs)

    def plot(self, *, ax: Any = None, **contour_kwargs: Any) -> Self:
        """Draw the plane.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **contour_kwargs : dict
            Passed to matplotlib's ``contourf``.

        Returns
        -------
        display : UtilityDisplay
        """
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        style = {"levels": 20, "cmap": "Blues"} | contour_kwargs
        self.surface_ = ax.contourf(self.xx0, self.xx1, self.utility, **style)
        self.colorbar_ = self.figure_.colorbar(self.surface_, ax=ax, label="Utility")
        self.boundary_ = None
        if self.predicted.min() < self.predicted.max():
            between = np.arange(self.predicted.min(), self.predicted.max()) + 0.5
            self.boundary_ = ax.contour(self.xx0, self.xx1, self.predicted, levels=between, colors="black")
        is_labeled = self.codes >= 0
        self.pool_ = ax.scatter(*self.X[~is_labeled].T, s=6, color="grey", linewidths=0)
        last = max(9, self.codes.max(initial=0))
        self.labeled_ = ax.scatter(
            *self.X[is_labeled].T,
            c=self.codes[is_labeled],
            s=30,
            cmap="tab10" if last == 9 else "turbo",
            vmin=0,
            vmax=last,
            edgecolors="black",
        )
        ax.set(xlabel=self.names[0], ylabel=self.names[1])
        return self


def _codes(labels: NDArray[Any], codes_of: dict[Any, int]) -> NDArray[np.intp]:
    """Codes of labels; a class that the classifier does not know yet gets the next one."""
    return np.array([codes_of.setdefault(label, len(codes_of)) for label in labels.tolist()], dtype=np.intp)
