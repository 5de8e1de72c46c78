"""The search for latents whose generated rows a classifier is unsure about, which ASAL and GAAL share."""

from __future__ import annotations

import math
from collections.abc import Callable
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
from ..pool import Pool, dense
from .base import Strategy

Objective = Callable[[Tensor], Tensor]

_BETAS, _EPS = (0.9, 0.999), 1e-8  # Adam's own defaults; the paper names no others


def entropy(logits: Tensor) -> Tensor:
    """Entropy of the classes in nats, of shape (n_samples,).

    Examples
    --------
    >>> import torch
    >>> from skal.strategies._latents import entropy
    >>> entropy(torch.zeros(1, 2))
    tensor([0.6931])
    """
    log_p = logits.log_softmax(dim=1)
    # A probability of 0 has log -inf; 0 log 0 is 0.
    return -(log_p.exp() * log_p.clamp_min(torch.finfo(log_p.dtype).min)).sum(dim=1)


def min_distance(logits: Tensor) -> Tensor:
    """Minus the distance to the decision boundary in decision values, of shape (n_samples,).

    For two classes this is -|w.x + b|; for more, minus the difference of the two largest, which is no part of the
    papers.

    Examples
    --------
    >>> import torch
    >>> from skal.strategies._latents import min_distance
    >>> min_distance(torch.tensor([[0.0, -3.0]]))
    tensor([-3.])
    """
    top = logits.topk(2, dim=1).values
    return top[:, 1] - top[:, 0]


OBJECTIVES: dict[str, Objective] = {"entropy": entropy, "min_distance": min_distance}


@dataclass(eq=False, repr=False, kw_only=True)
class LatentSearch(Strategy):
    """The parameters that ASAL and GAAL share: the generator, and how its latents are searched."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Strategy._parameter_constraints,
        "generator": [HasMethods(["fit"]), None],
        "objective": [StrOptions(set(OBJECTIVES)), callable],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "latent_batch": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    generator: Any = field(default=None, kw_only=False)
    objective: str | Objective = "entropy"
    n_steps: int = 100
    learning_rate: float = 0.05
    latent_batch: int = 100
    tol: float = 1e-3

    def _fit(self, X: Any, y: NDArray[np.int32] | None) -> None:
        super()._fit(X, y)
        self.generator_ = fit_generator(self.generator, dense(X), self._seed)

    def _check_pool(self, pool: Pool) -> None:
        super()._check_pool(pool)
        check_generator(self.generator, pool.row_shape)

    def _search(self, n_samples: int, estimator: Any, rng: np.random.Generator) -> Synthesized:
        return synthesize(
            self.generator_,
            estimator,
            rng.standard_normal((n_samples, self.generator_.n_latent_)),
            self.objective,
            n_steps=self.n_steps,
            learning_rate=self.learning_rate,
            batch_size=self.latent_batch,
            tol=self.tol,
        )


def check_generator(generator: Any, row_shape: tuple[int, ...]) -> None:
    """Refuse a generator, trained or not, whose rows autograd cannot follow or that are unlike those of the pool.

    Parameters
    ----------
    generator : generator or None
        None is :class:`skal.generators.GAN`.
    row_shape : tuple of int
        Shape of a row of the pool.

    Raises
    ------
    TypeError
        If it has no ``torch_decoder``.
    ValueError
        If it is trained and generates rows of another size.
    """
    if generator is None:
        return
    if not hasattr(generator, "torch_decoder"):
        raise TypeError(
            f"{type(generator).__name__} has no torch_decoder, through which latents are optimised. Use "
            "skal.generators.GAN or VAE, or give yours torch_decoder() and n_latent_ as skal.generators.Generator has."
        )
    if isinstance(generator, FrozenEstimator):  # it is trained already
        _check_row_size(generator, row_shape)


def _check_row_size(generator: Any, row_shape: tuple[int, ...]) -> None:
    decoder = generator.torch_decoder()
    with torch.no_grad():
        (row,) = decoder(_like_weights(decoder, np.zeros((1, generator.n_latent_))))
    if row.numel() != math.prod(row_shape):
        raise ValueError(
            f"The generator makes rows of shape {tuple(row.shape)}, and the pool's have shape {row_shape}; give a "
            "generator that was trained on rows like those of the pool."
        )


def fit_generator(generator: Any, X: NDArray[Any], seed: int) -> Any:
    """Train a clone of a generator on the rows of a pool; a ``FrozenEstimator`` is trained already.

    Parameters
    ----------
    generator : generator or None
        None is :class:`skal.generators.GAN`.
    X : ndarray of shape (n_samples, ...)
    seed : int

    Returns
    -------
    generator : fitted generator

    Raises
    ------
    ValueError
        If the trained one generates rows of another size than those of X.
    """
    fitted = fit_encoder(GAN() if generator is None else generator, X, seed)
    _check_row_size(fitted, X.shape[1:])
    return fitted


class Synthesized(NamedTuple):
    """Synthetic rows, and what the optimisation did for them.

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
        Gradient steps made for each.
    """

    latents: NDArray[Any]
    synthetic: NDArray[Any]
    objective_before: NDArray[Any]
    objective_after: NDArray[Any]
    entropy_before: NDArray[Any]
    entropy_after: NDArray[Any]
    n_steps: NDArray[np.intp]


def synthesize(
    generator: Any,
    classifier: Any,
    latents: NDArray[Any],
    objective: str | Objective,
    *,
    n_steps: int,
    learning_rate: float,
    batch_size: int,
    tol: float,
) -> Synthesized:
    """Maximise an objective of the classifier at G(z), by Adam over z alone, from the latents given.

    Generator and classifier are used in frozen copies in evaluation mode. The latents of a batch do not influence
    one another: Adam works coordinate by coordinate. Of each latent's path the best point is kept.

    Parameters
    ----------
    generator : fitted generator
        Has ``torch_decoder()``.
    classifier : fitted classifier
        Anything that `as_torch` takes.
    latents : ndarray of shape (n_samples, n_latent)
        Where the search starts.
    objective : {"entropy", "min_distance"} or callable
        A callable maps logits (n_samples, n_classes) to one value a row, which is to be large.
    n_steps : int
    learning_rate : float
    batch_size : int
        Latents that are optimised together.
    tol : float
        A latent stops once its objective is within `tol` of the largest value there is: log(n_classes) for the
        entropy, 0 for the distance. A callable has no known bound.

    Returns
    -------
    synthesized : Synthesized
    """
    decoder, logits_of = generator.torch_decoder(), as_torch(classifier)
    start = _like_weights(decoder, latents)
    logits_of = logits_of.to(start.device)
    blocks = [
        _ascend(decoder, logits_of, block, objective, n_steps, learning_rate, tol)
        for block in start.split(batch_size)
    ]
    return Synthesized(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _like_weights(module: nn.Module, array: NDArray[Any]) -> Tensor:
    """An array as a tensor in the numbers and on the device of a module's weights."""
    weight = next(module.parameters(), torch.zeros(()))
    return torch.as_tensor(array, dtype=weight.dtype, device=weight.device)


def _ascend(
    decoder: nn.Module,
    logits_of: nn.Module,
    z: Tensor,
    objective: str | Objective,
    n_steps: int,
    learning_rate: float,
    tol: float,
) -> Synthesized:
    function = OBJECTIVES[objective] if isinstance(objective, str) else objective
    best_z, best_logits = z.clone(), torch.empty(0)
    best = torch.full((len(z),), -math.inf, dtype=z.dtype, device=z.device)
    steps = torch.zeros(len(z), dtype=torch.long, device=z.device)
    running = torch.arange(len(z), device=z.device)
    first, second = torch.zeros_like(z), torch.zeros_like(z)  # Adam's moments
    for step in range(n_steps + 1):
        z.requires_grad_(True)
        logits = logits_of(decoder(z))
        value = function(logits)
        if step == 0:
            _check_objective(value, len(z))
            logits_before, best_logits = logits.detach(), logits.detach().clone()
            bound = {"entropy": math.log(logits.shape[1]), "min_distance": 0.0}.get(str(objective), math.inf)
        (gradient,) = torch.autograd.grad(value.sum(), z) if step < n_steps else (None,)
        value, z, logits = value.detach().to(best.dtype), z.detach(), logits.detach()
        better = value > best[running]
        best[running[better]] = value[better]
        best_z[running[better]] = z[better]
        best_logits[running[better]] = logits[better]
        if gradient is None:
            break
        # Those that have arrived leave the batch, so that the others' steps cost less.
        going = (best[running] < bound - tol) & gradient.isfinite().all(dim=1)
        if not going.all():
            running, z, gradient = running[going], z[going], gradient[going]
            first, second = first[going], second[going]
            if not len(running):
                break
        steps[running] += 1
        first = first.lerp(gradient, 1 - _BETAS[0])
        second = second.lerp(gradient.square(), 1 - _BETAS[1])
        mean, scale = first / (1 - _BETAS[0] ** (step + 1)), second / (1 - _BETAS[1] ** (step + 1))
        z = z + learning_rate * mean / (scale.sqrt() + _EPS)
    with torch.no_grad():
        rows = decoder(best_z)
    before, after = function(logits_before), best
    columns = (best_z, rows, before, after, entropy(logits_before), entropy(best_logits), steps)
    return Synthesized(*(column.numpy(force=True) for column in columns))


def _check_objective(value: Any, n_rows: int) -> None:
    if not isinstance(value, Tensor) or value.shape != (n_rows,):
        given = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"The objective returned {given} for logits of {n_rows} rows; it must return a tensor of shape "
            f"({n_rows},), one value a row that is to be large."
        )
    if not value.requires_grad:
        raise ValueError(
            "The objective's values do not depend on the logits as torch sees it; compute them with torch operations."
        )
