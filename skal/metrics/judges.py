"""The judges of rows for a metric: features or class probabilities from a function, a transformer or a classifier."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from ..access import embed, predict_proba, provides, unwrap
from ..access.wrappers import open_pipeline
from ..pool import as_pool, dense

# The features of a block of images may be many times larger than the images.
BLOCK_BYTES = 8 * 2**20


def feature_function(features: Any) -> Callable[[Any], Any]:
    """Check the source of features, and return it as a function of rows."""
    if hasattr(features, "transform") and not _is_classifier(features):
        check_is_fitted(features)
        return features.transform
    return _function(features, embed, "penultimate embedding")


def probability_function(judge: Any) -> Callable[[Any], Any]:
    """Check the source of class probabilities, and return it as a function of rows."""
    if hasattr(judge, "predict_proba") and not _is_classifier(judge):
        return judge.predict_proba
    return _function(judge, predict_proba, "predict_proba")


def _function(source: Any, ask: Callable[[Any, Any], Any], needed: str) -> Callable[[Any], Any]:
    if source is None:
        return dense
    if _is_classifier(source) and provides(source, ask.__name__):
        check_is_fitted(unwrap(source))
        return lambda rows: ask(source, as_seen_by(source, rows))
    if callable(source) and not _is_classifier(source):
        return source
    raise TypeError(
        f"{source!r} was given, which has no {needed}; give a function of rows, a fitted classifier with a {needed}, "
        f"{'a fitted transformer, ' if ask is embed else ''}or None to take the rows as they are."
    )


def as_seen_by(classifier: Any, rows: Any) -> Any:
    """Generated rows as bytes if the classifier was fitted on bytes, otherwise unchanged."""
    takes_bytes = getattr(open_pipeline(classifier)[1], "takes_bytes_", False)
    if not takes_bytes or getattr(rows, "dtype", np.uint8) == np.uint8:
        return rows
    return np.rint(rows).clip(0, 255).astype(np.uint8)


def _is_classifier(value: Any) -> bool:
    return hasattr(value, "__sklearn_tags__") and is_classifier(value)


def name_of(quantity: str, source: Any) -> str:
    """The name of a quantity that comes from some source of features or probabilities."""
    if hasattr(source, "metric_names"):
        return source.metric_names[quantity]
    return f"classifier {quantity}" if _is_classifier(source) else quantity


def as_rows(X: Any) -> Any:
    """Rows in their container, of which there must be at least one."""
    X = as_pool(X).X
    if not hasattr(X, "shape"):
        raise TypeError(
            f"X has rows such as {X[0]!r:.50}; give rows of numbers, an array of shape (n_samples, ...)."
        )
    if len(X.shape) < 2 or X.shape[0] == 0:
        raise ValueError(f"X has shape {X.shape}; give rows, an array of shape (n_samples, ...).")
    return X
