"""The mixin of the generators: standard normal latents, and rows generated from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..utils.checks import check_integer
from ..utils.random import draw_seed


class GeneratorMixin:
    """Adds to an estimator the methods of generators with standard normal latents.

    It is neither a dataclass nor a subclass of one: in a dataclass with several bases, the defaults of the first base
    would hide those of the others.
    """

    n_latent_: int
    random_state: Any
    decode: Callable[[ArrayLike], NDArray[np.floating]]

    def sample_latents(self, n_samples: int = 1, random_state: Any = None) -> NDArray[np.floating]:
        """Draw latent vectors from the standard normal distribution.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None is the estimator's own `random_state`; if that is an integer, every call draws the same latents.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_latent)
        """
        check_is_fitted(self)
        n_samples = check_integer("n_samples", n_samples)
        seed = draw_seed(self.random_state if random_state is None else random_state)
        return np.random.default_rng(seed).standard_normal((n_samples, self.n_latent_))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> NDArray[np.floating]:
        """Generate rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            As in `sample_latents`.

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw.
        """
        return self.decode(self.sample_latents(n_samples, random_state))
