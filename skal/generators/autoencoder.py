"""Autoencoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ..nets import AUTOENCODERS
from .reconstruction import Reconstructor, RowLosses, reconstruction_loss


class AutoEncoder(Reconstructor):
    """Autoencoder: short codes of rows, from which the rows can be given back.

    The networks are those of ASAL [1]_, where the codes are the features in which synthesised images are matched with
    the pool. Rows may lie on any scale; the loss is the squared error, summed over the numbers of a row on
    the network's scale.

    Parameters
    ----------
    architecture : str or type, default="auto"
        A name in `skal.nets.AUTOENCODERS`: "dense" for plain rows; "mnist", "cifar" and "celeba" for images of about
        28x28, 32x32 and 64x64 pixels. Or a class ``module(input_shape)`` with ``encode(x)``, ``decode(z)``, `n_latent`,
        and `output_range` where its outputs have one. "auto" chooses by the shape of a row; images below 16x16 pixels
        get "dense".
    module_params : dict, default=None
        Further arguments of the architecture, such as ``{"channels": (1, 2, 4)}`` for the 64-d code of ASAL's
        two-class experiments, or ``{"n_latent": 8}`` for "dense".
    optimizer : type or callable, default=torch.optim.Adam
        A class of `torch.optim.Optimizer`.
    optimizer_params : dict, default=None
        Further arguments of the optimizer.
    lr : float, default=1e-3
        Learning rate.
    max_epochs : int, default=40
        Passes over the rows; fewer where early stopping ends them.
    batch_size : int, default=100
        Rows of a step.
    validation_fraction : float, default=None
        Share of the rows, in (0, 1), that is held out and decides when to stop: after `patience` epochs without a
        smaller loss on it, with the weights of the best epoch. None trains on all rows for `max_epochs`.
    patience : int, default=10
        Epochs without improvement before training stops; needs `validation_fraction`.
    image_shape : tuple of int, default=None
        Shape of a row, such as (C, H, W), where X has 2-D rows of images. N-D X brings its own shape.
    dtype : {"auto", "float32", "float64"}, default="auto"
        Numbers of the network. "auto" follows X: float64 rows train a float64 network, all others a float32 one.
    amp : bool, default=False
        Whether to run the network under bfloat16 autocast; faster on GPUs.
    compile : bool, default=False
        Whether to compile the parts of the network with `torch.compile`.
    device : str or torch.device, default="auto"
        "auto" is the GPU where CUDA has one, else the CPU.
    checkpoint : str or Path, default=None
        File in which the whole state of the training is kept. Where it exists, `fit` goes on from it, with the same
        result as if it had never stopped. Another training's file is refused.
    checkpoint_every : int, default=1000
        Steps between two checkpoints; they are written at the end of epochs.
    callbacks : list of skorch callbacks, default=None
        Used in copies: `fit` leaves the given ones as they are.
    verbose : int, default=0
        Whether skorch prints a line for each epoch.
    random_state : int, RandomState instance or None, default=None
        Decides initial weights, order of the rows and the held-out share. None is different each time.

    Attributes
    ----------
    history_ : dict of ndarray
        Means over each epoch: ``loss``, and ``valid_loss`` with held-out rows; and ``step``, the number of steps made
        at its end.
    module_ : torch.nn.Module
        The trained network, in evaluation mode; rows are on its own scale there.
    net_ : skorch.NeuralNet
        What trained it.
    input_shape_ : tuple of int
        Shape in which the network gets a row.
    n_latent_ : int
        Length of a code.
    dtype_ : torch.dtype
        Numbers of the network.
    device_ : torch.device
        Where the network lies.
    n_features_in_ : int
        Numbers in a row: the product of its shape.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    See Also
    --------
    VAE : Codes that follow a known distribution, so that it can sample.

    References
    ----------
    .. [1] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020, supplement, Tables 4, 6 and 9.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.generators import AutoEncoder
    >>> X, _ = load_iris(return_X_y=True)
    >>> encoder = AutoEncoder(module_params={"n_latent": 2}, random_state=0).fit(X)
    >>> codes = encoder.transform(X)
    >>> codes.shape, encoder.inverse_transform(codes).shape
    ((150, 2), (150, 4))
    """

    _architectures = AUTOENCODERS
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "architecture": [StrOptions({"auto", *AUTOENCODERS}), callable],
        **Reconstructor._parameter_constraints,
    }

    def __init__(
        self,
        architecture: str | Callable[..., nn.Module] = "auto",
        *,
        module_params: dict[str, Any] | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_params: dict[str, Any] | None = None,
        lr: float = 1e-3,
        max_epochs: int = 40,
        batch_size: int = 100,
        validation_fraction: float | None = None,
        patience: int = 10,
        image_shape: tuple[int, ...] | None = None,
        dtype: str = "auto",
        amp: bool = False,
        compile: bool = False,
        device: str | torch.device = "auto",
        checkpoint: Any = None,
        checkpoint_every: int = 1000,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.architecture = architecture
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
        self.compile = compile
        self.device = device
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every
        self.callbacks = callbacks
        self.verbose = verbose
        self.random_state = random_state

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return minus the mean squared error of the reconstructions: higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        y : None
            Ignored.

        Returns
        -------
        score : float
            In the squared units of X, mean over rows and numbers.
        """
        check_is_fitted(self)
        decoder = self._forward(self._decoder())
        encoder = self._forward(self._encoder())

        def errors(rows: torch.Tensor) -> tuple[torch.Tensor]:
            (reconstructions,) = decoder(encoder(rows)[0])
            differences = rows.to(reconstructions).flatten(1) - reconstructions.flatten(1)
            return (differences.square().mean(1),)

        (means,) = self._run(X, errors)
        return -float(means.mean(dtype=np.float64))

    def _choose(self, input_shape: tuple[int, ...]) -> str:
        if len(input_shape) != 3 or min(input_shape[1:]) < 16:
            return "dense"
        if input_shape[0] == 1 and max(input_shape[1:]) <= 32:
            return "mnist"
        return "cifar" if max(input_shape[1:]) <= 48 else "celeba"

    def _row_losses(self) -> RowLosses:
        return reconstruction_loss
