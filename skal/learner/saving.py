"""Saving a learner to a folder: stop today, continue tomorrow."""

from __future__ import annotations

import hashlib
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet

from ..exceptions import ModelFileError, PoolWarning, UnsavableError
from ..pool import DatasetRows, Pool, check_pool
from ..pool.checksum import how_columns_differ, what_differs
from ..training.encoding import MALFORMED
from ..training.files import map_file, read_file, write_file
from ..utils.replacing import locked
from ..utils.threads import Turns
from ..utils.warnings import callers_level
from .changes import Changes
from .credible import check_state
from .described import check_params, defaults_of, described, is_same_value
from .draws import Draws
from .ids import Ids
from .order import has_other_index, in_saved_order
from .reader import Reader
from .refit import is_prefitted, refitted, untrained
from .restorable import PART
from .state import State
from .trained_again import predictions, warn_of_other_predictions
from .writer import Writer

_FILE = "learner.skal"
_VERSION = 4
_VERSIONS: dict[int, dict[type, dict[str, Any]]] = {  # and what they lack
    1: {State: {"draws": Draws, "arrivals": tuple, "others": dict}},
    2: {State: {"arrivals": tuple, "others": dict}},
    3: {State: {"others": dict}},
    4: {},
}
_COMPARED_BYTES = 1 << 26  # of the pool, to know it again

# What the first file of a learner holds, and of which kind; beside them are nodes by their places.
_CONTENT = {
    "version": int, "params": dict, "seed": int, "pool": str, "is_trained_again": bool, "nodes": list, "parts": dict
}  # fmt: skip
# What files of earlier versions lack.
_LATER = {
    "defaults": list, "n_rows": int, "container": str, "columns": list, "is_named_by_index": bool, "predicted": list
}  # fmt: skip


class Saving(Changes):
    """Base of the learner: `save` and `load`."""

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save all except the pool and the learner's parameters, so that the next query is the same after `load`.

        The folder holds labels, skipped rows, the record, extensions, and what the strategy prepared (generator,
        encoder, graph, index). It also holds the classifier, or the answers and the seed from which it is trained
        again.

        Parameters
        ----------
        folder : str or path-like
            Created if it does not exist. The files of an earlier `save` are replaced once the new files are complete.

        Raises
        ------
        UnsavableError
            If a part cannot be restored exactly. The error names the part, and what was saved before is kept. A
            classifier that is trained again on load counts as restored exactly, unless its parameters were changed
            after its training.
        OSError
            If the folder cannot be written.

        Warns
        -----
        UserWarning
            If the classifier from before the last answer cannot be restored: that answer cannot be undone after `load`.

        Examples
        --------
        >>> import tempfile
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.decomposition import PCA
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.strategies import DGAL
        >>> X, truth = load_iris(return_X_y=True)
        >>> plan = ActiveLearner(LogisticRegression(), DGAL(PCA(2)), n_queries=3, random_state=0)
        >>> learner = ActiveLearner(**plan.get_params(deep=False)).fit(X, [*truth[:60], *[-1] * 90])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     learner.save(folder)
        ...     again = ActiveLearner.load(folder, X, plan)
        >>> bool((again.query() == learner.query()).all())
        True
        """
        check_is_fitted(self)
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        with self._changes:
            self._check_prepared()
            state = self._state
            self._check_unchanged(state.pool)
        with locked(place):
            self._write(place, state)

    def _write(self, place: Path, state: State) -> None:
        writer = Writer(place, secrets.token_hex(8), _known(self, state.pool))
        try:
            is_again = is_prefitted(self.estimator)
            try:
                reference = writer.add(_without_classifiers(state) if is_again else state, "state")
            except UnsavableError:
                if not self._is_reproducible(state):
                    raise
                writer.discard()
                can_undo = state.before is None or self._is_reproducible(state.before)
                kept = _without_classifiers(state if can_undo else replace(state, before=None))
                reference, is_again = writer.add(kept, "state"), True
                if not can_undo:
                    warnings.warn(
                        "The classifier had other parameters before the last answer, and cannot be saved or trained "
                        "again as it was: undo will not take that answer back after load.",
                        UserWarning,
                        stacklevel=callers_level(),
                    )
            content = {
                "version": _VERSION,
                "params": described(self),
                "defaults": defaults_of(self),
                "seed": self._seed,
                "pool": repr(state.pool.digest(_COMPARED_BYTES)),
                "n_rows": len(state.pool),
                "container": state.pool.description,
                "columns": state.pool.columns,
                "ids": writer.add(state.ids, "ids_"),
                "is_named_by_index": not has_other_index(state.pool, state.ids),
                "is_trained_again": is_again,
                "predicted": predictions(state) if is_again else [],
                "state": reference,
                "nodes": writer.nodes,
                "parts": {file: _digest(place / file) for file in writer.files},
            }
            write_file(place / _FILE, writer.tensors, content)
        except BaseException as error:
            if not _names_any(place / _FILE, writer.files):  # else Ctrl-C came once all was in place
                writer.discard()
            if isinstance(error, UnsavableError):
                error.add_note(f"Nothing was saved. {_remedy(error)}")
            raise
        for path in place.iterdir():  # of an earlier save, or one that was killed
            if PART.fullmatch(path.name) and path.name not in writer.files:
                with suppress(OSError):
                    path.unlink()

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], X: Any, learner: Self, *, mmap_mode: str | None = None
    ) -> Self:
        """Continue with a learner that `save` has written.

        No generator or encoder is trained, and no code from the folder runs.

        Parameters
        ----------
        folder : str or path-like
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)
            The pool, in its original container. If the index of a data frame shows that it comes in another order, it
            is put back into the original order, with a warning; ``X_`` then holds the frame, and ``ids_`` the names of
            its rows. New rows, at the end or wherever an index tells them from the others, are left out, with a
            warning, to be added by `grow`, unless the pool is read from a store.
        learner : ActiveLearner
            With the parameters that it was saved with. It need not be fitted, and is not changed.
        mmap_mode : {None, "r"}, default=None
            With "r", what was prepared for the pool (graph, index, embeddings, distances) stays in the files, and the
            processes of a machine share it. All of it is read once, to compare it with its checksum. The files must not
            change while the learner is used; another `save` replaces them by new ones.

        Returns
        -------
        learner : ActiveLearner
            Fitted.

        Raises
        ------
        ModelFileError
            If the folder holds no learner, is damaged or forged, or comes from a newer skal.
        ValueError
            If `X` is another pool, or its columns have other names, types or places; if the classifier cannot be
            trained again on it; if `learner` has other parameters; or if `mmap_mode` has another value.
        OSError
            If a file cannot be read.

        Warns
        -----
        PoolWarning
            If a frame came in another order, or the pool has new rows.
        UserWarning
            If a library has changed a default of its parameters since the learner was saved; if skops no longer knows a
            part of the classifier to be safe, and the classifier is trained again for that reason; or if a classifier
            that is trained again, or a ``FrozenEstimator``, predicts otherwise than the one that was saved.
        """
        place = Path(folder)
        if mmap_mode not in (None, "r"):
            raise ValueError(
                f'mmap_mode={mmap_mode!r} was given; use "r" to map the files or None to read them'
            )
        tensors, content = (map_file if mmap_mode else read_file)(place / _FILE)
        if not _is_whole(content) or content["version"] not in _VERSIONS or not isinstance(learner, cls):
            raise ModelFileError(
                f"{place / _FILE} holds no learner of a version up to {_VERSION}; give a folder that save has "
                "written, to the class that wrote it, and update skal if it is newer"
            )
        fitted = clone(learner)
        check_params(content["params"], content.get("defaults", []), fitted)
        with _reading(place / _FILE):
            ids = Reader(place, content["nodes"], tensors, {}, mmap_mode=mmap_mode).get(content["ids"])
            if ids is not None and not (isinstance(ids, Ids) and len(ids) == ids.names.size):
                raise ModelFileError("holds no ids of rows")
        given = check_pool(fitted, X, reset=True)
        pool = _saved_rows(given, ids, content)
        with _reading(place / _FILE):
            for file, digest in content["parts"].items():
                if not PART.fullmatch(file) or _digest(place / file) != digest:
                    raise ModelFileError(
                        f"{file} is damaged, or belongs to another learner; save the learner again"
                    )
            lacking = _VERSIONS[content["version"]]
            reader = Reader(place, content["nodes"], tensors, _known(fitted, pool), lacking, mmap_mode)
            state = reader.get(content["state"])
            check_state(state, pool)
            fitted._seed, fitted._changes = int(content["seed"]), Turns()
            if reader.untrusted is not None:
                warnings.warn(
                    f"{reader.untrusted}. All labels are there, and the classifier is trained again on those that it "
                    "was trained on.",
                    UserWarning,
                    stacklevel=callers_level(),
                )
        if content["is_trained_again"] or reader.untrusted is not None:
            try:
                state = fitted._with_classifiers(state)
            except MALFORMED as error:  # of X, as the file has passed all checks
                raise ValueError(
                    f"The classifier cannot be trained again on X and the labels of {place}, which is intact: {error}. "
                    "Give X as it was when the learner was saved, its columns with their types of then."
                ) from error
            warn_of_other_predictions(state, content.get("predicted", []))
        for strategy in (state.strategy, state.cold_start):
            if strategy is not None:
                pool.watch(strategy.watched_bytes)
        fitted._state = state
        return fitted

    def _with_classifiers(self, state: State) -> State:
        """The state with the classifier trained again on what it was trained on."""
        before = None if state.before is None else self._with_classifiers(state.before)
        state = replace(state, before=before)
        seeds = self.random_state is not None
        trained = refitted(_basis(state), self.estimator, self._seed, seeds=seeds, n_queries=self.n_queries)
        return replace(state, estimator=trained.estimator)

    def _is_reproducible(self, state: State) -> bool:
        """Whether the classifier that is trained again on what it was trained on is the same."""
        if (fitted := state.guide) is None:  # of one class, or none
            return True
        seeds = self.random_state is not None
        estimator, coded = untrained(
            _basis(state), self.estimator, self._seed, seeds=seeds, n_queries=self.n_queries
        )
        if coded is not None:
            fitted = getattr(fitted, "estimator_", None)
        if type(fitted) is not type(estimator):
            return False
        given, used = (each.get_params() for each in (estimator, fitted))
        drawn = [value for name, value in used.items() if name.rpartition("__")[2] == "random_state"]
        are_seeded = all(isinstance(seed, int | np.integer) for seed in drawn)
        are_same = given.keys() == used.keys() and all(
            is_same_value(given[name], used[name]) for name in given
        )
        return are_same and (are_seeded or isinstance(fitted, NeuralNet))


def _saved_rows(given: Pool, ids: Ids | None, content: dict[str, Any]) -> Pool:
    """The rows of the saved learner, in its order, with a warning if there are others, too."""
    n_saved = content.get("n_rows", len(given) if ids is None else len(ids))
    pool, warning = in_saved_order(given, ids, n_saved, by_index=content.get("is_named_by_index", True))
    columns = how_columns_differ(content.get("columns", []), pool.columns)
    if columns is not None:
        raise ValueError(f"X is not the pool of the learner that was saved: {columns}")
    if not pool.has_digest(content["pool"], _COMPARED_BYTES):
        why, remedy = what_differs(content.get("container"), pool.description), ""
        if len(pool) > n_saved:  # of a lazy pool
            remedy = " Load it without new rows, and then grow."
        elif len(given) > n_saved:
            why = f"of its {len(given)} rows, neither the first {n_saved} nor those with the saved ids are those."
        raise ValueError(
            f"X is not the pool of the learner that was saved: {why} Give the original one.{remedy}"
        )
    if warning is not None:
        warnings.warn(warning, PoolWarning, stacklevel=callers_level())
    return pool


def _remedy(error: UnsavableError) -> str:
    """What to do about a part that cannot be saved."""
    if error.path.endswith("._names"):
        return "Name the rows by integers, strings or dates: give an index of these, or fit(X, y, ids=...)."
    if issubclass(error.kind, DatasetRows):
        return "Give extend the rows of a torch dataset in an array, or in a TensorDataset: these are saved."
    if "extensions[" in error.path:
        return "Give extend, and the pool, numbers, strings or dates in place of these values."
    if ".encoder_" in error.path or ".generator_" in error.path:
        return (
            "Fit it yourself and give the strategy FrozenEstimator(encoder), here and to load, which then has it and "
            "needs no file. This learner takes such a strategy by use(strategy), and keeps its labels."
        )
    return (
        "Give the learner another part in its place; a classifier that random_state seeds is trained again on the "
        "answers that it was trained on, unless its parameters were changed since: call refit() then."
    )


def _names_any(path: Path, files: list[str]) -> bool:
    """Whether the first file of a learner names one of some others."""
    with suppress(OSError, *MALFORMED):
        return not map_file(path, verify=False)[1]["parts"].keys().isdisjoint(files)
    return False


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file in errors, and call it malformed where something else goes wrong in it."""
    try:
        yield
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    except MALFORMED as error:
        raise ModelFileError(f"{path} is malformed ({error!r}); save the learner again") from error


def _known(learner: Any, pool: Pool) -> dict[str, Any]:
    """What a reader has already: the pool, the learner's parameters, and the classes of those."""
    params = learner.get_params(deep=True)
    kinds = {
        f"class of {name}": type(value) for name, value in params.items() if hasattr(value, "get_params")
    }
    return {**params, **kinds, "pool": pool, "X": pool.X}


def _is_whole(content: dict[str, Any]) -> bool:
    """Whether a file has all that the first one of a learner has, of its kind."""
    kinds = _CONTENT | {name: kind for name, kind in _LATER.items() if name in content}
    are_whole = all(type(content.get(name)) is kind for name, kind in kinds.items())
    if not are_whole or not {"ids", "state"} <= content.keys():
        return False
    words = [*content["params"].values(), *content["parts"].values(), *content.get("defaults", [])]
    columns = content.get("columns", [])
    if not all(type(each) is list and list(map(type, each)) == [str, str] for each in columns):
        return False
    return content.get("n_rows", 1) > 0 and all(isinstance(each, str) for each in words)


def _basis(state: State) -> State:
    """The state that the classifier was trained on. Older folders lack it where that had one class, or none."""
    return replace(state, **(state.basis or {}))


def _without_classifiers(state: State) -> State:
    before = None if state.before is None else _without_classifiers(state.before)
    return replace(state, estimator=None, before=before)
