"""Labelled samples that are not rows of the pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _num_samples, check_is_fitted
from torch.utils.data import TensorDataset

from ..labels import is_numeric, plain
from ..pool import NO_ROWS, as_pool, check_pool
from ..utils.arrays import as_objects
from .extensions import Extension, new_keys
from .ids import Ids, check_orders
from .recording import Recording
from .state import State

_KINDS = {"b": "True or False", "i": "integers", "u": "integers", "f": "floats", "U": "strings"}


class Extending(Recording):
    """Base of the learner: `extend`, and what can be said of its samples later."""

    def extend(
        self, X: Any, y: ArrayLike, keys: ArrayLike | None = None, *, refit: bool = True, **fit_params: Any
    ) -> Self:
        """Add labelled samples that are not rows of the pool, and refit the classifier.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_new, ...)
            The samples, such as synthesised ones. They are copied, except those in a store, in a read-only memory map
            or in a torch dataset other than a TensorDataset: these must not change.
        y : array-like of shape (n_new,)
            Their labels; every sample needs one.
        keys : array-like of int or str of shape (n_new,), default=None
            Names by which `teach` and `forget` refer to the samples. By default the next integers; see
            `extension_keys_`.
        refit : bool, default=True
            See `teach`.
        **fit_params : dict
            The values for the new samples of parameters that `fit` was given, such as ``sample_weight``.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If samples, labels, keys or fit parameters are invalid. Nothing is recorded then.
        BaseException
            Whatever training raises, as in `teach`.
        """
        check_is_fitted(self)
        with self._changes:
            state = self._state
            pool = check_pool(self, X, reset=False)
            check_orders(y, fit_params, Ids.of_index(pool))
            labels = state.labels.check_new(y, len(pool))
            self._check_known_classes(labels)
            taken = [key for entry in state.record if entry.keys is not None for key in entry.keys]
            named = new_keys(keys, len(pool), state.extension_labels, taken)
            if others := sorted(self._route_to_strategy(fit_params)):
                raise ValueError(
                    f"{others} belong to the rows from which the strategy chooses, and samples of extend are none; "
                    "leave them out."
                )
            params = self._route(self._completed(fit_params, len(labels), state.others))
            changes: dict[str, Any] = {}
            if params.get("sample_weight") is not None and "sample_weight" not in state.params:
                params["sample_weight"] = self._checked_weight(params["sample_weight"], len(pool))
                changes = state.with_weights(NO_ROWS, np.empty(0))
            per_row = changes.get("per_row", state.per_row)
            self._check_fit_params(params, per_row, len(labels))
            self._try_flawed_row(replace(state, pool=pool))
            matching = state.pool.matching(pool)
            if type(matching.X) is TensorDataset:  # its rows are read again at each training
                copies = (tensor.detach().clone() for tensor in matching.X.tensors)
                matching = as_pool(TensorDataset(*copies))
            if matching.storage is None:  # what the caller may go on writing to
                matching = as_pool(matching.take(np.arange(len(matching))))
            params = {name: np.array(value) for name, value in params.items()}
            extension = Extension(matching.X, np.array(plain(labels)), params, named)
            changes |= {"labels": state.labels.with_classes(labels)}
            extended = self._with_extensions(
                "label", (*state.extensions, extension), named, labels, **changes
            )
            return self._recorded(extended, refit)

    def _check_fit_params(self, params: dict[str, Any], per_row: frozenset[str], n_samples: int) -> None:
        """Refuse parameters of new samples that cannot be appended to those of `fit`."""
        state = self._state
        optional = {"sample_weight"} if state.has_own_weights else set()
        has_names = per_row - optional <= set(params) <= per_row
        flaws = [
            f"{name} is {_told(value)}, and the learner has {_told(state.params.get(name, value))}"
            for name, value in params.items()
            if not has_length(value, n_samples)
            or (name in state.params and not _goes_with(value, state.params[name]))
            or (name == "sample_weight" and (np.asarray(value) < 0).any())
        ]
        if not has_names or flaws:
            raise ValueError(
                f"The fit parameters {sorted(params)} were given with new samples; give those that fit was given a "
                f"value per row of, {sorted(per_row)}, with a value for each of the {n_samples} samples, of the same "
                f"shape and kind, finite, and no weight negative.{''.join(f' Here {flaw}.' for flaw in flaws)}"
            )

    def _with_relabeled(self, keys: list[Any], y: Any, overwrite: bool) -> State:
        state = self._state
        labels = state.labels.check_new(y, len(keys))
        self._check_known_classes(labels)
        known = state.extension_labels
        self._check_keys(keys)
        new = dict(zip(keys, plain(labels).tolist(), strict=True))
        corrected = {key: known[key] for key in keys if known[key] != new[key]}
        if corrected and not overwrite:
            raise ValueError(
                f"The samples of extend with the labels {dict(list(corrected.items())[:5])} are labelled already. "
                "overwrite=True corrects them; leave them out to keep the labels."
            )
        if not corrected:
            return self._unchanged() if keys else state
        extensions = tuple(each.relabeled(new) for each in state.extensions)
        return self._with_extensions(
            "label", extensions, keys, labels, labels=state.labels.with_classes(labels)
        )

    def _with_extensions(
        self, action: str, extensions: tuple[Extension, ...], keys: Any, given: Any = None, **changes: Any
    ) -> State:
        rows = np.full(len(keys), -1, dtype=np.intp)
        changes |= {"extensions": tuple(each for each in extensions if len(each.y)), "is_trained": False}
        return self._state.after(action, rows, given, as_objects(keys), **changes)

    def _check_keys(self, keys: list[Any]) -> None:
        unknown = [key for key in keys if key not in self._state.extension_labels]
        if unknown or len(set(keys)) < len(keys):
            raise ValueError(
                f"The keys {(unknown or keys)[:5]} are unknown or repeated; extension_keys_ has those of the samples "
                "of extend. Give each once."
            )


def _told(value: Any) -> str:
    """The kind and the shape of a fit parameter, in words."""
    array = np.asarray(value)
    return f"{_KINDS.get(array.dtype.kind, 'objects')} of shape {array.shape}"


def _goes_with(value: Any, known: Any) -> bool:
    """Whether a fit parameter can be appended to the one that `fit` was given."""
    new, old = np.asarray(value), np.asarray(known)
    if new.shape[1:] != old.shape[1:] or is_numeric(new) != is_numeric(old):
        return False
    if old.dtype == bool and new.dtype != bool:  # a mask would become numbers
        return False
    return not is_numeric(new) or bool(np.isfinite(new).all()) or not np.isfinite(old).all()


def has_length(value: Any, n_samples: int) -> bool:
    """Whether a fit parameter has a value per row."""
    return np.ndim(value) > 0 and _num_samples(value) == n_samples
