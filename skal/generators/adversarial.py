"""The base of the GANs: a generator and a critic, each with its optimizer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from ..nets import GANS
from ..nets.shapes import architecture_for
from ..training.estimator import module_builder, optimizer_params
from .base import GenerativeEstimator
from .gan_net import GANNet
from .maps import LatentsToRows, RowsToFeatures
from .stepped_net import n_steps_for

Module = Callable[..., nn.Module]


@dataclass(eq=False, repr=False, kw_only=True)
class AdversarialEstimator(GenerativeEstimator):
    """Base of the GANs.

    Parameters
    ----------
    architecture : str or tuple of types, default="auto"
        A pair in `skal.nets.GANS`, or the classes of a generator and a critic.
    n_latent : int, default=128
        Length of a latent vector, standard normal.
    n_iter : int or "auto", default="auto"
        Generator steps. "auto" makes 5 sqrt(rows x columns) of them, at least 200 and at most 3000: 200 for 150 rows
        of 4 numbers, 1696 for 1797 rows of 64. The papers use 40,000 to 200,000 steps.
    penalty : float, default=10.0
        Weight of the gradient penalty. A critic with batch normalisation needs 0.
    generator_params, critic_params : dict, default=None
        Further arguments of the networks.
    compile : bool, default=False
        Whether to compile the generator, and the critic of "dcgan", with `torch.compile`. torch cannot compile networks
        that a gradient penalty differentiates twice.
    checkpoint : str or Path, default=None
        File that keeps the whole state of training. If it exists, `fit` continues from it, with the same result as
        without the interruption; a larger `n_iter` trains further. The file of another training run is refused.
    checkpoint_every : int, default=1000
        Steps between two checkpoints, which are written at the end of a record of 100 steps.
    callbacks : list of skorch callbacks, default=None
        `fit` uses copies and leaves the originals unchanged. A record of 100 steps counts as an epoch for them.
    n_critic : int, default=None
        Critic steps per generator step. None is the choice of the subclass.
    lr : float, default=None
        Learning rate. None is the choice of the subclass.
    {optimizer, optimizer_params, batch_size, image_shape, dtype, amp, device, verbose, random_state}

    Attributes
    ----------
    generator_, critic_ : torch.nn.Module
        The trained networks, in evaluation mode. They work with rows on their own scale.
    n_iter_ : int
        Generator steps made.
    n_latent_ : int
        Length of the generator's input.
    {net_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_}
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "architecture": [StrOptions({"auto", *GANS}), tuple, list],
        "n_latent": [Interval(Integral, 1, None, closed="left")],
        "n_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_critic": [Interval(Integral, 1, None, closed="left"), None],
        "penalty": [Interval(Real, 0, None, closed="left")],
        "generator_params": [dict, None],
        "critic_params": [dict, None],
        "lr": [Interval(Real, 0, None, closed="neither"), None],
    }

    architecture: str | tuple[Module, Module] = "auto"
    n_latent: int = 128
    n_iter: int | str = "auto"
    n_critic: int | None = None
    penalty: float = 10.0
    generator_params: dict[str, Any] | None = None
    critic_params: dict[str, Any] | None = None
    lr: float | None = None

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
    def n_iter_(self) -> int:
        """Generator steps made."""
        return self.net_.n_steps

    @property
    def n_latent_(self) -> int:
        """Length of the generator's input."""
        return self.net_.n_latent

    def _length(self, rows: NDArray[Any]) -> dict[str, Any]:
        return {"n_iter": n_steps_for(rows, self.n_iter)}

    def _gan_params(
        self,
        input_shape: tuple[int, ...],
        *,
        n_latent: int,
        n_critic: int,
        lr: float,
        betas: tuple[float, float],
        colour: str = "cifar",
        **variant: Any,
    ) -> dict[str, Any]:
        """Return the arguments of `GANNet` for any GAN, given the values for which None stands in the parameters.

        `colour` is the pair that "auto" takes for 32x32 colour images; critics get the parts of `variant` that they
        accept.
        """
        generator, critic = gan_classes(self.architecture, input_shape, colour=colour)
        settings = self.optimizer_params
        if settings is None and self.optimizer is torch.optim.Adam:
            settings = {"betas": betas}
        return {
            "module": module_builder(
                generator, self.generator_params, "generator", input_shape=input_shape, n_latent=n_latent
            ),
            "critic": module_builder(
                critic, self.critic_params, "critic", input_shape=input_shape, **variant
            ),
            "input_shape": input_shape,
            "n_latent": n_latent,
            "n_critic": self.n_critic or n_critic,
            "penalty": self.penalty,
            "output_range": getattr(generator, "output_range", None),
            "compile_modules": self.compile,
            "lr": self.lr or getattr(generator, "default_lr", lr),
            "batch_size": self.batch_size,
            "optimizer": self.optimizer,
            "verbose": self.verbose,
            **optimizer_params(self.optimizer, settings, "generator_optimizer"),
            **optimizer_params(self.optimizer, settings, "critic_optimizer"),
        }

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
    name = architecture_for(input_shape)
    return GANS[colour if name == "cifar" else name]
