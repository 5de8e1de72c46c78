"""How certain a diffusion is about each row (DGAL, Equation 9 and appendix C)."""

from collections.abc import Callable
from functools import partial
from numbers import Real

import torch


def signals(hits: torch.Tensor) -> torch.Tensor:
    """Return the one-vs-all signals of hit probabilities."""
    return 2 * hits - hits.sum(dim=1, keepdim=True)


def simplex(hits: torch.Tensor) -> torch.Tensor:
    """Return hit probabilities, with the mass that has met no label spread over all classes."""
    return hits + (1 - hits.sum(dim=1, keepdim=True)) / hits.shape[1]


def reached(hits: torch.Tensor) -> torch.Tensor:
    """Return whether any mass has met a label."""
    return hits.sum(dim=1) > 0  # none is negative


def _norm(hits: torch.Tensor, p: float = 2.0) -> torch.Tensor:
    found = signals(hits)
    largest = found.abs().amax(dim=1, keepdim=True)  # the powers of small signals would be zero
    scaled = found / largest.clamp_min(torch.finfo(found.dtype).tiny)
    return torch.linalg.vector_norm(scaled, p, dim=1) * largest[:, 0]


def _entropy(hits: torch.Tensor) -> torch.Tensor:
    p = simplex(hits).clamp(min=0)
    return torch.special.xlogy(p, p).sum(dim=1) + 0.0  # no negative zero


UNCERTAINTIES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "min": lambda hits: signals(hits).abs().amin(dim=1),
    "norm": _norm,
    "confidence": lambda hits: simplex(hits).amax(dim=1),
    # The share of the mass that has met no label cancels out.
    "margin": lambda hits: hits.topk(2, dim=1).values.diff(dim=1).abs().squeeze(1),
    "entropy": _entropy,
}


def measure_of(measure: str | float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function from hit probabilities to certainty: a measure by its name, or the norm of an order p.

    Raises
    ------
    ValueError
        For another name, or a number below 1.
    """
    if isinstance(measure, Real) and measure >= 1:
        return partial(_norm, p=float(measure))
    if measure not in UNCERTAINTIES:
        raise ValueError(
            f"measure={measure!r} was given; use one of {sorted(UNCERTAINTIES)}, or a number p from 1 to infinity for "
            "the p-norm of the signals"
        )
    return UNCERTAINTIES[str(measure)]
