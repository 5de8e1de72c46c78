"""Discriminative active learning: rows that look unlabelled (Gissin and Shalev-Shwartz, 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import HasMethods

from ..pool import Rows, as_pool, blockwise
from ..selection import top_k
from ..utils.progress import counted
from ..utils.random import seed_random_states
from .base import POSITIVE_INTEGER
from .embedding import EmbeddingStrategy, rows_to_embed
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class DiscriminativeAL(EmbeddingStrategy):
    r"""Choose the rows that a discriminator of labelled and unlabelled rows takes for unlabelled.

    .. math:: \arg\max_{x \in U} p(\text{unlabelled} \mid h(x))

    The batch is chosen in parts. After each part, its rows count as labelled and the discriminator is trained again, so
    that the rows of a batch are not all alike ([1]_, Algorithm 1). It needs no classifier unless
    ``embedding="classifier"``.

    Parameters
    ----------
    {embedding}
    discriminator : classifier, default=None
        It needs `decision_function` or `predict_proba`, and is trained on the labels 0 (labelled) and 1 (unlabelled).
        By default it is a logistic regression on standardised embeddings with balanced class weights; the paper uses a
        network of three layers.
    n_parts : int, default=10
        The number of parts of a batch; 10 to 20 in the paper.
    n_unlabeled : int, default=10
        How many random unlabelled rows the discriminator is trained on per labelled row; 10 in the authors' code.
    random_state : int, RandomState instance or None, default=None
        Seeds the transformer, the discriminator and its rows, and breaks ties.

    Attributes
    ----------
    {encoder_}

    Notes
    -----
    While no row is labelled or pending, the first part is one random row.

    References
    ----------
    .. [1] Gissin, Shalev-Shwartz. Discriminative active learning. arXiv:1907.06347, 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies import DiscriminativeAL
    >>> X = np.array([[0.0], [0.1], [0.2], [5.0], [9.0]])
    >>> DiscriminativeAL("input", random_state=0).fit(X).query(X, y=[0, 0, -1, -1, -1])
    array([4])
    """

    discriminator: Any = None
    n_parts: int = 10
    n_unlabeled: int = 10

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "discriminator": [
            HasMethods(["fit", "decision_function"]),
            HasMethods(["fit", "predict_proba"]),
            None,
        ],
        "n_parts": POSITIVE_INTEGER,
        "n_unlabeled": POSITIVE_INTEGER,
    }

    def _query(self, query: Query) -> Rows:
        before, rows = np.concatenate([query.labels.rows, query.pending]), query.candidates.rows
        embedded, places = rows_to_embed(np.concatenate([before, rows]), query.pool)
        embedding = self._embed(query, embedded, keep_integers=True)[0]
        known = embedding[places[: len(before)]]
        known = np.concatenate([known, *(self._embed_samples(query, part) for part in query.outside)])
        picks = self._picks(known, embedding, places[len(before) :], query)
        return rows[picks]

    def _picks(self, known: NDArray[Any], embedding: NDArray[Any], places: Rows, query: Query) -> Rows:
        """Return which of some places of an embedding to choose, the least like the known rows first."""
        picks, left = np.empty(0, np.intp), np.arange(len(places))
        for size in counted(
            _sizes(query.n_queries, self.n_parts, starts=len(known) > 0), "parts of the query"
        ):
            labeled = np.concatenate([known, embedding[places[picks]]])
            if len(labeled):
                scores = self._scores(labeled, embedding, places[left], query.rng)
                best = top_k(scores, size, query.rng)
            else:
                best = query.rng.choice(len(left), size, replace=False)
            picks, left = np.append(picks, left[best]), np.delete(left, best)
        return picks

    def _scores(
        self, labeled: NDArray[Any], embedding: NDArray[Any], places: Rows, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Return how unlabelled the rows at some places look to a discriminator that is trained for it."""
        n_sample = min(len(places), self.n_unlabeled * len(labeled))
        sample = embedding[places[rng.choice(len(places), n_sample, replace=False)]]
        default = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight="balanced"))
        discriminator = default if self.discriminator is None else clone(self.discriminator)
        seed_random_states(discriminator, int(rng.integers(np.iinfo(np.int32).max)))
        dtype = np.result_type(embedding.dtype, np.float32)
        both = np.concatenate([labeled, sample]).astype(dtype, copy=False)
        discriminator.fit(both, np.repeat([0, 1], [len(labeled), n_sample]))

        def unlabeled(block: NDArray[Any]) -> NDArray[Any]:
            block = block.astype(dtype, copy=False)  # as it was trained
            if hasattr(discriminator, "decision_function"):  # probabilities round to one
                return discriminator.decision_function(block)
            return discriminator.predict_proba(block)[:, 1]

        pool = as_pool(embedding)
        return blockwise(unlabeled, pool, places, row_bytes=4 * pool.float_bytes)  # with copies of its own


def _sizes(n_queries: int, n_parts: int, *, starts: bool) -> list[int]:
    """Return the sizes of the parts of a batch, the larger ones first; a batch from nothing starts with one row."""
    first = [] if starts else [1]
    left = n_queries - len(first)
    parts = [part.size for part in np.array_split(np.empty(left), min(n_parts, left) or 1)]
    return first + [size for size in parts if size]
