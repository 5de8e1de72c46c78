"""Expected error reduction: the label after which the classifier would err least (Roy and McCallum, 2001)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import StrOptions

from ..access import predict_proba
from ..access.wrappers import last_step, open_pipeline
from ..pool import Candidates, Pool, Rows, as_pool, dense
from ..selection import top_k
from ..utils.progress import counted
from .base import POSITIVE_INTEGER, QueryStrategy
from .bootstrap import trained_clone
from .query import Query
from .uncertainty import entropy
from .updates import MOST_PARAMETERS, Seen, multinomial, updates_of

_BLOCK_BYTES = 1 << 24

_LOSSES: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "log_loss": entropy,
    "zero_one": lambda probabilities: 1 - probabilities.max(axis=-1),
}


@dataclass(eq=False, repr=False, kw_only=True)
class ExpectedErrorReduction(QueryStrategy):
    r"""Choose the rows whose labels would leave the classifier with the smallest expected error on the pool.

    .. math:: \arg\min_x \sum_c p(c \mid x) \, \frac{1}{|E|} \sum_{u \in E} \ell\big(p_{L + (x, c)}(\cdot \mid u)\big)

    where :math:`p_{L + (x, c)}` is the classifier that has also learned the label c for x, and :math:`\ell` the loss
    that it expects of itself: the entropy, or one minus the largest probability ([1]_). The candidates and the rows E
    are drawn at random from the unlabelled rows.

    Parameters
    ----------
    loss : {"log_loss", "zero_one"}, default="log_loss"
        :math:`\ell`.
    n_candidates : int, default=200
        The number of candidates that are tried (never fewer than `n_queries`).
    n_evaluated : int, default=500
        The number of rows E over which the loss is averaged.
    random_state : int, RandomState instance or None, default=None
        Draws the rows, seeds the clones that are trained, and breaks ties.

    Attributes
    ----------
    {requires}
    query_report_ : Bunch
        About the latest query: ``rows``, the candidates that were tried, their ``expected_loss``, and ``loss``, the
        present mean loss over the same rows E.

    Notes
    -----
    The classifier with one more label is found

    - exactly, for `GaussianNB` and `MultinomialNB`: the row is added to their sums;
    - approximately, for `LogisticRegression` with its L2 penalty: the loss of the new row is exact, the loss of the
      labelled rows is replaced by its quadratic approximation;
    - by training a clone for each candidate and class, for all other classifiers: 200 times the number of classes in
      each query, unless `n_candidates` is smaller.

    In a pipeline whose last step is of one of the first two kinds, the steps before it are not fitted again. If they
    give `MultinomialNB` candidates with features below zero, as a scaler that was fitted on the labelled rows may, the
    whole pipeline is trained again; `MultinomialNB` alone refuses to learn such features. The rows of a batch are
    chosen without regard to each other.

    References
    ----------
    .. [1] Roy, McCallum. Toward optimal active learning through sampling estimation of error reduction. ICML 2001.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skal.strategies import ExpectedErrorReduction
    >>> X, truth = load_iris(return_X_y=True)
    >>> y = [label if row % 10 == 0 else -1 for row, label in enumerate(truth)]
    >>> classifier = GaussianNB().fit(X[::10], truth[::10])
    >>> strategy = ExpectedErrorReduction(random_state=0).fit(X)
    >>> strategy.query(X, y, n_queries=4, estimator=classifier).shape
    (4,)
    >>> report = strategy.query_report_
    >>> len(report.rows), bool(report.expected_loss.min() < report.loss)
    (135, True)
    """

    requires: ClassVar[tuple[str, ...]] = ("predict_proba",)

    loss: str = field(default="log_loss", kw_only=False)
    n_candidates: int = 200
    n_evaluated: int = 500

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "loss": [StrOptions(set(_LOSSES))],
        "n_candidates": POSITIVE_INTEGER,
        "n_evaluated": POSITIVE_INTEGER,
    }

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if isinstance(last_step(estimator), FrozenEstimator):
            raise TypeError(
                "ExpectedErrorReduction asks what the classifier would learn, and a FrozenEstimator learns nothing; "
                "give the classifier itself, or another strategy."
            )

    def _query(self, query: Query) -> Rows:
        n_tried = min(max(self.n_candidates, query.n_queries), len(query.candidates))
        rows = np.sort(query.candidates.sample(n_tried, query.rng))
        unlabeled = Candidates(query.labels.rows, complement_in=len(query.pool))
        evaluated = np.sort(unlabeled.sample(min(self.n_evaluated, len(unlabeled)), query.rng))
        measure = _LOSSES[self.loss]
        expected = np.zeros(len(rows))
        shares = predict_proba(query.estimator, query.pool, rows)
        for block, losses in self._losses(query, rows, shares, evaluated):
            expected[block] = (shares[block] * losses).sum(axis=1)
        now = measure(predict_proba(query.estimator, query.pool, evaluated)).mean()
        query.report.update(rows=rows, expected_loss=expected, loss=float(now))
        return rows[top_k(-expected, query.n_queries, query.rng)]

    def _losses(
        self, query: Query, rows: Rows, shares: NDArray[Any], evaluated: Rows
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield blocks of candidates, and the mean loss after each of their labels, of shape (n_block, n_classes)."""
        training, measure = query.training_set(), _LOSSES[self.loss]
        transformers, classifier = open_pipeline(query.estimator)
        classes, update = query.trainee.classes_, updates_of(classifier)
        if (
            update is None
            or set(training.params) - {"sample_weight"}
            or not np.array_equal(np.unique(training.y), classes)  # labels of a new class wait for a training
        ):
            yield from _trained_again(query, rows, shares, evaluated, measure)
            return

        seen = Seen(
            labeled=_transformed(training.X, transformers),
            candidates=_transformed(query.pool.take(rows), transformers),
            evaluated=_transformed(query.pool.take(evaluated), transformers),
            codes=np.searchsorted(classes, training.y),
            weights=_weights(training.params, len(training.y)),
            new_weights=_weights(query.row_params(rows), len(rows)),
        )
        # Where the steps before learn such rows, too, or it refuses.
        if update is multinomial and seen.candidates.min() < 0:
            yield from _trained_again(query, rows, shares, evaluated, measure)
            return
        after = update(classifier, seen)
        n_bytes = 32 * len(classes) * (len(evaluated) + MOST_PARAMETERS)
        step = max(1, _BLOCK_BYTES // n_bytes)
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            yield block, np.stack([measure(p).mean(axis=1) for p in after(block)], axis=1)


def _transformed(X: Any, transformers: list[Any]) -> Any:
    """Return rows as the last step of a pipeline gets them, in float64."""
    for transformer in transformers:
        X = transformer.transform(X)
    return sparse.csr_array(X, dtype=np.float64) if sparse.issparse(X) else dense(X).astype(np.float64)


def _weights(params: dict[str, Any], n_rows: int) -> NDArray[np.float64]:
    weights = params.get("sample_weight")
    return np.ones(n_rows) if weights is None else np.asarray(weights, dtype=np.float64)


def _trained_again(
    query: Query, rows: Rows, shares: NDArray[Any], evaluated: Rows, measure: Callable[..., Any]
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Train a clone for each candidate and class that it may have."""
    training, params, classes = query.training_set(), query.row_params(rows), query.trainee.classes_
    if query.trainee is not query.estimator:  # trained on codes, which are others where a new class waits
        classes = np.searchsorted(query.labels.classes, query.estimator.classes_)
    n_known = len(training.y)
    stacked = as_pool(as_pool(training.X).stack([query.pool.take(rows)]))
    U = as_pool(query.pool.take(evaluated))
    seed = int(query.rng.integers(np.iinfo(np.int32).max))
    for i in counted(range(len(rows)), "candidates"):
        own = training.params | {
            name: np.append(training.params[name], np.asarray(values)[[i]], axis=0)
            for name, values in params.items()
        }
        X = as_pool(stacked.take(np.append(np.arange(n_known), n_known + i)))
        losses = np.zeros((1, len(classes)))
        for code in np.flatnonzero(shares[i]):
            member = trained_clone(query.trainee, X, np.append(training.y, classes[code]), own, seed)
            losses[0, code] = measure(predict_proba(member, U)).mean()
        yield slice(i, i + 1), losses
