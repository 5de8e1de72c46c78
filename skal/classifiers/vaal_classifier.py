"""VAAL's classifier: a network, and beside it a VAE with a discriminator of labelled rows (Sinha et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ..generators import VAE
from ..nets import MLP, VAES
from ..training.batches import Rows
from ..training.estimator import evaluating, module_builder, optimizer_params, resolve_device, seeded
from ..training.net import check_weights, copy_weights
from ..training.scaling import learn_scaling
from ..utils.random import draw_seed
from ._partial import PartialLabelsClassifier
from ._vaal_net import VAALNet
from .cnn import CNNClassifier


class VAALClassifier(PartialLabelsClassifier):
    r"""A `CNNClassifier` with VAAL's [1]_ adversary, which tells labelled rows from unlabelled ones.

    The network learns the labelled rows as :class:`CNNClassifier` does. Beside it, a variational autoencoder with the
    means :math:`\mu(x)` and a discriminator D of these learn all rows :math:`x_L`, labelled, and :math:`x_U`, not
    (Eq. 1 to 6):

    .. math::

        \mathcal{L}_{VAE} &= \sum_{s \in \{L, U\}} E[\|x_s - \hat x_s\|_2^2
            + \beta \, KL(q(z|x_s) \| N(0, 1))] - \lambda E[\log D(\mu(x_s))]

        \mathcal{L}_D &= -E[\log D(\mu(x_L))] - E[\log(1 - D(\mu(x_U)))]

    :class:`skal.strategies.VAAL` asks for the rows that D takes for unlabelled.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, which
    stay plain rows.

    Parameters
    ----------
    architecture : str or type, default="auto"
        As in :class:`CNNClassifier`, but "auto" is :class:`skal.nets.MLP` for plain rows.
    vae : {"auto", "dense", "conv", "resnet18"} or type, default="auto"
        The autoencoder's network, as in the `architecture` of :class:`skal.generators.VAE`.
    vae_params : dict, default=None
        Further arguments of `vae`, such as ``{"n_filters": 64}``.
    n_latent : int, default=50
        Length of a latent vector.
    beta : float, default=1.0
        Weight of the divergence.
    adversary_weight : float, default=1.0
        :math:`\lambda`, the weight of fooling the discriminator.
    discriminator_params : dict, default=None
        Further arguments of the discriminator, a :class:`skal.nets.MLP`; ``{"hidden": (512, 512)}`` by default.
    vae_lr : float, default=5e-4
        Learning rate of the autoencoder, by Adam.
    discriminator_lr : float, default=1e-4
        Learning rate of the discriminator, by Adam. It is that of DGAL's experiments [2]_; VAAL's is 5e-4.
    vae_epochs : int, default=100
        Passes of the two over the unlabelled rows.
    vae_batch_size : int, default=64
        Unlabelled rows of a step, and labelled ones: all of these where there are fewer.
    module_params, optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, callbacks
        As in :class:`NetClassifier`; of the network alone.
    image_shape, dtype, amp, device, verbose, random_state
        As in :class:`NetClassifier`; of all networks.
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit`, with fresh optimizers; the autoencoder's scale
        stays that of the first one.

    Attributes
    ----------
    vae_net_ : skorch.NeuralNet
        What trained the autoencoder, ``vae_net_.module_``, and the discriminator, ``vae_net_.discriminator_``;
        ``vae_net_.history`` has the losses of each epoch, where each term is the sum of the two means.
    classes_, net_, module_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_
        As in :class:`NetClassifier`.

    See Also
    --------
    skal.strategies.VAAL : The strategy that needs it.

    Notes
    -----
    The paper trains the network in the same loop as the other two. They share no weights and no loss, so training
    them one after the other is the same.

    Choices: The discriminator sees the means, as in the authors' code, in training as in prediction: what is compared
    is rows, and the noise of a draw from q(z|x) would only blur them. Squared error and divergence are sums over a
    row, the evidence lower bound of Eq. 1; the authors' code has means over pixels beside a divergence summed over the
    batch. Both networks make a step for each pair of batches, as in Algorithm 1, where that code makes two of
    the autoencoder, and the discriminator learns from the means of the same pass. The two batches pass through the
    encoder together, so batch normalisation treats both alike, as it does in prediction.

    With all rows labelled the terms of the unlabelled ones fall away, and an epoch is a pass over the labelled rows.

    References
    ----------
    .. [1] Sinha, Ebrahimi and Darrell, "Variational Adversarial Active Learning", ICCV 2019.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024; its baseline "GANVAE".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import VAALClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::2] = -1
    >>> clf = VAALClassifier(lr=0.01, vae_epochs=2, n_latent=2, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9, clf.labeled_proba(X).shape
    (True, (150,))
    """

    _nets = ("net_", "vae_net_")
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CNNClassifier._parameter_constraints,
        "vae": [StrOptions({"auto", *VAES}), callable],
        "vae_params": [dict, None],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "beta": [Interval(Real, 0, None, closed="left")],
        "adversary_weight": [Interval(Real, 0, None, closed="left")],
        "discriminator_params": [dict, None],
        "vae_lr": [Interval(Real, 0, None, closed="neither")],
        "discriminator_lr": [Interval(Real, 0, None, closed="neither")],
        "vae_epochs": [Interval(Integral, 1, None, closed="left")],
        "vae_batch_size": [Interval(Integral, 1, None, closed="left")],
    }

    vae_net_: VAALNet

    def __init__(
        self,
        architecture: str | Callable[..., torch.nn.Module] = "auto",
        *,
        vae: str | Callable[..., torch.nn.Module] = "auto",
        vae_params: dict[str, Any] | None = None,
        n_latent: int = 50,
        beta: float = 1.0,
        adversary_weight: float = 1.0,
        discriminator_params: dict[str, Any] | None = None,
        vae_lr: float = 5e-4,
        discriminator_lr: float = 1e-4,
        vae_epochs: int = 100,
        vae_batch_size: int = 64,
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
        super().__init__(
            architecture,
            module_params=module_params,
            optimizer=optimizer,
            optimizer_params=optimizer_params,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            patience=patience,
            image_shape=image_shape,
            dtype=dtype,
            amp=amp,
            device=device,
            warm_start=warm_start,
            callbacks=callbacks,
            verbose=verbose,
            random_state=random_state,
        )
        self.vae = vae
        self.vae_params = vae_params
        self.n_latent = n_latent
        self.beta = beta
        self.adversary_weight = adversary_weight
        self.discriminator_params = discriminator_params
        self.vae_lr = vae_lr
        self.discriminator_lr = discriminator_lr
        self.vae_epochs = vae_epochs
        self.vae_batch_size = vae_batch_size

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network on the labelled rows, the autoencoder and the discriminator on all.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            All rows, labelled or not.
        y : array-like of shape (n_samples,)
            Partial labels, of two classes or more: -1 where there is none, or, among strings, ``None``, NaN or -1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the labelled rows in the network's loss; those of the others are ignored.

        Returns
        -------
        self : VAALClassifier

        Raises
        ------
        ValueError
            As :class:`NetClassifier` does, and if no two classes are labelled.
        TypeError
            If `architecture` or `vae` is an instance.
        """
        device = resolve_device(self.device)
        continues = self._continues
        rows, labels, labeled, weight = self._validate_partial(X, y, sample_weight, reset=not continues)
        input_shape, dtype = self._input_shape(rows.shape[1:]), self._network_dtype(rows)
        seed = draw_seed(self.random_state)

        vae_net = self._make_vae_net(input_shape, dtype=dtype, amp=self.amp, seed=seed, device=str(device))
        vae_net.scaling = learn_scaling(rows, vae_net.output_range, is_image=len(input_shape) > 1)
        with seeded(seed, device):
            vae_net.initialize()  # refuses what does not fit before anything is trained
        if continues:
            for old, new in zip(self.vae_net_.modules, vae_net.modules, strict=True):
                copy_weights(old, new)
        known = rows if labeled.all() else rows[labeled]
        fitted = self._train(known, labels[labeled], weight, device, seed)
        data = Rows(rows, dtype=dtype, device=device)
        with seeded(seed + 1, device):
            vae_net.partial_fit([data.subset(np.flatnonzero(part)) for part in (labeled, ~labeled)])
        check_weights(vae_net, *vae_net.modules)
        for module in vae_net.modules:
            module.eval()
        self._set({**fitted, "vae_net_": vae_net})
        return self

    def labeled_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Compute the probability that rows are labelled, :math:`D(\mu(x))`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of shape (n_samples,)
            By the discriminator; nothing is drawn. In float64, where small ones do not round to zero.
        """
        check_is_fitted(self)
        with evaluating(*self.vae_net_.modules):
            (logits,) = self._run(X, lambda rows: (self.vae_net_.discriminate(rows),))
        return expit(logits.astype(np.float64))

    def _make_vae_net(self, input_shape: tuple[int, ...], **params: Any) -> VAALNet:
        """Return the net of autoencoder and discriminator, not initialized."""
        vae = VAE(architecture=self.vae)._module_class(input_shape)
        vae_params = {"n_latent": self.n_latent, **(self.vae_params or {})}
        discriminator_params = {"hidden": (512, 512), **(self.discriminator_params or {})}
        return VAALNet(
            module_builder(vae, vae_params, name="vae", input_shape=input_shape),
            module_builder(MLP, discriminator_params, name="discriminator", n_classes=1),
            beta=self.beta,
            adversary_weight=self.adversary_weight,
            discriminator_lr=self.discriminator_lr,
            output_range=getattr(vae, "output_range", None),
            lr=self.vae_lr,
            max_epochs=self.vae_epochs,
            batch_size=self.vae_batch_size,
            optimizer=torch.optim.Adam,
            verbose=self.verbose,
            input_shape=input_shape,
            **optimizer_params(torch.optim.Adam, None, name="module_optimizer"),
            **optimizer_params(torch.optim.Adam, None, name="discriminator_optimizer"),
            **params,
        )

    def _blank_vae_net(self, tensors: dict[str, torch.Tensor], **params: Any) -> VAALNet:
        net = self._make_vae_net(self.input_shape_, **params)
        net.scaling = (tensors["scaling/shift"].numpy(), tensors["scaling/scale"].numpy())
        return net
