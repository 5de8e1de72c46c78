"""GAAL: synthetic samples on the decision boundary (Zhu and Bento, 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .latent_search import LatentSearch
from .objectives import Objective
from .query import Query
from .synthesis import SynthesisStrategy


@dataclass(eq=False, repr=False, kw_only=True)
class GAAL(LatentSearch, SynthesisStrategy):
    r"""Generative adversarial active learning: generate the samples about which the classifier is least sure.

    .. math:: \min_z \lvert w^\top G(z) + b \rvert

    is solved once per sample, from a random latent :math:`z \sim N(0, I)` ([1]_). G is a generator trained on the
    pool, and w and b are those of the classifier. An annotator labels the images G(z) themselves, and
    ``learner.extend`` takes the labels. The time that a synthesis takes does not depend on the size of the pool.

    Parameters
    ----------
    {generator}
    objective : {"min_distance", "entropy"} or callable, default="min_distance"
        What is optimised at G(z). "min_distance" is the equation; for more than two classes, which the paper does not
        have, it is the difference of the two largest logits. "entropy" maximises the entropy of the classifier's
        probabilities. A callable maps logits of shape (n_samples, n_classes), as a torch tensor, to one value per
        sample, which is maximised.
    {n_steps, learning_rate, latent_batch, tol}
    random_state : int, RandomState instance or None, default=None
        Seeds the generator and draws the latents.

    Attributes
    ----------
    {generator_}
    query_report_ : Bunch of ndarray
        About the latest synthesis, with one entry per sample: the "synthetic" samples, their "latents",
        "objective_before" and "objective_after" the search, "entropy_before" and "entropy_after" it (in nats), and
        "n_steps", the gradient steps.

    See Also
    --------
    skal.ActiveLearner.synthesize : Makes the samples with the learner's classifier.

    Notes
    -----
    Zhu and Bento train a DCGAN and a linear SVM: ``GAAL(GAN("dcgan"))`` with ``LinearClassifier(loss="hinge")``. The
    authors of ASAL repeat this with their own GAN: on MNIST 5 against 7, the accuracy falls beyond 350 labels, because
    samples on the boundary become hard to label (ASAL, Section 5.3).

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

    def _synthesize(self, query: Query) -> Any:
        found = self._search(query, query.n_queries)
        samples = query.pool.like(found.synthetic)
        query.report.update({**found._asdict(), "synthetic": samples})
        return samples
