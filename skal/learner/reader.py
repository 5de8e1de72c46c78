"""Putting the contents of a learner together again."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Iterable
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

from ..exceptions import ModelFileError
from ..graph import LabelDiffusion
from ..neighbors import CellIndex
from ..pool import DatasetRows
from ..training.encoding import array_dtype
from ..training.estimator import NetworkEstimator
from ..utils.arrays import as_objects
from ..utils.threads import Kept
from .record import Entry
from .restorable import PART, is_frozen, is_restored, own_params
from .spelling import KINDS, unspelled
from .state import State

_MARKS = np.array([0x184D2204, 0xFD2FB528], np.uint32)  # of LZ4 and Zstandard
_MAPPED_BYTES = 1 << 16  # smaller arrays are read: what a query changes is small
_COLLECTIONS: dict[str, Any] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}
_SPARSE = {f"{fmt}_{kind}" for fmt in ("csr", "csc", "coo") for kind in ("array", "matrix")}


class UntrustedError(ModelFileError):
    """A file of skops has types that the installed version of it does not know to be safe.

    Examples
    --------
    >>> from skal.learner.reader import UntrustedError
    >>> print(UntrustedError("a.skal holds ['sklearn.tree._tree.Tree']"))
    a.skal holds ['sklearn.tree._tree.Tree']
    """


class Reader:
    """Puts together what a `Writer` took apart.

    Parameters
    ----------
    folder : Path
    nodes : list
    tensors : dict of str to torch.Tensor or ndarray
    known : dict of str to object
    lacking : dict of type to dict of str to callable, default=None
        What makes the fields that objects of a class had not yet in the version that wrote the file.
    mmap_mode : {None, "r"}, default=None
        "r" leaves large arrays in the file that they were mapped from; `tensors` are arrays then.

    Attributes
    ----------
    untrusted : UntrustedError or None
        Why a classifier was left out, which can be trained again.

    Raises
    ------
    ModelFileError
        In `get`, if the table is none that a `Writer` makes.
    """

    def __init__(
        self,
        folder: Path,
        nodes: list[Any],
        tensors: dict[str, torch.Tensor] | dict[str, NDArray[Any]],
        known: dict[str, Any],
        lacking: dict[type, dict[str, Any]] | None = None,
        mmap_mode: str | None = None,
    ) -> None:
        self._mmap_mode = mmap_mode
        self._lacking = lacking or {}
        self._folder, self._nodes, self._tensors, self._known = folder, nodes, tensors, known
        self._classes = {
            f"{each.__module__}.{each.__qualname__}": each
            for each in known.values()
            if isinstance(each, type)
        }
        self._made: dict[int, Any] = {}
        self.untrusted: UntrustedError | None = None

    def get(self, reference: Any) -> Any:
        """Return the object that a reference stands for."""
        if not isinstance(reference, list):
            return reference
        if reference and reference[0] in KINDS:
            return unspelled(*reference)
        kind, where = reference
        if kind == "known":
            return self._known[where]
        if kind != "node" or not 0 <= where < len(self._nodes):
            raise ModelFileError(f"refers to {reference}, which is not there")
        if where not in self._made:
            ((kind, content),) = self._nodes[where].items()
            self._made[where] = None  # a container that holds itself is none that a Writer makes
            try:
                if kind in _COLLECTIONS:
                    self._made[where] = _COLLECTIONS[kind](map(self.get, content))
                else:
                    self._made[where] = getattr(self, f"_make_{kind.lower()}")(content, where)
            except UntrustedError:  # whoever else refers to it shall not get None
                del self._made[where]
                raise
        return self._made[where]

    def _all(self, references: Iterable[Any]) -> list[Any]:
        return [self.get(each) for each in references]

    def _make_dict(self, content: Any, where: int) -> Any:
        return {self.get(key): self.get(value) for key, value in content}

    def _make_bunch(self, content: Any, where: int) -> Any:
        return Bunch(**self._make_dict(content, where))

    def _make_array(self, content: Any, where: int = -1) -> NDArray[Any]:
        name, dtype, shape = content
        array = self._tensors[name]
        if isinstance(array, torch.Tensor):
            array = array.numpy()
        elif array.nbytes < _MAPPED_BYTES:
            array = np.array(array)
        kind = array_dtype(dtype, shape)
        if array.dtype != kind:
            if array.dtype != np.uint8 or kind.hasobject:
                raise ModelFileError(f"holds an array of {dtype} as {array.dtype}")
            array = array.view(kind) if array.size else np.empty(0, kind)
        return array.reshape(shape)

    def _make_objects(self, content: Any, where: int = -1) -> NDArray[Any]:
        shape, items = content
        return as_objects(self._all(items)).reshape(shape)

    def _make_tuples(self, content: Any, where: int = -1) -> NDArray[Any]:
        shape, levels = content
        columns = [self._array(level).tolist() for level in levels]
        return as_objects(list(zip(*columns, strict=True))).reshape(shape)

    def _make_spelled(self, content: Any, where: int = -1) -> NDArray[Any]:
        shape, kind, own, rest = content
        if kind not in KINDS:
            raise ModelFileError(f"spells {kind!r}, which is no kind of value")
        return as_objects([unspelled(kind, each, *rest) for each in self._array(own).tolist()]).reshape(shape)

    def _array(self, node: Any) -> NDArray[Any]:
        ((kind, content),) = node.items()
        if kind not in ("array", "objects", "tuples", "spelled"):
            raise ModelFileError(f"holds a {kind} as an array")
        made: NDArray[Any] = getattr(self, f"_make_{kind}")(content)
        return made

    def _make_numpy(self, content: Any, where: int) -> Any:
        return array_dtype(content, [])

    def _make_slice(self, content: Any, where: int) -> Any:
        return slice(*self._all(content))

    def _make_tensor(self, content: Any, where: int) -> torch.Tensor:
        tensor = self._tensors[content]
        return tensor if isinstance(tensor, torch.Tensor) else torch.from_numpy(np.array(tensor))

    def _make_frame(self, content: Any, where: int) -> Any:
        names, columns, index = content
        pandas = importlib.import_module("pandas")
        series = []
        for dtype, values, *more in columns:
            if more:
                categories = pandas.Index(self.get(more[1]), dtype=more[0])
                dtype = pandas.CategoricalDtype(categories, ordered=more[2])
            series.append(pandas.Series(self.get(values), dtype=dtype))
        labels = self.get(index)
        if len(labels) and all(isinstance(label, tuple) for label in labels):
            labels = pandas.MultiIndex.from_tuples(labels)
        frame = pandas.DataFrame(dict(enumerate(series))).set_axis(labels)
        frame.columns = self.get(names)
        return frame

    def _make_polars(self, content: Any, where: int) -> Any:
        polars = importlib.import_module("polars")
        data = self._file(content).read_bytes()
        if _is_compressed(data):
            raise ModelFileError(f"{content} is compressed, which no saved frame is")
        try:
            return polars.read_ipc(data)
        except (Exception, polars.exceptions.PanicException) as error:
            raise ModelFileError(f"{content} holds no frame of polars ({error!r})") from error

    def _make_series(self, content: Any, where: int) -> Any:
        frame, name = self._all(content)
        return frame.iloc[:, 0].rename(name) if hasattr(frame, "iloc") else frame.to_series()

    def _make_mapping(self, content: Any, where: int) -> Any:
        return SliceDict(**{name: self.get(each) for name, each in content})

    def _make_unfitted(self, content: Any, where: int) -> Any:
        name, params = content
        return self._class(name, is_fitted=False)(**{key: self.get(each) for key, each in params})

    def _make_skops(self, content: Any, where: int) -> Any:
        skops = importlib.import_module("skops.io")
        if untrusted := skops.get_untrusted_types(file=self._file(content)):
            raise UntrustedError(
                f"{content} holds {untrusted}, which the installed version of skops does not know to be safe; load it "
                "with the version that saved it"
            )
        return skops.load(self._file(content))

    def _make_rows(self, content: Any, where: int) -> Any:
        return DatasetRows(TensorDataset(torch.tensor(self._array(content))))

    def _make_sparse(self, content: Any, where: int) -> Any:
        name, shape, *parts = content
        if name not in _SPARSE:
            raise ModelFileError(f"holds a sparse matrix of the class {name}")
        kind = sparse.csr_array if name.endswith("array") else sparse.csr_matrix
        matrix = kind(tuple(self._array(part) for part in parts), shape=tuple(shape))
        matrix.check_format(full_check=True)
        return matrix.asformat(name[:3])

    def _make_kept(self, content: Any, where: int) -> Any:
        return Kept()

    def _make_network(self, content: Any, where: int) -> Any:
        file, name, given = content
        kind = self._class(name)
        if not issubclass(kind, NetworkEstimator):
            raise ModelFileError(f"names {name} as a network")
        return kind.load(self._file(file), **{key: self._known[param] for key, param in given.items()})

    def _make_index(self, content: Any, where: int) -> Any:
        return CellIndex.load(self._file(content), mmap_mode=self._mmap_mode)

    def _make_diffusion(self, content: Any, where: int) -> Any:
        n_steps, incremental, device, arrays = content
        graph = {name: self._array(node) for name, node in arrays}
        return LabelDiffusion.from_arrays(graph, n_steps, incremental=incremental, device=device)

    def _make_entry(self, content: Any, where: int) -> Any:
        return Entry(*self._all(content))

    def _make_value(self, content: Any, where: int) -> Any:
        return content

    def _make_object(self, content: Any, where: int) -> Any:
        name, attributes = content
        kind = self._class(name)
        made = self._made[where] = kind.__new__(kind)
        keys = {key for key, _ in attributes}
        lacking = self._lacking.get(kind, {})
        if is_frozen(kind) and keys | lacking.keys() != {each.name for each in dataclasses.fields(kind)}:
            raise ModelFileError(f"holds {name} with the attributes {sorted(keys)}")
        own = {key for key in keys - own_params(kind) if callable(getattr(kind, key, None))}
        if own:
            raise ModelFileError(f"sets {sorted(own)} of {name}, which are its class's own")
        for key, reference in attributes:
            try:
                vars(made)[key] = self.get(reference)
            except UntrustedError as error:
                if (kind, key) != (State, "estimator"):
                    raise
                vars(made)[key], self.untrusted = None, error
        for key in lacking.keys() - keys:
            vars(made)[key] = lacking[key]()
        return made

    def _file(self, name: Any) -> Path:
        if not isinstance(name, str) or not PART.fullmatch(name):
            raise ModelFileError(f"names the file {name!r}")
        return self._folder / name

    def _class(self, name: str, *, is_fitted: bool = True) -> Any:
        if name in self._classes:
            return self._classes[name]
        module, _, attribute = name.rpartition(".")
        if not re.fullmatch(r"(skal|sklearn)(\.\w+)+", name):
            raise ModelFileError(f"names the class {name}, which is none that a learner's folder holds")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise ModelFileError(f"names the class {name}, which is not installed") from error
        is_class = isinstance(found, type) and f"{found.__module__}.{found.__qualname__}" == name
        if not is_class or not (
            is_restored(found) or issubclass(found, NetworkEstimator if is_fitted else BaseEstimator)
        ):
            raise ModelFileError(f"names {name}, which is no class that a learner's folder holds")
        return found


def _is_compressed(data: bytes) -> bool:
    """Whether a file of Arrow has compressed parts, which may be small and become any size.

    Such a part begins, at a multiple of 8, with its length and then the mark of LZ4 or Zstandard.
    """
    words = np.frombuffer(data, "<u8", count=len(data) // 8)
    is_mark = np.isin((words[1:] & 0xFFFFFFFF).astype(np.uint32), _MARKS)
    return bool((is_mark & (words[:-1] < 2**48)).any())
