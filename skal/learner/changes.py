"""Changes that keep the labels: another strategy, and a pool that grows."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..labels import UNLABELED, Labels
from ..pool import Pool, as_pool, check_pool
from ..strategies import QueryStrategy, SynthesisStrategy
from ..strategies.base import Strategy
from ..utils.random import seed_random_states
from .audits import Audits
from .ids import Ids, check_orders
from .known_classes import known_classes
from .order import has_other_index, with_new_rows_last
from .state import State


class Changes(Audits):
    """Base of the learner: how its strategy is prepared for a pool, exchanged for another, or for a longer pool."""

    estimator: Any
    strategy: Strategy
    cold_start: QueryStrategy | None
    _strategy_changed: bool = False  # by set_params, since it was prepared

    def _check_cold_start(self, pool: Pool, strategy: Strategy) -> None:
        if self.cold_start is None:
            return
        self.cold_start.check(pool)
        if self.cold_start.requires or isinstance(strategy, SynthesisStrategy):
            why = "needs a classifier itself" if self.cold_start.requires else "chooses rows of a pool"
            raise ValueError(
                f"cold_start={self.cold_start} {why}, and is asked before there is one, in place of "
                f"{type(strategy).__name__}; give RandomSampling(), CoreSet() or KMedian() with a strategy that "
                "chooses rows."
            )

    def _with_strategy(self, state: State, fit_params: dict[str, Any]) -> State:
        """The state with clones of the strategies that are prepared for the pool."""
        self._strategy_changed = False
        strategy = self._prepared(self.strategy, state, **self._route_to_strategy(fit_params))
        return replace(state, strategy=strategy, cold_start=self._prepared(self.cold_start, state))

    def _prepared(self, strategy: Strategy | None, state: State, **metadata: Any) -> Any:
        if strategy is None:
            return None
        strategy = clone(strategy)
        if self.random_state is not None:
            seed_random_states(strategy, self._seed)
        return strategy.fit(state.pool, state.learned, **metadata)

    def use(self, strategy: Strategy, **fit_params: Any) -> Self:
        """Switch to another strategy for the same pool; the labels and the classifier stay.

        Parameters
        ----------
        strategy : QueryStrategy or SynthesisStrategy
            It becomes the parameter `strategy` once it is prepared for the pool. If preparing it fails, nothing
            changes.
        **fit_params : dict
            Parameters of the strategy's `fit`, such as the ``cost`` of `CostAware`.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError, TypeError
            As `fit` raises them for a strategy; ValueError also if the pool of `fit` was changed in place.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.strategies import RandomSampling, UncertaintySampling
        >>> learner = ActiveLearner(LogisticRegression(), RandomSampling())
        >>> learner = learner.fit([[0.0], [1.0], [2.0], [0.6]], [0, 1, -1, -1])
        >>> learner.use(UncertaintySampling()).query()
        array([3])
        """
        check_is_fitted(self)
        if not isinstance(strategy, Strategy):
            raise TypeError(
                f"{strategy!r} was given, which is no strategy; give one of skal.strategies, such as CoreSet()."
            )
        known = signature(strategy.fit).parameters
        others = [name for name in fit_params if name not in known]
        if others and not any(each.kind is each.VAR_KEYWORD for each in known.values()):
            raise TypeError(
                f"{type(strategy).__name__} takes no {', '.join(others)}; leave it out. What the classifier's fit "
                "takes is given to fit of the learner."
            )
        with self._changes:
            state = self._state
            self._check_unchanged(state.pool)
            check_orders(None, fit_params, state.ids or Ids.of_index(state.pool))
            strategy.check(state.pool, self.estimator, **fit_params)
            self._check_cold_start(state.pool, strategy)
            prepared = {"strategy": self._prepared(strategy, state, **fit_params)}
            if self._strategy_changed:  # or it was the cold start
                prepared["cold_start"] = self._prepared(self.cold_start, state)
            defaults = self._route(strategy.sample_params)
            before = None if state.before is None else replace(state.before.with_others(defaults), **prepared)
            self._state = replace(state.with_others(defaults), **prepared, before=before)
            self.strategy = strategy
            self._strategy_changed = False
        return self

    def set_params(self, **params: Any) -> Self:
        """Set parameters, before or after `fit`.

        New `classes` are accepted in answers at once, and become the classifier's classes after `refit`. A strategy
        that is set here must be prepared by `use` before a query.

        Parameters
        ----------
        **params : dict
            Names and values; parameters of parts have names such as ``strategy__measure``.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If a name is not that of a parameter, or `classes` or `unlabeled` do not fit the labels. No parameter is set
            then.
        """
        told = {name: value for name, value in params.items() if name in ("classes", "unlabeled")}
        if self._state is None or not told:
            self._set_all(params)
        else:
            with self._changes:
                state = _retold(self._state, told)
                self._set_all(params)
                self._state = state
        if any(name.partition("__")[0] in ("strategy", "cold_start") for name in params):
            self._strategy_changed = True
        return self

    def _set_all(self, params: dict[str, Any]) -> None:
        """Set parameters; scikit-learn sets some before it refuses another, and these are set back."""
        before = self.get_params()
        parts = [
            (part, {own: value for own, value in part.get_params().items() if f"{name}__{own}" in params})
            for name, part in params.items()
            if hasattr(part, "get_params") and not isinstance(part, type)
        ]
        try:
            super().set_params(**params)
        except BaseException:
            for part, own in parts:
                part.set_params(**own)
            super().set_params(**{name: before[name] for name in params if name in before})
            raise

    def grow(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        ids: ArrayLike | None = None,
        refit: bool = True,
        **fit_params: Any,
    ) -> Self:
        """Grow the pool by new rows at its end; labels, skipped rows and everything trained stay.

        An encoder or a generator of the strategy is kept; an index or a graph is rebuilt for the longer pool.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_before + n_new, ...)
            The whole pool. It must begin with the rows of the previous pool, which is checked; a longer memory map is
            accepted. If the index of a data frame names its rows, they may come in any order: new rows are moved behind
            the previous ones, with a warning, and ``X_`` holds the result.
        y : array-like of shape (n_new,), default=None
            Partial labels of the new rows, in their order; by default they are unlabelled.
        ids : array-like of shape (n_new,), default=None
            Their ids, if `fit` was given ids.
        refit : bool, default=True
            Whether to train the classifier, if a new row has a label.
        **fit_params : dict
            For each parameter of which `fit` was given one value per row, the values of the new rows; for the strategy,
            also for each parameter that `use` was given in this way.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If the first rows are not those of the previous pool, or anything about the new rows is invalid. Nothing has
            changed then.
        BaseException
            Whatever training raises, as in `teach`.

        Warns
        -----
        PoolWarning
            If the rows of the previous pool came in another order, or not first.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.strategies import UncertaintySampling
        >>> X = np.array([[0.0], [1.0], [2.0], [0.4]])
        >>> learner = ActiveLearner(LogisticRegression(), UncertaintySampling()).fit(X[:3], [0, 1, -1])
        >>> learner.grow(X).query()
        array([3])
        """
        check_is_fitted(self)
        with self._changes:
            self._check_prepared()
            state = self._state
            self._check_unchanged(state.pool)
            pool = check_pool(self, X, reset=False)
            if not has_other_index(state.pool, state.ids):
                pool = with_new_rows_last(pool, state.ids, len(state.pool))
            n_new = len(pool) - len(state.pool)
            self._check_first_rows(pool)
            grown_ids = self._grown_ids(ids, pool)
            own = Ids.of_index(pool) if grown_ids is None else grown_ids
            check_orders(y, fit_params, None if own is None else Ids(own.names[len(state.pool) :]))
            marker = state.labels.unlabeled
            new = Labels.none(n_new) if y is None else Labels.of(y, n_new, unlabeled=marker)
            self._check_known_classes(new.known)
            params = self._route(self._completed(fit_params, n_new, state.others))
            self._check_fit_params(params, state.per_row, n_new)
            grown = replace(
                state,
                pool=pool,
                arrivals=(*state.arrivals, (len(state.pool), len(state.draws))),
                ids=grown_ids,
                labels=replace(state.labels, codes=np.append(state.labels.codes, Labels.none(n_new).codes)),
                params=state.params | state.stacked(state.params, [(params, n_new)]),
                before=None,
            )
            if len(new.rows):
                rows = new.rows + len(state.pool)
                labels = grown.labels.with_labels(rows, new.known)
                grown = replace(
                    grown.after("label", rows, new.known, labels=labels, is_trained=False), before=None
                )
                self._check_binary(grown, state.classes.tolist())
            self._try_flawed_row(grown)
            grown = replace(
                grown,
                strategy=state.strategy.grown(pool, **self._route_to_strategy(fit_params)),
                cold_start=None if state.cold_start is None else state.cold_start.grown(pool),
            )
            if len(new.rows):
                return self._recorded(grown, refit)
            self._state = grown
            return self

    def _check_first_rows(self, pool: Pool) -> None:
        before = self._state.pool
        same = len(pool) >= len(before) and all(
            as_pool(block).same_as(as_pool(pool.read(where))) for block, where in before.blocks()
        )
        if not same:
            raise ValueError(
                f"A pool of {len(pool)} rows was given, whose first {len(before)} rows are not those of before; put "
                "new rows behind them, as in np.concatenate([learner.X_, new]) or pd.concat([learner.X_, new])."
            )

    def _grown_ids(self, ids: ArrayLike | None, pool: Pool) -> Ids | None:
        before, n_before = self._state.ids, len(self._state.pool)
        own = Ids.of(None, pool)
        if before is None:
            if ids is not None:
                raise ValueError(
                    "ids were given for new rows, and fit was given none; leave them out, or fit again."
                )
            if own is None or not Ids(np.arange(n_before)).is_prefix_of(own):
                return None
            return own if own.are_distinct() else None  # an index that only counted names the new rows now
        if ids is not None:
            return before.extended(Ids.given(ids), len(pool))
        if own is None or not before.is_prefix_of(own):
            raise ValueError(
                f"The rows have ids, and the {len(pool) - n_before} new ones came without any, or with others for the "
                "first rows; give ids=, those of the new rows, or a data frame whose index goes on."
            )
        return own

    def _check_prepared(self) -> None:
        # scikit-learn's check builds all tags first: a quarter of a small query.
        if not self.__sklearn_is_fitted__():
            check_is_fitted(self)
        if self._strategy_changed:
            raise ValueError(
                "The strategy was set after fit, and is not prepared for the pool, which no query does: call "
                "learner.use(strategy), or fit again."
            )


def _retold(state: State, told: dict[str, Any]) -> State:
    """What is known where other classes, or another marker, are told; by `undo`, too."""
    labels, before = state.labels, state.before
    if before is not None:
        try:
            before = _retold(before, told)
        except ValueError:  # it has labels that the last answer corrected
            before = None
    if "unlabeled" in told:
        marker = UNLABELED if told["unlabeled"] is None else told["unlabeled"]
        if marker in (in_use := labels.in_use.tolist()):
            raise ValueError(
                f"unlabeled={told['unlabeled']!r} was given, and {marker!r} is one of the classes, {in_use[:10]}; give "
                "a value that is none."
            )
        labels = replace(labels, unlabeled=told["unlabeled"])
    if "classes" not in told:
        return replace(state, labels=labels, before=before)
    known = None if told["classes"] is None else known_classes(told["classes"], labels)
    labels = labels if known is None else labels.with_classes(known)
    return replace(state, labels=labels, known=known, before=before, is_trained=False)
