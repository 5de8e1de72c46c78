"""ActiveLearner: a classifier, a pool, partial labels and a strategy, behind scikit-learn's interface."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_method_params

from ..access.wrappers import first_step, has_network, uses_unlabeled
from ..labels import Labels
from ..pool import Pool, Rows, as_pool, check_pool
from ..strategies import QueryStrategy, ScoreStrategy, SynthesisStrategy
from ..strategies.base import Strategy
from ..utils.checks import check_integer
from ..utils.random import draw_seed
from ..utils.threads import Turns
from ..utils.warnings import callers_level
from .extending import has_length
from .ids import Ids, check_orders, named_rows
from .known_classes import known_classes
from .order import has_rows_of, places_of, warn_of_rest
from .refit import check_classifier, explaining, is_prefitted, wanted_codes
from .saving import Saving
from .state import State


def _scores_rows(learner: ActiveLearner) -> bool:
    if not isinstance(learner.strategy, ScoreStrategy):
        raise AttributeError(
            f"{type(learner.strategy).__name__} scores no rows one by one; a ScoreStrategy does, such as "
            "UncertaintySampling."
        )
    return True


@dataclass(eq=False, repr=False, kw_only=True)
class ActiveLearner(Saving):
    """A classifier that says which rows of its pool, or which synthetic samples, are worth labelling next.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier, a skorch ``NeuralNetClassifier``, or one of skal's. It is cloned and refitted on
        the labelled rows; a ``FrozenEstimator`` is never refitted. A network of skal with ``warm_start=True``, alone or
        behind the pretrained steps of a ``Pipeline``, continues from its weights when labels are added. It does not if
        a label is of a new class, or if the pipeline has other steps, which change the network's input. `fit` always
        starts from scratch.
    strategy : QueryStrategy or SynthesisStrategy
        Chooses the rows, for `query`, or makes the samples, for `synthesize`.
    n_queries : int, default=1
        Number of rows that `query` returns, or of samples that `synthesize` returns.
    cold_start : QueryStrategy, default=None
        Used in place of `strategy` while the classifier knows fewer than two classes and cannot guide it: a strategy
        that needs no classifier, such as ``CoreSet()``.
    classes : array-like of shape (n_classes,), default=None
        All possible classes, labelled or not. `predict_proba` has a column for each class, which is zero for classes
        that the classifier has not seen. skal's networks get an output for each class. A label that is not in `classes`
        is refused. By default the classes are those seen.
    unlabeled : int, float or str, default=None
        The value that marks an unlabelled row in `y`, in place of -1: for labels in which -1 is a class, or which have
        a marker of their own (``"?"``, ``np.nan``). Among strings and objects, ``None``, NaN and NA always mark an
        unlabelled row.
    random_state : int, RandomState instance or None, default=None
        Seeds the strategy and the classifier, wherever their own ``random_state`` is None.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier. It exists once a label is known. While only one class is known, it is a
        ``DummyClassifier`` that predicts this class, and it guides no strategy.
    strategy_ : QueryStrategy or SynthesisStrategy
        The fitted strategy.
    classes_ : ndarray of shape (n_classes,)
        The parameter `classes` in increasing order, if it is given; otherwise the classifier's classes.
    y_ : ndarray of shape (n_samples,)
        The partial labels of the pool that are used for training, updated by `teach`.
    labels_ : ndarray of shape (n_samples,)
        The labels of `y_` together with those of the audit.
    row_states_ : ndarray of int8 of shape (n_samples,)
        The state of each row, a :class:`RowState`: unlabelled, labelled, skipped or audit.
    skipped_, audit_ : ndarray of int
        The rows that cannot be labelled, and the labelled rows that are kept out of training.
    audit_pending_ : ndarray of int
        The rows that `audit` has drawn and nobody has labelled or skipped.
    audit_sample_ : dict of ndarray
        The rows that `audit` has drawn, their probabilities, and what became of them.
    pool_sizes_ : ndarray of int of shape (n_growths + 1,)
        The number of rows in the pool before each `grow`, and now.
    class_counts_ : dict
        The number of training labels of each class.
    is_trained_ : bool
        Whether the classifier has learned all training labels: False after ``teach(refit=False)``, or if training
        failed.
    record_ : dict of ndarray
        All recorded actions and their times, for ``pandas.DataFrame(learner.record_)``.
    ids_ : ndarray of shape (n_samples,)
        The ids of the rows, if they have any.
    extension_keys_ : ndarray of shape (n_extensions,)
        The keys of the samples of `extend`.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of str of shape (n_features,)
        Names of the features, where `X` is a data frame with such names.

    See Also
    --------
    SimulatedLearner : Runs the whole loop, with the labels known from the start.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import UNLABELED, ActiveLearner
    >>> from skal.strategies import UncertaintySampling
    >>> X, truth = load_iris(return_X_y=True)
    >>> y = np.full(len(X), UNLABELED)
    >>> y[::25] = truth[::25]
    >>> learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling(), n_queries=5)
    >>> learner = learner.fit(X, y)
    >>> for _ in range(3):
    ...     rows = learner.query(X)
    ...     learner = learner.teach(rows, truth[rows])
    >>> bool(learner.score(X, truth) > 0.9)
    True
    """

    estimator: Any = field(kw_only=False)
    strategy: Strategy = field(kw_only=False)
    n_queries: int = 1
    cold_start: QueryStrategy | None = None
    classes: Any = None
    unlabeled: Any = None
    random_state: Any = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods("fit")],  # some have a `predict` only once they are fitted
        "strategy": [Strategy],
        "n_queries": [Interval(Integral, 1, None, closed="left")],
        "cold_start": [QueryStrategy, None],
        "classes": ["array-like", None],
        "unlabeled": [Real, str, None],
        "random_state": ["random_state"],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike, *, ids: ArrayLike | None = None, **fit_params: Any) -> Self:
        """Fit the classifier on the labelled rows and prepare the strategy for the pool.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
            The pool, labelled rows included.
        y : array-like of shape (n_samples,)
            Partial labels: -1 (numbers) or ``None``/NaN/NA (strings, objects) where unlabelled, or `unlabeled`.
        ids : array-like of shape (n_samples,), default=None
            Distinct names of the rows. Every method that takes rows accepts them in place of positions; integers are
            always positions there, see `positions`. By default the index of a data frame. An index that only counts the
            rows gives them no names, but still identifies them when the frame comes in another order, or with new rows.
        **fit_params : dict
            Parameters of the classifier's `fit`, such as ``sample_weight``, with one entry per row of `X`; only the
            entries of labelled rows reach the classifier. With scikit-learn's metadata routing, also parameters of the
            strategy's `fit`, such as the ``cost`` of `CostAware`.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If `X`, `y` or a parameter, including those of parts of the strategy, is invalid. Nothing has been trained
            then.
        TypeError
            If the classifier lacks what the strategy requires.

        Warns
        -----
        FitFailedWarning
            If the classifier cannot be trained on so few labels. A strategy that needs no classifier still works.
        """
        self.strategy.check_params()
        pool = check_pool(self, X, reset=True)
        labels = Labels.of(y, len(pool), unlabeled=self.unlabeled)
        for names in (Ids.of_index(pool), None if ids is None else Ids.given(ids)):
            check_orders(y, fit_params, names)
        self._warn_of_classes(labels)
        state = self._start(pool, labels, fit_params, classes=self.classes, ids=ids)
        rows = state.labels.rows
        state = self._refitted(replace(state.after("label", rows, state.labels.known), before=None))
        self._try_flawed_row(state)
        self._state = self._with_strategy(state, fit_params)
        return self

    def _warn_of_classes(self, labels: Labels) -> None:
        """Warn where -1 may be a class, as often of two."""
        is_one = labels.classes.tolist() == [1] and 0.1 * len(labels) <= len(labels.rows) < len(labels)
        if is_one and self.classes is None and self.unlabeled is None:
            warnings.warn(
                "y has the labels -1 and 1 alone, and -1 marks an unlabelled row: one class is known. If -1 is a "
                "class, say what marks such a row, as in unlabeled=-99; if it is the marker, unlabeled=-1.",
                UserWarning,
                stacklevel=callers_level(),
            )

    def _start(
        self, pool: Pool, labels: Labels, fit_params: dict[str, Any], *, classes: Any, ids: Any = None
    ) -> State:
        """Check everything that can be refused, and take up the pool, before anything is trained."""
        check_classifier(self.estimator, pool)
        self.strategy.check(pool, self.estimator, **self._route_to_strategy(fit_params))
        self._check_cold_start(pool, self.strategy)
        defaults = self.strategy.sample_params
        params = self._route(self._completed(fit_params, len(labels), defaults))
        # What has a value per row is masked with y, and asked for again by extend.
        per_row = frozenset(name for name, value in params.items() if has_length(value, len(labels)))
        if params.get("sample_weight") is not None and "sample_weight" not in per_row:
            raise ValueError(f"sample_weight must have one entry per row of X, {len(labels)}.")
        own = {name: params[name] for name in per_row}  # which the caller may go on writing to
        params |= _check_method_params(pool.X, own, indices=np.arange(len(pool)))
        known = None if classes is None else known_classes(classes, labels)
        if known is not None and is_prefitted(self.estimator):
            others = sorted(set(self.estimator.classes_.tolist()) - set(known.tolist()))
            if others:
                raise ValueError(
                    f"The pretrained classifier knows {others[:5]}, which are not in classes={known.tolist()}; give "
                    "all that it knows."
                )
        names = Ids.of(ids, pool)
        labels = labels if known is None else labels.with_classes(known)
        defaults = {name: value for name, value in defaults.items() if name in per_row}
        state = State(
            pool=pool, labels=labels, params=params, per_row=per_row, others=defaults, known=known, ids=names
        )
        self._check_binary(state)
        self._seed = draw_seed(self.random_state)
        self._changes = Turns()  # what several threads teach is recorded one after the other
        # A warm start is for refits, and a training that fails leaves no classifier.
        self._state = state
        return state

    def query(
        self,
        X_pool: Any = None,
        n_queries: int | None = None,
        *,
        pending: ArrayLike = (),
        exclude: ArrayLike = (),
    ) -> Rows:
        """Choose the rows to label next.

        Parameters
        ----------
        X_pool : array-like, sparse matrix or data frame of shape (n_samples, ...), default=None
            By default, or if it is the pool of `fit`, the unlabelled rows of that pool are the candidates. In another
            pool, all rows are candidates.
        n_queries : int, default=None
            Number of rows; by default the learner's own `n_queries`.
        pending : array-like of shape (n_pending,), default=()
            Rows that an annotator was asked about and has not answered yet. They are not chosen again, and strategies
            that spread a batch count them as chosen. Given as positions or, for the pool of `fit`, also as ids.
        exclude : array-like of shape (n_excluded,), default=()
            Rows that must not be chosen, for any other reason.

        Returns
        -------
        rows : ndarray of int of shape (min(n_queries, n_left),)
            Distinct positions in `X_pool`, best first.

        Raises
        ------
        ValueError
            If `X_pool`, `n_queries` or positions are invalid, or the pool of `fit` was changed in place.
        NotFittedError
            If the strategy needs a fitted classifier and fewer than two classes are labelled, or the classifier could
            not be trained yet.
        TypeError
            If the strategy makes samples, for which there is `synthesize`, or if the pool is a number.

        Warns
        -----
        PoolExhaustedWarning
            If fewer than `n_queries` rows are left; all of them are returned.
        PoolWarning
            If `X_pool` is almost, but not exactly, the pool of `fit`, and was treated as a different one; or if it is
            the pool of `fit` without its labelled rows, so that positions in it are not valid for `teach`. Torch
            datasets are not compared.
        """
        if isinstance(self.strategy, SynthesisStrategy):
            raise TypeError(
                f"{type(self.strategy).__name__} makes samples instead of choosing rows of a pool: "
                "learner.synthesize(n) gives samples to annotate, learner.extend(X, y) takes their labels."
            )
        if isinstance(X_pool, Integral):
            raise TypeError(f"query takes a pool, not {X_pool}; query(n_queries={X_pool}) asks for rows.")
        n_queries = self._n_queries(n_queries)
        state = self._state
        pool = self._pool(state, X_pool)
        if pool is not state.pool:
            warn_of_rest(pool, state.pool, state.labels.rows, state.skipped)
        ids = state.ids if pool is state.pool else None
        pending, excluded = (named_rows(rows, ids, len(pool)) for rows in (pending, exclude))
        return self._ask(state, pool, n_queries, pending=pending, excluded=excluded)

    def _n_queries(self, n_queries: int | None) -> int:
        self._check_prepared()
        return check_integer("n_queries", self.n_queries if n_queries is None else n_queries)

    def _ask(self, state: State, pool: Pool, n_queries: int, **params: Any) -> Any:
        """The strategy's answer about a pool, given what the learner knows."""
        with_unlabeled, coded = uses_unlabeled(self.estimator), wanted_codes(self.estimator, state)
        is_cold = state.guide is None and state.cold_start is not None
        strategy = state.cold_start if is_cold else state.strategy
        with explaining(state):
            return strategy.answer(
                state.query(pool, n_queries, with_unlabeled=with_unlabeled, coded=coded, **params)
            )

    def synthesize(self, n_queries: int | None = None, *, random_state: Any = None) -> Any:
        """Make samples to annotate, if the strategy is a `SynthesisStrategy`; pass them with their labels to `extend`.

        Parameters
        ----------
        n_queries : int, default=None
            Number of samples; by default the learner's own `n_queries`.
        random_state : int, RandomState instance or None, default=None
            By default the samples stay the same until labels change. Another value makes different samples, for example
            after annotators have declined the first ones.

        Returns
        -------
        samples : ndarray or data frame of shape (n_queries, ...)
            On the scale and in the shape of the rows of the pool, unless the strategy says otherwise.

        Raises
        ------
        ValueError
            If `n_queries` is invalid, or the pool of `fit` was changed in place.
        NotFittedError
            If the strategy needs a fitted classifier and fewer than two classes are labelled.
        TypeError
            If the strategy chooses rows, for which there is `query`.
        """
        if not isinstance(self.strategy, SynthesisStrategy):
            raise TypeError(
                f"{type(self.strategy).__name__} chooses rows of the pool instead of making samples: learner.query() "
                "gives the rows to annotate, learner.teach(rows, y) takes their labels."
            )
        n_queries = self._n_queries(n_queries)
        state = self._state
        return self._synthesized(state, n_queries, state.n_labeled, random_state)

    def _synthesized(self, state: State, n_queries: int, n_labeled: int, random_state: Any = None) -> Any:
        """Samples that are others for another number of labels."""
        seed = state.strategy.seed_after(n_labeled) if random_state is None else draw_seed(random_state)
        return self._ask(state, self._pool(state, None), n_queries, rng=np.random.default_rng(seed))

    def _pool(self, state: State, X: Any) -> Pool:
        """The pool of `fit`, or another one, validated."""
        tells_numbers = partial(has_network, [self.estimator, state.strategy, state.cold_start])
        pool = state.pool
        if X is not None:
            pool = check_pool(self, X, reset=False, known=pool, tells_numbers=tells_numbers)
        self._check_unchanged(pool)
        self._check_order(state, pool)
        return pool

    def _check_order(self, state: State, pool: Pool) -> None:
        """Refuse the rows of the pool of `fit` in another order, or with more: `teach` would take others for them."""
        own = state.pool
        if pool is own or len(pool) < len(own):
            return
        names, theirs = Ids.of_index(own) or state.ids, Ids.of_index(pool)
        if len(pool) > len(own):
            places = places_of(pool, names, len(own))
            some = np.linspace(0, len(own) - 1, min(len(own), 100)).astype(np.intp)
            there = some if places is None else places[some]
            if as_pool(own.take(some)).same_as(as_pool(pool.take(there))):
                raise ValueError(
                    f"X_pool has the rows of the pool of fit and {len(pool) - len(own)} more; labelled ones would be "
                    "asked for again. Take the new ones in, grow(X_pool), and call query() without it."
                )
            return
        if names is None or theirs is None or not names.is_another_order(theirs):
            return
        if has_rows_of(pool, theirs, own, names):
            raise ValueError(
                "X_pool has the rows of the pool of fit in another order, by its index, and teach would take their "
                "positions for other rows. Call query() without it, and name rows by their ids: "
                "X_pool.loc[learner.X_.index[rows]]."
            )

    @available_if(_scores_rows)
    def score_samples(self, X: Any) -> NDArray[Any]:
        """The utility of each row, where higher is more wanted, if the strategy is a `ScoreStrategy`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)

        Returns
        -------
        utility : ndarray of shape (n_samples,)
        """
        self._check_prepared()
        state = self._state
        with explaining(state):
            return state.strategy.utility(self._pool(state, X), estimator=state.guide)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "strategy_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimator = get_tags(self.estimator)
        takes_sparse = not isinstance(self.strategy, Strategy) or get_tags(self.strategy).input_tags.sparse
        tags.input_tags.sparse = estimator.input_tags.sparse and takes_sparse
        tags.input_tags.allow_nan = get_tags(first_step(self.estimator)).input_tags.allow_nan
        tags.non_deterministic = estimator.non_deterministic
        if estimator.classifier_tags is not None:
            tags.classifier_tags.multi_class = estimator.classifier_tags.multi_class
            tags.classifier_tags.poor_score = estimator.classifier_tags.poor_score
        return tags
