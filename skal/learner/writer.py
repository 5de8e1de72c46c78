"""Taking the contents of a learner apart, for files that run no code: objects by their attributes, arrays as arrays."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch
from skorch.helper import SliceDict
from torch.utils.data import TensorDataset

from ..exceptions import UnsavableError
from ..graph import LabelDiffusion
from ..neighbors import CellIndex
from ..pool import DatasetRows
from ..training.encoding import encode
from ..training.estimator import NetworkEstimator
from ..training.files import read_file
from ..utils.arrays import as_objects
from ..utils.threads import Kept
from .record import Entry
from .restorable import attributes, is_restored
from .spelling import spelled, spelled_all

_NUMBERS = "biuf"  # arrays that are tensors in the file


class Writer:
    """Takes objects apart: a table of nodes, which JSON has, the tensors, and a file for each network and index.

    Parameters
    ----------
    folder : Path
        Where files for networks and indexes go.
    name : str
        What their names begin with.
    known : dict of str to object
        Objects that the reader has, by name. They are referred to, not written.
    """

    def __init__(self, folder: Path, name: str, known: dict[str, Any]) -> None:
        self._folder, self._name = folder, name
        self._known = {id(value): key for key, value in known.items() if not _is_plain(value)}
        self._kept: list[Any] = [known]  # as long as they are, nothing else has their ids
        self._places: dict[int, int] = {}
        self.nodes: list[Any] = []
        self.tensors: dict[str, torch.Tensor] = {}
        self.files: list[str] = []

    def add(self, value: Any, path: str) -> Any:
        """Return what stands for an object: itself if JSON has it, else the place of its node.

        Parameters
        ----------
        value : object
        path : str
            Where it is, for errors.

        Returns
        -------
        reference : None, bool, int, float, str, or list with the place, or with what is spelled

        Raises
        ------
        UnsavableError
            If it is, or holds, what cannot be restored exactly.
        """
        if _is_plain(value):
            return value
        if id(value) in self._known:
            return ["known", self._known[id(value)]]
        if (letters := spelled(value)) is not None:
            return letters
        if id(value) not in self._places:
            self._kept.append(value)
            self._places[id(value)] = place = len(self.nodes)
            self.nodes.append(None)  # of an object that refers to itself
            self.nodes[place] = self._node(value, path)
        return ["node", self._places[id(value)]]

    def discard(self) -> None:
        """Forget everything, and remove the files."""
        for file in self.files:
            (self._folder / file).unlink(missing_ok=True)
        self._places, self.nodes, self.tensors, self.files = {}, [], {}, []

    def _node(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind in (list, tuple, set, frozenset):
            items = sorted(value) if kind in (set, frozenset) else value
            return {kind.__name__: [self.add(item, f"{path}[{i}]") for i, item in enumerate(items)]}
        if kind in (dict, Bunch):
            pairs = [[self.add(each, f"{path}[{key!r}]") for each in (key, value[key])] for key in value]
            return {kind.__name__: pairs}
        if isinstance(value, np.ndarray):
            return self._array(np.asarray(value), path)
        if isinstance(value, np.dtype) and value.kind in "biufcSUmMO":
            return {"numpy": value.str}
        if kind is slice:
            return {"slice": [self.add(each, path) for each in (value.start, value.stop, value.step)]}
        if kind is torch.Tensor:
            return {"tensor": self._tensor(value.detach())}
        if (owner := kind.__module__.partition(".")[0]) in ("pandas", "polars"):
            if kind.__name__ == "DataFrame":
                return self._frame(value, path) if owner == "pandas" else self._polars(value, path)
            if kind.__name__ == "Series":
                frame = value.to_frame() if owner == "polars" else value.to_frame("values")
                return {"series": [self.add(frame, path), self.add(value.name, path)]}
        if kind is SliceDict:
            return {"mapping": [[name, self.add(value[name], f"{path}[{name!r}]")] for name in value]}
        # Other datasets decode, perhaps differently each time.
        if kind is DatasetRows and type(value.dataset) is TensorDataset:
            return {"rows": self._array(value.read(), path)}
        if sparse.issparse(value):
            matrix = value.tocsr()
            parts = [self._array(part, path) for part in (matrix.data, matrix.indices, matrix.indptr)]
            return {"sparse": [kind.__name__, list(matrix.shape), *parts]}
        if isinstance(value, Kept):
            return {"kept": None}
        is_ours = kind.__module__.partition(".")[0] in ("skal", "sklearn") or id(kind) in self._known
        if is_ours and isinstance(value, BaseEstimator) and not _is_fitted(value):
            params = value.get_params(deep=False)
            given = [[name, self.add(param, f"{path}.{name}")] for name, param in params.items()]
            return {"unfitted": [f"{kind.__module__}.{kind.__qualname__}", given]}
        if isinstance(value, NetworkEstimator):
            return self._network(value, path)
        if kind is CellIndex:
            value.save(self._folder / (file := self._new_file()))
            return {"index": file}
        if kind is LabelDiffusion:
            arrays = [[name, self._array(array, path)] for name, array in value.to_arrays().items()]
            return {"diffusion": [value.n_steps, value.incremental, str(value.device), arrays]}
        if kind is Entry:
            return {"entry": [self.add(item, path) for item in value]}
        # NumPy's types of numbers may be parameters, and known; numbers are values.
        if is_restored(kind) or (id(kind) in self._known and not isinstance(value, np.generic)):
            name = f"{kind.__module__}.{kind.__qualname__}"
            held = [[key, self.add(each, f"{path}.{key}")] for key, each in attributes(value)]
            return {"object": [name, held]}
        try:
            encode(value)
        except TypeError as error:
            can_dump = kind.__module__.startswith("sklearn.") and find_spec("skops")
            if can_dump and (dumped := self._skops(value)):
                return {"skops": dumped}
            raise UnsavableError(path, value) from error
        return {"value": value}

    def _frame(self, frame: Any, path: str) -> Any:
        columns = []
        for i, name in enumerate(frame.columns):
            column, where = frame.iloc[:, i], f"{path}[{name!r}]"
            dtype, more = str(column.dtype), []
            if dtype == "category":  # its categories may have an order, and be more than are here
                values = column.cat.categories
                more = [str(values.dtype), self.add(values.to_numpy(), where), column.cat.ordered]
            elif not column.equals(type(column)(column.to_numpy(), index=frame.index, dtype=dtype)):
                raise UnsavableError(where, column)
            columns.append([dtype, self.add(column.to_numpy(), where), *more])
        names, index = self.add(list(frame.columns), path), self.add(frame.index.to_numpy(), path)
        return {"frame": [names, columns, index]}

    def _polars(self, frame: Any, path: str) -> Any:
        file = self._new_file()
        try:
            frame.write_ipc(self._folder / file)
        except Exception as error:  # such as of columns that hold objects
            raise UnsavableError(path, frame) from error
        return {"polars": file}

    def _skops(self, value: Any) -> str | None:
        """The name of a file that skops has written; None where it would not trust what is in it."""
        skops = importlib.import_module("skops.io")
        file = self._new_file()
        try:
            skops.dump(value, self._folder / file)
        except Exception:  # whatever it has with this object
            return None
        return None if skops.get_untrusted_types(file=self._folder / file) else file

    def _array(self, array: NDArray[Any], path: str) -> Any:
        if array.dtype.kind == "O":
            return self._objects(list(array.shape), array.ravel().tolist(), path)
        shape, dtype = list(array.shape), array.dtype.str
        if array.dtype.kind not in "biufcSUmM":
            raise UnsavableError(path, array)
        if array.dtype.kind not in _NUMBERS or array.itemsize > 8 or not array.dtype.isnative:
            array = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8)
        return {"array": [self._tensor(torch.from_numpy(np.array(array, order="C"))), dtype, shape]}

    def _objects(self, shape: list[int], items: list[Any], path: str) -> Any:
        """Objects; many times, or rows of an index of several levels, as arrays: a node for each would be too many."""
        lengths = {len(item) if type(item) is tuple else 0 for item in items}
        if len(lengths) == 1 and lengths != {0}:
            levels = [self._array(_level(level), path) for level in zip(*items, strict=True)]
            return {"tuples": [shape, levels]}
        if (together := spelled_all(items)) is not None:
            kind, own, rest = together
            return {"spelled": [shape, kind, self._array(own, path), rest]}
        return {"objects": [shape, [self.add(item, path) for item in items]]}

    def _tensor(self, tensor: torch.Tensor) -> str:
        name = str(len(self.tensors))
        self.tensors[name] = tensor
        return name

    def _network(self, value: NetworkEstimator, path: str) -> Any:
        value.save(self._folder / (file := self._new_file()))
        given = {}
        for name in read_file(self._folder / file)[1]["left_out"]:
            param = getattr(value, name)
            if id(param) not in self._known:
                raise UnsavableError(f"{path}.{name}", param)
            given[name] = self._known[id(param)]
        return {"network": [file, f"{type(value).__module__}.{type(value).__qualname__}", given]}

    def _new_file(self) -> str:
        self.files.append(f"{self._name}-{len(self.files)}.skal")
        return self.files[-1]


def _level(names: tuple[Any, ...]) -> NDArray[Any]:
    are_small = all(type(name) is int and abs(name) < 1 << 63 for name in names)
    return np.array(names, np.int64) if are_small else as_objects(names)


def _is_plain(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)


def _is_fitted(estimator: BaseEstimator) -> bool:
    """Whether an estimator is more than its parameters."""
    return not vars(estimator).keys() - {"_metadata_request"} <= estimator.get_params(deep=False).keys()
