"""The base of our classifiers: training a torch module on labelled rows, or on all rows, and predicting with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight
from torch import nn

from ..labels import UNLABELED, check_partial_labels, labeled_mask
from ..pool import DatasetRows, as_pool
from ..training.batches import LabeledRows, Rows, as_tensors
from ..training.devices import resolve_device, seeded
from ..training.estimator import NetworkEstimator, keeping_what_is_fitted, module_builder, optimizer_params
from ..training.interrupts import noticing_interrupt, raise_interrupt
from ..training.net import Scale
from ..training.recording import EmbeddingRecorder
from ..utils.random import draw_seed
from .checks import check_classes, check_continues, coded
from .net import BestEpoch, Net
from .own_loss import OwnLoss
from .prediction import PredictionMixin
from .scales import are_bytes, check_scale, resolve_scale


@dataclass(eq=False, repr=False, kw_only=True)
class BaseNetClassifier(OwnLoss, PredictionMixin, NetworkEstimator):
    """Base of the classifiers that train one torch module.

    A subclass chooses the module in `_module_class` and the loss in `losses`.

    Parameters
    ----------
    max_epochs : int, default=50
        Passes over the rows; fewer if early stopping ends training.
    batch_size : int, default=64
        Rows of a training step. A last batch of a single row joins the one before.
    validation_fraction : float, default=None
        Share of the rows, in (0, 1), that is held out, class by class, and decides when to stop: after `patience`
        epochs in a row whose held-out cross entropy does not improve on the best one by more than a share of 1e-4. The
        weights are then those of the last epoch that did improve. At least one row of every class stays in training.
        None trains on all rows for `max_epochs`.
    patience : int, default=10
        Epochs without improvement before training stops; needs `validation_fraction`.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Number type of the network. "auto" follows X: rows of float64, or of integers beyond 2**24, train a float64
        network, all others a float32 one. Bytes stay bytes until a batch is cast.
    scale : {"auto", "imagenet"}, pair or None, default="auto"
        How numbers are scaled for the network. "auto" scales bytes (uint8) to [0, 1] on the device, and leaves all
        other numbers unchanged. "imagenet" also standardises the three channels of images, in bytes or in [0, 1], as
        most pretrained networks expect. A pair is a mean and a deviation, each a number or one per channel, on
        the scale of X. None scales nothing. Integers that the module looks up, in a `torch.nn.Embedding`, and the
        arrays of mappings are never scaled.
    augment : callable, default=None
        Changes the rows of a training step, for example a transform of `torchvision.transforms.v2`: it gets a tensor
        ``(n_rows, *input_shape)`` with the numbers of X, on the device, and returns one like it. `random_state` seeds
        the torch generators from which it draws. Predictions and held-out rows are not augmented.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, by their labels. "balanced" weighs a class by the inverse of its share of
        the labelled rows. They multiply the sample weights.
    classes : array-like of shape (n_classes,), default=None
        All existing classes, each with its own output, for training rows that do not include all of them. By default
        the classes in y.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit`, with a fresh optimizer. Classes and shape must be
        those of that fit.
    {optimizer, optimizer_params, lr, image_shape, amp, device, callbacks, verbose, random_state}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the columns of `predict_proba`.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` has the losses of each epoch.
    module_ : torch.nn.Module
        The trained module, in evaluation mode after `fit`.
    scale_ : pair or None
        The mean that is subtracted from the numbers of X, and the deviation by which they are then divided.
    takes_bytes_ : bool
        Whether `fit` saw bytes. If `scale` is a word, predictions accept only the same kind of numbers.
    {input_shape_, dtype_, device_, n_features_in_, feature_names_in_}
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "scale": [StrOptions({"auto", "imagenet"}), tuple, list, None],
        "augment": [callable, None],
        "classes": ["array-like", None],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
    }

    _takes_mappings: ClassVar[bool] = True

    lr: float = 1e-3
    scale: Any = "auto"
    augment: Callable[[Any], Any] | None = None
    class_weight: dict[Any, float] | str | None = None
    classes: Any = None
    max_epochs: int = 50
    validation_fraction: float | None = None
    patience: int = 10
    warm_start: bool = False

    module_params: dict[str, Any] | None = field(init=False, default=None)  # a parameter of some subclasses
    scale_: Scale = field(init=False)
    takes_bytes_: bool = field(init=False)
    net_: Net = field(init=False)

    @property
    def module_(self) -> nn.Module:
        """The trained module."""
        return self.net_.module_

    # Some of torchvision's transforms have a `get_params` of their own, which scikit-learn takes for an estimator's.

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name, as scikit-learn does; those of `augment` are not included.

        Parameters
        ----------
        deep : bool, default=True
            Whether parameters of parameters are included.

        Returns
        -------
        params : dict
        """
        params: dict[str, Any] = super(BaseNetClassifier, self._without_augment()).get_params(deep)
        return params | {"augment": self.augment}

    def __sklearn_clone__(self) -> Self:
        twin: Self = super(BaseNetClassifier, self._without_augment()).__sklearn_clone__()
        twin.augment = copy.deepcopy(self.augment)
        return twin

    def _without_augment(self) -> Self:
        other = copy.copy(self)
        other.augment = None
        return other

    # What a subclass may override.

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., nn.Module]:
        """Return a builder of the module for rows of the given shape."""
        raise NotImplementedError

    def _callbacks(self) -> list[Any]:
        callbacks = self._own_callbacks()
        if self.validation_fraction is not None:
            callbacks.append(("early_stopping", self._early_stopping()))
        return callbacks

    def _early_stopping(self) -> BestEpoch:
        """Return the callback that decides when to stop."""
        return BestEpoch(patience=self.patience, load_best=True)

    # Training.

    @_fit_context(prefer_skip_nested_validation=True)
    @keeping_what_is_fitted
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Build the network and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...), mapping, or Dataset
            Rows, such as images (n_samples, C, H, W). The arrays of a mapping, such as token ids and attention masks,
            are arguments of the module by their names. The rows of a `torch.utils.data.Dataset` are decoded batch by
            batch; its labels are ignored. A classifier that learns from unlabelled rows takes all of them,
            labelled or not.
        y : array-like of shape (n_samples,)
            Labels of any kind, of two classes or more. A classifier that learns from unlabelled rows takes partial
            labels: -1 for an unlabelled row; among strings ``None``, NaN or -1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the labelled rows in the loss, none negative; those of unlabelled rows are ignored.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            For NaN or infinity, fewer than two classes, weights that are negative or all zero, a shape that does not
            suit `image_shape`, `scale` or the module, other classes than a warm start needs, a device that does not
            exist, or a module that returns no logits; also if the loss diverges.
        TypeError
            If a module is given as an instance.
        """
        device = resolve_device(self.device)
        if self.uses_unlabeled and y is not None:
            y = check_partial_labels(y)
        rows, labels = self._validate(X, y, reset=not self._continues)
        labeled = _labeled(labels) if self.uses_unlabeled else np.ones(len(labels), dtype=bool)
        if not labeled.any():
            raise ValueError(
                f"{type(self).__name__} needs labelled rows of at least two classes, and y has no label; label some "
                "rows"
            )
        weight = None
        if sample_weight is not None:
            given = np.asarray(sample_weight)
            if given.shape == labeled.shape and not labeled.all():
                sample_weight = np.where(labeled, given, 0)
            weight = _check_sample_weight(sample_weight, rows)[labeled]
        seed = draw_seed(self.random_state)
        self.__dict__.update(self._train(rows, labels[labeled], labeled, weight, device, seed))
        raise_interrupt(self.net_)
        return self

    @property
    def _continues(self) -> bool:
        """Whether `fit` continues from the weights of the last one."""
        return self.warm_start and hasattr(self, "net_")

    def _train(
        self,
        rows: NDArray[Any],
        labels: NDArray[Any],
        labeled: NDArray[np.bool_],
        weight: NDArray[Any] | None,
        device: torch.device,
        seed: int,
    ) -> dict[str, Any]:
        """Train a net on validated rows; return the attributes of the fitted classifier.

        `labels` and `weight` are those of the `labeled` rows.
        """
        check_classification_targets(labels)
        classes, codes = coded(labels, self.classes)
        if self.class_weight is not None:
            of_class = compute_sample_weight(self.class_weight, labels)
            weight = of_class if weight is None else weight * of_class
        known, codes, weight = _weighted(rows if labeled.all() else rows[labeled], codes, weight)
        check_classes(self, classes[np.unique(codes)])
        input_shape, dtype = self._input_shape(rows.shape[1:]), self._network_dtype(rows)
        if self._continues:
            check_continues(self, classes, input_shape)
        training, *validation = [
            LabeledRows(
                known[part], codes[part], None if weight is None else weight[part], dtype=dtype, device=device
            )
            for part in self._split(codes, np.random.default_rng(seed))
        ]
        unlabeled = None
        if not labeled.all():
            unlabeled = Rows(rows, dtype=dtype, device=device).subset(np.flatnonzero(~labeled))
        scale = resolve_scale(self.scale, rows, input_shape)
        net = self._make_net(
            input_shape,
            classes=classes,
            dtype=dtype,
            scale=scale,
            amp=self.amp,
            seed=seed,
            device=str(device),
        )
        example = as_tensors(known.first if isinstance(known, DatasetRows) else known[:1])
        if not (input_shape and example.is_floating_point()):
            net.example = example
            arrays = example if isinstance(example, dict) else {"": example}
            net.arrays = {name: [[*part.shape], str(part.dtype)[6:]] for name, part in arrays.items()}
        with seeded(seed, device):
            net.initialize()
            if self._continues:
                net.continue_from(self.net_)
            with noticing_interrupt(net):
                net.partial_fit((training, validation[0] if validation else None, unlabeled), codes)
        net.finish()
        return {
            "classes_": classes,
            "input_shape_": input_shape,
            "dtype_": dtype,
            "scale_": scale,
            "takes_bytes_": are_bytes(rows),
            "net_": net,
        }

    def _validate(self, X: Any, *y: Any, reset: bool) -> Any:
        checked = super()._validate(X, *y, reset=reset)
        rows = checked[0] if y else checked
        # A scale that was found in `fit` is that of its kind of numbers.
        if not reset and isinstance(self.scale, str) and are_bytes(rows) != self.takes_bytes_:
            kinds = ("bytes (uint8)", "other numbers")
            fitted, given = kinds if self.takes_bytes_ else kinds[::-1]
            raise ValueError(
                f"{type(self).__name__} was fitted on {fitted} with scale={self.scale!r}, and X has {given}; give the "
                "same, or fit with scale=None or scale=(mean, deviation)"
            )
        return checked

    def _split(self, codes: NDArray[Any], rng: np.random.Generator) -> list[Any]:
        """Return the positions of the training rows and, with a validation share, of the held-out ones.

        The held-out rows are spread evenly over the rows sorted by class: they are stratified even if a class is small.
        """
        if self.validation_fraction is None:
            return [slice(None)]
        order = np.lexsort((rng.random(len(codes)), codes))
        is_first = np.diff(codes[order], prepend=-1) > 0
        spare = order[~is_first]
        n_held_out = max(1, round(self.validation_fraction * len(codes)))
        if n_held_out > len(spare):
            raise ValueError(
                f"validation_fraction={self.validation_fraction:g} of {len(codes)} rows leaves less than one row of "
                f"each of the {is_first.sum()} classes for training; label more rows, or use validation_fraction=None"
            )
        held_out = spare[(np.arange(n_held_out) * len(spare) + len(spare) // 2) // n_held_out]
        return [np.setdiff1d(order, held_out), held_out]

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> Net:
        """Return the net, not initialized, for new classes, or for saved weights with those of the last `fit`."""
        classes = self.classes_ if classes is None else classes
        params = {"scale": None if not hasattr(self, "scale_") else self.scale_, **params}
        return Net(
            module_builder(
                self._module_class(input_shape),
                self.module_params,
                input_shape=input_shape,
                n_classes=len(classes),
            ),
            nn.CrossEntropyLoss,
            input_shape=input_shape,
            n_classes=len(classes),
            estimator=self,
            optimizer=self.optimizer,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            callbacks=self._callbacks(),
            verbose=self.verbose,
            classes=classes,
            **optimizer_params(self.optimizer, self.optimizer_params),
            **params,
        )

    def _check_fitted(self) -> None:
        super()._check_fitted()
        if self.scale_ is not None:
            check_scale(self.scale_, self.scale_, self.input_shape_)

    # Prediction.

    def embed_and_predict_proba(self, X: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Compute embeddings and class probabilities in one pass.

        The embeddings are the output of the module's own ``embed`` if it has one, else the input of its last linear
        layer with `n_classes` outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_embedding)
        probabilities : ndarray of shape (n_samples, n_classes)
            See `predict_proba`.

        Raises
        ------
        TypeError
            If the module has neither.
        """
        embeddings, probabilities = self._ask(
            X, lambda net, logits, embeddings: (embeddings, logits.softmax(1)), EmbeddingRecorder
        )
        return embeddings, probabilities

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the mean accuracy. A classifier that takes partial labels scores the labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float

        Raises
        ------
        ValueError
            If no row is labelled.
        """
        if self.uses_unlabeled:
            y = check_partial_labels(y)
            labeled = np.flatnonzero(_labeled(y))
            if not len(labeled):
                raise ValueError("y has no labelled row, so there is nothing to score; label at least one")
            if len(labeled) < len(y):
                X, y = as_pool(X).take(labeled), y[labeled]
                sample_weight = None if sample_weight is None else np.asarray(sample_weight)[labeled]
        return super().score(X, y, sample_weight)


def _weighted(
    X: NDArray[Any], codes: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Return the rows that have weight, their classes and weights."""
    if weight is None:
        return X, codes, None
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weight.min():g}; drop those rows")
    used = weight > 0
    if not used.any():
        raise ValueError("sample_weight is zero for all rows; give at least two rows a positive weight")
    return (X, codes, weight) if used.all() else (X[used], codes[used], weight[used])


def _labeled(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which rows have a label. Among strings, -1 marks an unlabelled row too, as in an `ActiveLearner`."""
    labeled = labeled_mask(labels)
    return labeled & np.asarray(labels != UNLABELED, dtype=bool) if labels.dtype.kind == "O" else labeled
