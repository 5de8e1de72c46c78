"""ASAL: adversarial sampling for active learning (Mayer and Timofte, 2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.utils import check_array
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ..access import as_torch, embed
from ..generators import AutoEncoder, fit_encoder
from ..neighbors import make_index, match
from ..pool import Pool, Rows, blockwise
from ._latents import OBJECTIVES, LatentSearch, Objective
from .base import QueryStrategy, ScoreStrategy
from .candidates import CandidateStrategy
from .query import Query

Features = Callable[[Any], NDArray[Any]]

# The components of more rows are the same for all that matters, and cost their features a second time.
_PCA_ROWS = 20_000


@dataclass(eq=False, repr=False, kw_only=True)
class ASAL(LatentSearch, CandidateStrategy):
    r"""Choose the real rows nearest to synthetic ones that the classifier is most unsure about.

    A generator G, trained once on the pool, makes rows from latent vectors z. Each query searches latents at which
    the classifier h has the largest entropy,

    .. math:: \max_z H(h(G(z))) \qquad \text{with } H(q) = -\sum_i P(c = i \mid q) \log P(c = i \mid q)

    and takes, without replacement, the unlabelled rows whose features are nearest to those of the synthetic rows,

    .. math:: \arg\min_i \lVert F(x_i) - F(\tilde x) \rVert_2 , \qquad F = \text{PCA of the features, centred}

    ([1]_, Equations 1 and 2, Algorithm 1). The pool is never scanned: the cost of a query hardly depends on its
    size.

    Parameters
    ----------
    generator : generator, default=None
        Trained on the pool in `fit`, a ``FrozenEstimator`` as it is; :class:`skal.generators.GAN` by default, a
        WGAN-GP. Another one needs `fit`, ``n_latent_`` and ``torch_decoder()``.
    features : {"pixels", "discriminator", "autoencoder", "classifier"} or transformer, default="pixels"
        What makes rows similar:

        - ``"pixels"``: the rows themselves, images or not (ASAL-Gray, ASAL-RGB);
        - ``"discriminator"``: the last features of the GAN's critic (of another generator, its `transform`), which
          want a GAN trained for long;
        - ``"autoencoder"``: the code of :class:`skal.generators.AutoEncoder`, trained on the pool in `fit`;
        - ``"classifier"``: the penultimate embedding of the classifier, which costs a pass over the pool and a new
          index at every query;
        - a transformer, fitted on the pool in `fit`.
    n_components : int or None, default=50
        Principal components of the features that are compared (all, where there are fewer); None compares the
        features themselves.
    objective : {"entropy", "min_distance"} or callable, default="entropy"
        What is maximised: the entropy; minus the distance to the hyperplane of a linear model of two classes (with
        more classes minus the difference of the two largest decision values, which the paper does not have); or a
        callable, from logits (n_samples, n_classes) as torch tensors to one value a row.
    n_steps : int, default=100
        Gradient steps of Adam on the latents, at most.
    learning_rate : float, default=0.05
        Its learning rate, which the paper does not state. `n_steps` times `learning_rate` is about how far a latent
        can travel along each axis.
    latent_batch : int, default=100
        Latents that are optimised together.
    tol : float, default=1e-3
        A latent stops where its objective is within `tol` of the largest value there is. 0 makes all steps, as the
        paper does.
    n_candidates : int, default=None
        Synthetic rows to match, of whose matches `criterion` keeps the best ("ASAL-generate"); as many as are
        queried by default, and never fewer.
    n_neighbors : int, default=1
        Rows to match to each synthetic one, of which `criterion` keeps the best ("ASAL-neighbors").
    criterion : QueryStrategy, default=None
        Orders the matched rows, best first, and chooses among them where there are more than were asked for; by
        default the `objective` itself.
    index : {"exact", "approximate"} or object, default="exact"
        Finds the nearest rows, see :func:`skal.neighbors.make_index`; an object has ``fit(X)`` and
        ``kneighbors(X, n_neighbors)``, as scikit-learn's ``NearestNeighbors`` does.
    random_state : int, RandomState instance or None, default=None
        Seeds the networks and draws the latents.

    Attributes
    ----------
    generator_ : generator
        The trained generator.
    encoder_ : transformer
        The trained autoencoder or other transformer, where `features` is one.
    pca_ : PCA
        The principal components. For ``features="classifier"``, those of the last query.
    index_ : index
        The index over the pool's features. For ``features="classifier"``, that of the last query.
    criterion_ : QueryStrategy
        The fitted criterion.
    query_report_ : Bunch
        What the last query did, for m synthetic rows:

        - ``synthetic`` : the rows, of shape (m, ...), and ``latents``, (m, n_latent);
        - ``objective_before``, ``objective_after`` : the objective at the latents drawn and found, (m,);
        - ``entropy_before``, ``entropy_after`` : the entropy there in nats, (m,);
        - ``n_steps`` : gradient steps made, (m,);
        - ``rows`` : their matches in the pool, (m, n_neighbors), -1 where the pool had no more;
        - ``distances`` : between the features, (m, n_neighbors), infinite there;
        - ``n_collisions`` : nearest rows that were taken already.

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
        **CandidateStrategy._parameter_constraints,
        **LatentSearch._parameter_constraints,
        "features": [
            StrOptions({"pixels", "autoencoder", "discriminator", "classifier"}),
            HasMethods(["fit", "transform"]),
        ],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "n_candidates": [Interval(Integral, 1, None, closed="left"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "index": [StrOptions({"exact", "approximate"}), HasMethods(["fit", "kneighbors"])],
    }

    @property
    def requires(self) -> tuple[str, ...]:  # type: ignore[override]
        own = ("predict_proba", "as_torch") if self.objective == "entropy" else ("as_torch",)
        return (*own, *(("embed",) if self._follows_classifier else ()), *super().requires)

    @property
    def _follows_classifier(self) -> bool:
        return bool(self.features == "classifier")

    def _criterion(self) -> QueryStrategy:
        return ObjectiveSampling(self.objective) if self.criterion is None else self.criterion

    def _fit(self, X: Any, y: NDArray[np.int32] | None) -> None:
        super()._fit(X, y)
        if not isinstance(self.features, str):
            self.encoder_ = fit_encoder(self.features, _as_array(X), self._seed)
        elif self.features == "autoencoder":
            self.encoder_ = fit_encoder(AutoEncoder(), _as_array(X), self._seed)
        if not self._follows_classifier:
            self.pca_ = self._fit_pca(self._features(), X)

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        if not self._follows_classifier:
            self.index_ = self._fit_index(self._features(), self.pca_, pool.X)

    def _restrict(self, query: Query) -> Rows:
        X = query.pool.X
        # Step 2 of Algorithm 1: synthetic rows of high entropy.
        n_synthetic = max(query.n_queries, self.n_candidates or 0)
        synthesized = self._search(n_synthetic, query.estimator, query.rng)
        synthetic = synthesized.synthetic.reshape(n_synthetic, *query.pool.row_shape)
        # Step 3: their features.
        features = self._features(query.estimator)
        if self._follows_classifier:
            pca = self._fit_pca(features, X)
            index = self._fit_index(features, pca, X)
        else:
            pca, index = self.pca_, self.index_
        # Step 4: the real rows that match them.
        available = query.candidates.mask(len(query.pool))
        rows, distances, n_collisions = match(
            index, _project(pca, features(synthetic)), available, self.n_neighbors
        )
        query.report.update(
            {**synthesized._asdict(), "synthetic": synthetic},
            rows=rows,
            distances=distances,
            n_collisions=n_collisions,
        )
        return rows[rows >= 0]

    def _features(self, estimator: Any = None) -> Features:
        """What maps rows to the features F, before the principal components."""
        if self._follows_classifier:
            return lambda rows: embed(estimator, rows)
        if self.features == "pixels":
            return _as_array
        encoder = self.generator_ if self.features == "discriminator" else self.encoder_
        return lambda rows: encoder.transform(_as_array(rows))

    def _fit_pca(self, features: Features, X: Any) -> PCA | None:
        if self.n_components is None:
            return None
        n_rows = len(X)
        rows = np.arange(n_rows)
        if n_rows > _PCA_ROWS:
            rows = np.sort(np.random.default_rng(self._seed).choice(n_rows, _PCA_ROWS, replace=False))
        sample = blockwise(lambda block: _flat(features(block)), X, rows)
        pca = PCA(min(self.n_components, *sample.shape), random_state=self._seed % 2**32)
        with np.errstate(
            invalid="ignore", divide="ignore"
        ):  # shares of no variance, where all rows are equal
            return pca.fit(sample)

    def _fit_index(self, features: Features, pca: PCA | None, X: Any) -> Any:
        projected = blockwise(lambda block: _project(pca, features(block)), X)
        return make_index(self.index, self._seed).fit(projected)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False  # networks generate dense rows
        return tags


@dataclass(eq=False, repr=False, kw_only=True)
class ObjectiveSampling(ScoreStrategy):
    """Choose the rows with the largest value of an objective of the classifier's logits.

    Parameters
    ----------
    objective : {"entropy", "min_distance"} or callable
        As in :class:`ASAL`.
    random_state : int, RandomState instance or None, default=None
        Breaks ties.
    """

    objective: str | Objective = field(default="entropy", kw_only=False)

    requires = ("as_torch",)

    def _score(self, X: Any, estimator: Any) -> NDArray[np.floating[Any]]:
        objective = OBJECTIVES[self.objective] if isinstance(self.objective, str) else self.objective
        with torch.no_grad():  # on the CPU, where the rows are: they are few
            return objective(as_torch(estimator).cpu()(torch.tensor(_as_array(X)))).numpy()


def _as_array(X: Any) -> NDArray[Any]:
    """Numeric rows as an array; an array is itself."""
    return X if isinstance(X, np.ndarray) else check_array(X)


def _project(pca: PCA | None, features: NDArray[Any]) -> NDArray[np.float32]:
    features = _flat(features)
    return features if pca is None else pca.transform(features).astype(np.float32, copy=False)


def _flat(rows: NDArray[Any]) -> NDArray[Any]:
    """Features as 2-D floating-point rows."""
    rows = rows.reshape(len(rows), -1)
    return rows if rows.dtype.kind == "f" else rows.astype(np.float32)
