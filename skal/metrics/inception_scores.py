"""The inception score of generated rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import entr

from ..pool import row_blocks
from ..utils.checks import check_integer
from ..utils.random import draw_seed
from .judges import BLOCK_BYTES, as_rows, name_of, probability_function


@dataclass(frozen=True)
class InceptionScore:
    """The result of :func:`inception_score`; ``float(result)`` is the mean.

    Parameters
    ----------
    mean, std : float
        Over the splits.
    name : str
        "classifier inception score" if the judge was a classifier, else "inception score".
    n_samples, n_splits : int

    Examples
    --------
    >>> from skal.metrics import InceptionScore
    >>> float(InceptionScore(7.5, 0.1, "inception score", 50000, 10))
    7.5
    """

    mean: float
    std: float
    name: str
    n_samples: int
    n_splits: int

    def __float__(self) -> float:
        return self.mean


def inception_score(
    generated: Any, judge: Any = None, *, n_splits: int = 10, shuffle: bool = True, random_state: Any = None
) -> InceptionScore:
    r"""How certain a judge is about generated rows, and how many classes it finds among them [1]_.

    .. math:: \exp \mathbb{E}_x \operatorname{KL}(p(y|x) \,\|\, p(y))

    with p(y) the mean over a split of the rows. The score is between 1 and the number of classes. Its mean and standard
    deviation over the splits are returned.

    Parameters
    ----------
    generated : array-like, sparse matrix or data frame of shape (n_samples, ...)
    judge : fitted classifier, InceptionFeatures, callable or None, default=None
        Gives the probabilities p(y|x) of a block of rows, shape (n_rows, n_classes): a classifier's or Inception's
        `predict_proba`, or a function. None means that the rows of `generated` are already such probabilities.
    n_splits : int, default=10
    shuffle : bool, default=True
        Whether the rows of a split are drawn at random. Published programs split the rows in their order, which is
        wrong for rows that are sorted by class.
    random_state : int, RandomState instance or None, default=None
        Decides the splits, with `shuffle`.

    Returns
    -------
    result : InceptionScore
        With `mean`, `std`, `name`, `n_samples` and `n_splits`.

    Raises
    ------
    ValueError
        If there are fewer rows than splits, the judge knows only one class, or it returns something other than
        probabilities.
    TypeError
        If `judge` is neither a classifier with `predict_proba` nor a callable.

    References
    ----------
    .. [1] Salimans et al., "Improved Techniques for Training GANs", NeurIPS 2016, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import inception_score
    >>> certain_and_diverse = np.tile(np.eye(4), (25, 1))
    >>> result = inception_score(certain_and_diverse, n_splits=1)
    >>> round(result.mean, 6), result.n_samples
    (4.0, 100)
    """
    generated = as_rows(generated)
    scored = ScoredRows(judge, generated.shape[0], n_splits, shuffle, random_state)
    for block, _ in row_blocks(generated, max_bytes=BLOCK_BYTES):
        scored.update(block)
    return scored.result()


class ScoredRows:
    """Generated rows as a judge sees them: per split, the sums of their probabilities and of their entropies."""

    def __init__(self, judge: Any, n_samples: int, n_splits: Any, shuffle: bool, random_state: Any) -> None:
        self.name = name_of("inception score", judge)
        self._probabilities = probability_function(judge)
        check_integer("n_splits", n_splits)
        if n_samples < n_splits:
            raise ValueError(
                f"{n_samples} rows cannot make n_splits={n_splits} splits; give more rows or take fewer splits."
            )
        self._splits = np.arange(n_samples) * n_splits // n_samples
        self._counts = np.bincount(self._splits)
        if shuffle:
            self._splits = np.random.default_rng(draw_seed(random_state)).permutation(self._splits)
        self._n_seen = 0
        self._sums: Any = 0

    def update(self, rows: Any) -> None:
        """Take the next rows."""
        p, n_rows = np.asarray(self._probabilities(rows)), rows.shape[0]
        if p.ndim != 2 or len(p) != n_rows or p.shape[1] < 2 or p.dtype.kind not in "fiub":
            raise ValueError(
                f"Probabilities of shape {p.shape} and dtype {p.dtype} came back for {n_rows} rows; there must be one "
                "row per row, with a column for each of at least two classes."
            )
        p = p.astype(np.float64)
        # NaN compares as false.
        if not ((p >= 0).all() and (np.abs(p.sum(axis=1) - 1) < 1e-3).all()):
            raise ValueError(
                "The probabilities are negative, NaN, or do not sum to 1; give class probabilities."
            )
        sums = np.zeros((len(self._counts), p.shape[1] + 1))
        splits = self._splits[self._n_seen : self._n_seen + n_rows]
        np.add.at(sums, splits, np.column_stack([p, entr(p).sum(axis=1)]))
        self._sums = self._sums + sums
        self._n_seen += n_rows

    def result(self) -> InceptionScore:
        """The score of all rows."""
        means = self._sums / self._counts[:, None]
        # The mean divergence from the marginal is the marginal's entropy minus the mean entropy of the rows.
        scores = np.exp(np.maximum(0, entr(means[:, :-1]).sum(axis=1) - means[:, -1]))
        mean, std = float(scores.mean()), float(scores.std())
        return InceptionScore(mean, std, self.name, self._n_seen, len(scores))
