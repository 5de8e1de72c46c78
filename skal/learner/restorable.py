"""Which objects a learner's folder may hold, and what they are made of."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from sklearn.base import BaseEstimator

from .ids import Ids

PART = re.compile(r"[0-9a-f]{16}-\d+\.skal")  # the name of a file beside that of the learner

# Classes whose objects are restored by their attributes. What is compiled reads arrays without a check, so that of
# scikit-learn's only those are here that compute with NumPy and SciPy.
_SKAL = re.compile(r"skal\.(learner|labels|strategies|classifiers|generators)(\.\w+)+")
_SKLEARN = re.compile(
    r"sklearn\.(linear_model|naive_bayes|discriminant_analysis|decomposition|preprocessing|pipeline|compose|impute|"
    r"feature_extraction|feature_selection|dummy|random_projection|multiclass|kernel_approximation)(\.\w+)+"
)
_SELECTOR = "sklearn.compose._column_transformer.make_column_selector"  # which is no estimator


def is_restored(kind: type) -> bool:
    """Whether objects of a class are restored by their attributes."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    is_sklearn = _SKLEARN.fullmatch(name) and issubclass(kind, BaseEstimator)
    return bool(_SKAL.fullmatch(name) or is_sklearn or name == _SELECTOR)


def own_params(kind: type) -> set[str]:
    """The names of the parameters of an estimator's class; none for others."""
    return set(kind._get_param_names()) if issubclass(kind, BaseEstimator) else set()  # type: ignore[attr-defined]


def attributes(value: Any) -> list[tuple[str, Any]]:
    """The attributes that an object is made of; what a frozen dataclass has computed of its fields is not."""
    if isinstance(value, Ids):  # perhaps an index of pandas
        return [("_names", value.names)]
    if is_frozen(type(value)):
        return [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
    return [
        (name, each)
        for name, each in vars(value).items()
        if name not in ("query_report_", "_metadata_request")
    ]


def is_frozen(kind: type) -> bool:
    """Whether a class is a frozen dataclass, whose fields are all that its objects are made of."""
    return dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
