"""ASAL: adversarial sampling for active learning (Mayer and Timofte, 2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.utils._param_validation import HasMethods, StrOptions

from ..access import embed
from ..access.wrappers import works_in_place
from ..generators import AutoEncoder, fit_encoder
from ..generators.encoders import shaped
from ..neighbors import make_index, match, principal_components
from ..pool import Pool, Rows, blockwise, dense, owned
from .base import POSITIVE_INTEGER, QueryStrategy
from .candidates import CandidateStrategy
from .latent_search import LatentSearch
from .objectives import ObjectiveSampling
from .query import Query

Features = Callable[[Any], NDArray[Any]]


@dataclass(eq=False, repr=False, kw_only=True)
class ASAL(LatentSearch, CandidateStrategy):
    r"""Choose the real rows nearest to synthetic rows about which the classifier is most unsure.

    A generator G, trained once on the pool, makes rows from latent vectors z. Each query searches for latents at which
    the classifier h has the largest entropy,

    .. math:: \max_z H(h(G(z))) \qquad \text{with } H(q) = -\sum_i P(c = i \mid q) \log P(c = i \mid q)

    and takes, without replacement, the unlabelled rows whose features are nearest to those of the synthetic rows,

    .. math:: \arg\min_i \lVert F(x_i) - F(\tilde x) \rVert_2 , \qquad F = \text{PCA of the features, centred}

    ([1]_, Equations 1 and 2, Algorithm 1). A query does not scan the pool, so its time hardly depends on the pool's
    size.

    Parameters
    ----------
    {generator}
    features : {"pixels", "discriminator", "autoencoder", "classifier"} or transformer, default="pixels"
        The features in which rows are compared:

        - ``"pixels"``: the rows themselves, images or not (ASAL-Gray, ASAL-RGB);
        - ``"discriminator"``: the last features of the GAN's critic, which need a GAN that was trained for a long time;
          for another generator, the output of its `transform`;
        - ``"autoencoder"``: the code of :class:`skal.generators.AutoEncoder`, trained on the pool in `fit`;
        - ``"classifier"``: the penultimate embedding of the classifier. Every query then passes over the pool twice, to
          build its own components and index, which are not kept;
        - a transformer, fitted on the pool in `fit`.
    n_components : int or None, default=50
        The number of principal components of the features that are compared (all, if there are fewer). They are
        computed from all rows, see :func:`skal.neighbors.principal_components`. None compares the features themselves.
    {objective, n_steps, learning_rate, latent_batch, tol}
    n_candidates : int, default=None
        Synthetic rows to match; `criterion` keeps the best of their matches ("ASAL-generate"). As many as are
        queried by default, never fewer, and no more than there are unlabelled rows.
    n_neighbors : int, default=1
        Rows to match to each synthetic one; `criterion` keeps the best of them ("ASAL-neighbors").
    criterion : QueryStrategy, default=None
        Orders the matched rows, best first, and chooses among them if there are more than were asked for. By default
        the `objective` itself.
    index : {"exact", "approximate"} or object, default="exact"
        Finds the nearest rows, see :func:`skal.neighbors.make_index`. An object has ``fit(X)`` and
        ``kneighbors(X, n_neighbors)``, as scikit-learn's ``NearestNeighbors`` has.
    random_state : int, RandomState instance or None, default=None
        Seeds the networks and draws the latents.

    Attributes
    ----------
    {generator_}
    encoder_ : transformer
        The trained autoencoder or other transformer, where `features` is one.
    pca_ : PCA or None
        The principal components; None if `n_components` is None. Missing with ``features="classifier"``.
    index_ : index
        The index over the pool's features. Missing with ``features="classifier"``.
    {criterion_}
    query_report_ : Bunch
        What the latest query did, for m synthetic rows:

        - ``synthetic`` : the synthetic rows, of shape (m, ...), and ``latents``, of shape (m, n_latent);
        - ``objective_before``, ``objective_after`` : the objective at the latents drawn and at those found, (m,);
        - ``entropy_before``, ``entropy_after`` : the entropy at these latents in nats, (m,);
        - ``n_steps`` : the number of gradient steps of each, (m,);
        - ``rows`` : their matches in the pool, (m, n_neighbors), -1 where the pool had no more rows;
        - ``distances`` : the distances between their features, (m, n_neighbors), infinite where ``rows`` is -1;
        - ``n_collisions`` : the number of nearest rows that had already been taken.

    See Also
    --------
    GAAL : Annotates the synthetic rows themselves.
    skal.plotting.MatchesDisplay : Draws synthetic rows above their matches.

    References
    ----------
    .. [1] Mayer, Timofte. Adversarial sampling for active learning. WACV 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.generators import GAN
    >>> from skal.strategies import ASAL
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X[::10], y[::10])
    >>> strategy = ASAL(GAN(n_latent=8, n_iter=20), random_state=0).fit(X)
    >>> rows = strategy.query(X, n_queries=4, estimator=classifier)
    >>> report = strategy.query_report_
    >>> report.synthetic.shape, bool((report.entropy_after >= report.entropy_before).all())
    ((4, 4), True)
    """

    features: Any = field(default="pixels", kw_only=False)
    n_components: int | None = 50
    n_candidates: int | None = None
    n_neighbors: int = 1
    index: Any = "exact"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "features": [
            StrOptions({"pixels", "autoencoder", "discriminator", "classifier"}),
            HasMethods(["fit", "transform"]),
        ],
        "n_components": [*POSITIVE_INTEGER, None],
        "n_candidates": [*POSITIVE_INTEGER, None],
        "n_neighbors": POSITIVE_INTEGER,
        "index": [StrOptions({"exact", "approximate"}), HasMethods(["fit", "kneighbors"])],
    }

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        own = ("predict_proba", "as_torch") if self.objective == "entropy" else ("as_torch",)
        return (*own, *(["embed"] if self._asks_classifier else []), *super().requires)

    @property
    def _asks_classifier(self) -> bool:
        return bool(self.features == "classifier")

    def _criterion(self) -> QueryStrategy:
        return ObjectiveSampling(self.objective) if self.criterion is None else self.criterion

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        make_index(self.index)  # refuses a class in place of an index

    def _fit(self, X: Any, y: NDArray[np.int32] | None) -> None:
        super()._fit(X, y)
        if not isinstance(self.features, str) or self.features == "autoencoder":
            encoder = AutoEncoder() if isinstance(self.features, str) else self.features
            self.encoder_ = fit_encoder(encoder, X, self._seed)
        if not self._asks_classifier:
            self.pca_ = self._fit_pca(self._features(), X)

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        if not self._asks_classifier:
            self.index_ = self._fit_index(self._features(), self.pca_, pool)

    def _restrict(self, query: Query) -> Rows:
        # Step 2 of Algorithm 1: synthetic rows of high entropy.
        n_candidates = min(self.n_candidates or 0, len(query.candidates))  # more cannot be matched
        found = self._search(query, max(query.n_queries, n_candidates))
        synthetic = found.synthetic.reshape(-1, *query.pool.row_shape)
        # Step 3: their features.
        features = self._features(query.estimator)
        if self._asks_classifier:
            pca = self._fit_pca(features, query.pool)
            index = self._fit_index(features, pca, query.pool)
        else:
            pca, index = self.pca_, self.index_
        # Step 4: the real rows that match them.
        candidates = query.candidates
        available = candidates if candidates.excluded is not None else candidates.mask(len(query.pool))
        n_neighbors = min(self.n_neighbors, len(query.candidates))
        # The classifier is asked about rows in the pool's own numbers, which a network may have scaled as bytes.
        asked = query.pool.like(synthetic) if self._asks_classifier else synthetic
        matches = match(index, _project(pca, features(asked)), available, n_neighbors)
        rows, distances, n_collisions = matches
        query.report.update({**found._asdict(), "synthetic": synthetic, "rows": rows})
        query.report.update(distances=distances, n_collisions=n_collisions)
        return rows[rows >= 0]

    def _features(self, estimator: Any = None) -> Features:
        """Return the map from rows to their features, before the principal components."""
        if self._asks_classifier:
            return partial(embed, estimator)
        if self.features == "pixels":
            return dense
        encoder = self.generator_ if self.features == "discriminator" else self.encoder_
        in_place = works_in_place(encoder)

        def codes(rows: Any) -> NDArray[Any]:
            rows = shaped(encoder, dense(rows))
            return dense(encoder.transform(owned(rows) if in_place else rows))

        return codes

    def _fit_pca(self, features: Features, X: Any) -> PCA | None:
        if self.n_components is None:
            return None
        return principal_components(X, self.n_components, features, seed=self._seed)

    def _fit_index(self, features: Features, pca: PCA | None, X: Any) -> Any:
        projected = blockwise(lambda block: _project(pca, features(block)), X)
        return make_index(self.index, self._seed).fit(projected)


def _project(pca: PCA | None, features: NDArray[Any]) -> NDArray[np.float32]:
    features = _flat(features)
    return features if pca is None else pca.transform(features).astype(np.float32, copy=False)


def _flat(rows: NDArray[Any]) -> NDArray[Any]:
    """Features as 2-D floating-point rows."""
    rows = rows.reshape(len(rows), -1)
    return rows if rows.dtype.kind == "f" else rows.astype(np.float32)
