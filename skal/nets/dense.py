"""Our own generative networks for plain feature rows."""

import math
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from .bases import CodeNet, Critic, LatentNet, PosteriorNet
from .layers import LeakyReLU, dense_layers


def _dense(sizes: Sequence[int]) -> nn.Sequential:
    """Return linear layers from size to size, with ReLU between them and none at the end."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class DenseGenerator(LatentNet):
    """Generator of plain feature rows: linear layers with ReLU between them.

    ======================================  ===============
    layer                                   output
    ======================================  ===============
    linear, ReLU, for each of `hidden`      128
    linear                                  `input_shape`
    ======================================  ===============

    The output is linear and unbounded, which suits standardised features.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_latent : int, default=128
        Length of a latent vector.
    hidden : sequence of int, default=(128, 128)
        Units of each hidden layer.

    Attributes
    ----------
    output_range : None
        The output has no bounds.
    default_lr : float
        A suitable learning rate. A tenth of it, which the papers use for images, needs ten times as many steps.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DenseGenerator
    >>> DenseGenerator((20,))(torch.zeros(5, 128)).shape
    torch.Size([5, 20])
    """

    default_lr = 1e-3

    def __init__(
        self, input_shape: tuple[int, ...], n_latent: int = 128, hidden: Sequence[int] = (128, 128)
    ) -> None:
        super().__init__(input_shape, n_latent)
        self.layers = _dense([n_latent, *hidden, math.prod(input_shape)])


class DenseCritic(Critic):
    """Critic of plain feature rows: linear layers with leaky ReLU.

    =================================================================  ===============
    layer                                                              output
    =================================================================  ===============
    linear, leaky ReLU, dropout, for each of `hidden`                  128
    linear                                                             1
    =================================================================  ===============

    The slope is 0.2.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    dropout : float, default=0.0
        Share of hidden units dropped in training, after each hidden layer; for the consistency term of WGAN-CT.
    hidden : sequence of int, default=(128, 128)
        Units of each hidden layer.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DenseCritic
    >>> critic = DenseCritic((20,))
    >>> critic(torch.zeros(5, 20)).shape, critic.embed(torch.zeros(5, 20)).shape
    (torch.Size([5]), torch.Size([5, 128]))
    """

    def __init__(
        self, input_shape: tuple[int, ...], dropout: float = 0.0, hidden: Sequence[int] = (128, 128)
    ) -> None:
        sizes = [math.prod(input_shape), *hidden]
        super().__init__(dense_layers(sizes, LeakyReLU, dropout), sizes[-1])


class DenseAutoEncoder(CodeNet):
    """Autoencoder of plain feature rows: linear layers with ReLU between them.

    ===========================================  ===============
    layer                                        output
    ===========================================  ===============
    linear, ReLU, for each of `hidden`           128
    linear: the code                             `n_latent`
    linear, ReLU, for `hidden` in reverse        128
    linear                                       `input_shape`
    ===========================================  ===============

    Code and output are linear and unbounded, which suits standardised features.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_latent : int, default=None
        Length of a code. None is 16, or the number of features if that is smaller: a code as long as the row can be the
        row itself.
    hidden : sequence of int, default=(128, 128)
        Units of each hidden layer of the encoder.

    Attributes
    ----------
    output_range : None
        The output has no bounds.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DenseAutoEncoder
    >>> net = DenseAutoEncoder((20,))
    >>> code = net.encode(torch.zeros(5, 20))
    >>> code.shape, net.decode(code).shape
    (torch.Size([5, 16]), torch.Size([5, 20]))
    """

    def __init__(
        self, input_shape: tuple[int, ...], n_latent: int | None = None, hidden: Sequence[int] = (128, 128)
    ) -> None:
        n_features = math.prod(input_shape)
        super().__init__(input_shape, min(16, n_features) if n_latent is None else n_latent)
        sizes = [n_features, *hidden, self.n_latent]
        self.encoder = nn.Sequential(nn.Flatten(), *_dense(sizes))
        self.decoder = _dense(sizes[::-1])


class DenseVAE(PosteriorNet):
    """Variational autoencoder of plain feature rows: linear layers with ReLU between them.

    ===========================================  ===============
    layer                                        output
    ===========================================  ===============
    linear, ReLU, for each of `hidden`           128
    linear, the mean and the log-variance        2 x `n_latent`
    linear, ReLU, for `hidden` in reverse        128
    linear                                       `input_shape`
    ===========================================  ===============

    The output is linear and unbounded, which suits standardised features.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row.
    n_latent : int, default=50
        Length of a latent vector. The Kullback-Leibler term switches off the latents that the rows do not need.
    hidden : sequence of int, default=(128, 128)
        Units of each hidden layer of the encoder.

    Attributes
    ----------
    output_range : None
        The output has no bounds.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import DenseVAE
    >>> net = DenseVAE((20,))
    >>> mean, log_variance = net.encode(torch.zeros(5, 20))
    >>> mean.shape, log_variance.shape, net.decode(mean).shape
    (torch.Size([5, 50]), torch.Size([5, 50]), torch.Size([5, 20]))
    """

    def __init__(
        self, input_shape: tuple[int, ...], n_latent: int = 50, hidden: Sequence[int] = (128, 128)
    ) -> None:
        super().__init__(input_shape, n_latent)
        n_features = math.prod(input_shape)
        self.encoder = nn.Sequential(nn.Flatten(), *_dense([n_features, *hidden, 2 * n_latent]))
        self.decoder = _dense([n_latent, *reversed(hidden), n_features])
