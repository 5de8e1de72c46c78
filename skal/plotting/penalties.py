"""The penalty matrix of the BADGE paper as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..evaluation import PenaltyMatrix, penalty_matrix


@dataclass(eq=False, repr=False)
class PenaltyMatrixDisplay:
    """Which strategy beats which, as in the BADGE paper: a strategy is good if its column is pale.

    It is recommended to use :meth:`from_experiments` or :meth:`from_matrix`. All parameters are stored as attributes.

    Parameters
    ----------
    matrix : PenaltyMatrix

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    im_ : matplotlib AxesImage
        The matrix, and below it the mean of each column.
    text_ : ndarray of matplotlib Text of shape (n_learners + 1, n_learners)
        None on the diagonal.

    See Also
    --------
    skal.evaluation.penalty_matrix : The numbers.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from skal.evaluation import PenaltyMatrix
    >>> from skal.plotting import PenaltyMatrixDisplay
    >>> matrix = PenaltyMatrix(("random", "margin"), np.array([[0.0, 0.25], [1.5, 0.0]]), 2)
    >>> PenaltyMatrixDisplay.from_matrix(matrix).text_[1, 0].get_text()
    '1.50'
    """

    matrix: PenaltyMatrix

    @classmethod
    def from_experiments(
        cls, experiments: Any, *, ax: Any = None, cmap: str = "Reds", **penalty_kwargs: Any
    ) -> Self:
        """Count and draw the penalties.

        Parameters
        ----------
        experiments : dict of str to dict of str to dict of ndarray
            A result of :func:`skal.simulate` for each data set, of the same learners.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default.
        cmap : str, default="Reds"
        **penalty_kwargs : dict
            Passed to :func:`skal.evaluation.penalty_matrix`: `metric`, `alpha`, `between`.

        Returns
        -------
        display : PenaltyMatrixDisplay
        """
        return cls(penalty_matrix(experiments, **penalty_kwargs)).plot(ax=ax, cmap=cmap)

    @classmethod
    def from_matrix(cls, matrix: PenaltyMatrix, *, ax: Any = None, cmap: str = "Reds") -> Self:
        """Draw penalties that have been counted already.

        Parameters
        ----------
        matrix : PenaltyMatrix
            Result of :func:`skal.evaluation.penalty_matrix`.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default.
        cmap : str, default="Reds"

        Returns
        -------
        display : PenaltyMatrixDisplay
        """
        return cls(matrix).plot(ax=ax, cmap=cmap)

    def plot(self, *, ax: Any = None, cmap: str = "Reds") -> Self:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        cmap : str, default="Reds"

        Returns
        -------
        display : PenaltyMatrixDisplay
        """
        names = [str(name) for name in self.matrix.names]
        n_names, most = len(names), self.matrix.n_experiments
        if ax is None:
            import matplotlib.pyplot as plt

            side = 2 + 0.7 * n_names
            ax = plt.subplots(figsize=(side, side), layout="constrained")[1]
        self.ax_, self.figure_ = ax, ax.figure
        values = np.vstack([self.matrix.penalties, self.matrix.mean_losses])
        self.im_ = ax.imshow(values, cmap=cmap, vmin=0, vmax=most)
        self.text_ = np.full(values.shape, None, dtype=object)
        for (row, column), value in np.ndenumerate(values):
            if row != column:
                color = "white" if value > 0.6 * most else "black"
                text = ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
                self.text_[row, column] = text
        ax.axhline(n_names - 0.5, color="black", linewidth=1)
        ax.set(xticks=range(n_names), yticks=range(n_names + 1), xlabel="Is beaten", ylabel="Beats")
        ax.set_xticklabels(names, rotation=45, ha="right", rotation_mode="anchor")
        ax.set_yticklabels([*names, "mean"])
        return self
