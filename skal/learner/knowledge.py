"""What a learner knows, as the attributes of a fitted estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from ..pool import Pool, Rows
from ..strategies.base import Strategy
from ..utils.arrays import as_objects
from .delegation import Delegation
from .html import labels_html
from .ids import Ids, named_rows
from .record import as_arrays
from .state import State


class Knowledge(Delegation):
    """Base of the learner: what it knows of its pool."""

    @property
    def X_(self) -> Any:  # noqa: N802
        """The pool, in the container that `fit` was given."""
        return self._known("pool").X

    @property
    def y_(self) -> NDArray[Any]:
        """The partial labels of the pool that are used for training, of shape (n_samples,)."""
        return self._known("learned").to_array()

    @property
    def labels_(self) -> NDArray[Any]:
        """All partial labels of the pool, including those of the audit, of shape (n_samples,)."""
        return self._known("labels").to_array()

    @property
    def row_states_(self) -> NDArray[np.int8]:
        """The state of each row, a `RowState`, of shape (n_samples,)."""
        return self._known("row_states")

    @property
    def skipped_(self) -> Rows:
        """The rows that cannot be labelled, as recorded by `skip`, in increasing order."""
        return self._known("skipped").copy()

    @property
    def audit_(self) -> Rows:
        """The labelled rows that are kept out of training, in increasing order."""
        return self._known("audit").copy()

    @property
    def sample_weight_(self) -> NDArray[Any]:
        """The weights of the rows, if any were given to `fit` or with an answer, of shape (n_samples,)."""
        return np.array(self._known("params").get("sample_weight", np.ones(len(self._known("pool")))))

    @property
    def ids_(self) -> NDArray[Any]:
        """The ids given to `fit`, or the index of its data frame, or positions, of shape (n_samples,)."""
        pool = self._known("pool")
        ids: Ids | None = self._state.ids
        return np.arange(len(pool)) if ids is None else ids.names.copy()

    @property
    def extension_keys_(self) -> NDArray[Any]:
        """The keys of the samples added by `extend`, in their order, of shape (n_extensions,)."""
        return as_objects([key for each in self._known("extensions") for key in each.keys])

    @property
    def class_counts_(self) -> dict[Any, int]:
        """The number of training labels of each class, including those of `extend`."""
        return self._known("counts")

    @property
    def is_trained_(self) -> bool:
        """Whether the classifier has learned all labels: False after ``refit=False``, or if training failed."""
        return self._known("is_trained")

    @property
    def record_(self) -> dict[str, NDArray[Any]]:
        """All recorded actions, in order: arrays of equal length, for ``pandas.DataFrame(learner.record_)``.

        ``row`` (-1 for a sample of `extend`), ``label`` (None where none was given), ``round`` (how often the
        classifier had been trained), ``time`` (UTC), ``action`` ("label", "audit", "forget", "skip", "unskip", or
        "draw" for the audit) and ``extension`` (the key of a sample of `extend`).
        """
        return as_arrays(self._known("record"))

    @property
    def strategy_(self) -> Strategy:
        """The fitted strategy."""
        return self._known("strategy")

    @property
    def estimator_(self) -> Any:
        """The fitted classifier."""
        return self._known("estimator")

    def _known(self, name: str) -> Any:
        value = getattr(self._state, name, None)
        if value is None:
            raise AttributeError(f"{type(self).__name__} has no {name} yet")
        return value

    def positions(self, ids: ArrayLike) -> Rows:
        """The positions of rows in the pool, by ids of any kind, including integers.

        Parameters
        ----------
        ids : array-like of shape (n_rows,)
            Names that were given to `fit`, or that the index of its data frame has; as in ``ids_``.

        Returns
        -------
        rows : ndarray of int of shape (n_rows,)

        Raises
        ------
        ValueError
            If an id is unknown.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.strategies import RandomSampling
        >>> learner = ActiveLearner(LogisticRegression(), RandomSampling())
        >>> learner = learner.fit([[0.0], [1.0], [2.0]], [0, 1, -1], ids=[30, 10, 20])
        >>> learner.positions([20])
        array([2])
        """
        check_is_fitted(self)
        state: State = self._state
        if state.ids is None:
            return named_rows(ids, None, len(state.pool))
        return state.ids.positions(ids)

    def _rows(self, rows: Any, *, distinct: bool = True) -> Rows:
        """Positions in the pool, of rows that were named by positions or by ids."""
        self._check_unchanged(self._state.pool, quickly=True)
        ids: Ids | None = self._state.ids
        return named_rows(rows, ids, len(self._state.pool), distinct=distinct)

    def _check_unchanged(self, pool: Pool, *, quickly: bool = False) -> None:
        """Refuse a pool that no longer looks as it did: its labels are those of other rows.

        What cannot be read now says so where it is read. Answers are recorded without reading.
        """
        if pool.is_open and not (pool.seems_unchanged() if quickly else pool.is_unchanged()):
            raise ValueError(
                "The pool given to fit was changed in place since, so the labels and what the strategy prepared no "
                "longer belong to it. Put the rows back as they were, or call fit again with the changed pool; "
                "learner.labels_ has the labels."
            )

    def _names(self, rows: Rows) -> Ids:
        """The ids of rows, or their positions where they have none."""
        ids: Ids | None = self._state.ids
        return Ids(rows if ids is None else ids.names[rows])

    def _told(self, rows: Rows) -> str:
        """Some rows in words: their positions, and their ids where they have any."""
        told = f"rows {rows[:5].tolist()}"
        return told if self._state.ids is None else f"{told} (ids {self._names(rows[:5]).names.tolist()})"

    def _html_repr(self) -> str:
        """What notebooks show: scikit-learn's diagram, and the labels. Neither the pool nor the strategy is touched."""
        diagram = str(estimator_html_repr(self))
        return diagram + labels_html(self._state) if self.__sklearn_is_fitted__() else diagram

    def _get_fitted_attr_html(self, *args: Any, **kwargs: Any) -> Any:
        """The attributes that scikit-learn's diagram shows from 1.9 on, without the rows of the pool."""
        attributes = super()._get_fitted_attr_html(*args, **kwargs)
        attributes.pop("X_", None)
        return attributes
