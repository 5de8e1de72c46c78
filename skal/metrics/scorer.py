"""The metrics of generated rows as a scorer."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.dummy import DummyClassifier

from ..access import unwrap
from ..utils.checks import check_integer
from ..utils.random import draw_seed
from .frechet import FeatureStatistics, frechet_distance
from .gan_test import RecognizedRows
from .inception_scores import ScoredRows
from .judges import as_rows

_BLOCK_ROWS = 1024


class GenerationScorer:
    """A scorer, as in scikit-learn, of classifiers that generate rows of the classes they were trained on.

    It requests `n_samples` rows, equally many of each class, from ``estimator.sample(y, random_state=...)``, one block
    at a time, and measures them. Every call uses the same labels and seeds.

    As the `scoring` of :class:`skal.SimulatedLearner`, it adds its metrics to `history_` as ``score_<name>``, with or
    without validation rows. In ``GridSearchCV``, `refit` must name the metric. Note that smaller distances are better,
    but a search assumes that larger scores are.

    Parameters
    ----------
    reference : FeatureStatistics, default=None
        Statistics of the real rows, for the Frechet distance.
    classifier : fitted classifier, default=None
        Trained on real rows: for the GAN-test, and for the inception score if there is no `judge`.
    judge : fitted classifier, InceptionFeatures or callable, default=None
        As in :func:`inception_score`.
    n_samples : int, default=10000
    n_splits : int, default=10
        As in :func:`inception_score`.
    random_state : int, RandomState instance or None, default=None
        Used only once, when the scorer is created.

    Raises
    ------
    ValueError
        If no reference, classifier or judge is given, or a number is out of range.
    TypeError
        If `reference` is not a FeatureStatistics, or `classifier` has no `predict` or no classes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skal import SimulatedLearner
    >>> from skal.metrics import FeatureStatistics, GenerationScorer
    >>> from skal.strategies import RandomSampling
    >>> class Normal(GaussianNB):
    ...     def sample(self, y, random_state=None):
    ...         k = np.searchsorted(self.classes_, y)
    ...         return np.random.default_rng(random_state).normal(self.theta_[k], np.sqrt(self.var_[k]))
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = GenerationScorer(
    ...     FeatureStatistics().update(X), classifier=GaussianNB().fit(X, y), n_samples=300, random_state=0
    ... )
    >>> learner = SimulatedLearner(Normal(), RandomSampling(), n_initial=20, budget=40, scoring=scorer, random_state=0)
    >>> history = learner.fit(X, y).history_
    >>> sorted(name for name in history if name.startswith("score"))
    ['score_classifier_inception_score', 'score_frechet_distance', 'score_gan_test_accuracy']
    """

    requires = ("sample",)

    def __init__(
        self,
        reference: FeatureStatistics | None = None,
        *,
        classifier: Any = None,
        judge: Any = None,
        n_samples: int = 10_000,
        n_splits: int = 10,
        random_state: Any = None,
    ) -> None:
        self.reference = reference
        self.classifier = classifier
        self.judge = classifier if judge is None else judge
        self.n_samples = n_samples
        self.n_splits = n_splits
        self.random_state = draw_seed(random_state)
        if reference is None and self.judge is None:
            raise ValueError("Nothing to measure by was given; give a reference, a classifier or a judge.")
        if not isinstance(reference, FeatureStatistics | None):
            raise TypeError(
                f"reference is a {type(reference).__name__}; give FeatureStatistics(features).update(X)."
            )
        if reference is not None:
            reference._check_rows(2)
        if classifier is not None and not hasattr(classifier, "classes_"):
            raise TypeError(f"{classifier!r} is not fitted; give a classifier that was fitted on real rows.")
        check_integer("n_samples", n_samples, 2)
        # Whatever else is refused is refused here too, before anything is trained.
        self.names = [meter.name.lower().replace(" ", "_").replace("-", "_") for meter in self._meters()]

    def _meters(self, labels: Any = ()) -> list[Any]:
        """The objects that take the generated rows and return the metrics, in the order of their names."""
        meters: list[Any] = []
        if self.reference is not None:
            meters.append(FeatureStatistics(self.reference.features))
        if self.judge is not None:
            meters.append(ScoredRows(self.judge, self.n_samples, self.n_splits, True, self.random_state))
        if self.classifier is not None:
            meters.append(RecognizedRows(self.classifier, np.asarray(labels)))
        return meters

    def __call__(self, estimator: Any, X: Any = None, y: ArrayLike | None = None) -> dict[str, float]:
        """Measure rows that the estimator generates.

        Parameters
        ----------
        estimator : fitted classifier with `sample`, or a learner around one
        X : array-like of shape (n_samples, ...), default=None
            Rows on which the estimator's own `score` is measured too, as "accuracy".
        y : array-like of shape (n_samples,), default=None

        Returns
        -------
        scores : dict of str to float
            Keys are the names of the results, such as "classifier_frechet_distance", "classifier_inception_score" and
            "gan_test_accuracy". NaN for a learner that knows fewer than two classes.

        Raises
        ------
        TypeError
            If the estimator has no `sample`.
        ValueError
            If it makes another number of rows than asked for, or has classes that `classifier` does not know.
        """
        scores = {} if X is None else {"accuracy": float(estimator.score(X, y))}
        generator = unwrap(estimator)
        if isinstance(generator, DummyClassifier):  # a learner's, while it knows a single class
            return scores | dict.fromkeys(self.names, np.nan)
        if not hasattr(generator, "sample"):
            raise TypeError(
                f"{type(generator).__name__} has no sample(y, random_state), which a GenerationScorer asks for rows of "
                "given classes. Use a classifier that generates, and no pipeline around it."
            )
        labels = np.asarray(generator.classes_)[np.arange(self.n_samples) % len(generator.classes_)]
        meters = self._meters(labels)
        seeds = np.random.SeedSequence(self.random_state)
        for start in range(0, self.n_samples, _BLOCK_ROWS):
            asked = labels[start : start + _BLOCK_ROWS]
            # 31 bits, which scikit-learn's random states take.
            seed = int(seeds.spawn(1)[0].generate_state(1)[0] >> 1)
            rows = as_rows(generator.sample(asked, random_state=seed))
            if rows.shape[0] != len(asked):
                raise ValueError(
                    f"{type(generator).__name__}.sample was given {len(asked)} labels and made {rows.shape[0]} rows; "
                    "it must make one per label."
                )
            for meter in meters:
                meter.update(rows)
        values = [
            frechet_distance(self.reference, meter)
            if isinstance(meter, FeatureStatistics)
            else meter.result()
            for meter in meters
        ]
        return scores | dict(zip(self.names, map(float, values), strict=True))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing changes it, and clones of a learner need no reference of their own

    def __repr__(self) -> str:
        return f"GenerationScorer({', '.join(self.names)}, n_samples={self.n_samples})"
