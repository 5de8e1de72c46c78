"""Synthetic images above the real ones that a query matched to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike


@dataclass(eq=False, repr=False)
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

    synthetic: Any
    matches: Any
    titles: list[list[str]]

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
            Number of synthetic images to draw, from the first.
        image_shape : tuple of int, default=None
            Shape of an image, if `X` has 2-D rows.
        figure : matplotlib Figure, default=None
            Figure to draw in; a new one by default.

        Returns
        -------
        display : MatchesDisplay

        Raises
        ------
        ValueError
            If the rows are not images, and `image_shape` does not give their shape.
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
            Colour map of images of one channel.

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
            if image.ndim == 3 and len(image) in (1, 3, 4):
                image = np.moveaxis(image, 0, -1)
            # Colours lie in [0, 1] for matplotlib; gray images are shown on one common scale.
            axis.imshow((image - low) / max(high - low, np.finfo(float).tiny), cmap=cmap, vmin=0, vmax=1)
            axis.set_title(self.titles[row][column], fontsize="x-small")
            axis.axis("off")
        return self
