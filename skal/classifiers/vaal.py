"""VAAL's classifier: a network, and beside it a VAE with a discriminator of labelled rows (Sinha et al., 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import nn

from ..generators import VAE
from ..generators.vae import elbo_terms
from ..nets import MLP, VAES
from ..training.batches import Rows
from ..training.devices import seeded
from ..training.estimator import module_builder, optimizer_params
from ..training.interrupts import noticing_interrupt, raise_interrupt
from ..training.scaling import learn_scaling
from .cnn import AnyRowsClassifier
from .vaal_net import VAALNet


@dataclass(eq=False, repr=False, kw_only=True)
class VAALClassifier(AnyRowsClassifier):
    r"""A `CNNClassifier` with VAAL's [1]_ adversary, which tells labelled rows from unlabelled ones.

    The network learns from the labelled rows as :class:`CNNClassifier` does. A variational autoencoder with the means
    :math:`\mu(x)`, and a discriminator D of these means, learn from all rows, the labelled rows :math:`x_L` and the
    unlabelled rows :math:`x_U` (Eq. 1 to 6):

    .. math::

        \mathcal{L}_{VAE} &= \sum_{s \in \{L, U\}} E[\|x_s - \hat x_s\|_2^2
            + \beta \, KL(q(z|x_s) \| N(0, 1))] - \lambda E[\log D(\mu(x_s))]

        \mathcal{L}_D &= -E[\log D(\mu(x_L))] - E[\log(1 - D(\mu(x_U)))]

    :class:`skal.strategies.VAAL` asks for the rows that D takes for unlabelled.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, which
    stay plain rows.

    Parameters
    ----------
    {architecture}
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
        Learning rate of the discriminator, by Adam. The default is from DGAL's experiments [2]_; VAAL uses 5e-4.
    vae_epochs : int, default=100
        Passes of autoencoder and discriminator over the unlabelled rows.
    vae_batch_size : int, default=64
        Unlabelled rows per step, and labelled rows per step; all labelled rows if there are fewer.
    {module_params, optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, image_shape,
    dtype, scale, augment, class_weight, classes, amp, device}
    warm_start : bool, default=False
        Whether `fit` continues from the weights of the last `fit`, with fresh optimizers. The autoencoder keeps the
        scale of the first `fit`.
    {callbacks, verbose, random_state}

    Attributes
    ----------
    vae_net_ : skorch.NeuralNet
        The net with the autoencoder, ``vae_net_.module_``, and the discriminator, ``vae_net_.discriminator_``.
        ``vae_net_.history`` has the losses of each epoch; each term is the sum of its means over labelled and over
        unlabelled rows.
    {classes_, net_, module_, input_shape_, dtype_, scale_, takes_bytes_, device_, n_features_in_, feature_names_in_}

    See Also
    --------
    skal.strategies.VAAL : The strategy that needs it.

    Notes
    -----
    Optimizer, callbacks and early stopping apply to the network only; number format and device apply to all networks.

    The paper trains the network in the same loop as the other two. The network shares no weights and no loss with them,
    so training it separately gives the same result.

    Choices: The discriminator sees the means, as in the authors' code, in training and in prediction; the noise of a
    draw from q(z|x) would only blur the rows. Squared error and divergence are summed per row, which gives the evidence
    lower bound of Eq. 1; the authors' code combines means over pixels with a divergence summed over the batch. Both
    networks make one step per pair of batches, as in Algorithm 1 (the authors' code makes two steps of the
    autoencoder), and the discriminator learns from the means of the same pass. The two batches pass through the encoder
    together, so batch normalisation treats both alike, as in prediction.

    If all rows are labelled, the terms of unlabelled rows are left out, and an epoch is a pass over the labelled rows.

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

    uses_unlabeled: ClassVar[bool] = True
    _takes_mappings: ClassVar[bool] = False
    _nets: ClassVar[tuple[str, ...]] = ("net_", "vae_net_")

    _parameter_constraints: ClassVar[dict[str, Any]] = {
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

    vae: str | Callable[..., nn.Module] = "auto"
    vae_params: dict[str, Any] | None = None
    n_latent: int = 50
    beta: float = 1.0
    adversary_weight: float = 1.0
    discriminator_params: dict[str, Any] | None = None
    vae_lr: float = 5e-4
    discriminator_lr: float = 1e-4
    vae_epochs: int = 100
    vae_batch_size: int = 64

    vae_net_: VAALNet = field(init=False)

    def _train(
        self,
        rows: NDArray[Any],
        labels: NDArray[Any],
        labeled: NDArray[np.bool_],
        weight: NDArray[Any] | None,
        device: torch.device,
        seed: int,
    ) -> dict[str, Any]:
        """Train the network on the labelled rows, and the autoencoder and the discriminator on all rows."""
        input_shape, dtype = self._input_shape(rows.shape[1:]), self._network_dtype(rows)
        vae_net = self._make_vae_net(input_shape, dtype=dtype, amp=self.amp, seed=seed, device=str(device))
        vae_net.scaling = learn_scaling(rows, vae_net.output_range, is_image=len(input_shape) > 1)
        with seeded(seed, device):
            vae_net.initialize()  # refuses what does not fit before anything is trained
        if self._continues:
            vae_net.continue_from(self.vae_net_)
        known = rows if labeled.all() else rows[labeled]
        fitted = super()._train(known, labels, labeled[labeled], weight, device, seed)
        raise_interrupt(fitted["net_"])
        data = Rows(rows, dtype=dtype, device=device)
        with seeded(seed + 1, device), noticing_interrupt(vae_net):
            vae_net.partial_fit([tuple(data.subset(np.flatnonzero(part)) for part in (labeled, ~labeled))])
        vae_net.finish()
        raise_interrupt(vae_net)
        return {**fitted, "vae_net_": vae_net}

    def labeled_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        r"""Compute the probability that rows are labelled, :math:`D(\mu(x))`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of shape (n_samples,)
            In float64, so that small probabilities do not round to zero. Nothing is drawn at random.
        """
        check_is_fitted(self)
        net = self.vae_net_.for_prediction()
        (logits,) = self._run(X, lambda rows: (net.discriminate(rows),))
        return expit(logits.astype(np.float64))

    def _make_vae_net(self, input_shape: tuple[int, ...], **params: Any) -> VAALNet:
        """Return the net of autoencoder and discriminator, not initialized."""
        vae = VAE(architecture=self.vae)._module_class(input_shape)
        vae_params = {"n_latent": self.n_latent, **(self.vae_params or {})}
        discriminator_params = {"hidden": (512, 512), **(self.discriminator_params or {})}
        return VAALNet(
            module_builder(vae, vae_params, name="vae", input_shape=input_shape),
            discriminator=module_builder(MLP, discriminator_params, name="discriminator", n_classes=1),
            row_losses=partial(elbo_terms, beta=self.beta),
            adversary_weight=self.adversary_weight,
            rates={"discriminator": self.discriminator_lr},
            output_range=getattr(vae, "output_range", None),
            lr=self.vae_lr,
            max_epochs=self.vae_epochs,
            batch_size=self.vae_batch_size,
            optimizer=torch.optim.Adam,
            verbose=self.verbose,
            input_shape=input_shape,
            **optimizer_params(torch.optim.Adam, None),
            **params,
        )
