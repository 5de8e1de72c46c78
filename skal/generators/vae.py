"""Variational autoencoders."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from .coding import PosteriorMixin
from .losses import kl_divergence, squared_error
from .reconstruction import Losses, Reconstructor, RowLosses


@dataclass(eq=False, repr=False, kw_only=True)
class VAE(PosteriorMixin, Reconstructor):
    r"""Variational autoencoder [1]_: normally distributed latents of rows, and rows from such latents.

    An encoder gives the mean and variance of each row's latents, q(z|x); the loss is the negative evidence lower bound
    up to a constant,

    .. math:: E_{z \sim q(z|x)} \|x - \hat x(z)\|_2^2 + \beta \, KL(q(z|x) \| N(0, 1)),

    with the squared error summed over the numbers of a row, on the network's scale (pixels in [0, 1], or standardised
    features), and the divergence over the latent dimensions. With means instead of sums, the posterior would collapse.
    The VAE is the encoder of DGAL [2]_, whose settings are the defaults.

    Parameters
    ----------
    n_latent : int, default=50
        Length of a latent vector.
    beta : float, default=1.0
        Weight of the divergence. Smaller values keep more detail of small or faint images. If ``kl`` in `history_`
        falls to nearly zero, the latents carry no information.
    architecture : str or type, default="auto"
        A name in `skal.nets.VAES`: "dense" for plain rows, "conv" and "resnet18" for images. Or a class
        ``module(input_shape, n_latent)`` with ``encode(x)``, the mean and the logarithm of the variance, ``decode(z)``,
        `n_latent`, and `output_range` if its outputs are bounded. "auto" is "conv" for
        images of 16x16 pixels and more, else "dense".
    module_params : dict, default=None
        Further arguments of the architecture, such as ``{"n_filters": 64}``.
    {optimizer, optimizer_params}
    lr : float, default=5e-4
        Learning rate.
    max_epochs : int, default=300
        Passes over the rows; fewer if early stopping ends training.
    {batch_size}
    validation_fraction : float, default=0.1
        Share of the rows, in (0, 1), that is held out and decides when to stop: after `patience` epochs in a row whose
        held-out loss does not improve on the best one by more than a share of 1e-4. The weights are then those of the
        last epoch that did improve. None trains on all rows for `max_epochs`.
    patience : int, default=20
        Epochs without improvement before training stops; needs `validation_fraction`.
    {image_shape, dtype, amp, compile, device, checkpoint, checkpoint_every, callbacks, verbose, random_state}

    Attributes
    ----------
    history_ : dict of ndarray
        Means over each epoch: ``loss`` and its terms ``reconstruction`` and ``kl`` (without `beta`), the same with
        ``valid_`` for the held-out rows, and ``step``, the number of steps made at its end.
    {module_, net_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_}
    n_latent_ : int
        Length of a latent vector.

    See Also
    --------
    ALI : A GAN with an encoder.
    GAN : Its images are sharper, and training takes longer.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.generators import VAE
    >>> X, _ = load_iris(return_X_y=True)
    >>> vae = VAE(n_latent=2, lr=5e-3, max_epochs=20, random_state=0).fit(X)
    >>> vae.transform(X).shape, vae.sample(5).shape
    ((150, 2), (5, 4))
    >>> bool(vae.history_["loss"][-1] < vae.history_["loss"][0])
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "beta": [Interval(Real, 0, None, closed="left")],
    }

    n_latent: int = field(default=50, kw_only=False)
    beta: float = 1.0
    lr: float = 5e-4
    max_epochs: int = 300
    validation_fraction: float | None = 0.1
    patience: int = 20

    def score_samples(self, X: ArrayLike) -> NDArray[np.floating]:
        """Return minus the loss of each row: with ``beta=1`` a lower bound of its log-likelihood, up to a constant.

        The expectation over the latents is estimated from one draw and its mirror image; all rows share both.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In nats, on the network's scale.
        """
        check_is_fitted(self)
        noise = np.random.default_rng(self.net_.seed).standard_normal(self.n_latent_)
        net = self.net_.for_prediction()
        draws = [torch.as_tensor(draw, dtype=self.dtype_, device=self.device_) for draw in (noise, -noise)]

        def scores(rows: torch.Tensor) -> tuple[torch.Tensor]:
            rows = net.prepare_rows(rows)
            with net.autocast():
                losses = [elbo_terms(net.module_, rows, self.beta, noise=draw)["loss"] for draw in draws]
            return (-(losses[0] + losses[1]).to(self.dtype_) / 2,)

        (values,) = self._run(X, scores)
        return values

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Return the mean of `score_samples`: higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        y : None
            Ignored.

        Returns
        -------
        score : float
        """
        return float(self.score_samples(X).mean(dtype=np.float64))

    def _row_losses(self) -> RowLosses:
        return partial(elbo_terms, beta=self.beta)


def elbo_terms(
    module: torch.nn.Module,
    rows: torch.Tensor,
    beta: float = 1.0,
    noise: torch.Tensor | None = None,
    posterior: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> Losses:
    """Return the loss of each row, minus the evidence lower bound, and its two terms.

    Parameters
    ----------
    module : torch.nn.Module
        With ``encode`` and ``decode``.
    rows : Tensor of shape (n_rows, ...)
    beta : float, default=1.0
        Weight of the divergence.
    noise : Tensor of shape (n_rows, n_latent) or (n_latent,), default=None
        Standard normal; drawn from torch's own generator by default.
    posterior : tuple of Tensor, default=None
        The output of ``encode`` for the rows, if it is already known.

    Returns
    -------
    terms : dict of Tensor of shape (n_rows,)
        ``loss``, ``reconstruction`` and ``kl``.
    """
    mean, log_variance = posterior or module.encode(rows)  # type: ignore[operator]
    noise = torch.randn_like(mean) if noise is None else noise
    latents = mean + (log_variance / 2).exp() * noise
    reconstruction = squared_error(rows, module.decode(latents))  # type: ignore[operator]
    kl = kl_divergence(mean, log_variance)
    return {"loss": reconstruction + beta * kl, "reconstruction": reconstruction, "kl": kl}
