"""A map of the pool in two dimensions, with the rows that each round asked for."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted

from ..generators import encode, fit_encoder
from ..learner import ActiveLearner, RowState
from ..pool import Rows, as_pool
from ..utils.checks import check_integer
from ..utils.random import draw_seed, seed_random_states
from .drawing import axes_or_new


@dataclass(eq=False, repr=False)
class QueryMapDisplay:
    """The pool as a map, on which the labelled rows have the colour of the round that asked for them.

    It is recommended to use :meth:`from_learner`. All parameters are stored as attributes.

    Parameters
    ----------
    embedding : ndarray of shape (n_rows, 2)
        The position of each row on the map.
    rounds : ndarray of int of shape (n_rows,)
        The round in which a row was labelled, 0 for the initial labels, -1 for rows without a label.
    rows : ndarray of int of shape (n_rows,)
        Their positions in the pool.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    pool_ : matplotlib PathCollection
        The rows without a label.
    queried_ : matplotlib PathCollection
        The rows with one.
    colorbar_ : matplotlib Colorbar

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner
    >>> from skal.plotting import QueryMapDisplay
    >>> from skal.strategies import UncertaintySampling
    >>> learner = SimulatedLearner(
    ...     LogisticRegression(max_iter=1000), UncertaintySampling(), n_initial=5, budget=25, random_state=0
    ... ).fit(*load_iris(return_X_y=True))
    >>> display = QueryMapDisplay.from_learner(learner)
    >>> display.embedding.shape, np.bincount(display.rounds[display.rounds >= 0]).tolist()
    ((150, 2), [5, 10, 10])
    """

    embedding: NDArray[np.floating]
    rounds: NDArray[np.intp]
    _: KW_ONLY
    rows: Rows

    @classmethod
    def from_learner(
        cls,
        learner: ActiveLearner,
        *,
        transformer: Any = None,
        n_rows: int = 10_000,
        random_state: Any = 0,
        ax: Any = None,
        **scatter_kwargs: Any,
    ) -> Self:
        """Draw what a learner asked for.

        Parameters
        ----------
        learner : ActiveLearner or SimulatedLearner
            Fitted. Rows that were labelled between two training runs, according to its ``record_``, form one round.
        transformer : transformer, default=None
            Maps rows to two numbers; ``PCA(2)`` by default. A transformer without a `transform`, such as ``TSNE()``, is
            accepted, too. Texts and tables need a pipeline that reads them. A ``FrozenEstimator`` is not trained.
        n_rows : int, default=10000
            Number of rows of the pool that are drawn at random, besides the labelled ones. The transformer learns from
            both.
        random_state : int, RandomState instance or None, default=0
            Seeds the choice of rows and the transformer.
        ax : matplotlib Axes, default=None
            Axes to draw in; new ones by default.
        **scatter_kwargs : dict
            Passed to matplotlib's ``scatter`` for the labelled rows.

        Returns
        -------
        display : QueryMapDisplay

        Raises
        ------
        ValueError
            If the transformer does not return two numbers per row, or none is given and the rows are not numbers.
        NotFittedError
            If the learner is not fitted.
        """
        check_is_fitted(learner)
        n_rows = check_integer("n_rows", n_rows)
        pool = as_pool(learner.X_)
        labeled, rounds = _rounds(learner)
        seed = draw_seed(random_state)
        drawn = np.random.default_rng(seed).choice(len(pool), min(n_rows, len(pool)), replace=False)
        rows = np.union1d(drawn, labeled)
        round_of = np.full(len(rows), -1)
        round_of[np.searchsorted(rows, labeled)] = rounds
        if transformer is None:
            embedding = _components(pool.take(rows), seed)
        else:
            embedding = _embedding(transformer, pool.take(rows), seed)
        return cls(embedding, round_of, rows=rows).plot(ax=ax, **scatter_kwargs)

    def plot(self, *, ax: Any = None, **scatter_kwargs: Any) -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **scatter_kwargs : dict
            Passed to matplotlib's ``scatter`` for the labelled rows.

        Returns
        -------
        display : QueryMapDisplay
        """
        self.ax_ = ax = axes_or_new(ax)
        self.figure_ = ax.figure
        is_labeled = self.rounds >= 0
        self.pool_ = ax.scatter(
            *self.embedding[~is_labeled].T, s=6, color="lightgrey", linewidths=0, rasterized=True
        )
        style = {
            "c": self.rounds[is_labeled],
            "s": 24,
            "cmap": "viridis",
            "edgecolors": "white",
            "linewidths": 0.5,
        }
        self.queried_ = ax.scatter(*self.embedding[is_labeled].T, **style | scatter_kwargs)
        self.colorbar_ = self.figure_.colorbar(self.queried_, ax=ax, label="Round (0: initial labels)")
        self.colorbar_.locator.set_params(integer=True, min_n_ticks=1)  # there is no round 0.5
        self.colorbar_.update_ticks()
        ax.set(xticks=[], yticks=[])
        return self


def _rounds(learner: ActiveLearner) -> tuple[Rows, NDArray[np.intp]]:
    """The labelled rows of the pool, and the rounds in which they were labelled first."""
    record = learner.record_
    is_label = (record["action"] == "label") & (record["row"] >= 0)
    rows, first = np.unique(record["row"][is_label], return_index=True)
    is_labeled = learner.row_states_[rows] == RowState.LABELED  # not taken back later
    rows, trainings = rows[is_labeled], record["round"][is_label][first][is_labeled]
    return rows, np.unique(np.append(trainings, 0), return_inverse=True)[1][:-1]


def _components(X: Any, seed: int) -> NDArray[np.floating]:
    try:
        return _embedding(PCA(2), X, seed)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"PCA(2), the default transformer, cannot read these rows: {error}. Give one that makes two numbers of "
            "a row, such as transformer=make_pipeline(TfidfVectorizer(), TruncatedSVD(2)) for texts."
        ) from error


def _embedding(transformer: Any, X: Any, seed: int) -> NDArray[np.floating]:
    if hasattr(transformer, "transform"):
        embedding = encode(fit_encoder(transformer, X, seed), X)
    else:  # such as TSNE
        transformer = clone(transformer)
        seed_random_states(transformer, seed)
        rows = as_pool(X).dense()
        embedding = transformer.fit_transform(rows.reshape(len(rows), -1))
    if embedding.shape[1] != 2:
        raise ValueError(
            f"{type(transformer).__name__} made {embedding.shape[1]} numbers of a row, and a map has two; give one "
            "with two, such as PCA(2) or make_pipeline(TfidfVectorizer(), TruncatedSVD(2))."
        )
    return embedding
