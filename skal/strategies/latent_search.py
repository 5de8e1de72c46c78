"""The search for latents whose generated rows a classifier is unsure about, which ASAL and GAAL share."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from torch import Tensor, nn

from ..access import as_torch
from ..generators import GAN, fit_encoder
from ..pool import Pool, as_pool, dense
from ..utils.progress import counted
from .base import POSITIVE_INTEGER, Strategy
from .objectives import OBJECTIVES, Objective, entropy, get_objective
from .query import Query

_BETAS, _EPS = (0.9, 0.999), 1e-8  # Adam's own defaults; the paper names no others


class Synthesized(NamedTuple):
    """Synthetic rows, and what the search did for them.

    Attributes
    ----------
    latents : ndarray of shape (n_samples, n_latent)
    synthetic : ndarray of shape (n_samples, ...)
        On the scale and in the shape of X.
    objective_before, objective_after : ndarray of shape (n_samples,)
        The objective at the latents drawn and at those found.
    entropy_before, entropy_after : ndarray of shape (n_samples,)
        The entropy of the classifier's probabilities there, in nats.
    n_steps : ndarray of int of shape (n_samples,)
        Gradient steps of each latent.
    """

    latents: NDArray[Any]
    synthetic: NDArray[Any]
    objective_before: NDArray[Any]
    objective_after: NDArray[Any]
    entropy_before: NDArray[Any]
    entropy_after: NDArray[Any]
    n_steps: NDArray[np.intp]


@dataclass(eq=False, repr=False, kw_only=True)
class LatentSearch(Strategy):
    """The part of ASAL and GAAL that makes rows: a generator, and a search of its latents by gradient ascent.

    Parameters
    ----------
    generator : generator, default=None
        Trained on the pool in `fit`, without labels; a ``FrozenEstimator`` is not trained again. By default
        :class:`skal.generators.GAN`, a WGAN-GP. Any other generator needs `fit`, ``n_latent_`` and ``torch_decoder()``.
    objective : {"entropy", "min_distance"} or callable, default="entropy"
        What is maximised over the latents: the entropy of the classifier's probabilities; minus the distance to the
        hyperplane of a linear model of two classes (for more classes, minus the difference of the two largest
        decision values, which the paper does not have); or a callable that maps logits of shape (n_samples,
        n_classes), as a torch tensor, to one value per row.
    n_steps : int, default=100
        Gradient steps of Adam on the latents, at most.
    learning_rate : float, default=0.05
        Step size of Adam, which the papers do not state. `n_steps` times `learning_rate` is about how far a latent
        can travel along each axis.
    latent_batch : int, default=100
        Latents that are optimised together. Memory grows with it; the result stays the same.
    tol : float, default=1e-3
        A latent stops once its objective is within `tol` of the largest possible value: log(n_classes) for the
        entropy, 0 for the distance. With 0 all steps are made, as in the papers. A callable has no known bound.
    {random_state}

    Attributes
    ----------
    generator_ : generator
        The trained generator.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "generator": [HasMethods(["fit"]), None],
        "objective": [StrOptions(set(OBJECTIVES)), callable],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "latent_batch": POSITIVE_INTEGER,
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    generator: Any = field(default=None, kw_only=False)
    objective: str | Objective = "entropy"
    n_steps: int = 100
    learning_rate: float = 0.05
    latent_batch: int = 100
    tol: float = 1e-3

    reads_rows = True
    _takes_sparse = False  # networks generate dense rows

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if self.generator is not None and not hasattr(self.generator, "torch_decoder"):
            raise TypeError(
                f"{type(self.generator).__name__} has no torch_decoder, through which latents are optimised. Use "
                "skal.generators.GAN, ALI or VAE, or give yours torch_decoder() and n_latent_, as they have them."
            )
        if isinstance(self.generator, FrozenEstimator):  # it is trained already
            _check_row_size(self.generator, pool.row_shape)

    def _fit(self, X: Any, y: NDArray[np.int32] | None) -> None:
        super()._fit(X, y)
        generator = GAN() if self.generator is None else self.generator
        is_trained = isinstance(generator, FrozenEstimator)  # and looks at no rows, which may be in files
        self.generator_ = fit_encoder(generator, X if is_trained else dense(X), self._seed)
        _check_row_size(self.generator_, as_pool(X).row_shape)

    def _search(self, query: Query, n_samples: int) -> Synthesized:
        """Search from random latents for rows that the classifier of a query is unsure about."""
        n_before = len(query.awaited)  # one by one, queries start where those of a batch do
        latents = query.rng.standard_normal((n_before + n_samples, self.generator_.n_latent_))
        return self._maximize(latents[n_before:], query.estimator)

    def _maximize(self, latents: NDArray[Any], classifier: Any) -> Synthesized:
        """Maximise the objective at G(z) by Adam over z alone, from the latents given.

        Generator and classifier are used in frozen copies in evaluation mode. The latents of a batch do not influence
        one another: Adam works coordinate by coordinate. The best point on the path of each latent is kept.
        """
        decoder = self.generator_.torch_decoder()
        start = _like_weights(decoder, latents)
        logits_of = as_torch(classifier).to(start.device)
        blocks = [self._ascend(decoder, logits_of, block) for block in start.split(self.latent_batch)]
        return Synthesized(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))

    def _ascend(self, decoder: nn.Module, logits_of: nn.Module, z: Tensor) -> Synthesized:
        objective = get_objective(self.objective)
        best_z, best_logits = z.clone(), torch.empty(0)
        best = torch.full((len(z),), -math.inf, dtype=z.dtype, device=z.device)
        running = torch.arange(len(z), device=z.device)
        steps = torch.zeros_like(running)
        first, second = torch.zeros_like(z), torch.zeros_like(z)  # Adam's moments
        for step in counted(range(self.n_steps + 1), "steps of the search"):
            z.requires_grad_(True)
            logits = logits_of(decoder(z))
            value = objective(logits)
            if step == 0:
                _check_objective(value, len(z))
                logits_before, best_logits = logits.detach(), logits.detach().clone()
                bounds = {"entropy": math.log(logits.shape[1]), "min_distance": 0.0}
                enough = bounds.get(str(self.objective), math.inf) - self.tol
            (gradient,) = torch.autograd.grad(value.sum(), z) if step < self.n_steps else (None,)
            value, z, logits = value.detach().to(best.dtype), z.detach(), logits.detach()
            better = value > best[running]
            for kept, now in ((best, value), (best_z, z), (best_logits, logits)):
                kept[running[better]] = now[better]
            if gradient is None:
                break
            # Those that have arrived leave the batch, so that the others' steps cost less.
            going = (best[running] < enough) & gradient.isfinite().all(dim=1)
            running, z, gradient, first, second = (
                each[going] for each in (running, z, gradient, first, second)
            )
            if not len(running):
                break
            steps[running] += 1
            first = first.lerp(gradient, 1 - _BETAS[0])
            second = second.lerp(gradient.square(), 1 - _BETAS[1])
            mean, scale = first / (1 - _BETAS[0] ** (step + 1)), second / (1 - _BETAS[1] ** (step + 1))
            z = z + self.learning_rate * mean / (scale.sqrt() + _EPS)
        with torch.no_grad():
            rows = decoder(best_z)
        entropies = entropy(logits_before), entropy(best_logits)
        columns = (best_z, rows, objective(logits_before), best, *entropies, steps)
        return Synthesized(*(column.numpy(force=True) for column in columns))


def _check_row_size(generator: Any, row_shape: tuple[int, ...]) -> None:
    decoder = generator.torch_decoder()
    with torch.no_grad():
        (row,) = decoder(_like_weights(decoder, np.zeros((1, generator.n_latent_))))
    if row.numel() != math.prod(row_shape):
        raise ValueError(
            f"The generator makes rows of shape {tuple(row.shape)}, and the pool's have shape {row_shape}; give a "
            "generator that was trained on rows like those of the pool."
        )


def _like_weights(module: nn.Module, array: NDArray[Any]) -> Tensor:
    """An array as a tensor with the number type and on the device of a module's weights."""
    weight = next(module.parameters(), torch.zeros(()))
    return torch.as_tensor(array, dtype=weight.dtype, device=weight.device)


def _check_objective(value: Any, n_rows: int) -> None:
    if not isinstance(value, Tensor) or value.shape != (n_rows,):
        given = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"The objective returned {given} for logits of {n_rows} rows; it must return a tensor of shape "
            f"({n_rows},), one value per row, larger where the row is more wanted."
        )
    if not value.requires_grad:
        raise ValueError(
            "The objective's values do not depend on the logits as torch sees it; compute them with torch operations."
        )
