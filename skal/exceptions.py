"""Warnings that skal raises."""


class PoolExhaustedWarning(UserWarning):
    """More rows were asked for than the pool has left; all that are left were returned.

    Examples
    --------
    >>> import warnings
    >>> from skal.exceptions import PoolExhaustedWarning
    >>> from skal.strategies import RandomSampling
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     rows = RandomSampling(random_state=0).fit([[0.0], [1.0]]).query([[0.0], [1.0]], n_queries=3)
    >>> len(rows), caught[0].category.__name__
    (2, 'PoolExhaustedWarning')
    """
