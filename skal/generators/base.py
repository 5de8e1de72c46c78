"""The base of generators and encoders: training on rows of any scale, features of rows, and rows from latents."""

from __future__ import annotations

import copy
import logging
import math
import os
import time
from abc import abstractmethod
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.utils import check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..access import torch_module
from ..training.batches import LabeledRows, Rows
from ..training.checkpoint import Checkpoint
from ..training.devices import resolve_device, seeded
from ..training.estimator import NetworkEstimator, keeping_what_is_fitted
from ..training.interrupts import noticing_interrupt, raise_interrupt
from ..training.recording import in_evaluation
from ..training.scaling import learn_scaling
from ..utils.callbacks import CallbackSupportMixin, EpochTasks, with_callbacks
from ..utils.random import draw_seed
from .scaled_net import ScaledNet

_log = logging.getLogger(__name__)

# What may change when training continues from a checkpoint: the length, and where and how it runs.
_LENGTH = frozenset({"n_iter", "max_epochs"})
_SETTING = frozenset({"device", "checkpoint", "checkpoint_every", "callbacks", "verbose", "random_state"})


@dataclass(eq=False, repr=False, kw_only=True)
class GenerativeEstimator(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, NetworkEstimator
):
    """Base of the estimators that learn from rows without labels.

    A subclass defines the trained networks in `_make_net`, and what they compute in `_encoder` and `_decoder`.

    Parameters
    ----------
    image_shape : tuple of int, default=None
        Shape of a row, such as (C, H, W), if X has 2-D rows of images. N-D X brings its own shape.
    amp : bool, default=False
        Whether to run the networks under bfloat16 autocast. Faster on GPUs.
    compile : bool, default=False
        Whether to compile the parts of the network with `torch.compile`.
    checkpoint : str or Path, default=None
        File that keeps the whole state of training. If it exists, `fit` continues from it, with the same result as
        without the interruption. The file of another training run is refused.
    checkpoint_every : int, default=1000
        Steps between two checkpoints; they are written at the end of epochs.
    {optimizer, optimizer_params, lr, batch_size, dtype, device, callbacks, verbose, random_state}

    Attributes
    ----------
    {net_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_}
    """

    _min_samples: ClassVar[int] = 2  # batch normalisation cannot train on one row

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "compile": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
    }

    compile: bool = False
    checkpoint: str | os.PathLike[str] | None = None
    checkpoint_every: int = 1000

    net_: ScaledNet = field(init=False)
    row_shape_: tuple[int, ...] = field(init=False)

    @abstractmethod
    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> ScaledNet:
        """Return the net, not initialized."""

    @abstractmethod
    def _encoder(self) -> nn.Module:
        """Return the module itself, no copy, that maps rows of X to features."""

    @abstractmethod
    def _decoder(self) -> nn.Module:
        """Return the module itself, no copy, that maps latents to rows of X."""

    def _check_fitted(self) -> None:
        super()._check_fitted()
        if not all(side > 0 for side in self.row_shape_) or math.prod(self.row_shape_) != self.n_features_in_:
            raise ValueError(f"rows of shape {self.row_shape_} do not have {self.n_features_in_} features")

    def _input_shape(self, row_shape: tuple[int, ...]) -> tuple[int, ...]:
        shape = super()._input_shape(row_shape)
        return (1, *shape) if len(shape) == 2 else shape

    def _deciding_params(self) -> dict[str, Any]:
        """Return the parameters that decide a training step; a checkpoint fits only training with the same ones."""
        params = self.get_params(deep=False)
        return {name: value for name, value in params.items() if name not in _LENGTH | _SETTING}

    def _split(self, n_rows: int, rng: np.random.Generator) -> list[NDArray[np.intp] | None]:
        """Return the positions of the training rows and, if any, of the held-out rows; None means all."""
        return [None]

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    @keeping_what_is_fitted
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
            If X has NaN, infinity or fewer than two rows, its shape does not suit `image_shape` or the networks, the
            device does not exist, the checkpoint belongs to another training run, or a loss diverges.
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
        """Train a net on rows, the validated `X`, and keep it once it is trained.

        The labels of rows, if any, are ``classes[codes]``. With a `previous` net, training starts from its weights
        and keeps its scale.
        """
        input_shape, dtype = self._input_shape(rows.shape[1:]), self._network_dtype(rows)
        fitted = {"input_shape_": input_shape, "row_shape_": rows.shape[1:], "dtype_": dtype}
        labels = {}
        if classes is not None:
            labels["classes"] = fitted["classes_"] = classes
        seed, checkpoint = draw_seed(self.random_state), None
        if self.checkpoint is not None:
            checkpoint = Checkpoint(self.checkpoint, self.checkpoint_every)
            seed = checkpoint.open(self, rows, seed, codes)
        settings = {"dtype": dtype, "amp": self.amp, "seed": seed, "device": str(device)}
        net = self._make_net(input_shape, **settings, **labels, **self._length(rows))
        net.callbacks = [*(net.callbacks or []), *self._own_callbacks()]
        if checkpoint is not None:
            net.callbacks.append(("checkpoint", checkpoint))
        if previous is None:
            net.scaling = learn_scaling(rows, net.output_range, is_image=len(input_shape) > 1)
        on_device: dict[str, Any] = {"dtype": dtype, "device": device}
        data = Rows(rows, **on_device) if codes is None else LabeledRows(rows, codes, None, **on_device)
        parts = [data.subset(part) for part in self._split(len(rows), np.random.default_rng(seed))]
        with seeded(seed, device):
            net.initialize()
            if previous is not None:
                net.continue_from(previous)
            if checkpoint is not None:
                checkpoint.restore(net)
            self._run_epochs(net, parts, {"X": X, "reconstruction_attributes": {**fitted, "net_": net}})
            net.settle(data)
        net.finish()
        self.__dict__.update(fitted, net_=net)
        raise_interrupt(net)
        return self

    def _length(self, rows: NDArray[Any]) -> dict[str, Any]:
        """Return parameters of the net that follow from the size of the data: how long it is trained."""
        return {}

    def _run_epochs(self, net: ScaledNet, parts: list[Rows], task: dict[str, Any]) -> None:
        """Train for the epochs that remain, and tell scikit-learn's callbacks of each.

        `parts` are the training rows and, if any, the held-out ones; `task` is passed to the callbacks.
        """
        start, before = time.perf_counter(), net.n_steps
        _log.info(
            "%s begins to train on %d rows of shape %s", type(self).__name__, len(parts[0]), net.input_shape
        )
        context = self._init_callback_context(max_subtasks=net.remaining_epochs)
        context.call_on_fit_task_begin(estimator=self)
        net.callbacks_.append(("tasks", EpochTasks(self, context, **task)))
        if net.remaining_epochs > 0:
            with noticing_interrupt(net):
                net.partial_fit(parts, epochs=net.remaining_epochs)
        net.callbacks_.pop()
        context.call_on_fit_task_end(estimator=self, **task)
        duration = time.perf_counter() - start
        _log.info("%s made %d steps in %.1f s", type(self).__name__, net.n_steps - before, duration)

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
            In the number type of the networks.
        """
        check_is_fitted(self)
        (features,) = self._run(X, self._forward(self._encoder()))
        return features

    @property
    @abstractmethod
    def n_latent_(self) -> int:
        """Length of a latent vector."""

    def decode(self, Z: ArrayLike) -> NDArray[np.floating]:
        """Decode latent vectors into rows.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_latent)

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw, in the number type of the networks.

        See Also
        --------
        torch_decoder : The same as a differentiable module.
        """
        check_is_fitted(self)
        latents = check_latents(self, Z, self.n_latent_)
        (rows,) = self._in_blocks(latents, self._forward(self._decoder()))
        return rows

    def torch_decoder(self) -> nn.Module:
        """Return `decode` as a differentiable torch module.

        Returns
        -------
        decoder : torch.nn.Module
            Maps latents of shape (n_samples, n_latent) to rows on the scale and in the shape of X. It is a frozen
            copy in evaluation mode, so no change to it affects the estimator.

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
        module = in_evaluation(module)

        def compute(x: Tensor) -> tuple[Tensor]:
            with self.net_.autocast():
                return (module(x.to(self.device_)).to(self.dtype_),)

        return compute

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        kept = ["float64", "float32"] if self.dtype == "auto" else [self.dtype]
        tags.transformer_tags.preserves_dtype = kept
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")


def check_latents(estimator: BaseEstimator, Z: ArrayLike, n_latent: int) -> NDArray[Any]:
    """Return latent vectors as an array of shape (n_samples, n_latent)."""
    latents: NDArray[Any] = check_array(
        Z, dtype=[np.float64, np.float32], input_name="Z", estimator=estimator
    )
    if latents.shape[1] != n_latent:
        raise ValueError(
            f"Z has {latents.shape[1]} columns, but the latent vectors of this {type(estimator).__name__} have length "
            f"{n_latent}; give Z of shape (n_samples, {n_latent})"
        )
    return latents


@torch_module.register
def _(estimator: GenerativeEstimator) -> nn.Module:
    return copy.deepcopy(estimator._encoder())
