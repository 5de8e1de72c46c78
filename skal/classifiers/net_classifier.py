"""Any torch module as a scikit-learn classifier."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ..nets import MLP
from ..training.batches import LabeledRows
from ..training.estimator import NetworkEstimator, module_builder, optimizer_params, resolve_device, seeded
from ..training.net import check_weights, copy_weights
from ..utils.random import draw_seed
from ._net import BestEpoch, Net


class NetClassifier(ClassifierMixin, NetworkEstimator):
    """A torch module as a scikit-learn classifier, trained by skorch.

    Everything that scikit-learn asks of a classifier holds: any labels, weights, clones, pickles, the same result
    for the same `random_state`; the global random states are never touched.

    Parameters
    ----------
    module : type or callable, default=skal.nets.MLP
        A class of `torch.nn.Module`, never an instance. It is built when the data are known, with those of
        ``input_shape`` (tuple, the shape of a row) and ``n_classes`` (int) that it takes, and with
        `module_params`. It maps rows (N, *input_shape) to logits (N, n_classes).
    module_params : dict, default=None
        Further arguments of the module.
    optimizer : type or callable, default=torch.optim.Adam
        A class of `torch.optim.Optimizer`.
    optimizer_params : dict, default=None
        Further arguments of the optimizer, such as ``{"weight_decay": 1e-4}``. ``fused=True`` is the
        default where the optimizer has it.
    lr : float, default=1e-3
        Learning rate.
    max_epochs : int, default=50
        Passes over the rows; fewer where early stopping ends them.
    batch_size : int, default=64
        Rows of a training step. A last batch of a single row joins the one before.
    validation_fraction : float, default=None
        Share of the rows, in (0, 1), that is held out, class by class, and decides when to stop: after `patience`
        epochs without a smaller loss on it, with the weights of the best epoch. At least one row of every class
        stays in training. None trains on all rows for `max_epochs`.
    patience : int, default=10
        Epochs without improvement before training stops; needs `validation_fraction`.
    image_shape : tuple of int, default=None
        Shape of a row, such as (C, H, W), where X has 2-D rows and the module wants images. N-D X brings its own
        shape; both give the same answer.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Numbers of the network. "auto" follows X: float64 rows train a float64 network, all others a float32 one.
        Bytes stay bytes until a batch is cast, and are not scaled.
    amp : bool, default=False
        Whether to train and predict under bfloat16 autocast, with about three significant digits; "auto" then means
        float32. Faster on GPUs and on CPUs with bfloat16 arithmetic (AVX-512 BF16, AMX), several times slower on CPUs
        without.
    device : str or torch.device, default="auto"
        "auto" is the GPU where CUDA has one, else the CPU.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit`, with a fresh optimizer. Classes and shape must be
        those of that fit.
    callbacks : list of skorch callbacks, default=None
        Used in copies: `fit` leaves the given ones as they are.
    verbose : int, default=0
        Whether skorch prints a line for each epoch.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights, order of the rows, dropout and the held-out share. None is different each time.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the columns of `predict_proba`.
    net_ : skorch.NeuralNetClassifier
        The trained net; ``net_.history`` has the losses of each epoch.
    module_ : torch.nn.Module
        The trained module, in evaluation mode after `fit`.
    input_shape_ : tuple of int
        Shape in which the module gets a row.
    dtype_ : torch.dtype
        Numbers of the network.
    device_ : torch.device
        Where the network lies.
    n_features_in_ : int
        Numbers in a row: the product of its shape.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    Notes
    -----
    Rows of weight zero take no part at all. Within a batch the loss is the weighted mean; whole numbers as weights
    therefore equal repeated rows as long as one batch holds them all.

    Ctrl-C ends the training and keeps what was learned, as it does in skorch.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import NetClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = NetClassifier(module_params={"hidden": (32,)}, lr=0.01, random_state=0).fit(X, y)
    >>> clf.predict_proba(X[:2]).shape
    (2, 3)
    >>> clf.embed(X[:2]).shape
    (2, 32)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "module": [callable],
        "module_params": [dict, None],
        "optimizer": [callable],
        "optimizer_params": [dict, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [tuple, list, None],
        "dtype": [StrOptions({"auto", "float32", "float64"})],
        "amp": ["boolean"],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "callbacks": [list, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    _net_class: type[Net] = Net

    classes_: NDArray[Any]
    net_: Net

    def __init__(
        self,
        module: Callable[..., torch.nn.Module] = MLP,
        *,
        module_params: dict[str, Any] | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_params: dict[str, Any] | None = None,
        lr: float = 1e-3,
        max_epochs: int = 50,
        batch_size: int = 64,
        validation_fraction: float | None = None,
        patience: int = 10,
        image_shape: tuple[int, ...] | None = None,
        dtype: str = "auto",
        amp: bool = False,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.module = module
        self.module_params = module_params
        self.optimizer = optimizer
        self.optimizer_params = optimizer_params
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.image_shape = image_shape
        self.dtype = dtype
        self.amp = amp
        self.device = device
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    @property
    def module_(self) -> torch.nn.Module:
        """The trained module."""
        return self.net_.module_

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Build the network and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows, such as images (n_samples, C, H, W).
        y : array-like of shape (n_samples,)
            Labels of any kind, of two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, none negative.

        Returns
        -------
        self : NetClassifier

        Raises
        ------
        ValueError
            For NaN or infinity, one class only, weights that are negative or all zero, a shape that does not suit
            `image_shape` or the module, other classes than a warm start needs, a device that is not there, a module
            that returns no logits; when the loss diverges.
        TypeError
            If `module` is an instance.
        """
        device = resolve_device(self.device)
        rows, labels = self._validate(X, y, reset=not self._continues)
        self._set(self._train(rows, labels, sample_weight, device, draw_seed(self.random_state)))
        return self

    @property
    def _continues(self) -> bool:
        """Whether `fit` continues from the weights of the last one."""
        return self.warm_start and hasattr(self, "net_")

    def _set(self, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def _train(
        self,
        rows: NDArray[Any],
        labels: NDArray[Any],
        sample_weight: ArrayLike | None,
        device: torch.device,
        seed: int,
        **fit_params: Any,
    ) -> dict[str, Any]:
        """Train a net on validated rows; return the attributes of the fitted classifier.

        What a subclass's net learns from beside them comes as `fit_params`.
        """
        previous = self.net_ if self._continues else None
        check_classification_targets(labels)
        classes, codes = np.unique(labels, return_inverse=True)
        rows, codes, weight = self._weighted_rows(rows, codes, sample_weight)
        present = np.unique(codes)
        check_classes(self, classes[present])
        input_shape = self._input_shape(rows.shape[1:])
        if previous is not None:
            check_continues(self, classes, input_shape)

        dtype = self._network_dtype(rows)
        datasets = [
            LabeledRows(
                rows[part], codes[part], None if weight is None else weight[part], dtype=dtype, device=device
            )
            for part in self._split(codes, np.random.default_rng(seed))
        ]

        net = self._make_net(
            input_shape, classes=classes, dtype=dtype, amp=self.amp, seed=seed, device=str(device)
        )
        with seeded(seed, device):
            net.initialize()
            if previous is not None:
                for old, new in zip(previous.modules, net.modules, strict=True):
                    copy_weights(old, new)
            net.partial_fit(datasets, codes, **fit_params)
        check_weights(net, *net.modules)
        for module in net.modules:
            module.eval()
        return {"classes_": classes, "input_shape_": input_shape, "dtype_": dtype, "net_": net}

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the labels of rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows in either of the two shapes: flat, or that of `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        (codes,) = self._run(X, lambda x: (self.net_.infer(x).argmax(1),))
        return self.classes_[codes]

    def predict_proba(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the network's numbers; columns in the order of `classes_`.
        """
        (probabilities,) = self._run(X, lambda x: (self.net_.infer(x).softmax(1),))
        return probabilities

    def embed(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the penultimate activations.

        These are what the module's own ``embed`` returns where it has one, else the input of its last linear layer
        with `n_classes` outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_embedding)

        Raises
        ------
        TypeError
            If the module has neither.
        """
        return self.embed_and_predict_proba(X)[0]

    def embed_and_predict_proba(self, X: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Compute embeddings and class probabilities in one pass.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_embedding)
            See `embed`.
        probabilities : ndarray of shape (n_samples, n_classes)
            See `predict_proba`.
        """
        check_is_fitted(self)
        with recorded_embedding(self.module_, len(self.classes_)) as recorded:

            def compute(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                probabilities = self.net_.infer(x).softmax(1)
                return recorded().flatten(1).to(self.dtype_), probabilities

            embeddings, probabilities = self._run(X, compute)
        return embeddings, probabilities

    def _weighted_rows(
        self, X: NDArray[Any], codes: NDArray[Any], sample_weight: ArrayLike | None
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
        """Return the rows that have weight, their classes and weights."""
        if sample_weight is None:
            return X, codes, None
        weight = _check_sample_weight(sample_weight, X)
        if (weight < 0).any():
            raise ValueError(f"sample_weight must not be negative, got {weight.min():g}; drop those rows")
        used = weight > 0
        if not used.any():
            raise ValueError("sample_weight is zero for all rows; give at least two rows a positive weight")
        return (X, codes, weight) if used.all() else (X[used], codes[used], weight[used])

    def _split(self, codes: NDArray[Any], rng: np.random.Generator) -> list[Any]:
        """Return the positions of the training rows and, with a validation share, of the held-out ones.

        The held-out rows lie evenly among the rows sorted by class, hence are stratified even where a class has few.
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

    def _module_class(self, input_shape: tuple[int, ...]) -> Callable[..., torch.nn.Module]:
        """Return what builds the module for rows of the given shape; subclasses choose here."""
        return self.module

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> Net:
        """Return the net, not initialized, for new classes or for those of the last `fit`."""
        classes = self.classes_ if classes is None else classes
        return self._net_class(
            module_builder(
                self._module_class(input_shape),
                self.module_params,
                input_shape=input_shape,
                n_classes=len(classes),
            ),
            input_shape=input_shape,
            n_classes=len(classes),
            optimizer=self.optimizer,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            callbacks=self._callbacks(),
            verbose=self.verbose,
            classes=classes,
            **{**optimizer_params(self.optimizer, self.optimizer_params), **params},
        )

    def _callbacks(self) -> list[Any]:
        callbacks = copy.deepcopy(self.callbacks or [])
        if self.validation_fraction is not None:
            callbacks.append(("early_stopping", self._early_stopping()))
        return callbacks

    def _early_stopping(self) -> BestEpoch:
        """Return the callback that decides when to stop; subclasses choose here."""
        return BestEpoch(patience=self.patience)


def check_classes(estimator: Any, classes: NDArray[Any]) -> None:
    """Raise ValueError where the rows to learn from are of fewer than two classes."""
    if len(classes) < 2:
        raise ValueError(
            f"{type(estimator).__name__} needs rows of at least two classes, got one class: "
            f"{classes[0]!r}; add labelled rows of another class"
        )


def check_continues(estimator: Any, classes: NDArray[Any], input_shape: tuple[int, ...]) -> None:
    """Raise ValueError where a warm start meets other classes or rows than those of the last `fit`."""
    if not (np.array_equal(classes, estimator.classes_) and input_shape == estimator.input_shape_):
        raise ValueError(
            f"warm_start=True continues with the classes {estimator.classes_} and rows of shape "
            f"{estimator.input_shape_}, got {classes} and {input_shape}; fit with warm_start=False to start anew"
        )


@contextmanager
def recorded_embedding(module: torch.nn.Module, n_classes: int) -> Iterator[Callable[[], torch.Tensor]]:
    """Record the embedding inside every forward pass, so that logits and embeddings cost one."""
    last: list[torch.Tensor] = []

    embed: Any = getattr(module, "embed", None)
    if inspect.ismethod(embed):

        def record(x: torch.Tensor) -> torch.Tensor:
            last[:] = [embed(x)]
            return last[0]

        def complete(_: Any, inputs: tuple[torch.Tensor, ...], logits: Any) -> None:
            if not last:  # a forward that does not go through embed
                record(inputs[0])

        vars(module)["embed"] = record
        handle = module.register_forward_hook(complete)
        try:
            yield last.pop
        finally:
            del vars(module)["embed"]
            handle.remove()
        return

    heads = [
        part
        for part in module.modules()
        if isinstance(part, torch.nn.Linear) and part.out_features == n_classes
    ]
    if not heads:
        raise TypeError(
            f"{type(module).__name__} has no penultimate embedding: give it a method embed(x), or end it in a "
            f"torch.nn.Linear with {n_classes} outputs"
        )
    handle = heads[-1].register_forward_pre_hook(lambda _, inputs: last.__setitem__(slice(None), inputs[:1]))
    try:
        yield last.pop
    finally:
        handle.remove()
