"""Shares of a number of epochs."""

from __future__ import annotations


def share_of_epochs(share: float, n_epochs: int) -> float:
    """Return a share of a number of epochs, rounded if only a rounding error separates it from a whole number.

    Parameters
    ----------
    share : float
    n_epochs : int

    Returns
    -------
    n : float

    Examples
    --------
    >>> from skal.classifiers.epochs import share_of_epochs
    >>> 0.55 * 100, 0.29 * 100
    (55.00000000000001, 28.999999999999996)
    >>> share_of_epochs(0.55, 100), share_of_epochs(0.29, 100), share_of_epochs(0.5, 5)
    (55, 29, 2.5)
    """
    exact = share * n_epochs
    return round(exact) if abs(exact - round(exact)) < 1e-9 else exact
