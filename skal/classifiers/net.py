"""The skorch net that trains our classifiers: labelled and unlabelled rows in one pass, the classifier's losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from torch import Tensor

from ..pool import parts
from ..training.batches import LabeledBatch, LabeledRows, RedundantBatches, Rows, map_parts
from ..training.net import TrainingNet
from ..training.recording import Recorder, called, in_evaluation, logits_in
from .batch import Batch
from .own_loss import OwnLoss

_MOST = 2**24  # numbers in an array of a row


class Net(TrainingNet, NeuralNetClassifier):
    """A skorch net for a :class:`~skal.classifiers.NetClassifier`, which validates its input.

    Parameters
    ----------
    n_classes : int
    estimator : OwnLoss or None
        The classifier with the losses and the extra modules; None after training.
    **params
        Parameters of `TrainingNet`.

    Attributes
    ----------
    n_labeled, n_unlabeled : int
        Rows of the training set; set before the first step.
    """

    n_classes: int
    estimator: OwnLoss | None
    example: Any = None  # a row in training, where its shape does not tell everything
    # Of such a row: shape and type of each array by its name, and of the only one by "".
    arrays: dict[str, Any] | None = None
    _recorder: Recorder | None = None

    @property
    def trained(self) -> OwnLoss:
        """The classifier in training."""
        if self.estimator is None:
            raise RuntimeError("the training of this net has ended; fit the classifier to start another")
        return self.estimator

    def initialize_module(self) -> Net:
        """Build the module, and the extra modules of the classifier."""
        super().initialize_module()
        for name, part in self.trained.extra_modules(self).items():
            if name == "module" or not (isinstance(part, tuple) and len(part) == 2):
                raise TypeError(
                    f"{type(self.trained).__name__}.extra_modules returned {type(part).__name__} for {name!r}; it must "
                    'return a pair (module, lr), lr being a float or None, for each name, and none called "module".'
                )
            module, lr = part
            setattr(self, f"{name}_", self.prepare_module(module))
            if lr is not None:
                self.rates[name] = lr
        return self

    def example_features(self) -> Any:
        """Return the features of one row, for modules that need their shape."""
        recorder = self.trained.recorder(in_evaluation(self.module_), self.n_classes)
        with torch.no_grad():
            if self.example is not None or self.arrays is not None:
                row = _zeros(self.arrays) if self.example is None else self.example
                return self.record(recorder, self.prepare_rows(row))[1]
            return recorder(torch.zeros(1, *self.input_shape, dtype=self.dtype))[1]

    def get_split_datasets(self, X: Any, y: Any = None, **params: Any) -> tuple[Any, Rows | None]:
        """Take the sets of rows as they come: ``X`` is (labelled, validation or None, unlabelled or None)."""
        labeled, validation, unlabeled = X
        self.n_labeled, self.n_unlabeled = len(labeled), len(unlabeled or ())
        return (labeled if unlabeled is None else (labeled, unlabeled)), validation

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        """Give each training step a batch of labelled rows, and one of unlabelled rows where they are used."""
        if isinstance(dataset, tuple) and isinstance(dataset[0], LabeledRows):
            labeled, unlabeled = dataset
            return RedundantBatches(labeled, unlabeled, self.batch_size, self.seed)
        return super().get_iterator(dataset, training=training)

    def infer(self, x: Any, **params: Any) -> Tensor:
        """Return the logits of rows as `prepare_rows` returns them."""
        with self.autocast():
            return self._checked(called(self.module_, x, **params), x)

    def record(self, recorder: Recorder, rows: Tensor) -> tuple[Tensor, Any]:
        """Return the logits of prepared rows, and the values that a recorder of the module records in the same pass."""
        with self.autocast():
            logits, features = called(recorder, rows)
        features = (
            features.to(self.dtype) if isinstance(features, Tensor) else [f.to(self.dtype) for f in features]
        )
        return self._checked(logits, rows), features

    def _checked(self, logits: Tensor, rows: Tensor) -> Tensor:
        logits = logits_in(logits)
        n_rows = len(parts(rows)[0])
        if logits.shape != (n_rows, self.n_classes):
            raise InvalidParameterError(
                f"the module returned shape {tuple(logits.shape)} for {n_rows} rows; it must return logits of "
                f"shape (n_rows, n_classes) = {(n_rows, self.n_classes)}"
            )
        return logits.to(self.dtype)

    def outputs(self, batch: LabeledBatch) -> tuple[Batch, Batch | None]:
        """Pass the rows of a step through the module; return the labelled ones and, if any, the others."""
        (labeled, weight, unlabeled), classes = batch
        n_labeled = len(classes)
        rows = self.prepare_rows(self.augmented(labeled))
        if unlabeled is not None:
            more = self.prepare_rows(self.augmented(unlabeled))
            rows = map_parts(lambda *both: torch.cat(both), rows, more)
        logits, features = self.logits_and_features(rows)
        if unlabeled is None:
            return Batch(rows, logits, features, classes, weight), None
        first, second = slice(n_labeled), slice(n_labeled, None)
        known, unknown = (None, None) if features is None else (features[first], features[second])
        return (
            Batch(map_parts(lambda part: part[first], rows), logits[first], known, classes, weight),
            Batch(map_parts(lambda part: part[second], rows), logits[second], unknown),
        )

    def augmented(self, rows: Any) -> Any:
        """Return rows of a training step after the classifier's `augment`."""
        augment = self.trained.augment
        if augment is None or not self.module_.training:
            return rows
        shape = self.input_shape
        rows = map_parts(lambda part: part.to(self.device), rows)
        changed = augment(rows.reshape(-1, *shape) if isinstance(rows, Tensor) else rows)
        if isinstance(rows, dict):
            sizes, found = (
                {name: len(part) for name, part in each.items()}
                if isinstance(each, Mapping)
                else type(each).__name__
                for each in (rows, changed)
            )
            if sizes != found:
                raise InvalidParameterError(
                    f"augment returned {found} for arrays of {sizes} rows; it must return a mapping with the same "
                    "names, and a tensor of as many rows for each"
                )
        elif isinstance(changed, Tensor) and changed.is_floating_point() and rows.dtype == torch.uint8:
            raise InvalidParameterError(
                "augment was given bytes (uint8) and returned floating-point numbers; it must return bytes, which are "
                "scaled after it"
            )
        elif not isinstance(changed, Tensor) or changed.shape != (len(rows), *shape):
            given = tuple(changed.shape) if isinstance(changed, Tensor) else type(changed).__name__
            raise InvalidParameterError(
                f"augment returned {given} for rows of shape {(len(rows), *shape)}; it must return a tensor of the "
                "same shape"
            )
        return changed

    def logits_and_features(self, rows: Tensor) -> tuple[Tensor, Any]:
        """Return the logits of rows, and the features if the classifier's losses use them."""
        if not (self.trained.uses_features and self.module_.training):
            return self.infer(rows), None
        recorder = self._recorder or self.trained.recorder(self.module_, self.n_classes)
        self._recorder = recorder
        return self.record(recorder.train(), rows)

    def train_step_single(self, batch: LabeledBatch, **_: Any) -> dict[str, Any]:
        """Compute the losses of a batch and their gradients."""
        self.resume_training()
        labeled, unlabeled = self.outputs(batch)
        try:
            losses = self.trained.losses(self, labeled, unlabeled)
        except (AttributeError, TypeError) as error:
            if labeled.features is None and "NoneType" in str(error):
                error.add_note(
                    f"Where losses looks at features, they are None unless {type(self.trained).__name__} has "
                    "uses_features: ClassVar[bool] = True."
                )
            raise
        self._check_losses(losses, has_all=unlabeled is not None or not self.trained.uses_unlabeled)
        if "loss" not in losses:
            own = {f"{name}_loss" for name in self.rates}
            losses["loss"] = torch.stack([loss for name, loss in losses.items() if name not in own]).sum()
        self.backward(losses)
        return {"loss": losses["loss"], "losses": losses, "y_pred": labeled.logits}

    def _check_losses(self, losses: Any, *, has_all: bool) -> None:
        """Refuse what `losses` must not return: a module without its loss would never be trained."""
        method = f"{type(self.trained).__name__}.losses"
        if not isinstance(losses, dict) or not losses:
            given = "an empty dict" if losses == {} else type(losses).__name__
            raise TypeError(
                f'{method} returned {given}; it must return a dict of its terms, such as {{"loss": ...}}.'
            )
        for name, loss in losses.items():
            if not isinstance(loss, Tensor) or loss.ndim:
                given = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
                raise TypeError(
                    f"{method} returned {given} for {name!r}; each term must be a tensor of shape (), such as the mean "
                    "over a batch."
                )
        missing = [name for name in self.rates if has_all and f"{name}_loss" not in losses]
        if missing:
            raise InvalidParameterError(
                f"{method} returned the terms {sorted(losses)}, and none is called '{missing[0]}_loss', by which the "
                f"module {missing[0]!r} with a learning rate of its own is trained."
            )

    def validation_step(self, batch: LabeledBatch, **_: Any) -> dict[str, Any]:
        """Compute the cross entropy and the accuracy on held-out rows."""
        self._set_training(False)
        with torch.no_grad():
            held_out = self.outputs(batch)[0]
            hits = torch.eq(held_out.logits.argmax(1), batch[1]).to(self.dtype)
            losses = {"loss": held_out.cross_entropy(), "accuracy": held_out.mean(hits)}
        return {"loss": losses["loss"], "losses": losses, "y_pred": held_out.logits}

    def weight_of(self, batch: LabeledBatch) -> Any:
        """Return the number of labelled rows in a batch, or the sum of their weights."""
        (_, weight, _), classes = batch
        return len(classes) if weight is None else weight.sum()

    def __getstate__(self) -> dict[str, Any]:
        # The hooks of a recorder cannot be pickled; a new one is made when needed.
        return {**super().__getstate__(), "_recorder": None}

    def finish(self) -> None:
        """End training: drop the classifier and the recorder too."""
        super().finish()
        self.estimator = self._recorder = self.example = None


def _zeros(arrays: Any) -> Tensor | dict[str, Tensor]:
    """A row of zeros for a network from a file, which records the arrays of a row."""
    if not arrays or any(math.prod(shape) > _MOST for shape, _ in arrays.values()):
        raise ValueError(f"a row has the arrays {str(arrays)[:100]}")
    zeros = {name: torch.zeros(shape, dtype=getattr(torch, dtype)) for name, (shape, dtype) in arrays.items()}
    return zeros.get("", zeros)


class BestEpoch(EarlyStopping):
    """Early stopping whose `load_best` gives all modules of a net their best weights; skorch's restores only one."""

    def on_epoch_end(self, net: Any, **params: Any) -> None:
        """Keep the weights of a better epoch."""
        super().on_epoch_end(net, **params)
        if self.load_best and not self.misses_:
            self.best_model_weights_ = deepcopy(net.state_dict())

    def on_train_end(self, net: Any, **params: Any) -> None:
        """Return to the best epoch."""
        if self.misses_ and self.best_model_weights_ is not None:
            net.load_state_dict(self.best_model_weights_)
