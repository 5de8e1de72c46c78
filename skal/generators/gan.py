"""Generative adversarial networks: WGAN-GP, WGAN-CT and DCGAN."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar

from sklearn.utils._param_validation import Interval, StrOptions

from .adversarial import AdversarialEstimator
from .gan_net import GANNet
from .generator import GeneratorMixin


@dataclass(eq=False, repr=False, kw_only=True)
class GAN(GeneratorMixin, AdversarialEstimator):
    """Generative adversarial network: a generator of rows, trained against a critic that tells them from real ones.

    Wasserstein GAN with gradient penalty [1]_, the same with the consistency term (WGAN-CT) [2]_, or DCGAN [3]_, with
    the networks and settings of ASAL's experiments [4]_. Rows may lie on any scale.

    Parameters
    ----------
    loss : {"wgan_gp", "wgan_ct", "dcgan"}, default="wgan_gp"
        With D the critic and G the generator, the critic descends

        - ``"wgan_gp"``: E[D(G(z))] - E[D(x)] + `penalty` E[(||grad D(x')|| - 1)^2], with x' on the lines between real
          and generated rows; the generator descends -E[D(G(z))];
        - ``"wgan_ct"``: the same with dropout in the critic, and a term that pulls together the scores of a real row
          under two dropout masks;
        - ``"dcgan"``: half of -E[log s(D(x))] - E[log(1 - s(D(G(z))))] with the logistic function s; the generator
          descends -E[log s(D(G(z)))].
    architecture : str or tuple of types, default="auto"
        A pair in `skal.nets.GANS`: "dense" for plain rows; "digits", "mnist", "cifar", "dcgan", "residual", "celeba"
        for images of about 8x8, 28x28, 32x32, 32x32, 32x32 and 64x64 pixels. Or the classes of a generator and a
        critic: ``generator(input_shape, n_latent)`` with an `output_range` if its outputs are bounded,
        ``critic(input_shape)`` with ``embed(x)`` and a linear layer `head`, and no batch normalisation under a gradient
        penalty. "auto" chooses by the shape of a row, but never "residual" or "dcgan".
    {n_latent, n_iter}
    batch_size : int, default=64
        Real rows per critic step; all rows if there are fewer.
    n_critic : int, default=None
        Critic steps per generator step. None is 5, and 1 for "dcgan".
    {penalty}
    consistency : float, default=2.0
        Weight of the consistency term.
    {generator_params}
    {optimizer}
    optimizer_params : dict, default=None
        Further arguments of the optimizers; None is the paper's ``betas`` for Adam: (0.5, 0.9), (0.5, 0.999) for
        "dcgan", (0.0, 0.9) for "residual".
    lr : float, default=None
        Learning rate. For images, None is that of the papers: 1e-4, or 2e-4 for "dcgan" and "residual". For plain rows
        it is 1e-3.
    {image_shape, dtype}
    amp : bool, default=False
        Whether to run the networks under bfloat16 autocast; the gradient penalty stays in full precision. Faster on
        GPUs.
    {compile}
    cuda_graph : bool, default=False
        Whether to capture a step as a CUDA graph, which saves small networks the time that launching kernels takes. It
        needs a GPU.
    {device}
    {checkpoint, checkpoint_every, callbacks}
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
        The trained networks, in evaluation mode. They work with rows on their own scale.
    {net_, input_shape_}
    n_iter_ : int
        Generator steps made.
    n_latent_ : int
        Length of a latent vector.
    {dtype_, device_, n_features_in_, feature_names_in_}

    See Also
    --------
    ALI : Its generator is trained together with an encoder of rows.
    VAE : Also has an encoder. It trains faster, and its images are blurred.

    Notes
    -----
    "residual" follows its reference code: the learning rate falls linearly to zero over `n_iter` steps, uniform noise
    is added to the real rows, and a generator step has twice the `batch_size`.

    Ctrl-C ends training and is raised again; what has been learned is kept. A callback that raises `KeyboardInterrupt`,
    which is skorch's way to stop early, does not count as an interrupt.

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
        "loss": [StrOptions({"wgan_gp", "wgan_ct", "dcgan"})],
        "consistency": [Interval(Real, 0, None, closed="left")],
        "cuda_graph": ["boolean"],
    }

    loss: str = field(default="wgan_gp", kw_only=False)
    consistency: float = 2.0
    cuda_graph: bool = False

    def _deciding_params(self) -> dict[str, Any]:
        params = super()._deciding_params()
        if self.architecture == "residual":  # the learning rate follows from it
            params["n_iter"] = self.n_iter
        return params

    def _make_net(self, input_shape: tuple[int, ...], **params: Any) -> GANNet:
        dcgan, residual = self.loss == "dcgan", self.architecture == "residual"
        return GANNet(
            **self._gan_params(
                input_shape,
                n_latent=self.n_latent,
                n_critic=1 if dcgan else 5,
                lr=2e-4 if dcgan or residual else 1e-4,
                betas=(0.0 if residual else 0.5, 0.999 if dcgan else 0.9),
                batch_norm=dcgan,
                dropout=0.5 if self.loss == "wgan_ct" else 0.0,
            ),
            loss=self.loss,
            consistency=self.consistency,
            generator_share=2 if residual else 1,
            noise=1 / 128 if residual else 0.0,
            decay=residual,
            cuda_graph=self.cuda_graph,
            **params,
        )
