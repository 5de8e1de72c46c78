"""Constraints and texts of parameters, which subclasses write only for their own parameters."""

from __future__ import annotations

from collections import ChainMap
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from .docstrings import inherits_doc


class Inheriting(BaseEstimator):
    """An estimator whose subclasses inherit the constraints of parameters, and their texts.

    A line such as ``{random_state}`` of a docstring stands for the text of a base class, as in
    :func:`~skal.utils.docstrings.inherits_doc`; a name that no base class documents is left unchanged.

    Examples
    --------
    >>> from skal.utils.inheriting import Inheriting
    >>> class Base(Inheriting):
    ...     _parameter_constraints = {"lr": [float]}
    >>> class Network(Base):
    ...     _parameter_constraints = {"depth": [int]}
    >>> sorted(Network._parameter_constraints)
    ['depth', 'lr']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {}
    _own_constraints: ClassVar[
        dict[str, Any]
    ] = {}  # apart, as a merged dict would hide what other bases override

    def __init_subclass__(cls, **params: Any) -> None:
        super().__init_subclass__(**params)
        inherits_doc(strict=False)(cls)
        cls._own_constraints = vars(cls).get("_parameter_constraints", {})
        own = [
            vars(each).get("_own_constraints", vars(each).get("_parameter_constraints", {}))
            for each in cls.__mro__
        ]
        cls._parameter_constraints = dict(ChainMap(*own))
