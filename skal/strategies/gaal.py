"""GAAL: synthetic samples on the decision boundary (Zhu and Bento, 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ..utils.docstrings import inherits_doc
from .latent_search import LatentSearch
from .objectives import Objective
from .query import Query
from .synthesis import SynthesisStrategy


@inherits_doc()
@dataclass(eq=False, repr=False, kw_only=True)
class GAAL(LatentSearch, SynthesisStrategy):
    r"""Generative adversarial active learning: generate the samples of which the classifier is least sure.

    .. math:: \min_z \lvert w^\top G(z) + b \rvert

    from one random latent :math:`z \sim N(0, I)` a sample ([1]_), where G is a generator trained on the pool
    and w, b are the classifier's. An annotator labels the images G(z) themselves, and ``learner.extend`` takes the
    labels. The time of a synthesis does not depend on the size of the pool.

    Parameters
    ----------
    generator : estimator, default=None
        Anything with `fit`, `n_latent_` and `torch_decoder`; ``GAN()`` by default. It is cloned and trained on the
        pool, without labels; a ``FrozenEstimator`` of a fitted one is used as it is.
    objective : {"min_distance", "entropy"} or callable, default="min_distance"
        What is optimised at G(z). "min_distance" is the equation; with more than two classes, of which the paper has
        none, the difference of the two largest logits. "entropy" is that of the classifier's probabilities, which is
        maximised. A callable maps logits (n_samples, n_classes) to one value a sample, which is to be large.
    n_steps : int, default=100
        Steps of Adam over z.
    learning_rate : float, default=0.05
        Step size; ``n_steps * learning_rate`` bounds the way of each coordinate of z, about.
    latent_batch : int, default=100
        Latents that are optimised together. Memory is proportional to it; the result is the same.
    tol : float, default=1e-3
        A latent stops once its objective is this close to the best there is.
    random_state : int, RandomState instance or None, default=None
        Seeds the generator and draws the latents.

    Attributes
    ----------
    generator_ : estimator
        The trained generator.
    query_report_ : Bunch of ndarray
        Of the latest synthesis, an entry a sample: "synthetic" samples, their "latents", "objective_before" and
        "objective_after" the optimisation, "entropy_before" and "entropy_after" (in nats), and "n_steps" made.

    See Also
    --------
    skal.ActiveLearner.synthesize : Makes the samples with the learner's classifier.

    Notes
    -----
    Zhu and Bento train a DCGAN and a linear SVM. ASAL's authors repeat it with their own GAN: on MNIST 5 against 7 the
    accuracy falls beyond 350 labels, as samples on the boundary become hard to label (ASAL, Section 5.3).

    References
    ----------
    .. [1] Zhu, Bento. Generative Adversarial Active Learning. arXiv:1702.07956, 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.generators import GAN
    >>> from skal.strategies import GAAL
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression(max_iter=1000).fit(X, y == 2)
    >>> strategy = GAAL(GAN(n_latent=8, n_iter=20), random_state=0).fit(X)
    >>> strategy.synthesize(5, estimator=classifier).shape
    (5, 4)
    """

    requires = ("as_torch",)

    objective: str | Objective = field(default="min_distance", kw_only=False)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SynthesisStrategy._parameter_constraints,
        **LatentSearch._parameter_constraints,
    }

    def _synthesize(self, query: Query) -> Any:
        found = self._search(query, query.n_queries)
        samples = query.pool.like(found.synthetic)
        query.report.update({**found._asdict(), "synthetic": samples})
        return samples
