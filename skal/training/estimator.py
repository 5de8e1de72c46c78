"""The base of our estimators with networks: their parameters, shapes of rows, and computing block by block."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data
from skorch.helper import SliceDataset
from torch.utils.data import Dataset

from ..pool import DatasetPool, DatasetRows, MappingPool, Pool, as_pool, check_features, parts
from .batches import tensor_blocks
from .net import TrainingNet
from .saving import SavedEstimator

_Method = TypeVar("_Method", bound=Callable[..., Any])

_CHANNELS = (1, 3, 4)  # of images
_EXACT_IN_FLOAT32 = 2**24  # integers up to that

# Rows of one forward pass in prediction: (images, flat rows). More images than this leave a CPU's caches, fewer
# make its cores wait for each other; a GPU wants to be filled.
BLOCK_ROWS = {"cpu": (128, 1024), "cuda": (2048, 65536)}


def keeping_what_is_fitted(fit: _Method) -> _Method:
    """Decorate a `fit` so that, if it ends without a new net, the features of the old one are kept."""

    @wraps(fit)
    def guarded(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(estimator))
        try:
            return fit(estimator, *args, **kwargs)
        except BaseException:
            held = vars(estimator)
            if held.get("net_") is before.get("net_"):
                for name in ("n_features_in_", "feature_names_in_"):
                    held.pop(name, None)
                    held.update({name: before[name]} if name in before else {})
            raise

    return guarded  # type: ignore[return-value]


@dataclass(eq=False, repr=False, kw_only=True)
class NetworkEstimator(SavedEstimator):
    """Base of the estimators whose work is done by networks in a skorch net.

    A subclass is a dataclass too: its fields are its parameters, and a field of the same name changes a default. Its
    docstring takes the texts of inherited parameters by name, see :class:`skal.utils.inheriting.Inheriting`.
    Alternatively, a subclass may have its own ``__init__``, as in scikit-learn.

    Parameters
    ----------
    optimizer : type or callable, default=torch.optim.Adam
        A class of `torch.optim.Optimizer`.
    optimizer_params : dict, default=None
        Further arguments of the optimizer, such as ``{"weight_decay": 1e-4}``. ``fused=True`` is the default if the
        optimizer supports it.
    lr : float, default=1e-3
        Learning rate.
    batch_size : int, default=64
        Rows of a training step.
    image_shape : tuple of int, default=None
        Shape of a row, such as (C, H, W), if X has 2-D rows and the network expects images. N-D X brings its own shape;
        both give the same results.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Number type of the network. "auto" follows X: rows of float64, or of integers beyond 2**24, train a float64
        network, all others a float32 one. Bytes stay bytes until a batch is cast.
    amp : bool, default=False
        Whether to train and predict under bfloat16 autocast, with about three significant digits; "auto" then means
        float32. This is faster on GPUs and on CPUs with bfloat16 arithmetic (AVX-512 BF16, AMX), and several times
        slower on other CPUs.
    device : str or torch.device, default="auto"
        "auto" is a CUDA GPU if there is one, else the CPU.
    callbacks : list of skorch callbacks, default=None
        `fit` uses copies and leaves the originals unchanged.
    verbose : int, default=0
        Whether skorch prints a line for each epoch.
    random_state : int, RandomState instance or None, default=None
        Decides everything that is random in `fit`: initial weights, the order of the rows, dropout, and which rows are
        held out. With None each `fit` is different.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.history`` has the losses of each epoch.
    input_shape_ : tuple of int
        The shape of a row as the networks get it.
    dtype_ : torch.dtype
        Number type of the networks.
    device_ : torch.device
        The device of the networks. It changes if networks from a GPU are loaded on a machine without one.
    n_features_in_ : int
        Numbers per row: the product of its shape.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if X has string names.
    """

    _min_samples: ClassVar[int] = 1  # in `fit`
    _takes_mappings: ClassVar[bool] = False  # rows that are mappings of arrays, arguments of the module

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "optimizer": [callable],
        "optimizer_params": [dict, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [tuple, list, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "amp": ["boolean"],
        "device": [str, torch.device],
        "callbacks": [list, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam
    optimizer_params: dict[str, Any] | None = None
    lr: float | None = 1e-3  # None only where a subclass allows it
    batch_size: int = 64
    image_shape: tuple[int, ...] | None = None
    dtype: str = "auto"
    amp: bool = False
    device: str | torch.device = "auto"
    callbacks: list[Any] | None = None
    verbose: int = 0
    random_state: int | np.random.RandomState | None = None

    # What `fit` sets is declared, but is no parameter.
    net_: TrainingNet = field(init=False)
    input_shape_: tuple[int, ...] = field(init=False)
    dtype_: torch.dtype = field(init=False)
    n_features_in_: int = field(init=False)
    feature_names_in_: NDArray[Any] = field(init=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @property
    def device_(self) -> torch.device:
        """Where the networks are."""
        return torch.device(self.net_.device)

    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> TrainingNet:
        """Return the net, not initialized."""
        raise NotImplementedError

    def _own_callbacks(self) -> list[Any]:
        """Return copies of `callbacks`."""
        for given in self.callbacks or []:
            callback = given[-1] if isinstance(given, tuple | list) and given else given
            if not hasattr(callback, "on_train_begin"):
                raise TypeError(
                    f"callbacks={self.callbacks!r} were given, and {callback!r} is none; give callbacks of skorch, or "
                    "pairs of a name and a callback"
                )
        return copy.deepcopy(self.callbacks or [])

    def _check_fitted(self) -> None:
        super()._check_fitted()
        self._checked_image_shape()
        n_features = math.prod(self.input_shape_)
        is_known = self.dtype_ in (torch.float32, torch.float64)
        if not is_known or not all(side > 0 for side in self.input_shape_):
            raise ValueError(
                f"networks for rows of shape {self.input_shape_} in {self.dtype_} are not trained"
            )
        # Rows that are mappings have neither a shape nor features.
        if self.input_shape_ and self.n_features_in_ != n_features:
            raise ValueError(f"rows of shape {self.input_shape_} do not have {self.n_features_in_} features")
        names = getattr(self, "feature_names_in_", None)
        if names is not None and not (
            names.shape == (n_features,) and all(isinstance(name, str) for name in names.tolist())
        ):
            raise ValueError(f"{names!r} are not the names of {n_features} features")

    def _run(self, X: Any, compute: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> list[NDArray[Any]]:
        """Apply `compute` to rows block by block, without ever copying X, and gather its results."""
        check_is_fitted(self)
        return self._in_blocks(self._validate(X, reset=False), compute)

    def _in_blocks(
        self, rows: NDArray[Any], compute: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]
    ) -> list[NDArray[Any]]:
        """Apply `compute` to validated rows, or to latents; it leaves no trace in the networks."""
        is_image = len(self.input_shape_) == 3
        block_rows = BLOCK_ROWS.get(self.device_.type, BLOCK_ROWS["cpu"])[0 if is_image else 1]
        results: list[NDArray[Any]] = []
        with torch.inference_mode():
            blocks = [slice(start, start + block_rows) for start in range(0, len(rows), block_rows)]
            for block, tensors in zip(blocks, tensor_blocks(rows, blocks), strict=True):
                values = [value.numpy(force=True) for value in compute(tensors)]
                results = results or [
                    np.empty((len(rows), *value.shape[1:]), value.dtype) for value in values
                ]
                for result, value in zip(results, values, strict=True):
                    result[block] = value
        return results

    def _validate(self, X: Any, *y: Any, reset: bool) -> Any:
        """Validate rows, flat or N-D, and the labels where given; `n_features_in_` counts a whole row."""
        if isinstance(X, Pool | Mapping | Dataset | SliceDataset):
            pool = as_pool(X)
            if isinstance(pool, MappingPool | DatasetPool):
                return self._validate_pool(pool, *y, reset=reset)
            X = pool.X
        if isinstance(X, list | tuple):
            X = np.asarray(X)
        flat = getattr(X, "ndim", 2) <= 2
        checked = validate_data(
            self,
            X,
            *y,
            reset=reset,
            dtype="numeric",
            allow_nd=True,
            ensure_2d=flat,
            ensure_min_samples=self._min_samples if reset else 1,
        )
        X = checked[0] if y else checked
        if not flat and reset:
            self.n_features_in_ = math.prod(X.shape[1:])
        elif not reset:
            self._check_row_shape(X.shape[1:])
        return checked

    def _validate_pool(self, pool: MappingPool | DatasetPool, *y: Any, reset: bool) -> Any:
        """Validate rows that are mappings or in a dataset, which are not converted."""
        if pool.obstacle is not None and not self._takes_mappings:
            raise TypeError(f"{type(self).__name__} takes rows of numbers, and {pool.obstacle}.")
        check_features(self, pool, reset=reset)
        if not reset:
            self._check_row_shape(pool.row_shape)
        if isinstance(pool, MappingPool):
            pool.assert_finite(allow_nan=False, estimator=self)
        rows = pool.take(slice(None)) if isinstance(pool, DatasetPool) else pool.X
        if not y:
            return rows
        labels = validate_data(self, y=y[0], reset=False)
        check_consistent_length(rows, labels)
        return rows, labels

    def _check_row_shape(self, row_shape: tuple[int, ...]) -> None:
        """Refuse rows of more dimensions than one in another shape than those of `fit`."""
        if len(row_shape) > 1 and self._input_shape(row_shape) != self.input_shape_:
            raise ValueError(
                f"X has rows of shape {row_shape}, but {type(self).__name__} was fitted on rows of shape "
                f"{self.input_shape_}; reshape X"
            )

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in which the module gets a row of the given shape."""
        image_shape = self._checked_image_shape()
        if image_shape is None:
            if len(row_shape) == 3 and row_shape[2] in _CHANNELS and row_shape[0] not in _CHANNELS:
                raise InvalidParameterError(
                    f"the rows of X have shape {row_shape}, which looks like images with the channels last; give "
                    "np.moveaxis(X, -1, 1), which is a view, or the rows' shape as image_shape if they are none"
                )
            return row_shape
        agree = len(row_shape) == 1 or row_shape[-2:] == image_shape[-2:]
        if math.prod(image_shape) != math.prod(row_shape) or not agree:
            raise InvalidParameterError(
                f"image_shape={image_shape} holds {math.prod(image_shape)} numbers, but the rows of X have shape "
                f"{row_shape}; give the shape (C, H, W) of one row"
            )
        return image_shape

    def _checked_image_shape(self) -> tuple[int, ...] | None:
        image_shape = None if self.image_shape is None else tuple(self.image_shape)
        if not all(isinstance(side, Integral) and side > 0 for side in image_shape or ()):
            raise InvalidParameterError(
                f"image_shape must hold positive integers, got {image_shape}; try (1, 28, 28)"
            )
        return image_shape

    def _network_dtype(self, X: NDArray[Any]) -> torch.dtype:
        if self.amp and self.dtype == "float64":
            raise InvalidParameterError(
                'amp=True computes in bfloat16, got dtype="float64"; use "auto" or "float32"'
            )
        follows_X = self.dtype == "auto" and not self.amp
        rows = X.first if isinstance(X, DatasetRows) else X
        wide = any(map(_is_wide, parts(rows))) if follows_X else self.dtype == "float64"
        return torch.float64 if wide else torch.float32


def _is_wide(rows: NDArray[Any]) -> bool:
    """Whether rows are float64, or integers that float32 would merge, such as times in seconds."""
    if rows.dtype.newbyteorder("=") == np.float64:
        return True
    if rows.dtype.kind not in "iu" or rows.dtype.itemsize < 4 or not rows.size:
        return False
    return max(int(rows.max()), -int(rows.min())) > _EXACT_IN_FLOAT32


def optimizer_params(
    optimizer: Callable[..., Any], params: dict[str, Any] | None, name: str = "optimizer"
) -> dict[str, Any]:
    """Return an optimizer's parameters as skorch takes them; fused if possible and nothing else is asked for."""
    params = params or {}
    options = inspect.signature(optimizer).parameters
    if "fused" in options and not {"foreach", "fused", "differentiable"} & params.keys():
        params = {"fused": True, **params}
    return {f"{name}__{key}": value for key, value in params.items()}


def module_builder(
    module: Callable[..., torch.nn.Module], params: dict[str, Any] | None, name: str = "module", **known: Any
) -> Callable[[], torch.nn.Module]:
    """Return a builder of a module, with `params` and those of the known arguments that the module accepts.

    Raises
    ------
    TypeError
        If `module` is an instance.
    """
    if isinstance(module, torch.nn.Module):
        raise TypeError(
            f"the {name} is an instance of {type(module).__name__}: training would change it and clones would "
            f"share it. Pass the class {type(module).__name__}, and its arguments as {name}_params"
        )
    accepted = inspect.signature(module).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        known = {name: value for name, value in known.items() if name in accepted}
    return partial(module, **{**known, **(params or {})})


@contextmanager
def frozen(module: torch.nn.Module) -> Iterator[None]:
    """Within the context, a module's weights need no gradients."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


@contextmanager
def evaluating(*modules: torch.nn.Module) -> Iterator[None]:
    """Put modules in evaluation mode within the context, and restore the mode of each part afterwards."""
    training = [each for module in modules for each in module.modules() if each.training]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for each in training:
            each.training = True
