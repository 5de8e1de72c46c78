"""Generative adversarial networks: WGAN-GP, WGAN-CT and DCGAN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ..nets import GANS
from ..training.estimator import module_builder, optimizer_params
from ..utils.docstrings import inherits_doc
from .gan_net import GANNet
from .generator import Generator
from .maps import LatentsToRows, RowsToFeatures

Module = Callable[..., nn.Module]


@inherits_doc()
@dataclass(eq=False, repr=False, kw_only=True)
class GAN(Generator):
    """Generative adversarial network: a generator of rows, trained against a critic that tells them from real ones.

    Wasserstein GAN with gradient penalty [1]_, the same with the consistency term (WGAN-CT) [2]_, or DCGAN [3]_, with
    the networks and settings of ASAL's experiments [4]_. Rows may lie on any scale.

    Parameters
    ----------
    loss : {"wgan_gp", "wgan_ct", "dcgan"}, default="wgan_gp"
        With D the critic and G the generator, the critic descends

        - ``"wgan_gp"``: E[D(G(z))] - E[D(x)] + `penalty` E[(||grad D(x')|| - 1)^2], with x' on the lines between real
          and generated rows; the generator descends -E[D(G(z))];
        - ``"wgan_ct"``: the same with dropout in the critic, and a term that pulls the answers for a real row under
          two dropout masks together;
        - ``"dcgan"``: half of -E[log s(D(x))] - E[log(1 - s(D(G(z))))] with the logistic function s; the generator
          descends -E[log s(D(G(z)))].
    architecture : str or tuple of types, default="auto"
        A pair in `skal.nets.GANS`: "dense" for plain rows; "digits", "mnist", "cifar", "dcgan", "residual", "celeba"
        for images of about 8x8, 28x28, 32x32, 32x32, 32x32 and 64x64 pixels. Or the classes of a generator and a
        critic: ``generator(input_shape, n_latent)`` with an `output_range` if its outputs are bounded,
        ``critic(input_shape)`` with ``embed(x)`` and a linear layer `head`, and no batch normalisation under a gradient
        penalty. "auto" chooses by the shape of a row, and never "residual" or "dcgan".
    n_latent : int, default=128
        Length of a latent vector, standard normal.
    n_iter : int, default=3000
        Generator steps. The papers make 40,000 to 200,000.
    batch_size : int, default=64
        Real rows per critic step; all rows if there are fewer.
    n_critic : int, default=None
        Critic steps per generator step. None is 5, and 1 for "dcgan".
    penalty : float, default=10.0
        Weight of the gradient penalty. A critic with batch normalisation needs 0.
    consistency : float, default=2.0
        Weight of the consistency term.
    generator_params, critic_params : dict, default=None
        Further arguments of the networks.
    {optimizer}
    optimizer_params : dict, default=None
        Further arguments of the optimizers; None is the paper's ``betas`` for Adam: (0.5, 0.9), (0.5, 0.999) for
        "dcgan", (0.0, 0.9) for "residual".
    lr : float, default=None
        Learning rate; None is the paper's: 1e-4, and 2e-4 for "dcgan" and "residual".
    {image_shape, dtype}
    amp : bool, default=False
        Whether to run the networks under bfloat16 autocast; the gradient penalty stays in full precision. Faster on
        GPUs.
    compile : bool, default=False
        Whether to compile the generator, and the critic of "dcgan", with `torch.compile`. torch cannot compile what
        a gradient penalty differentiates twice.
    cuda_graph : bool, default=False
        Whether to capture a step as a CUDA graph, which saves small networks the time of launching their kernels.
        Needs a GPU.
    {device}
    checkpoint : str or Path, default=None
        File that keeps the whole state of the training. If it exists, `fit` continues from it, with the same result
        as without the interruption; a larger `n_iter` trains further. The file of another training is refused.
    checkpoint_every : int, default=1000
        Steps between two checkpoints, which are written at the end of a record of 100 steps.
    callbacks : list of skorch callbacks, default=None
        `fit` uses copies and leaves these as they are. They see a record of 100 steps as an epoch.
    {verbose}
    random_state : int, RandomState instance or None, default=None
        Decides the initial weights, the order of the rows, the latents and dropout. With None each `fit` is different.

    Attributes
    ----------
    history_ : dict of ndarray
        Means over each record of up to 100 steps: ``critic_loss``, ``generator_loss``, ``wasserstein`` (E[D(x)] -
        E[D(G(z))]), ``gradient_penalty`` and ``consistency`` (with their weights); and ``step``, the generator steps
        made at its end.
    generator_, critic_ : torch.nn.Module
        The trained networks, in evaluation mode; rows are on their own scale there.
    {net_, input_shape_}
    n_latent_ : int
        Length of a latent vector.
    {dtype_, device_, n_features_in_, feature_names_in_}

    See Also
    --------
    VAE : The other generator. It trains faster and its images are blurred.

    Notes
    -----
    "residual" follows its reference code: the learning rate falls linearly to zero over `n_iter` steps, the real rows
    get uniform noise, and a generator step has twice the `batch_size`.

    Ctrl-C ends the training and keeps what was learned, as it does in skorch.

    References
    ----------
    .. [1] Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017.
    .. [2] Wei et al., "Improving the Improved Training of Wasserstein GANs", ICLR 2018.
    .. [3] Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
       Adversarial Networks", ICLR 2016.
    .. [4] Mayer and Timofte, "Adversarial Sampling for Active Learning", WACV 2020, supplement, Tables 3, 5, 7, 8, 10.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.generators import GAN
    >>> X, _ = load_iris(return_X_y=True)
    >>> gan = GAN(n_latent=8, n_iter=20, random_state=0).fit(X)
    >>> gan.sample(5).shape
    (5, 4)
    >>> gan.transform(X).shape
    (150, 128)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Generator._parameter_constraints,
        "loss": [StrOptions({"wgan_gp", "wgan_ct", "dcgan"})],
        "architecture": [StrOptions({"auto", *GANS}), tuple, list],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "n_critic": [Interval(Integral, 1, None, closed="left"), None],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "consistency": [Interval(Real, 0, None, closed="left")],
        "generator_params": [dict, None],
        "critic_params": [dict, None],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
        "cuda_graph": ["boolean"],
    }

    loss: str = field(default="wgan_gp", kw_only=False)
    architecture: str | tuple[Module, Module] = "auto"
    n_latent: int = 128
    n_iter: int = 3000
    n_critic: int | None = None
    penalty: float = 10.0
    consistency: float = 2.0
    generator_params: dict[str, Any] | None = None
    critic_params: dict[str, Any] | None = None
    lr: float | None = None
    cuda_graph: bool = False

    net_: GANNet = field(init=False)

    @property
    def generator_(self) -> nn.Module:
        """The trained generator."""
        return self.net_.generator_

    @property
    def critic_(self) -> nn.Module:
        """The trained critic."""
        return self.net_.critic_

    @property
    def n_latent_(self) -> int:
        """Length of a latent vector."""
        return self.net_.n_latent

    def _deciding_params(self) -> dict[str, Any]:
        params = super()._deciding_params()
        if self.architecture == "residual":  # the learning rate follows from it
            params["n_iter"] = self.n_iter
        return params

    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> GANNet:
        generator, critic = gan_classes(self.architecture, input_shape)
        dcgan = self.loss == "dcgan"
        residual = self.architecture == "residual"
        settings = self.optimizer_params
        if settings is None and self.optimizer is torch.optim.Adam:
            settings = {"betas": (0.0 if residual else 0.5, 0.999 if dcgan else 0.9)}
        # Each critic takes those of them that it has.
        variant = {"batch_norm": dcgan, "dropout": 0.5 if self.loss == "wgan_ct" else 0.0}
        return GANNet(
            module_builder(
                generator, self.generator_params, "generator", input_shape=input_shape, n_latent=self.n_latent
            ),
            module_builder(critic, self.critic_params, "critic", input_shape=input_shape, **variant),
            loss=self.loss,
            n_latent=self.n_latent,
            n_iter=self.n_iter,
            n_critic=self.n_critic or (1 if dcgan else 5),
            generator_batch_size=(2 if residual else 1) * self.batch_size,
            penalty=self.penalty,
            consistency=self.consistency,
            noise=1 / 128 if residual else 0.0,
            decay=residual,
            cuda_graph=self.cuda_graph,
            output_range=getattr(generator, "output_range", None),
            compile_modules=self.compile,
            lr=self.lr or (2e-4 if dcgan or residual else 1e-4),
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            verbose=self.verbose,
            **optimizer_params(self.optimizer, settings, "generator_optimizer"),
            **optimizer_params(self.optimizer, settings, "critic_optimizer"),
            input_shape=input_shape,
            **params,
        )

    def _encoder(self) -> nn.Module:
        return RowsToFeatures(self.critic_, "embed", self.net_)

    def _decoder(self) -> nn.Module:
        return LatentsToRows(self.generator_, "forward", self.net_, self.row_shape_)


def gan_classes(
    architecture: str | tuple[Module, Module], input_shape: tuple[int, ...], *, colour: str = "cifar"
) -> tuple[Module, Module]:
    """Return the classes of the generator and the critic; "auto" takes the pair `colour` for 32x32 colour images."""
    if not isinstance(architecture, str):
        if len(architecture) != 2 or not all(map(callable, architecture)):
            raise ValueError(
                f"architecture={architecture!r} was given; it must be a name in skal.nets.GANS, "
                "or the two classes (generator, critic)"
            )
        generator, critic = architecture
        return generator, critic
    if architecture != "auto":
        return GANS[architecture]
    if len(input_shape) != 3:
        return GANS["dense"]
    n_channels, *sides = input_shape
    if min(sides) < 16:
        return GANS["digits"]
    if n_channels == 1 and max(sides) <= 32:
        return GANS["mnist"]
    return GANS[colour if max(sides) <= 48 else "celeba"]
