"""ActiveLearner: a classifier, a pool, partial labels and a strategy, behind scikit-learn's interface."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_method_params, _num_samples, check_is_fitted
from skorch import NeuralNet

from .labels import check_new_labels, check_partial_labels, check_same_kind, labeled_mask, merge_labels
from .strategies.base import (
    Rows,
    ScoreStrategy,
    Strategy,
    SynthesisStrategy,
    check_requirements,
)
from .training.estimator import NetworkEstimator
from .utils.random import draw_seed, seed_random_states
from .utils.validation import Fingerprint, check_pool, check_rows, is_frame, is_sparse, same_pool


def _estimator_has(method: str) -> Callable[[Any], bool]:
    """Whether the classifier has a method, asked of the fitted one where there is one."""

    def check(self: ActiveLearner) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class ActiveLearner(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """A classifier that says which rows of its pool, or which synthetic samples, are worth labelling next.

    Parameters
    ----------
    estimator : classifier
        Any scikit-learn classifier, a skorch ``NeuralNetClassifier``, or one of skal's. It is
        cloned and refitted on the labelled rows; a ``FrozenEstimator`` is never refitted. One of
        skal's networks with ``warm_start=True``, alone or behind the pretrained steps of a
        ``Pipeline``, goes on from its weights when labels are added, unless one is of a new class or
        the pipeline has other steps, which change the network's input; `fit` starts anew.
    strategy : QueryStrategy or SynthesisStrategy
        Chooses the rows, for `query`, or makes the samples, for `synthesize`.
    n_queries : int, default=1
        How many rows `query` returns, or samples `synthesize`.
    random_state : int, RandomState instance or None, default=None
        Seeds the strategy and the classifier, as far as their own ``random_state`` is None.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier. It exists once a label is known; while only one class is known, it
        is a ``DummyClassifier`` that predicts that class, and no strategy is guided by it.
    strategy_ : QueryStrategy or SynthesisStrategy
        The fitted strategy.
    classes_ : ndarray of shape (n_classes,)
        The classifier's classes.
    y_ : ndarray of shape (n_samples,)
        The partial labels of the pool, updated by `teach`.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "strategy": [Strategy],
        "n_queries": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any, strategy: Strategy, *, n_queries: int = 1, random_state: Any = None):
        self.estimator = estimator
        self.strategy = strategy
        self.n_queries = n_queries
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: ArrayLike, **fit_params: Any) -> Self:
        """Fit the classifier on the labelled rows and prepare the strategy for the pool.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
            The pool, labelled rows included.
        y : array-like of shape (n_samples,)
            Partial labels: -1 (numbers) or ``None``/NaN/NA (strings, objects) where unlabelled.
        **fit_params : dict
            Parameters of the classifier's `fit`, such as ``sample_weight``, one entry a row of `X`;
            only those of labelled rows reach the classifier.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If `X` or `y` is invalid.
        TypeError
            If the classifier lacks what the strategy requires.
        """
        X, y = self._start(X, y, fit_params)
        self._fit_estimator()
        self._fit_strategy()
        return self

    def _start(self, X: Any, y: ArrayLike, fit_params: dict[str, Any]) -> tuple[Any, NDArray[Any]]:
        """Validate everything and take up the pool, before anything is trained."""
        X = check_pool(self, X, reset=True)
        y = check_partial_labels(y, _num_samples(X))
        check_requirements(self.strategy, self.estimator)
        last = _last_step(self.estimator)
        if isinstance(last, NetworkEstimator) and getattr(last, "checkpoint", None) is not None:
            raise ValueError(
                f"{type(last).__name__} was given checkpoint={last.checkpoint!r}, which belongs to one training; "
                "a learner trains it again whenever labels are added. Use checkpoint=None."
            )
        self._seed = draw_seed(self.random_state)
        self._params = self._route(fit_params)
        # What has a value a row is masked with y, and asked for again by extend.
        self._per_row = {name for name, value in self._params.items() if _has_length(value, len(y))}
        if self._params.get("sample_weight") is not None and "sample_weight" not in self._per_row:
            raise ValueError(f"sample_weight must have one entry a row of X, {len(y)}.")
        self.X_, self.y_ = X, y
        self.__dict__.pop("estimator_", None)  # a warm start is for refits
        self._fingerprint = Fingerprint(X, max_bytes=1 << 18)
        self._extensions: list[tuple[Any, NDArray[Any], dict[str, Any]]] = []
        return X, y

    def _route(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        if not _routing_enabled():
            return fit_params
        return dict(process_routing(self, "fit", **fit_params).estimator.fit)

    def _fit_strategy(self) -> None:
        self.strategy_ = clone(self.strategy)
        if self.random_state is not None:
            seed_random_states(self.strategy_, self._seed)
        self.strategy_.fit(self.X_, self.y_)

    def _fit_estimator(self) -> None:
        """Fit a clone of the classifier, with the weights of the last one for a warm start, on all that is labelled."""
        prefitted = _is_prefitted(self.estimator)
        known = [self.y_[labeled_mask(self.y_)], *(labels for _, labels, _ in self._extensions)]
        classes = {label for labels in known for label in labels.tolist()}
        self._can_guide = prefitted or len(classes) >= 2
        if prefitted:
            self.estimator_ = clone(self.estimator)
        elif len(classes) >= 2:
            X, y, params = self._training_set()
            estimator = clone(self.estimator)
            if self.random_state is not None:
                seed_random_states(estimator, self._seed)
            self._warm_start(estimator, classes)
            if isinstance(estimator, NeuralNet):
                _fit_raw_net(estimator, X, y, params, self._seed)
            else:
                estimator.fit(X, y, **params)
            self.estimator_ = estimator
        elif classes:
            # Most classifiers refuse a single class, which is how many loops begin.
            only = np.array([*classes])
            self.estimator_ = DummyClassifier(strategy="most_frequent").fit(
                np.zeros((1, self.n_features_in_)), only
            )
        else:
            self.__dict__.pop("estimator_", None)

    def _warm_start(self, estimator: Any, classes: set[Any]) -> None:
        """Give a clone what its warm start continues from: what the last `fit` set, where it knows the same classes.

        Only for skal's networks, whose `fit` reads it and makes a net of its own; a forest of scikit-learn would grow
        no tree for the new labels.
        """
        last, fitted = _last_step(estimator), _last_step(getattr(self, "estimator_", None))
        if (
            isinstance(last, NetworkEstimator)
            and getattr(last, "warm_start", False)
            and _is_alone(estimator)
            and type(fitted) is type(last)
            and set(fitted.classes_.tolist()) == classes
        ):
            for name, value in vars(fitted).items():
                if name not in vars(last):
                    setattr(last, name, value)

    def _training_set(self) -> tuple[Any, NDArray[Any], dict[str, Any]]:
        labeled = np.flatnonzero(labeled_mask(self.y_))
        if _uses_unlabeled(self.estimator) or len(labeled) == len(self.y_):
            parts = [(self.X_, _with_marker(self.y_), self._params)]
        else:
            params = _check_method_params(self.X_, self._params, indices=labeled)
            parts = [(_safe_indexing(self.X_, labeled), _plain(self.y_[labeled]), params)]
        parts += self._extensions
        if len(parts) == 1:
            return parts[0]
        params = {
            name: np.concatenate([part[2][name] for part in parts]) if name in self._per_row else value
            for name, value in self._params.items()
        }
        return _concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]), params

    def query(self, X_pool: Any = None, n_queries: int | None = None) -> Rows:
        """Choose the rows to label next.

        Parameters
        ----------
        X_pool : array-like, sparse matrix or data frame of shape (n_samples, ...), default=None
            By default, and given the pool of `fit`, the unlabelled rows of that pool are the
            candidates. All rows of another pool are candidates.
        n_queries : int, default=None
            How many rows; the learner's own `n_queries` by default.

        Returns
        -------
        rows : ndarray of int of shape (min(n_queries, n_unlabeled),)
            Distinct positions in `X_pool`, best first.

        Raises
        ------
        ValueError
            If `X_pool` or `n_queries` is invalid, or the pool of `fit` was changed in place.
        NotFittedError
            If the strategy needs a fitted classifier and fewer than two classes are labelled.
        TypeError
            If the strategy makes samples instead, for `synthesize`.

        Warns
        -----
        PoolExhaustedWarning
            If fewer than `n_queries` rows are left; all of them are returned.
        """
        if isinstance(self.strategy, SynthesisStrategy):
            raise TypeError(
                f"{type(self.strategy).__name__} makes samples instead of choosing rows of a pool: "
                "learner.synthesize(n) gives samples to annotate, learner.extend(X, y) takes their labels."
            )
        check_is_fitted(self, "strategy_")
        X, y = self._pool(X_pool)
        return self.strategy_.query(
            X, y, self.n_queries if n_queries is None else n_queries, estimator=self._guide()
        )

    def synthesize(self, n_queries: int | None = None, *, random_state: Any = None) -> Any:
        """Make samples to annotate, where the strategy is a `SynthesisStrategy`; `extend` takes their labels.

        Parameters
        ----------
        n_queries : int, default=None
            How many samples; the learner's own `n_queries` by default.
        random_state : int, RandomState instance or None, default=None
            By default the samples are the same until labels change. Another value makes others, where annotators
            declined the first.

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
            If the strategy chooses rows instead, for `query`.
        """
        if not isinstance(self.strategy, SynthesisStrategy):
            raise TypeError(
                f"{type(self.strategy).__name__} chooses rows of the pool instead of making samples: learner.query() "
                "gives the rows to annotate, learner.teach(rows, y) takes their labels."
            )
        check_is_fitted(self, "strategy_")
        self._pool(None)  # notices a pool that was changed
        if random_state is None:
            n_labeled = int(labeled_mask(self.y_).sum()) + sum(
                len(labels) for _, labels, _ in self._extensions
            )
            random_state = self._synthesis_seed(n_labeled)
        return self.strategy_.synthesize(
            self.n_queries if n_queries is None else n_queries,
            estimator=self._guide(),
            random_state=random_state,
        )

    def _synthesis_seed(self, n_labeled: int) -> int:
        # Of the strategy's seed, which is the learner's unless the strategy has a random_state of its own.
        return int(np.random.SeedSequence([self.strategy_._seed, n_labeled]).generate_state(1)[0])

    def _guide(self) -> Any:
        """The classifier as strategies get it: none while it knows fewer than two classes."""
        return self.estimator_ if self._can_guide else None

    def _pool(self, X: Any) -> tuple[Any, NDArray[Any] | None]:
        """The pool of `fit` with its labels, or another one, validated, without labels."""
        if X is not None and X is not self.X_:
            checked = check_pool(self, X, reset=False)
            if not same_pool(checked, self.X_):
                return checked, None
        if not self._fingerprint.matches(self.X_):
            raise ValueError(
                "The pool given to fit was changed in place since, so the labels and what the strategy prepared no "
                "longer belong to it. Call fit again with the changed pool."
            )
        return self.X_, self.y_

    def teach(self, rows: ArrayLike, y: ArrayLike) -> Self:
        """Record labels for rows of the fitted pool and refit the classifier.

        What the strategy prepared (an encoder, an index, a graph) is kept.

        Parameters
        ----------
        rows : array-like of int of shape (n_rows,)
            Positions in the pool, as `query` returned them.
        y : array-like of shape (n_rows,)
            Their labels. A class that was not seen before is welcome, unless the classifier is
            pretrained (a ``FrozenEstimator``) and does not know it.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If rows are out of range, repeated or labelled already, or labels are missing, of
            another kind than those so far, or unknown to a pretrained classifier. Nothing is recorded then.
        """
        check_is_fitted(self, "strategy_")
        rows = check_rows(rows, _num_samples(self.X_))
        labels = check_new_labels(y, len(rows))
        known = rows[labeled_mask(self.y_)[rows]]
        if len(known):
            raise ValueError(
                f"rows {known[:5].tolist()} are labelled already. To correct labels, call fit with the corrected y."
            )
        self._check_known_classes(labels)
        before = self.y_
        self.y_ = merge_labels(self.y_, rows, labels)
        try:
            self._fit_estimator()
        except BaseException:
            self.y_ = before
            raise
        return self

    def extend(self, X: Any, y: ArrayLike, **fit_params: Any) -> Self:
        """Add labelled samples that are not rows of the pool, and refit the classifier.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_new, ...)
            The samples, such as synthesised ones.
        y : array-like of shape (n_new,)
            Their labels; every sample needs one.
        **fit_params : dict
            The new samples' part of what `fit` was given, such as ``sample_weight``.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If samples, labels or fit parameters are invalid. Nothing is recorded then.
        """
        check_is_fitted(self, "strategy_")
        X = check_pool(self, X, reset=False)
        labels = check_new_labels(y, _num_samples(X))
        self._check_known_classes(labels)
        check_same_kind(self.y_, labels)
        params = self._route(fit_params)
        if set(params) != self._per_row or not all(
            _has_length(value, len(labels)) for value in params.values()
        ):
            raise ValueError(
                f"extend was given the fit parameters {sorted(params)}; give it those that fit was given a value a row "
                f"of, {sorted(self._per_row)}, with a value for each of the {len(labels)} samples."
            )
        if is_frame(X) and type(X) is not type(self.X_):
            raise ValueError(
                f"extend was given a {type(X).__name__} and fit a {type(self.X_).__name__}; give the same."
            )
        self._extensions.append((X, _plain(labels), params))
        try:
            self._fit_estimator()
        except BaseException:
            self._extensions.pop()
            raise
        return self

    def _check_known_classes(self, labels: NDArray[Any]) -> None:
        if not _is_prefitted(self.estimator):
            return
        unknown = sorted(set(labels.tolist()) - set(np.asarray(self.estimator.classes_).tolist()))
        if unknown:
            raise ValueError(
                f"The labels {unknown[:5]} are unknown to the pretrained classifier, whose classes are "
                f"{list(self.estimator.classes_)}. A FrozenEstimator is never refitted; pass the classifier itself to "
                "learn new classes."
            )

    @property
    def classes_(self) -> NDArray[Any]:
        return np.asarray(self._fitted_estimator().classes_)

    def _fitted_estimator(self) -> Any:
        check_is_fitted(self, "strategy_")
        if not hasattr(self, "estimator_"):
            raise NotFittedError(
                "The classifier is not fitted, as no row is labelled yet or its training failed. Call teach with "
                "labels, or fit, first."
            )
        return self.estimator_

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any, **params: Any) -> NDArray[Any]:
        """Labels predicted by the fitted classifier, of shape (n_samples,)."""
        return self._delegate("predict", X, params)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> NDArray[Any]:
        """Probabilities by the fitted classifier, of shape (n_samples, n_classes)."""
        return self._delegate("predict_proba", X, params)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> NDArray[Any]:
        """Log-probabilities by the fitted classifier, of shape (n_samples, n_classes)."""
        return self._delegate("predict_log_proba", X, params)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any, **params: Any) -> NDArray[Any]:
        """Decision values by the fitted classifier, of shape (n_samples,) or (n_samples, n_classes)."""
        return self._delegate("decision_function", X, params)

    @available_if(_estimator_has("transform"))
    def transform(self, X: Any, **params: Any) -> NDArray[Any]:
        """Features by the fitted classifier, of shape (n_samples, n_components)."""
        return self._delegate("transform", X, params)

    def _delegate(self, method: str, X: Any, params: dict[str, Any]) -> Any:
        estimator = self._fitted_estimator()
        if params and _routing_enabled():
            params = process_routing(self, method, **params).estimator[method]
        with _torch_state(estimator):
            return getattr(estimator, method)(_as_input(estimator, X), **params)

    def score(self, X: Any, y: ArrayLike, **params: Any) -> float:
        """The fitted classifier's score (mean accuracy, as a rule) on the labelled rows of `X`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
            Labels, complete or partial; unlabelled rows are ignored.
        **params : dict
            Parameters of the classifier's `score`, such as ``sample_weight``.

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            If no row is labelled.
        """
        estimator = self._fitted_estimator()
        if not is_frame(X) and not is_sparse(X):
            X = np.asarray(X)
        y = check_partial_labels(y, _num_samples(X))
        if params and _routing_enabled():
            params = process_routing(self, "score", **params).estimator.score
        labeled = np.flatnonzero(labeled_mask(y))
        if not len(labeled):
            raise ValueError("y has no labelled row, so there is nothing to score.")
        if len(labeled) < len(y):
            params = _check_method_params(X, params, indices=labeled)
            X, y = _safe_indexing(X, labeled), y[labeled]
        with _torch_state(estimator):
            return float(estimator.score(_as_input(estimator, X), _plain(y), **params))

    @available_if(lambda self: isinstance(self.strategy, ScoreStrategy))
    def score_samples(self, X: Any) -> NDArray[Any]:
        """The utility of each row, higher is more wanted, where the strategy is a `ScoreStrategy`.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)

        Returns
        -------
        utility : ndarray of shape (n_samples,)
        """
        check_is_fitted(self, "strategy_")
        return self.strategy_.utility(self._pool(X)[0], estimator=self._guide())

    def get_metadata_routing(self) -> MetadataRouter:
        """How fit and score parameters reach the classifier."""
        mapping = MethodMapping()
        for method in (
            "fit",
            "predict",
            "predict_proba",
            "predict_log_proba",
            "decision_function",
            "transform",
            "score",
        ):
            mapping = mapping.add(caller=method, callee=method)
        return (
            MetadataRouter(owner=self)
            .add_self_request(self)
            .add(estimator=self.estimator, method_mapping=mapping)
        )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "strategy_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        estimator = get_tags(self.estimator)
        takes_sparse = not isinstance(self.strategy, Strategy) or get_tags(self.strategy).input_tags.sparse
        tags.input_tags.sparse = estimator.input_tags.sparse and takes_sparse
        tags.input_tags.allow_nan = _allows_nan(self.estimator)
        tags.non_deterministic = estimator.non_deterministic
        if estimator.classifier_tags is not None:
            tags.classifier_tags.multi_class = estimator.classifier_tags.multi_class
            tags.classifier_tags.poor_score = estimator.classifier_tags.poor_score
        return tags


def _last_step(estimator: Any) -> Any:
    return _last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def _is_prefitted(estimator: Any) -> bool:
    """Whether a clone of the estimator comes fitted and `fit` leaves it alone."""
    if isinstance(estimator, Pipeline):
        return all(step in (None, "passthrough") or _is_prefitted(step) for _, step in estimator.steps)
    return isinstance(estimator, FrozenEstimator)


def _is_alone(estimator: Any) -> bool:
    """Whether nothing but the last step of a pipeline is fitted with it."""
    if not isinstance(estimator, Pipeline):
        return True
    return _is_prefitted(estimator[:-1]) and _is_alone(estimator.steps[-1][1])


def _allows_nan(estimator: Any) -> bool:
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    return first in (None, "passthrough") or bool(get_tags(first).input_tags.allow_nan)


def _uses_unlabeled(estimator: Any) -> bool:
    """Whether `fit` wants the unlabelled rows too, marked by -1."""
    last = _last_step(estimator)
    return getattr(last, "uses_unlabeled", type(last).__module__.startswith("sklearn.semi_supervised"))


def _as_input(estimator: Any, X: Any) -> Any:
    """`X` in the floating type of a raw skorch net, which takes no other; any other estimator's `X` as it is."""
    if isinstance(estimator, NeuralNet) and isinstance(X, np.ndarray) and X.dtype == np.float64:
        return X.astype(np.float32)
    return X


def _fit_raw_net(net: NeuralNet, X: Any, y: NDArray[Any], params: dict[str, Any], seed: int) -> None:
    """Fit a skorch net that no `NetClassifier` wraps: it takes class indices, and torch's global generators."""
    classes = np.unique(y)
    if y.dtype.kind not in "iu" or classes[0] < 0:
        raise ValueError(
            f"A raw skorch net takes the labels 0, 1, ... and was given {classes[:5].tolist()}; wrap its module in "
            "skal.classifiers.NetClassifier, which encodes labels."
        )
    with _torch_state(net, seed):
        net.fit(_as_input(net, X), y.astype(np.int64), **params)


@contextmanager
def _torch_state(estimator: Any, seed: int | None = None) -> Iterator[None]:
    """Keep a raw skorch net, whose loaders and layers draw from torch's global generators, from moving them."""
    if not isinstance(estimator, NeuralNet):
        yield
        return
    with torch.random.fork_rng(
        devices=[estimator.device] if str(estimator.device).startswith("cuda") else []
    ):
        if seed is not None:
            torch.manual_seed(seed)
        yield


def _plain(y: NDArray[Any]) -> NDArray[Any]:
    """Labels that are all known, as classifiers take them: strings as a string array."""
    return np.array(y.tolist()) if y.dtype.kind == "O" else y


def _with_marker(y: NDArray[Any]) -> NDArray[Any]:
    """Partial labels as scikit-learn's semi-supervised estimators mark them: -1, among strings too."""
    if y.dtype.kind != "O" or labeled_mask(y).all():
        return _plain(y)
    return np.array([-1 if label is None else label for label in y], dtype=object)


def _has_length(value: Any, n_samples: int) -> bool:
    return np.ndim(value) > 0 and _num_samples(value) == n_samples


def _concatenate(parts: list[Any]) -> Any:
    """Rows of several containers of one kind, one below the other."""
    if is_sparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    if is_frame(parts[0]):
        return importlib.import_module("pandas" if hasattr(parts[0], "iloc") else "polars").concat(parts)
    return np.concatenate(parts)
