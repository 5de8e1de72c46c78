"""labeled_scorer: any scorer, applied to the labelled rows only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils.metadata_routing import (
    MetadataRequest,
    MetadataRouter,
    MethodMapping,
    _routing_enabled,
    get_routing_for_object,
)
from sklearn.utils.validation import _check_method_params

from ..labels import Labels, plain
from ..pool import as_pool
from ..utils.scorers import naming_positives


def labeled_scorer(scoring: Any = None, *, unlabeled: Any = None) -> LabeledScorer:
    """Return a scorer that uses the labelled rows only.

    Parameters
    ----------
    scoring : str, callable, list, tuple, dict or None, default=None
        As in ``GridSearchCV``: the name of a scorer, or a callable ``scorer(estimator, X, y)``. Several scorers give
        one score per name. None uses the estimator's own `score`.
    unlabeled : int, float or str, default=None
        What marks an unlabelled row, as in :class:`~skal.ActiveLearner`.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)``, for partial labels `y`. Parameters with a value per row, such as ``sample_weight``,
        are masked as `y` is. Under scikit-learn's metadata routing each scorer gets what it requests; without
        `scoring`, ``sample_weight`` reaches an estimator that requests it for `score`.

    Raises
    ------
    ValueError
        If there is no scorer of this name, or, when the scorer is called, if no row is labelled.

    See Also
    --------
    LabeledSplit : Makes test folds of labelled rows, which every scorer can use.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.model_selection import labeled_scorer
    >>> classifier = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> X, y = [[0.0], [1.0], [2.0]], [0, 1, -1]
    >>> labeled_scorer("accuracy")(classifier, X, y)
    1.0
    """
    return LabeledScorer(scoring, unlabeled)


class LabeledScorer:
    """A scorer on the labelled rows, as :func:`labeled_scorer` makes it.

    Parameters
    ----------
    scoring : str, callable, list, tuple, dict or None
    unlabeled : int, float or str, default=None
    """

    def __init__(self, scoring: Any, unlabeled: Any = None) -> None:
        names = (
            [scoring] if isinstance(scoring, str) else scoring if isinstance(scoring, list | tuple) else []
        )
        for name in names:
            get_scorer(name)  # an unknown one is refused here, not in the middle of a search
        self.scoring, self.unlabeled = scoring, unlabeled

    def __call__(self, estimator: Any, X: Any, y: Any, **params: Any) -> Any:
        """Score a fitted estimator on the labelled rows."""
        X, y, params = labeled_part(X, y, params, unlabeled=self.unlabeled)
        with naming_positives(self.scoring, y):
            scorer = check_scoring(estimator, scoring=self.scoring)
            if self.scoring is None and _routing_enabled():
                params = _requested_by_score(estimator, params)
            return scorer(estimator, X, y, **params)

    def get_metadata_routing(self) -> Any:
        """What the scorer inside asks for; where it is the estimator's `score`, the estimator decides in each call."""
        if self.scoring is None:
            request = MetadataRequest(owner=self)
            request.score.add_request(param="sample_weight", alias=True)
            return request
        return get_routing_for_object(check_scoring(scoring=self.scoring))

    def __repr__(self) -> str:
        return f"labeled_scorer({self.scoring!r}{'' if self.unlabeled is None else f', unlabeled={self.unlabeled!r}'})"


def _requested_by_score(estimator: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Return what an estimator requests for its `score`, as the default scorer of scikit-learn's searches gets it."""
    mapping = MethodMapping().add(caller="score", callee="score")
    router = MetadataRouter(owner="labeled_scorer").add(estimator=estimator, method_mapping=mapping)
    routed: dict[str, Any] = router.route_params(caller="score", params=params).estimator.score
    return routed


def labeled_part(
    X: Any, y: Any, params: Mapping[str, Any], *, unlabeled: Any = None
) -> tuple[Any, NDArray[Any], dict[str, Any]]:
    """Return the labelled rows, their labels, and what has a value per row, for them.

    Parameters
    ----------
    X : Pool or container of n_samples rows
    y : array-like of shape (n_samples,)
        Partial labels.
    params : mapping
        Such as ``sample_weight``; what has no value per row stays as it is.
    unlabeled : int, float or str, default=None
        What marks an unlabelled row.

    Returns
    -------
    X : container of n_labeled rows
        The one given, where every row is labelled.
    y : ndarray of shape (n_labeled,)
    params : dict

    Raises
    ------
    ValueError
        If no row is labelled.

    Examples
    --------
    >>> from skal.model_selection import labeled_part
    >>> labeled_part(["a", "b", "c"], [0, -1, 1], {"sample_weight": [1.0, 2.0, 3.0]})
    (['a', 'c'], array([0, 1]), {'sample_weight': [1.0, 3.0]})
    """
    pool = as_pool(X)
    labels = Labels.of(y, len(pool), unlabeled=unlabeled)
    if not len(labels.rows):
        raise ValueError("y has no labelled row, so there is nothing to score; label some rows first.")
    known = plain(labels.known)
    if len(labels.rows) == len(labels):
        return pool.X, known, dict(params)
    return pool.take(labels.rows), known, _check_method_params(pool.X, dict(params), indices=labels.rows)
