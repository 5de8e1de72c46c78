"""Displays in the manner of scikit-learn's: computed once, drawn and restyled at will."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from .simulation import History


class LearningCurveDisplay:
    """Learning curves of one or several strategies in one axes.

    It is recommended to use :meth:`from_history`. All parameters are stored as attributes.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        Results of :func:`skal.simulate`.
    metric : str, default="score"
        Which array of the histories is drawn against ``n_labeled``.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : dict of str to matplotlib Line2D
        The mean over the repeats.
    bands_ : dict of str to matplotlib PolyCollection
        The spread over the repeats, where there are several.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skal.plotting import LearningCurveDisplay
    >>> history = {"n_labeled": np.array([[10, 20]] * 2), "score": np.array([[0.8, 0.9], [0.7, 0.8]])}
    >>> display = LearningCurveDisplay.from_history({"random": history})
    >>> display.lines_["random"].get_ydata()
    array([0.75, 0.85])
    """

    def __init__(self, histories: Mapping[str, History], *, metric: str = "score") -> None:
        self.histories = histories
        self.metric = metric

    @classmethod
    def from_history(
        cls,
        histories: History | Mapping[str, History],
        *,
        metric: str = "score",
        band: str | None = "std",
        ax: Any = None,
        name: str | None = None,
        **line_kwargs: Any,
    ) -> Self:
        """Draw the curves of a ``history_`` or of the result of :func:`skal.simulate`.

        Parameters
        ----------
        histories : dict of ndarray, or dict of str to dict of ndarray
            One history, with or without a leading axis of repeats, or several by name.
        metric : str, default="score"
            The array to draw, such as ``"score"``, ``"query_time"`` or ``"query_entropy"``.
        band : {"std", "min_max"} or None, default="std"
            What the band around the mean shows: one standard deviation, or the extremes.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default. Several displays can share one.
        name : str, default=None
            The legend's name of a single history.
        **line_kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LearningCurveDisplay

        Raises
        ------
        ValueError
            If the histories have no such metric.
        """
        several = all(isinstance(value, Mapping) for value in histories.values())
        named: Any = histories if several else {name or "": histories}
        for label, history in named.items():
            if metric not in history:
                raise ValueError(
                    f"The history {label!r} has no {metric!r}; it has {sorted(history)}. A score needs validation "
                    "rows: validation_fraction, or X_val and y_val in fit."
                )
        return cls(named, metric=metric).plot(band=band, ax=ax, **line_kwargs)

    def plot(self, *, band: str | None = "std", ax: Any = None, **line_kwargs: Any) -> Self:
        """Draw the curves.

        Parameters
        ----------
        band : {"std", "min_max"} or None, default="std"
        ax : matplotlib Axes, default=None
        **line_kwargs : dict
            Passed to matplotlib's ``plot``.

        Returns
        -------
        display : LearningCurveDisplay
        """
        if band not in ("std", "min_max", None):
            raise ValueError(f"band={band!r} was given; it must be 'std', 'min_max' or None.")
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_ = {}, {}
        for name, history in self.histories.items():
            n_labeled = np.atleast_2d(history["n_labeled"])[0]
            values = np.atleast_2d(history[self.metric])
            mean = values.mean(axis=0)
            (line,) = ax.plot(n_labeled, mean, label=name or None, **line_kwargs)
            self.lines_[name] = line
            if band is not None and len(values) > 1:
                std = values.std(axis=0)
                low, high = mean - std, mean + std
                if band == "min_max":
                    low, high = values.min(axis=0), values.max(axis=0)
                self.bands_[name] = ax.fill_between(
                    n_labeled, low, high, alpha=0.2, color=line.get_color(), lw=0
                )
        ax.set_xlabel("Number of labels")
        ax.set_ylabel(self.metric.replace("_", " ").capitalize())
        if any(self.histories):
            ax.legend()
        return self


class MatchesDisplay:
    """Synthetic images above the real ones that a query matched to them, as in ASAL's Figures 2 and 25 to 28.

    It is recommended to use :meth:`from_report`. All parameters are stored as attributes.

    Parameters
    ----------
    synthetic : ndarray of shape (n_columns, ...)
        Images (C, H, W), (H, W) or (H, W, C).
    matches : ndarray of shape (n_columns, n_matches, ...)
        The real images below each, nearest first.
    titles : list of list of str
        The text above each image: first the synthetic ones, then row by row.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (1 + n_matches, n_columns)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from sklearn.utils import Bunch
    >>> from skal.plotting import MatchesDisplay
    >>> X = np.zeros((5, 4))
    >>> report = Bunch(synthetic=X[:2], rows=np.array([[3], [1]]), entropy_after=np.array([0.6, 0.5]))
    >>> display = MatchesDisplay.from_report(report, X, image_shape=(2, 2))
    >>> display.axes_.shape
    (2, 2)
    """

    def __init__(self, synthetic: Any, matches: Any, titles: list[list[str]]) -> None:
        self.synthetic = synthetic
        self.matches = matches
        self.titles = titles

    @classmethod
    def from_report(
        cls,
        report: Mapping[str, Any],
        X: Any,
        y: ArrayLike | None = None,
        *,
        n_columns: int = 10,
        image_shape: tuple[int, ...] | None = None,
        figure: Any = None,
    ) -> Self:
        """Draw the synthetic images of a query with their matches.

        Parameters
        ----------
        report : Bunch
            ``query_report_`` of a fitted :class:`skal.strategies.ASAL`.
        X : array-like of shape (n_samples, ...)
            The pool.
        y : array-like of shape (n_samples,), default=None
            Labels to write above the matches, before their row numbers.
        n_columns : int, default=10
            How many of the synthetic images to draw; the first ones.
        image_shape : tuple of int, default=None
            Shape of an image, where `X` has 2-D rows.
        figure : matplotlib Figure, default=None
            Figure to draw in; a new one by default.

        Returns
        -------
        display : MatchesDisplay

        Raises
        ------
        ValueError
            If the rows are not images and `image_shape` does not say how to read them.
        """
        synthetic, rows = np.asarray(report["synthetic"])[:n_columns], np.asarray(report["rows"])[:n_columns]
        shape = tuple(synthetic.shape[1:] if image_shape is None else image_shape)
        if len(shape) not in (2, 3) or np.prod(shape) != np.prod(synthetic.shape[1:]):
            raise ValueError(
                f"The rows have shape {synthetic.shape[1:]} and image_shape={image_shape} was given; give the shape "
                "(H, W) or (C, H, W) of one image."
            )
        missing = rows < 0
        matches = np.asarray(X)[np.where(missing, 0, rows)].reshape(*rows.shape, *shape).astype(float)
        matches[missing] = np.nan
        labels = None if y is None else np.asarray(y)
        titles = [[f"{value:.2f}" for value in np.asarray(report["entropy_after"])[:n_columns]]]
        titles += [
            ["" if row < 0 else f"{row}" if labels is None else f"{labels[row]} / {row}" for row in column]
            for column in rows.T
        ]
        return cls(synthetic.reshape(-1, *shape), matches, titles).plot(figure=figure)

    def plot(self, *, figure: Any = None, cmap: str = "gray_r") -> Self:
        """Draw the images.

        Parameters
        ----------
        figure : matplotlib Figure, default=None
        cmap : str, default="gray_r"
            Colours of images of one channel.

        Returns
        -------
        display : MatchesDisplay
        """
        n_rows, n_columns = 1 + self.matches.shape[1], len(self.synthetic)
        if figure is None:
            import matplotlib.pyplot as plt

            figure = plt.figure(figsize=(n_columns, 1.3 * n_rows + 0.3))
        self.figure_ = figure
        self.axes_ = figure.subplots(n_rows, n_columns, squeeze=False)
        drawn = np.concatenate([self.synthetic[:, None], self.matches], axis=1)
        low, high = np.nanmin(drawn), np.nanmax(drawn)
        for (row, column), axis in np.ndenumerate(self.axes_):
            image = drawn[column, row]
            if image.ndim == 3 and len(image) in (1, 3):
                image = np.moveaxis(image, 0, -1)
            # Colours lie in [0, 1] for matplotlib; gray images are shown on one common scale.
            axis.imshow((image - low) / max(high - low, np.finfo(float).tiny), cmap=cmap, vmin=0, vmax=1)
            axis.set_title(self.titles[row][column], fontsize="x-small")
            axis.axis("off")
        return self
