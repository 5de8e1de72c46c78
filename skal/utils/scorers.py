"""Names of scikit-learn's scorers, and advice for scorers that do not know the positive class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.metrics import get_scorer


def scorer_name(scoring: Any) -> str:
    """The name of a score: the name of the scorer, or of its metric if it is one of scikit-learn's.

    Examples
    --------
    >>> from sklearn.metrics import brier_score_loss, make_scorer
    >>> from skal.utils.scorers import scorer_name
    >>> scorer_name("f1"), scorer_name(make_scorer(brier_score_loss, greater_is_better=False)), scorer_name(max)
    ('f1', 'neg_brier_score_loss', 'score')
    """
    if isinstance(scoring, str):
        return scoring
    if hasattr(scoring, "scoring"):  # labeled_scorer
        return scorer_name(scoring.scoring)
    name = getattr(getattr(scoring, "_score_func", None), "__name__", "")
    if not name.isidentifier():  # a partial or a lambda
        return "score"
    return ("neg_" if scoring._sign < 0 else "") + name.removesuffix("_score")


def sklearn_scorer(scoring: Any) -> Any:
    """The scorer (or that of a name) if it computes one of scikit-learn's metrics; None if it is another scorer.

    Examples
    --------
    >>> from skal.utils.scorers import sklearn_scorer
    >>> sklearn_scorer("accuracy"), sklearn_scorer(max)
    (make_scorer(accuracy_score, response_method='predict'), None)
    """
    scoring = getattr(scoring, "scoring", scoring)  # labeled_scorer
    scorer = get_scorer(scoring) if isinstance(scoring, str) else scoring
    metric = getattr(scorer, "_score_func", None)
    return scorer if getattr(metric, "__module__", "").startswith("sklearn.") else None


@contextmanager
def naming_positives(scoring: Any, y: Any) -> Iterator[None]:
    """Add advice to errors of scikit-learn's scorers that assume a positive class 1 where there is no such class.

    Parameters
    ----------
    scoring : str, callable, list, tuple, dict or None
    y : array-like of shape (n_samples,)
        True labels. Their rarest class is the example.
    """
    try:
        yield
    except ValueError as error:
        if "pos_label" not in str(error) or "make_scorer" in str(error):  # said by a scorer inside
            raise
        if (scorer := sklearn_scorer(scoring)) is None:
            raise
        given: dict[str, Any] = dict(scorer._kwargs)
        if given.get("average") == "binary":  # the default
            del given["average"]
        if scorer._response_method != "predict":
            given["response_method"] = scorer._response_method
        if scorer._sign < 0:
            given["greater_is_better"] = False
        labels, counts = np.unique(np.asarray(y), return_counts=True)
        given["pos_label"] = labels.tolist()[counts.argmin()]
        arguments = "".join(f", {name}={value!r}" for name, value in given.items())
        raise ValueError(
            f"{str(error).removesuffix('.')}. Say which class is the positive one: "
            f"scoring=make_scorer({scorer._score_func.__name__}{arguments}), of sklearn.metrics."
        ) from error
