"""What generators and encoders share: fitting on any scale, checkpoints, latents to rows and rows to features."""

from __future__ import annotations

import copy
import os
from abc import abstractmethod
from contextlib import nullcontext
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..differentiable import torch_module
from ..training.batches import LabeledRows, Rows
from ..training.checkpoint import Checkpoint
from ..training.estimator import NetworkEstimator, resolve_device, seeded
from ..training.net import TrainingNet, check_weights, copy_weights
from ..training.scaling import Scaling, learn_scaling
from ..utils.callbacks import CallbackSupportMixin, EpochTasks, with_callbacks
from ..utils.random import draw_seed

# What may be changed when training goes on from a checkpoint: the length, and where and how it runs.
_LENGTH = frozenset({"n_iter", "max_epochs"})
_SETTING = frozenset({"device", "checkpoint", "checkpoint_every", "callbacks", "verbose", "random_state"})


class ScaledNet(TrainingNet):
    """A `TrainingNet` whose modules see rows on a scale of their own.

    Parameters
    ----------
    module : callable
        Builds the module; takes no arguments.
    output_range : tuple of float or None
        Range of the rows that the modules put out; None for any.
    compile_modules : bool
        Whether to compile the modules with `torch.compile`.
    **params
        Parameters of `TrainingNet`.

    Attributes
    ----------
    scaling : tuple
        The arguments of `Scaling`, the map from the scale of X to that of the modules; set before `initialize`.
    """

    def __init__(
        self,
        module: Any,
        *,
        output_range: tuple[float, float] | None,
        compile_modules: bool,
        **params: Any,
    ) -> None:
        super().__init__(module, criterion=nn.Identity, **params)
        self.output_range = output_range
        self.compile_modules = compile_modules
        self.scaling: tuple[Any, Any] = (0.0, 1.0)

    def initialize_module(self) -> ScaledNet:
        """Build the modules, and the map onto their scale."""
        self.build_modules()
        for module in self.modules_to_compile() if self.compile_modules else []:
            compile_parts(module)
        self.scaling_ = Scaling(*self.scaling).to(self.dtype)
        return self

    def build_modules(self) -> None:
        """Build the modules that are trained."""
        super().initialize_module()

    def modules_to_compile(self) -> list[nn.Module]:
        """Return the modules that torch can compile."""
        return [self.module_]

    def settle(self, data: Rows) -> None:
        """Do what is left to do with the rows once the modules are trained."""

    def prepare_rows(self, rows: Tensor) -> Tensor:
        """Return rows on the modules' scale, in their numbers and layout."""
        return self.scaling_(super().prepare_rows(rows))

    def step_losses(self, batch: Any, step: dict[str, Any]) -> tuple[dict[str, Tensor], Any]:
        """Return all losses of a step, weighted by its rows."""
        return step["losses"], len(batch)


def check_parts(module: nn.Module, kind: str, *names: str) -> None:
    """Raise TypeError where a module lacks something that its kind must have."""
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise TypeError(
            f"the {kind} {type(module).__name__} has no {' and no '.join(missing)}; see skal.nets for examples"
        )


def check_generated(rows: Tensor, n_rows: int, input_shape: tuple[int, ...]) -> None:
    """Raise ValueError where a module generated rows of another shape than those of X."""
    if rows.shape != (n_rows, *input_shape):
        raise ValueError(
            f"the network generated shape {tuple(rows.shape)} for {n_rows} rows; it must be {(n_rows, *input_shape)}, "
            "as its argument input_shape says"
        )


def compile_parts(module: nn.Module) -> None:
    """Compile the parts of a module in place; its methods call them, and ``forward`` may be none of these."""
    config = torch._dynamo.config
    # Where torch has this setting it otherwise skips modules of its own, such as `Sequential`, and compiles nothing.
    with config.patch(wrap_top_frame=True) if hasattr(config, "wrap_top_frame") else nullcontext():
        for part in module.children():
            part.compile()


class GenerativeEstimator(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator
):
    """Base of the estimators that learn from rows without labels.

    A subclass says what is trained in `_make_net`, and what is computed with it in `_encoder` and `_decoder`.
    """

    net_: ScaledNet
    row_shape_: tuple[int, ...]
    lr: float | None
    batch_size: int
    checkpoint: Any
    checkpoint_every: int
    callbacks: list[Any] | None
    random_state: Any

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "optimizer": [callable],
        "optimizer_params": [dict, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "image_shape": [tuple, list, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "amp": ["boolean"],
        "compile": ["boolean"],
        "device": [str, torch.device],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    _min_samples = 2  # batch normalisation cannot train on one row

    @abstractmethod
    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> ScaledNet:
        """Return the net, not initialized."""

    @abstractmethod
    def _encoder(self) -> nn.Module:
        """Return the live module that maps rows of X to features."""

    @abstractmethod
    def _decoder(self) -> nn.Module:
        """Return the live module that maps latents to rows of X."""

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = super()._input_shape(row_shape)
        return (1, *shape) if len(shape) == 2 else shape

    def _deciding_params(self) -> dict[str, Any]:
        """Return the parameters that decide a step; a training that goes on from a checkpoint must have the same."""
        params = self.get_params(deep=False)
        return {name: value for name, value in params.items() if name not in _LENGTH | _SETTING}

    def _split(self, n_rows: int, rng: np.random.Generator) -> list[NDArray[np.intp] | None]:
        """Return the positions of the training rows and of held-out ones; None stands for all."""
        return [None]

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Train the networks on rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows on any scale, such as images (n_samples, C, H, W). Bytes stay bytes until a batch is cast.
        y : None
            Ignored.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            For NaN or infinity, fewer than two rows, a shape that does not suit `image_shape` or the networks, a
            device that is not there, a checkpoint of another training; when a loss diverges.
        TypeError
            If a network is given as an instance.
        """
        device = resolve_device(self.device)
        return self._train(X, self._validate(X, reset=True), device)

    def _train(
        self,
        X: Any,
        rows: NDArray[Any],
        device: torch.device,
        *,
        classes: NDArray[Any] | None = None,
        codes: NDArray[Any] | None = None,
        previous: ScaledNet | None = None,
    ) -> Self:
        """Train a net on validated rows, `X` before that, and take it once it is trained.

        Where rows have labels, these are `classes` at the positions `codes`. A net starts with the weights and the
        scale of a `previous` one.
        """
        fitted: dict[str, Any] = {
            "input_shape_": self._input_shape(rows.shape[1:]),
            "row_shape_": rows.shape[1:],
            "dtype_": self._network_dtype(rows),
        }
        labels: dict[str, Any] = {}
        if classes is not None:
            labels = {"classes": classes}
            fitted["classes_"] = classes
        seed = draw_seed(self.random_state)
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint(self.checkpoint, self.checkpoint_every)
            found = checkpoint.open(
                self, rows, seed if isinstance(self.random_state, Integral) else None, codes
            )
            seed = seed if found is None else found
        net = self._make_net(
            fitted["input_shape_"],
            dtype=fitted["dtype_"],
            amp=self.amp,
            seed=seed,
            device=str(device),
            **labels,
        )
        if previous is None:
            net.scaling = learn_scaling(rows, net.output_range, is_image=len(fitted["input_shape_"]) > 1)
        else:
            net.scaling = previous.scaling
        net.callbacks = [*(net.callbacks or []), *copy.deepcopy(self.callbacks or [])]
        if checkpoint is not None:
            net.callbacks.append(("checkpoint", checkpoint))
        parts = self._split(len(rows), np.random.default_rng(seed))
        data: Rows
        if codes is None:
            data = Rows(rows, dtype=fitted["dtype_"], device=device)
        else:
            data = LabeledRows(rows, codes, None, dtype=fitted["dtype_"], device=device)
        with seeded(seed, device):
            net.initialize()
            if previous is not None:
                for old, new in zip(previous.modules, net.modules, strict=True):
                    copy_weights(old, new)
            if checkpoint is not None:
                checkpoint.restore(net)
            context = self._init_callback_context(max_subtasks=net.remaining_epochs)
            task = {"X": X, "reconstruction_attributes": {**fitted, "net_": net}}
            context.call_on_fit_task_begin(estimator=self)
            net.callbacks_.append(("tasks", EpochTasks(self, context, **task)))
            if net.remaining_epochs > 0:
                net.partial_fit([data.subset(part) for part in parts], epochs=net.remaining_epochs)
            net.callbacks_.pop()
            net.settle(data)
            context.call_on_fit_task_end(estimator=self, **task)
        check_weights(net, *net.modules)
        for module in net.modules:
            module.eval()
        for name, value in fitted.items():
            setattr(self, name, value)
        self.net_ = net
        return self

    @property
    def history_(self) -> dict[str, NDArray[Any]]:
        """The mean losses of each epoch or record, and the number of steps at its end."""
        check_is_fitted(self)
        rows = self.net_.history
        if not len(rows):  # stopped before the first was full
            return {}
        names = [name for name in rows[0] if isinstance(rows[0][name], float) or name == "step"]
        return {name.removeprefix("train_"): np.array(rows[:, name]) for name in names if name != "dur"}

    def transform(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the features of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows in either of the two shapes: flat, or that of `fit`.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In the networks' numbers.
        """
        check_is_fitted(self)
        (features,) = self._run(X, self._forward(self._encoder()))
        return features

    @property
    @abstractmethod
    def n_latent_(self) -> int:
        """Length of a latent vector."""

    def decode(self, Z: ArrayLike) -> NDArray[np.floating]:
        """Compute the rows that latent vectors stand for.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_latent)

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw, in the networks' numbers.

        See Also
        --------
        torch_decoder : The same as a differentiable module.
        """
        check_is_fitted(self)
        latents: NDArray[Any] = check_array(Z, dtype=[np.float64, np.float32], input_name="Z", estimator=self)
        if latents.shape[1] != self.n_latent_:
            raise ValueError(
                f"Z has {latents.shape[1]} columns, but the latent vectors of this {type(self).__name__} have length "
                f"{self.n_latent_}; give Z of shape (n_samples, {self.n_latent_})"
            )
        (rows,) = self._in_blocks(latents, self._forward(self._decoder()))
        return rows

    def torch_decoder(self) -> nn.Module:
        """Return `decode` as a torch module that autograd can follow.

        Returns
        -------
        decoder : torch.nn.Module
            Maps latents (n_samples, n_latent) to rows on the scale and in the shape of X. A frozen copy in
            evaluation mode: nothing done to it reaches the estimator.

        See Also
        --------
        skal.access.as_torch : `transform` as a torch module.
        """
        check_is_fitted(self)
        return copy.deepcopy(self._decoder()).eval().requires_grad_(False)

    @property
    def _n_features_out(self) -> int:
        row = np.zeros((1, *self.row_shape_))
        return self._in_blocks(row, self._forward(self._encoder()))[0].shape[1]

    def _forward(self, module: nn.Module) -> Any:
        def compute(x: Tensor) -> tuple[Tensor]:
            with self.net_.autocast():
                return (module(x.to(self.device_)).to(self.dtype_),)

        return compute

    def _blank_net(self, tensors: dict[str, Tensor], **params: Any) -> ScaledNet:
        net = self._make_net(self.input_shape_, **params)
        net.scaling = (tensors["scaling/shift"].numpy(), tensors["scaling/scale"].numpy())
        return net

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = (
            ["float64", "float32"] if self.dtype == "auto" else [self.dtype]
        )
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")


class Generator(GenerativeEstimator):
    """Base of the generators, whose latents are standard normal."""

    def sample_latents(self, n_samples: int = 1, random_state: Any = None) -> NDArray[np.floating]:
        """Draw latent vectors from the standard normal distribution.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`: with an integer there, every call draws the same.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_latent)
        """
        check_is_fitted(self)
        if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples={n_samples!r} was given; it must be an integer of at least 1")
        seed = draw_seed(self.random_state if random_state is None else random_state)
        return np.random.default_rng(seed).standard_normal((n_samples, self.n_latent_))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> NDArray[np.floating]:
        """Generate rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            As in `sample_latents`.

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw.
        """
        return self.decode(self.sample_latents(n_samples, random_state))


class RowsToFeatures(nn.Module):
    """Rows of X to features: onto the networks' scale, and through a method of a module."""

    def __init__(self, module: nn.Module, method: str, net: ScaledNet) -> None:
        super().__init__()
        self.module = module
        self.method = method
        self.scaling = net.scaling_
        self.input_shape = net.input_shape

    def forward(self, rows: Tensor) -> Tensor:
        rows = rows.to(self.scaling.shift).reshape(-1, *self.input_shape)
        features = getattr(self.module, self.method)(self.scaling(rows))
        return (features[0] if isinstance(features, tuple) else features).flatten(1)


class LatentsToRows(nn.Module):
    """Latents to rows of X: through a method of a module, and back to X's scale and shape."""

    def __init__(self, module: nn.Module, method: str, net: ScaledNet, row_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module = module
        self.method = method
        self.scaling = net.scaling_
        self.row_shape = row_shape
        self.input_shape = net.input_shape

    def forward(self, latents: Tensor) -> Tensor:
        rows = getattr(self.module, self.method)(latents.to(self.scaling.shift))
        return self.scaling.inverse(rows.reshape(-1, *self.input_shape)).reshape(-1, *self.row_shape)


@torch_module.register
def _(estimator: GenerativeEstimator) -> nn.Module:
    return copy.deepcopy(estimator._encoder())
