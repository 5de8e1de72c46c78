"""k-nearest-neighbour graphs of a pool and the diffusion of labels on them (DGAL, Section 4.1)."""

from .diffusion import LabelDiffusion
from .nearest import nearest_neighbors
from .transitions import KERNELS, cover_steps, transition_matrix
from .uncertainty import UNCERTAINTIES

__all__ = [
    "KERNELS",
    "UNCERTAINTIES",
    "LabelDiffusion",
    "cover_steps",
    "nearest_neighbors",
    "transition_matrix",
]
