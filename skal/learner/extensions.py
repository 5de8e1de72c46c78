"""Labelled samples that are not rows of the pool, and the keys by which annotators name them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import _check_method_params

from ..labels import plain
from ..pool import as_pool
from ..utils.arrays import as_objects


@dataclass(frozen=True, eq=False)
class Extension:
    """Samples that were added at once.

    Attributes
    ----------
    X : container of shape (n_samples, ...)
    y : ndarray of shape (n_samples,)
    params : dict
        The samples' part of the parameters of the classifier's `fit`.
    keys : ndarray of object of shape (n_samples,)
        Integers or strings; no two extensions of a learner share one.
    """

    X: Any
    y: NDArray[Any]
    params: dict[str, Any]
    keys: NDArray[Any]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "X": as_pool(self.X)}  # which pickles a memory map by its name

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({**state, "X": state["X"].X})

    def _where(self, keys: Iterable[Any]) -> NDArray[np.bool_]:
        wanted = set(keys)
        return np.array([key in wanted for key in self.keys], dtype=bool)

    def relabeled(self, labels: dict[Any, Any]) -> Self:
        """The samples with other labels for some keys.

        Parameters
        ----------
        labels : dict
            Labels by key; keys that are not those of these samples are left to other extensions.
        """
        y = self.y.astype(object)
        y[:] = [labels.get(key, label) for key, label in zip(self.keys, self.y.tolist(), strict=True)]
        return replace(self, y=plain(y)) if self._where(labels).any() else self

    def without(self, keys: Iterable[Any]) -> Self:
        """The samples except for those of some keys.

        Returns
        -------
        extension : Extension
            Perhaps without any sample.
        """
        kept = np.flatnonzero(~self._where(keys))
        if len(kept) == len(self.y):
            return self
        X, params = as_pool(self.X).take(kept), _check_method_params(self.X, self.params, indices=kept)
        return replace(self, X=X, y=self.y[kept], params=params, keys=self.keys[kept])


def new_keys(
    keys: ArrayLike | None, n_samples: int, known: Iterable[Any], used: Iterable[Any]
) -> NDArray[Any]:
    """Check the keys of new samples, or make them: the next integers.

    Parameters
    ----------
    keys : array-like of shape (n_samples,) or None
    n_samples : int
    known : iterable
        The keys of the samples that there are.
    used : iterable
        The same, and those of withdrawn samples.

    Returns
    -------
    keys : ndarray of object of shape (n_samples,)

    Raises
    ------
    ValueError
        If keys are not distinct integers or strings, or known already.
    """
    if keys is None:
        first = 1 + max((key for key in used if isinstance(key, int)), default=-1)
        given = list(range(first, first + n_samples))
    else:
        try:
            given = as_keys(keys)
        except ValueError as error:
            raise ValueError(
                f"{error} If these are fit parameters, name them: extend(X, y, boundary=...), or extend(X, y, "
                "**params)."
            ) from error
    counts = Counter([*known, *given])
    repeated = [key for key in dict.fromkeys(given) if counts[key] > 1]
    if len(given) != n_samples or repeated:
        raise ValueError(
            f"{len(given)} keys were given for {n_samples} samples, of which {repeated[:5]} are repeated or known "
            "already; give each sample a key of its own. teach(extension=keys, y=labels) corrects samples."
        )
    return as_objects(given)


def as_keys(keys: ArrayLike) -> list[Any]:
    """Keys as a list of integers and strings.

    Raises
    ------
    ValueError
        If one is neither.
    """
    listed = np.atleast_1d(np.asarray(keys, dtype=object)).tolist()
    listed = [key.item() if isinstance(key, np.generic) else key for key in listed]
    wrong = [key for key in listed if isinstance(key, bool) or not isinstance(key, int | str)]
    if wrong:
        raise ValueError(f"The keys {wrong[:5]} were given; give integers or strings.")
    return listed
