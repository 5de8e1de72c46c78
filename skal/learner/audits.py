"""The audit: rows that are drawn with known probabilities, labelled, and never trained on."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet

from ..access import predict_proba, working_bytes
from ..access.wrappers import open_pipeline
from ..exceptions import PoolExhaustedWarning
from ..pool import Candidates, Pool, Rows, blockwise
from ..selection import successive_sample
from ..training.estimator import NetworkEstimator
from ..utils.checks import check_integer
from ..utils.warnings import callers_level
from .answers import Answers
from .delegation import answer
from .state import State

_STREAM = 0xA0D17  # the audit's own random numbers: no strategy draws the same ones
_UNIFORM_SHARE = 0.5  # of a draw by expected loss


class Audits(Answers):
    """Base of the learner: `audit`, and what became of the rows that it drew."""

    _seed: int

    def audit(self, n: int, *, how: str = "uniform", surrogate: Any = None, pending: ArrayLike = ()) -> Rows:
        r"""Draw rows for an honest estimate: label them, and teach them with ``audit=True``.

        Rows that were chosen because they are hard, and then trained on, are no basis for an estimate. The rows of the
        audit are drawn at random from those that nobody has labelled or skipped. From then on no query offers them, and
        neither the classifier nor a strategy learns their labels. :func:`skal.evaluation.audit_report` computes the
        estimate.

        Parameters
        ----------
        n : int
            Number of rows. Another call draws different rows.
        how : {"uniform", "active"}, default="uniform"
            - ``"uniform"``: each row with the same probability. If they are drawn before the first query, the estimate
              describes the whole pool, for every later classifier;
            - ``"active"``: one by one, with probabilities that grow with the expected loss [1]_, to estimate the
              present classifier from fewer labels. With :math:`p_i` the probability that its prediction for row i is
              wrong, row i is drawn from the remaining rows :math:`R` in proportion to

              .. math:: w_i = \frac{\sqrt{p_i}}{2\,\mathrm{mean}_j \sqrt{p_j}} + \frac{1}{2}

              The square root minimizes the variance of the estimate where p is right [2]_. Drawing in proportion to p
              itself, as in [1]_, would then gain nothing over uniform rows, as the loss is 0 or 1. The second term is
              for classifiers that are confident and wrong: no row counts for more than two.
        surrogate : fitted classifier, default=None
            The classifier whose probabilities say how likely the predictions are to be wrong, for ``how="active"``. By
            default the learner's own classifier.
        pending : array-like of shape (n_pending,), default=()
            Rows that an annotator was asked about for training and has not answered yet. They are not drawn.

        Returns
        -------
        rows : ndarray of int of shape (min(n, n_left),)
            Positions in the pool, in the order in which they were drawn. `audit_sample_` has their probabilities.

        Raises
        ------
        ValueError
            If `n`, `how` or `pending` are invalid, or the surrogate knows none of the classes.
        NotFittedError
            If rows are to be drawn by expected loss, and the classifier knows fewer than two classes, or the surrogate
            is not fitted.
        TypeError
            If the classifier or the surrogate has no probabilities.

        Warns
        -----
        PoolExhaustedWarning
            If fewer than `n` rows are left; all of them are drawn.

        References
        ----------
        .. [1] Kossen, Farquhar, Gal, Rainforth. Active testing: sample-efficient model evaluation. ICML 2021.
        .. [2] Imberg, Jonasson, Axelson-Fisk. Optimal sampling in unbiased active learning. AISTATS 2020.

        Examples
        --------
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skal import ActiveLearner
        >>> from skal.strategies import RandomSampling
        >>> X, truth = [[0.0], [1.0], [2.0], [3.0], [4.0]], [0, 0, 1, 1, 1]
        >>> learner = ActiveLearner(LogisticRegression(), RandomSampling(), random_state=0)
        >>> learner = learner.fit(X, [0, -1, -1, -1, 1])
        >>> rows = learner.audit(2)
        >>> learner = learner.teach(rows, [truth[row] for row in rows], audit=True)
        >>> learner.query(n_queries=1)[0] in rows, learner.y_.tolist()
        (False, [0, -1, -1, -1, 1])
        """
        check_is_fitted(self)
        n = check_integer("n", n)
        if how not in ("uniform", "active"):
            raise ValueError(f"how={how!r} was given; it must be 'uniform' or 'active'.")
        if surrogate is not None:
            check_is_fitted(surrogate)
        with self._changes:
            state = self._state
            out = [state.labels.rows, state.skipped, state.awaited, self._rows(pending, distinct=False)]
            left = Candidates(np.unique(np.concatenate(out)), complement_in=len(state.pool))
            if len(left) < n:
                warnings.warn(
                    f"{n} rows were asked for and {len(left)} are left to be drawn; all of them are.",
                    PoolExhaustedWarning,
                    stacklevel=callers_level(),
                )
            rows, probability = self._draw(left, min(n, len(left)), how, surrogate)
            draws = state.draws.after(
                rows,
                probability,
                n_left=len(left),
                n_taken=len(state.pool) - len(left) - _n_out_by_chance(state),
                is_active=how == "active",
            )
            if len(rows):
                self._state = state.after("draw", rows, draws=draws)
            return rows

    def _draw(self, left: Candidates, n: int, how: str, surrogate: Any) -> tuple[Rows, NDArray[np.float64]]:
        """Rows of those that are left, and the probability of each given those before it."""
        state: State = self._state
        rng = np.random.default_rng([self._seed, len(state.draws), _STREAM])
        if how == "uniform":
            return left.sample(n, rng), 1 / (len(left) - np.arange(n))
        if state.guide is None:
            raise NotFittedError(
                "The classifier knows fewer than two classes yet, so that no loss can be expected of it. Teach it "
                "first, or draw uniformly: audit(n)."
            )
        if surrogate is not None and hasattr(surrogate, "classes_"):
            own, others = (np.asarray(each.classes_).tolist() for each in (state.guide, surrogate))
            if not set(own) & set(others):
                raise ValueError(
                    f"The surrogate knows the classes {others[:5]}, and none of the learner's, {own[:5]}; fit it with "
                    "labels like those of the learner."
                )
        root = np.sqrt(_expected_loss(state.guide, surrogate, state.pool, left.rows))
        mean = root.mean() if len(root) else 0.0
        weights = (1 - _UNIFORM_SHARE) * root / mean + _UNIFORM_SHARE if mean > 0 else np.ones(len(root))
        positions, probability = successive_sample(weights, n, rng)
        return left.rows[positions], probability

    @property
    def audit_pending_(self) -> Rows:
        """The rows that `audit` has drawn and nobody has labelled or skipped, in increasing order."""
        return self._known("awaited").copy()

    @property
    def pool_sizes_(self) -> NDArray[np.intp]:
        """How many rows the pool had before each `grow`, and has now."""
        self._known("arrivals")  # raises where there are none yet
        state: State = self._state
        return np.array([*(n_rows for n_rows, _ in state.arrivals), len(state.pool)], dtype=np.intp)

    @property
    def audit_sample_(self) -> dict[str, NDArray[Any]]:
        """The rows that `audit` has drawn, in order: arrays of equal length, for ``pandas.DataFrame``.

        ``row``; ``state`` ("labelled", "pending", "skipped", or "withdrawn": taught for training or forgotten); ``how``
        ("uniform" or "active"); ``probability``, the probability that the row is the next one to be drawn from
        ``n_left`` rows; ``n_taken``, the number of rows taken out of the pool by choice before the draw; and
        ``n_rows``, the number of rows in the pool, which may have grown since.
        """
        self._known("draws")  # raises where there are none yet
        state: State = self._state
        draws = state.draws
        what = np.full(len(draws), "pending", dtype=object)
        what[np.isin(draws.rows, state.skipped)] = "skipped"
        what[np.isin(draws.rows, state.audit)] = "labelled"
        what[draws.is_withdrawn] = "withdrawn"
        n_rows = np.full(len(draws), len(state.pool))
        for n_before, n_drawn in reversed(state.arrivals):
            n_rows[:n_drawn] = n_before
        return {
            "row": draws.rows.copy(),
            "state": what,
            "how": np.where(draws.is_active, "active", "uniform").astype(object),
            "probability": draws.probability.copy(),
            "n_left": draws.n_left.copy(),
            "n_taken": draws.n_taken.copy(),
            "n_rows": n_rows,
        }


def _n_out_by_chance(state: State) -> int:
    """How many rows are out of reach, although nobody chose them for what they are."""
    uniform = state.draws.rows[~state.draws.is_withdrawn & ~state.draws.is_active]
    return len(np.union1d(uniform, state.skipped))


def _expected_loss(estimator: Any, surrogate: Any, pool: Pool, rows: Rows) -> NDArray[np.float64]:
    """The probability of each row that the estimator's prediction is wrong, as the surrogate, or itself, has it."""
    judge = estimator if surrogate is None else surrogate
    # Others may predict what is not most probable: their threshold may have been tuned.
    is_most_probable = surrogate is None and isinstance(
        open_pipeline(estimator)[1], NetworkEstimator | NeuralNet
    )

    def of_block(block: Any) -> NDArray[np.float64]:
        shares = np.asarray(predict_proba(judge, block), dtype=np.float64)
        if is_most_probable:
            return np.clip(1 - shares.max(axis=1), 0, 1)
        columns = np.asarray(answer(estimator, "predict", block))[:, None] == np.asarray(judge.classes_)
        return np.clip(1 - np.where(columns, shares, 0).sum(axis=1), 0, 1)

    return blockwise(of_block, pool, rows, row_bytes=working_bytes(estimator, pool))
