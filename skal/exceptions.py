"""Warnings and errors that skal raises."""

from __future__ import annotations

from typing import Any


class PoolExhaustedWarning(UserWarning):
    """More rows were requested than the pool has left; all remaining rows were returned.

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


class PoolWarning(UserWarning):
    """A pool is almost the pool of `fit`, but not exactly, and is treated as a different pool.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> from skal.exceptions import PoolWarning
    >>> from skal.strategies import RandomSampling
    >>> X = np.arange(10.0).reshape(5, 2)
    >>> strategy = RandomSampling(random_state=0).fit(X)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     rows = strategy.query(X + [[0], [0], [0], [0], [1]])
    >>> print(caught[0].category.__name__, str(caught[0].message).partition(";")[0])
    PoolWarning 1 of 5 rows of a sample differ from those of the pool of fit
    """


class ModelFileError(ValueError):
    """A file is not a model file that skal can load: it is foreign, truncated, altered, or from a newer skal.

    Examples
    --------
    >>> import tempfile
    >>> from skal.exceptions import ModelFileError
    >>> from skal.training.files import read_file
    >>> with tempfile.NamedTemporaryFile() as empty:
    ...     try:
    ...         read_file(empty.name)
    ...     except ModelFileError as error:
    ...         print(str(error).removeprefix(empty.name))
    is not a model file of skal, or only the start of one; give a file that skal has saved
    """


class UnsavableError(TypeError):
    """A learner holds an object that cannot be saved and restored exactly; a note says what to use instead.

    Parameters
    ----------
    path : str
        Where the object is in the learner.
    value : object

    Examples
    --------
    >>> from skal.exceptions import UnsavableError
    >>> str(UnsavableError("strategy.index_", object()))
    'strategy.index_ is a builtins.object, which cannot be saved and restored exactly'
    """

    def __init__(self, path: str, value: Any) -> None:
        self.path = path
        self.kind = kind = type(value)
        super().__init__(
            f"{path} is a {kind.__module__}.{kind.__qualname__}, which cannot be saved and restored exactly"
        )


class JournalError(ValueError):
    """A campaign journal that skal cannot use: it is foreign, truncated, damaged, moved, or of a newer skal.

    Examples
    --------
    >>> import tempfile
    >>> from skal.campaign import Campaign
    >>> from skal.exceptions import JournalError
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     try:
    ...         Campaign.open(folder)
    ...     except JournalError as error:
    ...         print(str(error).partition(":")[2])
     journal.sqlite is not there. Give the folder of one, or begin one with Campaign(folder, learner, X).
    """


class LabelStudioError(RuntimeError):
    """Label Studio refuses a request; the message quotes its reason.

    Examples
    --------
    >>> from skal.exceptions import LabelStudioError
    >>> raise LabelStudioError("http://localhost:8080 refuses GET /api/projects/3/ (404): No Project matches")
    Traceback (most recent call last):
        ...
    skal.exceptions.LabelStudioError: http://localhost:8080 refuses GET /api/projects/3/ (404): No Project matches
    """
