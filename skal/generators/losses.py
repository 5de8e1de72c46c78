"""The terms of the generators' losses, each with its equation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def interpolate(real: Tensor, fake: Tensor, share: Tensor | None = None) -> Tensor:
    """Draw a point on the line between each real row and a generated one, for `gradient_penalty`.

    Parameters
    ----------
    real, fake : Tensor of shape (n_rows, ...)
    share : Tensor of shape (n_rows,), default=None
        How far each point lies from the real row; uniform in [0, 1) by default, from torch's own generator.

    Returns
    -------
    points : Tensor of shape (n_rows, ...)

    Examples
    --------
    >>> import torch
    >>> from skal.generators.losses import interpolate
    >>> interpolate(torch.zeros(2, 1), torch.ones(2, 1), share=torch.tensor([0.25, 1.0]))
    tensor([[0.2500],
            [1.0000]])
    """
    if share is None:
        share = torch.rand(len(real), device=real.device, dtype=real.dtype)
    return torch.lerp(real, fake, share.reshape(-1, *[1] * (real.ndim - 1)))


def gradient_penalty(critic: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    r"""Return the mean of :math:`(\|\nabla_x D(x)\|_2 - 1)^2` over points, the WGAN-GP penalty [1]_, Eq. 3.

    Parameters
    ----------
    critic : callable
        Maps rows to scores of shape (n_rows,), each of which depends only on its own row: no batch normalisation.
    points : Tensor of shape (n_rows, ...)

    Returns
    -------
    penalty : Tensor of shape ()
        Differentiable with respect to the critic's weights.

    References
    ----------
    .. [1] Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017.

    Examples
    --------
    A linear critic has the same gradient everywhere, here of norm 5.

    >>> import torch
    >>> from skal.generators.losses import gradient_penalty
    >>> gradient_penalty(lambda x: x @ torch.tensor([3.0, 4.0]), torch.zeros(7, 2)).item()
    16.0
    """
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def squared_slope(critic: Callable[..., Tensor], *points: Tensor) -> Tensor:
    r"""Return the mean of :math:`\|\nabla_x D(x)\|_2^2` over points, which penalty R1 [1]_, Eq. 9, keeps small.

    Parameters
    ----------
    critic : callable
        Maps points to scores of shape (n_rows,), each of which depends only on its own row: no batch normalisation.
    *points : Tensor of shape (n_rows, ...)
        The critic's arguments; the gradient is taken with respect to all of them together.

    Returns
    -------
    slope : Tensor of shape ()
        Differentiable with respect to the critic's weights.

    References
    ----------
    .. [1] Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018.

    Examples
    --------
    A linear critic has the same gradient everywhere, here of norm 5.

    >>> import torch
    >>> from skal.generators.losses import squared_slope
    >>> squared_slope(lambda x: x @ torch.tensor([3.0, 4.0]), torch.zeros(7, 2)).item()
    25.0
    """
    points = tuple(point.detach().requires_grad_() for point in points)
    gradients = torch.autograd.grad(critic(*points).sum(), points, create_graph=True)
    return sum(gradient.square().flatten(1).sum(dim=1) for gradient in gradients).mean()  # type: ignore[union-attr]


def consistency_term(
    scores: Tensor,
    other_scores: Tensor,
    features: Tensor,
    other_features: Tensor,
    weight: float = 2.0,
    margin: float = 0.0,
) -> Tensor:
    r"""Return the consistency term of WGAN-CT [1]_ between two dropout passes over the same real rows.

    It is the mean over the rows of :math:`\max(0, \lambda_2 [(D - D')^2 + 0.1 \, d(f, f')] - M')` with the mean squared
    difference :math:`d` of the features before the critic's last layer (Eq. 4 and 5, in the form of the reference
    code).

    Parameters
    ----------
    scores, other_scores : Tensor of shape (n_rows,)
    features, other_features : Tensor of shape (n_rows, n_features)
    weight : float, default=2.0
        :math:`\lambda_2`.
    margin : float, default=0.0
        :math:`M'`.

    Returns
    -------
    term : Tensor of shape ()

    References
    ----------
    .. [1] Wei et al., "Improving the Improved Training of Wasserstein GANs", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from skal.generators.losses import consistency_term
    >>> zeros = torch.zeros(1, 2)
    >>> round(consistency_term(torch.tensor([1.0]), torch.tensor([3.0]), zeros, zeros + 2).item(), 6)
    8.8
    """
    distance = (features - other_features).square().flatten(1).mean(dim=1)
    terms = weight * ((scores - other_scores).square() + 0.1 * distance)
    return (terms - margin).clamp_min(0).mean()


def discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    r"""Return half of :math:`-E[\log \sigma(D(x))] - E[\log(1 - \sigma(D(G(z))))]`, a GAN's discriminator loss [1]_.

    Parameters
    ----------
    real_scores, fake_scores : Tensor of shape (n_rows,)
        Logits.

    Returns
    -------
    loss : Tensor of shape ()

    References
    ----------
    .. [1] Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
       Adversarial Networks", ICLR 2016.

    Examples
    --------
    >>> import torch
    >>> from skal.generators.losses import discriminator_loss
    >>> round(discriminator_loss(torch.zeros(3), torch.zeros(3)).item(), 4)
    0.6931
    """
    return (F.softplus(-real_scores).mean() + F.softplus(fake_scores).mean()) / 2


def hinge_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    r"""Return :math:`E[\max(0, 1 - D(x))] + E[\max(0, 1 + D(G(z)))]`, the hinge loss of a discriminator [1]_.

    Parameters
    ----------
    real_scores, fake_scores : Tensor of shape (n_rows,)

    Returns
    -------
    loss : Tensor of shape ()

    References
    ----------
    .. [1] Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.

    Examples
    --------
    >>> import torch
    >>> from skal.generators.losses import hinge_loss
    >>> hinge_loss(torch.tensor([0.5, 3.0]), torch.tensor([-3.0, 1.0])).item()
    1.25
    """
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    r"""Return :math:`KL(N(\mu, \sigma^2) \| N(0, 1)) = \frac12 \sum_j (\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1)`.

    Parameters
    ----------
    mean, log_variance : Tensor of shape (n_rows, n_latent)

    Returns
    -------
    divergence : Tensor of shape (n_rows,)
        In nats, summed over the dimensions [1]_, appendix B.

    References
    ----------
    .. [1] Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014.

    Examples
    --------
    >>> import torch
    >>> from skal.generators.losses import kl_divergence
    >>> kl_divergence(torch.tensor([[1.0, 0.0], [3.0, 4.0]]), torch.zeros(2, 2))
    tensor([ 0.5000, 12.5000])
    """
    return (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1) / 2


def squared_error(rows: Tensor, reconstructions: Tensor) -> Tensor:
    r"""Return :math:`\|x - \hat x\|_2^2` of each row, summed over its numbers.

    Parameters
    ----------
    rows, reconstructions : Tensor of shape (n_rows, ...)

    Returns
    -------
    error : Tensor of shape (n_rows,)

    Examples
    --------
    >>> import torch
    >>> from skal.generators.losses import squared_error
    >>> squared_error(torch.ones(2, 1, 3), torch.zeros(2, 1, 3))
    tensor([3., 3.])
    """
    return (rows - reconstructions).square().flatten(1).sum(dim=1)
