"""What our estimators that hold networks share: shapes of rows, devices, seeds, computing block by block."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from ..exceptions import ModelFileError
from .batches import as_tensor
from .encoding import decode, encode
from .files import read_file, write_file
from .net import TrainingNet, part

# Rows of one forward pass in prediction: (images, flat rows). More images than this leave a CPU's caches, fewer
# make its cores wait for each other; a GPU wants to be filled.
BLOCK_ROWS = {"cpu": (128, 1024), "cuda": (2048, 65536)}


@dataclass(eq=False, repr=False, kw_only=True)
class NetworkEstimator(BaseEstimator):
    """Base of the estimators whose work is done by networks in a skorch net.

    A subclass is a dataclass too: its fields are its parameters, and a field of the same name changes a default. What
    it documents like this class stands in its docstring by name alone, as :func:`skal.utils.docstrings.inherits_doc`
    has it. A subclass may have an ``__init__`` of its own instead, as in scikit-learn.

    Parameters
    ----------
    optimizer : type or callable, default=torch.optim.Adam
        A class of `torch.optim.Optimizer`.
    optimizer_params : dict, default=None
        Further arguments of the optimizer, such as ``{"weight_decay": 1e-4}``. ``fused=True`` is the default where the
        optimizer has it.
    lr : float, default=1e-3
        Learning rate.
    batch_size : int, default=64
        Rows of a training step.
    image_shape : tuple of int, default=None
        Shape of a row, such as (C, H, W), where X has 2-D rows and the network wants images. N-D X brings its own
        shape; both give the same answer.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Numbers of the network. "auto" follows X: float64 rows train a float64 network, all others a float32 one.
        Bytes stay bytes until a batch is cast.
    amp : bool, default=False
        Whether to train and predict under bfloat16 autocast, with about three significant digits; "auto" then means
        float32. Faster on GPUs and on CPUs with bfloat16 arithmetic (AVX-512 BF16, AMX), several times slower on CPUs
        without.
    device : str or torch.device, default="auto"
        "auto" is the GPU where CUDA has one, else the CPU.
    callbacks : list of skorch callbacks, default=None
        `fit` uses copies and leaves these as they are.
    verbose : int, default=0
        Whether skorch prints a line for each epoch.
    random_state : int, RandomState instance or None, default=None
        Decides all that is random in `fit`: initial weights, the order of the rows, dropout, the rows held out. With
        None each `fit` is different.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The trained net; ``net_.history`` has the losses of each epoch.
    input_shape_ : tuple of int
        Shape in which the networks get a row.
    dtype_ : torch.dtype
        Numbers of the networks.
    device_ : torch.device
        Where the networks are; another device after a GPU's networks are loaded without one.
    n_features_in_ : int
        Numbers in a row: the product of its shape.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.
    """

    _min_samples: ClassVar[int] = 1  # in `fit`
    _nets: ClassVar[tuple[str, ...]] = ("net_",)  # attributes that hold a net; `save` writes them all

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

    @property
    def device_(self) -> torch.device:
        """Where the networks are."""
        return torch.device(self.net_.device)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator: weights as safetensors, parameters as JSON, in one file.

        The file appears whole or not at all, and is safe to load: no code is in it. Parameters that are code
        of yours, such as `callbacks` or your own module's class, are left out; `load` asks for them.

        Parameters
        ----------
        path : str or path-like
            A file that exists is replaced.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        params, left_out = {}, []
        for name, value in self.get_params(deep=False).items():
            try:
                params[name] = encode(value)
            except TypeError:
                left_out.append(name)
        attributes = {
            name: value for name, value in vars(self).items() if name[-1] == "_" and name not in self._nets
        }
        others = {name: getattr(self, name) for name in self._nets[1:]}
        tensors = self.net_.state_dict()
        for name, net in others.items():
            tensors |= {f"{name}/{key}": tensor for key, tensor in net.state_dict().items()}
        content = {
            "estimator": type(self).__qualname__,
            "params": params,
            "left_out": left_out,
            "attributes": attributes,
            "seed": self.net_.seed,
            "history": self.net_.saved_history(),
            "other_nets": {
                name: {"seed": net.seed, "history": net.saved_history()} for name, net in others.items()
            },
        }
        write_file(path, tensors, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **params: Any) -> Self:
        """Load an estimator that `save` has written.

        Parameters
        ----------
        path : str or path-like
        **params
            Parameters that replace the saved ones, and those that were left out. With none for `device`, a GPU's
            networks come to the CPU where there is no GPU.

        Returns
        -------
        estimator : NetworkEstimator
            Fitted. The optimizers are not saved; a checkpoint has them.

        Raises
        ------
        ModelFileError
            If the file is none of skal's, is truncated or damaged, or does not fit the networks of this version.
        TypeError
            If it holds another estimator, or a parameter was left out and is not given.
        OSError
            If the file cannot be read.
        """
        tensors, content = read_file(path)
        if not {"estimator", "params", "attributes"} <= content.keys():
            raise ModelFileError(f"{path} holds no estimator; if it is a checkpoint, give it to `checkpoint`")
        name = content["estimator"]
        found = next((known for known in _family(cls) if known.__qualname__ == name), None)
        if found is None:
            raise TypeError(f"{path} holds a {name}, which is no {cls.__name__}; use {name}.load")
        missing = [key for key in content["left_out"] if key not in params]
        if missing:
            raise TypeError(
                f"{path} was saved without the parameters {missing}, which are code of its author; pass them to load, "
                f"such as load(path, {missing[0]}=...)"
            )
        estimator = found(**{**{key: decode(value) for key, value in content["params"].items()}, **params})
        for key, value in content["attributes"].items():
            setattr(estimator, key, value)
        try:
            device = resolve_device(estimator.device)
        except ValueError:
            if "device" in params:
                raise
            device = torch.device("cpu")
        for name, saved in {"net_": content, **content.get("other_nets", {})}.items():
            own = tensors if name == "net_" else part(tensors, name)
            net_params = {"dtype": estimator.dtype_, "amp": estimator.amp, "seed": saved["seed"]}
            try:
                with seeded(0, device):
                    blank_net = getattr(estimator, f"_blank_{name.rstrip('_')}")
                    net = blank_net(own, device=str(device), **net_params)
                    net.initialize()
                net.load_state_dict(own)
            except (RuntimeError, KeyError) as error:
                raise ModelFileError(
                    f"{path} holds weights that do not fit the networks of its parameters in this version of skal "
                    f"({error}); load it with the version that saved it"
                ) from error
            net.history.extend(saved["history"])
            net.finish()
            setattr(estimator, name, net)
        return estimator

    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> TrainingNet:
        """Return the net, not initialized."""
        raise NotImplementedError

    def _blank_net(self, tensors: dict[str, torch.Tensor], **params: Any) -> TrainingNet:
        """Return the net, not initialized, for saved tensors to be loaded into; another net has a method of its own."""
        return self._make_net(self.input_shape_, **params)

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
            for start in range(0, len(rows), block_rows):
                block = slice(start, start + block_rows)
                values = [value.numpy(force=True) for value in compute(as_tensor(rows[block]))]
                results = results or [
                    np.empty((len(rows), *value.shape[1:]), value.dtype) for value in values
                ]
                for result, value in zip(results, values, strict=True):
                    result[block] = value
        return results

    def _validate(self, X: Any, *y: Any, reset: bool) -> Any:
        """Validate rows, flat or N-D, and the labels where given; `n_features_in_` counts a whole row."""
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
        elif not flat and self._input_shape(X.shape[1:]) != self.input_shape_:
            raise ValueError(
                f"X has rows of shape {X.shape[1:]}, but {type(self).__name__} was fitted on rows of shape "
                f"{self.input_shape_}; reshape X"
            )
        return checked

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape in which the module gets a row of the given shape."""
        if self.image_shape is None:
            return row_shape
        image_shape = tuple(self.image_shape)
        if not all(isinstance(side, Integral) and side > 0 for side in image_shape):
            raise ValueError(f"image_shape must hold positive integers, got {image_shape}; try (1, 28, 28)")
        agree = len(row_shape) == 1 or row_shape[-2:] == image_shape[-2:]
        if math.prod(image_shape) != math.prod(row_shape) or not agree:
            raise ValueError(
                f"image_shape={image_shape} holds {math.prod(image_shape)} numbers, but the rows of X have shape "
                f"{row_shape}; give the shape (C, H, W) of one row"
            )
        return image_shape

    def _network_dtype(self, X: NDArray[Any]) -> torch.dtype:
        if self.amp and self.dtype == "float64":
            raise ValueError('amp=True computes in bfloat16, got dtype="float64"; use "auto" or "float32"')
        if self.dtype == "auto":
            wide = X.dtype.newbyteorder("=") == np.float64 and not self.amp
            return torch.float64 if wide else torch.float32
        return torch.float32 if self.dtype == "float32" else torch.float64


def _family(cls: type) -> list[type]:
    """Return a class and all its subclasses."""
    children: list[type] = cls.__subclasses__()
    return [cls, *(member for child in children for member in _family(child))]


def optimizer_params(
    optimizer: Callable[..., Any], params: dict[str, Any] | None, name: str = "optimizer"
) -> dict[str, Any]:
    """Return an optimizer's parameters as skorch takes them; fused where it can be and nothing else is asked."""
    params = params or {}
    can_fuse = "fused" in inspect.signature(optimizer).parameters
    if can_fuse and not {"foreach", "fused", "differentiable"} & params.keys():
        params = {"fused": True, **params}
    return {f"{name}__{key}": value for key, value in params.items()}


def module_builder(
    module: Callable[..., torch.nn.Module], params: dict[str, Any] | None, name: str = "module", **known: Any
) -> Callable[[], torch.nn.Module]:
    """Return what builds a module with those of the known arguments that it takes, and with `params`.

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
    accepted = inspect.signature(module).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted):
        names = {parameter.name for parameter in accepted}
        known = {name: value for name, value in known.items() if name in names}
    return partial(module, **{**known, **(params or {})})


def resolve_device(device: str | torch.device) -> torch.device:
    """Return the device that a parameter names, with its number where it is a GPU."""
    available = torch.cuda.is_available()
    if device == "auto":
        device = "cuda" if available else "cpu"
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(
            f'device={device!r} is no device of torch; use "auto", "cpu", "cuda" or "cuda:1"'
        ) from error
    if device.type != "cuda":
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, ImportError) as error:
            raise ValueError(f'device="{device}" is not there; use "auto" or "cpu"') from error
        return device
    if not available or (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f'device="{device}" is not there ({torch.cuda.device_count()} GPUs are); use "auto" or "cpu"'
        )
    return torch.device("cuda", torch.cuda.current_device() if device.index is None else device.index)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's generators of the CPU and the device inside, and give them their old states back."""
    on_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if on_gpu else []):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every GPU
        if on_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


@contextmanager
def frozen(module: torch.nn.Module) -> Iterator[None]:
    """Ask no gradients of a module's weights inside."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


@contextmanager
def evaluating(*modules: torch.nn.Module) -> Iterator[None]:
    """Put modules in evaluation mode inside, and each of their parts back afterwards."""
    training = [each for module in modules for each in module.modules() if each.training]
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for each in training:
            each.training = True
