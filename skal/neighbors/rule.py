"""The choice of the fastest search, by fixed rules on rows, columns and neighbours, the same on every machine.

The constants are nanoseconds per row, measured once on two cores of 2.3 GHz with AVX-512.
"""

from .partitions import least_width

_FEW_COLUMNS = 16


def exact_is_fast(n_samples: int, n_features: int, k: int) -> bool:
    """Return whether to compare all rows rather than to search approximately.

    Both times grow smoothly, so that no size is much slower than the next.

    Parameters
    ----------
    n_samples, n_features, k : int

    Returns
    -------
    is_fast : bool

    Examples
    --------
    >>> from skal.neighbors.rule import exact_is_fast
    >>> exact_is_fast(15_000, 50, 10), exact_is_fast(15_000, 768, 10)
    (True, False)
    """
    exact = n_samples * (0.5 + 0.012 * n_features)
    compared = 4 * least_width(k) * (1 + 0.01 * min(n_features, 64))
    approximate = 6000 + compared + k * (350 + 6 * n_features)
    return exact <= approximate


def cells_are_faster(n_samples: int, n_features: int) -> bool:
    """Return whether cells save more distances than matrix products save time, for exact neighbours.

    Parameters
    ----------
    n_samples, n_features : int

    Returns
    -------
    are_faster : bool
    """
    return n_features <= _FEW_COLUMNS and n_samples > 4000 * n_features
