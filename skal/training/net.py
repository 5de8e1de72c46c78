"""The skorch net under all our networks: batches sliced from tensors on the device, losses read once an epoch."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Self

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PrintLog

from ..utils.progress import advance, counted, progress
from .batches import Batches, Rows, map_parts
from .recording import in_evaluation

# What is subtracted from rows and what they are divided by, for all numbers or for each channel.
Scale = tuple[float | tuple[float, ...], float | tuple[float, ...]] | None


class TrainingNet(NeuralNet):
    """A skorch net that trains on `Rows`, for an estimator that validates its input.

    The fields that it and its subclasses declare beside skorch's parameters are keyword arguments, kept as attributes.

    Parameters
    ----------
    module : callable
        Builds the module; takes no arguments.
    input_shape : tuple of int
        The shape of a row as the module gets it.
    dtype : torch.dtype
    scale : pair of float or of tuples of float, or None
        The number that is subtracted from rows, and the number that then divides them; one value each, or one per
        channel.
    amp : bool
        Whether to run the modules under bfloat16 autocast.
    seed : int
        Seed of the order of the batches.
    criterion : type, default=torch.nn.Identity
        Used only by skorch's `predict` and `predict_proba` to interpret the outputs; `losses` computes the losses.
    rates : dict of str to float, default={}
        Learning rates of the modules that have their own optimizer and loss.
    **params
        Parameters of skorch's net.
    """

    input_shape: tuple[int, ...]
    dtype: torch.dtype
    scale: Scale = None
    amp: bool
    seed: int
    rates: dict[str, float]
    keeps_integers = False  # where the module looks integers up

    def __init__(
        self, module: Callable[..., torch.nn.Module], criterion: Any = torch.nn.Identity, **params: Any
    ) -> None:
        declared = {name for cls in type(self).__mro__ for name in inspect.get_annotations(cls)}
        own = {"rates": {}, **{name: params.pop(name) for name in declared & params.keys()}}
        super().__init__(module, criterion=criterion, train_split=None, **params)
        self.__dict__.update(own)

    @property
    def _default_callbacks(self) -> list[tuple[str, Any]]:
        return [("epoch_timer", EpochTimer()), ("print_log", PrintLog())] if self.verbose else []

    @property
    def modules(self) -> list[torch.nn.Module]:
        """The modules that are trained."""
        return [getattr(self, f"{name}_") for name in self._modules]

    def continue_from(self, previous: TrainingNet) -> None:
        """Start from the weights of the last `fit`."""
        try:
            self.load_state_dict(previous.state_dict())
        except RuntimeError as error:
            raise ValueError(
                "warm_start=True needs the architecture of the last fit, but the module or its parameters have "
                "changed; fit with warm_start=False to start from scratch"
            ) from error

    def finish(self) -> None:
        """Leave training: check the weights, which no loss has checked since the last step, and start evaluation."""
        for module in self.modules:
            if not all(torch.isfinite(weight).all() for weight in module.parameters()):
                raise ValueError(
                    f"the weights became infinite or NaN in epoch {len(self.history)}: training diverged; "
                    f"set a smaller lr (now {self.lr:g}) or scale X"
                )
            module.eval()

    def for_prediction(self) -> Self:
        """Return the net, or a view of it in evaluation mode if a module is in training mode."""
        modules = {f"{name}_": in_evaluation(getattr(self, f"{name}_")) for name in self._modules}
        if all(module is getattr(self, name) for name, module in modules.items()):
            return self
        net = object.__new__(type(self))
        net.__dict__.update(vars(self) | modules)
        return net

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the weights and buffers of all modules, by module and name."""
        return {
            f"{name}/{key}": tensor
            for name in self._modules
            for key, tensor in getattr(self, f"{name}_").state_dict().items()
        }

    def load_state_dict(self, tensors: dict[str, torch.Tensor]) -> None:
        """Load the tensors that `state_dict` returned, which may be among others."""
        for name in self._modules:
            getattr(self, f"{name}_").load_state_dict(part(tensors, name))

    def expect(self, tensors: dict[str, torch.Tensor]) -> None:
        """Prepare an uninitialized net for the weights that it will get; ValueError if they cannot be its own."""

    def take(self, tensors: dict[str, torch.Tensor], device: torch.device) -> None:
        """Make tensors the weights of modules that were built on the meta device, and move the net to a device."""
        self.device = str(device)
        for name in self._modules:
            module = getattr(self, f"{name}_")
            module.load_state_dict(part(tensors, name), assign=True)
            setattr(self, f"{name}_", self.prepare_module(module).to(device))
        self.initialized_ = False  # else skorch would report a second optimizer
        self._initialize_optimizer()
        self._validate_params()
        self.initialized_ = True

    def saved_history(self) -> list[dict[str, Any]]:
        """Return the history of the epochs, without the history of their batches."""
        return [{name: value for name, value in row.items() if name != "batches"} for row in self.history]

    @property
    def n_steps(self) -> int:
        """Steps made so far."""
        return self.history[-1, "step"] if len(self.history) else 0

    @property
    def _steps_before(self) -> int:
        """Steps made before this epoch."""
        return self.history[-2, "step"] if len(self.history) > 1 else 0

    @property
    def remaining_epochs(self) -> int:
        """Epochs still to train."""
        return self.max_epochs - len(self.history)

    def initialize_module(self) -> TrainingNet:
        """Build the module in its number format and memory layout."""
        super().initialize_module()
        self.keeps_integers = takes_integers(self.module_)
        self.prepare_module(self.module_)
        return self

    def prepare_module(self, module: torch.nn.Module) -> torch.nn.Module:
        """Give a module the net's number format; convolutions run fastest channels-last."""
        module.to(dtype=self.dtype)
        if len(self.input_shape) == 3:
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return module

    def prepare_rows(self, rows: Any) -> Any:
        """Return rows of any number format and shape in the format and shape of the modules, on their device."""
        rows = map_parts(lambda part: part.to(self.device), rows)
        rows = prepared(rows, self.dtype, self.input_shape, self.scale, keeps_integers=self.keeps_integers)
        is_image = isinstance(rows, torch.Tensor) and rows.ndim == 4
        return rows.contiguous(memory_format=torch.channels_last) if is_image else rows

    def evaluation_step(self, batch: Any, training: bool = False) -> Any:
        """Return the logits of rows in any number format and shape, for the predictions of skorch's own methods."""
        rows = batch[0] if isinstance(batch, tuple | list) else batch
        self._set_training(training)
        with torch.set_grad_enabled(training):
            return self.infer(self.prepare_rows(rows))

    def autocast(self) -> torch.autocast:
        """Return the context in which the modules run: bfloat16 if `amp` asks for it."""
        kind = torch.device(self.device).type.replace("meta", "cpu")  # the meta device has none
        return torch.autocast(kind, dtype=torch.bfloat16, enabled=self.amp)

    def get_split_datasets(self, X: Any, y: Any = None, **params: Any) -> tuple[Rows, Rows | None]:
        """Take the sets of rows, or tuples of them, as they come: ``X`` is [training] or [training, validation]."""
        training, *validation = X
        return training, validation[0] if validation else None

    def get_dataset(self, X: Any, y: Any = None) -> Any:
        """Pass rows and tuples through unchanged, and let skorch wrap anything else."""
        return X if isinstance(X, Rows | tuple) else super().get_dataset(X, y)

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Slice batches of rows, shuffled in training."""
        if not isinstance(dataset, Rows):
            return super().get_iterator(dataset, training=training)
        if not training:
            return Batches(dataset, self.batch_size)
        return Batches(dataset, self.batch_size, self.seed, epoch=len(self.history))

    def initialize_optimizer(self, *_: Any) -> TrainingNet:
        """Build an optimizer for each of the modules in `rates`, and one for all others."""
        own = {id(weight) for name in self.rates for weight in getattr(self, f"{name}_").parameters()}
        shared = [(name, weight) for name, weight in self.get_all_learnable_params() if id(weight) not in own]
        args, params = self.get_params_for_optimizer("optimizer", shared)
        self.optimizer_ = self.optimizer(*args, **params)
        for name, lr in self.rates.items():
            weights = getattr(self, f"{name}_").named_parameters()
            args, params = self.get_params_for_optimizer("optimizer", weights)
            setattr(self, f"{name}_optimizer_", self.optimizer(*args, **{**params, "lr": lr}))
        return self

    def _initialize_optimizer(self, reason: str | None = None) -> None:
        if self.device != "meta":  # weights without numbers are replaced
            super()._initialize_optimizer(reason)

    def _validate_params(self) -> None:
        if self.device != "meta":  # those of the optimizers are unknown yet
            super()._validate_params()

    def losses(self, batch: Any) -> dict[str, torch.Tensor]:
        """Return the mean losses over a batch: ``loss``, and ``<name>_loss`` for each module in `rates`."""
        raise NotImplementedError

    def backward(self, losses: dict[str, torch.Tensor]) -> None:
        """Compute the gradients: the weights of each optimizer get the gradients of their own loss."""
        if not self.rates:
            losses["loss"].backward()
            return
        for prefix in ("", *(f"{name}_" for name in self.rates)):
            if (loss := losses.get(f"{prefix}loss")) is not None:
                groups = getattr(self, f"{prefix}optimizer_").param_groups
                weights = [weight for group in groups for weight in group["params"] if weight.requires_grad]
                loss.backward(inputs=weights, retain_graph=True)  # losses may share a part of it

    def resume_training(self) -> None:
        """Return to the training mode in which the epoch began, if a batch callback changed the mode of a whole module.

        Visiting all layers at each step would take up to a tenth of the time of a small network.
        """
        parts = (getattr(self, f"{name}_") for name in (*self._modules, *self._criteria))
        if not all(part.training for part in parts if isinstance(part, torch.nn.Module)):
            self._set_training(True)

    def train_step_single(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Compute the losses of a batch and their gradients."""
        self.resume_training()
        losses = self.losses(batch)
        self.backward(losses)
        return {"loss": losses["loss"], "losses": losses}

    def _step_optimizer(self, step_fn: Any) -> None:
        if len(self._optimizers) > 1:  # each of them would call it again
            step_fn()
            step_fn = None
        super()._step_optimizer(step_fn)

    def validation_step(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Compute the losses of held-out rows."""
        self._set_training(False)
        with torch.no_grad():
            losses = self.losses(batch)
        return {"loss": losses["loss"], "losses": losses}

    def weight_of(self, batch: Any) -> Any:
        """Return the weight of a batch's losses in the mean over the epoch."""
        return len(batch)

    def length(self, n_epochs: int) -> tuple[str, int]:
        """Return the unit in which the length of training is counted, and that length."""
        return "epochs", n_epochs

    def fit_loop(self, *args: Any, **params: Any) -> TrainingNet:
        """Run the epochs; one that Ctrl-C cuts short leaves no row in the history."""
        try:
            with progress(*self.length(params.get("epochs") or self.max_epochs)):
                return super().fit_loop(*args, **params)
        except KeyboardInterrupt:
            if len(self.history) and "step" not in self.history[-1]:
                self.history.pop()
            raise

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable[..., Any], **params: Any
    ) -> None:
        """Run the batches and record the weighted mean losses; skorch would wait for the device at every batch."""
        if iterator is None:
            return
        self._set_training(training)
        losses: list[torch.Tensor] = []
        weights: list[Any] = []
        names: list[str] = []
        for batch in counted(iterator, "batches"):
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **params)
            weight = self.weight_of(batch)
            names = list(step["losses"])
            losses.append(torch.stack([value.detach() for value in step["losses"].values()]))
            weights.append(weight)
            size = weight if isinstance(weight, int) else len(step["y_pred"])
            self.history.record_batch(f"{prefix}_batch_size", size)
            self.notify("on_batch_end", batch=batch, training=training, **step)
        table = torch.stack(losses).double()
        self._check_finite(table, names, prefix)
        share = torch.stack([torch.as_tensor(weight) for weight in weights]).to(table)
        means = ((share / share.sum()) @ table).tolist()
        for name, value in zip(names, means, strict=True):
            self.history.record(f"{prefix}_{name}", value)
        if "loss" in names:
            best = min(row.get(f"{prefix}_loss", math.inf) for row in self.history)
            self.history.record(f"{prefix}_loss_best", self.history[-1, f"{prefix}_loss"] <= best)
        self.history.record(f"{prefix}_batch_count", len(losses))
        if training:
            self.history.record("step", self._steps_before + len(losses))
            advance("epochs")

    def _check_finite(self, table: torch.Tensor, names: list[str], prefix: str) -> None:
        finite = table.isfinite()
        if finite.all():
            return
        row, which = finite.logical_not().nonzero()[0].tolist()
        step = row + 1 + self._steps_before
        raise ValueError(
            f"the {prefix} {names[which]} became {table[row, which].item()} in epoch {len(self.history)}, at step "
            f"{step}: training diverged; set a smaller lr (now {self.lr:g}) or scale X"
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A net that was pickled on a GPU and is loaded without one belongs on the CPU; skorch would warn of it.
        if torch.device(state["device"]).type == "cuda" and not torch.cuda.is_available():
            state = {**state, "device": "cpu"}
        super().__setstate__(state)


def takes_integers(module: torch.nn.Module) -> bool:
    """Whether a module looks up integers, such as tokens."""
    return any(isinstance(part, torch.nn.Embedding | torch.nn.EmbeddingBag) for part in module.modules())


def prepared(
    rows: Any, dtype: torch.dtype, shape: tuple[int, ...] | None, scale: Scale, *, keeps_integers: bool
) -> Any:
    """Return rows as a module takes them: in its number type, its shape and on its scale.

    Parameters
    ----------
    rows : Tensor, or dict of Tensor
        The parts of a dict keep their shapes, and their integers.
    dtype : torch.dtype
    shape : tuple of int or None
        None keeps the shape.
    scale : pair, or None
        See `TrainingNet`.
    keeps_integers : bool
        Whether integers stay integers, as a module with embeddings needs them.
    """
    if isinstance(rows, dict):
        return {name: prepared(part, dtype, None, None, keeps_integers=True) for name, part in rows.items()}
    if shape is not None:
        rows = rows.reshape(-1, *shape)
    if keeps_integers and not (rows.is_floating_point() or rows.dtype == torch.bool):
        return rows.to(torch.int64)
    rows = rows.to(dtype)
    if scale is None:
        return rows
    shift, factor = (_per_channel(value, rows) for value in scale)
    return (rows if isinstance(shift, float) and shift == 0 else rows - shift) / factor


def _per_channel(value: Any, rows: torch.Tensor) -> Any:
    if not isinstance(value, tuple):
        return value
    return torch.tensor(value, dtype=rows.dtype, device=rows.device).reshape(-1, *[1] * (rows.ndim - 2))


def part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors named ``prefix/name``, by name."""
    prefix = f"{prefix}/"
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
