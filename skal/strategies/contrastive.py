"""CAL: rows that are predicted differently from their labelled neighbours (Margatina et al., 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..access import predict_proba
from ..pool import Rows
from ..selection import top_k
from ..selection.points import measure_close, middle, sq_norms, squares_fit
from ..utils.threads import in_threads, one_blas_thread
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy, rows_to_embed
from .query import Query
from .uncertainty import entropy

_BLOCK_NUMBERS = 1 << 18  # of distances, and of the neighbours' probabilities, in memory at a time


@dataclass(eq=False, repr=False, kw_only=True)
class ContrastiveAL(EmbeddingStrategy):
    r"""Choose contrastive rows: near labelled rows in the embedding, and far from them in their predictions.

    .. math:: s(x) = \frac{1}{k} \sum_{i \in N_k(x)} D\big(p(y \mid x_i) \,\Vert\, p(y \mid x)\big)

    where :math:`N_k(x)` are the k labelled rows nearest to x ([1]_, Algorithm 1) and D is the Kullback-Leibler
    divergence.

    Parameters
    ----------
    {embedding}
    n_neighbors : int, default=10
        k; all labelled rows while there are fewer than k.
    random_state : int, RandomState instance or None, default=None
        Seeds the transformer, and breaks ties.

    Attributes
    ----------
    {encoder_}

    Notes
    -----
    The divergences of a row from its neighbours need no logarithm per pair: their sum follows from the entropies of the
    neighbours' probabilities and from the mean of these probabilities. A probability of zero counts as the smallest
    normal number.

    References
    ----------
    .. [1] Margatina, Vernikos, Barrault, Aletras. Active learning by acquiring contrastive examples. EMNLP 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.strategies import ContrastiveAL
    >>> X, y = load_iris(return_X_y=True)
    >>> labels = y.copy()
    >>> labels[5:50] = labels[55:100] = labels[105:] = -1
    >>> strategy = ContrastiveAL(n_neighbors=3, random_state=0)
    >>> learner = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=4).fit(X, labels)
    >>> sorted(y[learner.query()].tolist())  # the class between the two others
    [1, 1, 1, 1]
    """

    n_neighbors: int = 10

    _parameter_constraints: ClassVar[dict[str, Any]] = {"n_neighbors": POSITIVE_INTEGER}

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        return (*super().requires, "predict_proba")

    def _query(self, query: Query) -> Rows:
        rows, labeled = query.candidates.rows, query.labels.rows
        embedded, places = rows_to_embed(np.concatenate([labeled, rows]), query.pool)
        embedding = self._embed(query, embedded, keep_integers=True)[0]
        known, places = embedding[places[: len(labeled)]], places[len(labeled) :]
        answers = [predict_proba(query.estimator, query.pool, labeled)] if len(labeled) else []
        answers += [predict_proba(query.estimator, part.pool, part.rows) for part in query.outside]
        if not answers:
            raise ValueError(
                "ContrastiveAL compares with labelled rows, and none is labelled; give y to query."
            )
        parts = [known.astype(np.float64), *(self._embed_samples(query, part) for part in query.outside)]
        probabilities = predict_proba(query.estimator, query.pool, rows)
        scores = self._divergences(
            np.concatenate(parts), np.concatenate(answers), embedding, places, probabilities
        )
        return rows[top_k(scores, query.n_queries, query.rng)]

    def _divergences(
        self,
        known: NDArray[Any],
        known_p: NDArray[Any],
        embedding: NDArray[Any],
        places: Rows,
        probabilities: NDArray[Any],
    ) -> NDArray[np.float64]:
        """Return the mean divergence of the nearest known rows from each row at some places of an embedding."""
        if not (squares_fit(embedding) and squares_fit(known)):
            raise ValueError(
                "Squared distances between embeddings overflow; scale the rows that they come from."
            )
        k, known_p = min(self.n_neighbors, len(known)), known_p.astype(np.float64)
        shift, tiny = middle(known), np.finfo(probabilities.dtype).tiny
        known, surprises = known - shift, entropy(known_p)
        norms = sq_norms(known)
        step = max(1, _BLOCK_NUMBERS // max(known.shape[1], len(known), k * known_p.shape[1]))
        scores = np.empty(len(places))

        def measure(start: int) -> None:
            block = slice(start, start + step)
            points = embedding[places[block]].astype(np.float64) - shift
            own, distances = sq_norms(points), points @ known.T
            distances *= -2
            distances += norms
            distances += own[:, np.newaxis]
            measure_close(distances, points, own, known)
            nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
            logarithms = np.log(np.maximum(probabilities[block], tiny), dtype=np.float64)
            crosses = np.einsum("ij,ij->i", known_p[nearest].mean(axis=1), logarithms)
            scores[block] = -crosses - surprises[nearest].mean(axis=1)

        with one_blas_thread:
            in_threads(measure, range(0, len(places), step))
        return np.maximum(scores, 0)
