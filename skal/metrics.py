"""How good generated rows are: Frechet distance, inception score, GAN-test, and all of them in a learner's history.

Everything streams: rows, their features and their probabilities are held a block at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.utils.validation import _num_samples, check_is_fitted

from .access import embed, has_embedding, predict_proba
from .differentiable import unwrap
from .labels import check_new_labels
from .nets.shapes import as_images
from .nets.torchvision_net import load_weights, read_weights
from .pool import as_pool, blockwise, dense, row_blocks
from .training.estimator import resolve_device
from .utils._torchvision import import_torchvision
from .utils.random import draw_seed

__all__ = [
    "FeatureStatistics",
    "FrechetDistance",
    "GANTestScore",
    "GenerationScorer",
    "InceptionFeatures",
    "InceptionScore",
    "frechet_distance",
    "gan_test_score",
    "inception_score",
]

# The features of a block of images may be many times larger than the images.
_BLOCK_BYTES = 8 * 2**20
_SAMPLES_A_BLOCK = 1024


class FeatureStatistics:
    """Mean and covariance of the features of rows, learnt a block at a time.

    As the reference of :func:`frechet_distance` they spare the real rows from being embedded again for every set of
    generated ones.

    Parameters
    ----------
    features : callable, fitted transformer, fitted classifier or None, default=None
        Turns a block of rows into an array of shape (n_rows, n_features): a function, a transformer's `transform`, or
        a classifier's penultimate embedding (:func:`skal.access.embed`). None takes the rows themselves, flattened.

    Attributes
    ----------
    n_samples : int
        Number of rows seen.
    mean : ndarray of float64 of shape (n_features,)
    covariance : ndarray of float64 of shape (n_features, n_features)
        With ``n_samples - 1`` in the denominator, as in :func:`numpy.cov`.
    name : str
        What a distance between such statistics is called: "classifier Frechet distance" over a classifier's
        embedding, "torchvision Inception Frechet distance" over :class:`InceptionFeatures`, else "Frechet distance".

    Raises
    ------
    TypeError
        If `features` is none of these, or a classifier without an embedding.
    NotFittedError
        If the transformer or classifier is not fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import FeatureStatistics
    >>> X = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
    >>> statistics = FeatureStatistics().update(X[:1]).update(X[1:])
    >>> statistics.mean
    array([2., 1.])
    >>> statistics.covariance
    array([[4., 0.],
           [0., 0.]])
    """

    def __init__(self, features: Any = None) -> None:
        _feature_function(features)
        self.features = features
        self.name = _distance_name(features)
        self.n_samples = 0

    def update(self, X: Any) -> Self:
        """Add rows.

        Parameters
        ----------
        X : array-like, sparse matrix or data frame of shape (n_samples, ...)

        Returns
        -------
        self : FeatureStatistics

        Raises
        ------
        ValueError
            If a feature is NaN or infinite, or there are not as many features as before. Nothing is added then.
        """
        function, new = _feature_function(self.features), FeatureStatistics()
        for block, _ in row_blocks(_as_rows(X), max_bytes=_BLOCK_BYTES):
            features = _as_matrix(function(block), _num_samples(block))
            for part, _ in row_blocks(features, max_bytes=_BLOCK_BYTES):
                new._merge(*_moments(part.astype(np.float64)))
        self._merge(*new._state())
        return self

    def merge(self, other: FeatureStatistics) -> Self:
        """Add the rows that other statistics have seen, such as those of another process.

        Parameters
        ----------
        other : FeatureStatistics
            Of the same features; it is left alone.

        Returns
        -------
        self : FeatureStatistics

        Raises
        ------
        ValueError
            If the features are of another number or name; two of the same cannot be told apart.
        """
        _check_same_features(self, other)
        self._merge(*other._state())
        return self

    @property
    def mean(self) -> NDArray[np.float64]:
        self._check_rows(1)
        return self._mean

    @property
    def covariance(self) -> NDArray[np.float64]:
        self._check_rows(2)
        return self._scatter / (self.n_samples - 1)

    def _state(self) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
        self._check_rows(1)
        return self.n_samples, self._mean, self._scatter

    def _merge(self, n_samples: int, mean: NDArray[np.float64], scatter: NDArray[np.float64]) -> None:
        """Chan, Golub and LeVeque's pairwise update, which does not cancel where means are large."""
        if self.n_samples == 0:
            self.n_samples, self._mean, self._scatter = n_samples, mean.copy(), scatter.copy()
            return
        if len(mean) != len(self._mean):
            raise ValueError(f"{len(mean)} features were given after {len(self._mean)}; give the same ones.")
        total, shift = self.n_samples + n_samples, mean - self._mean
        self._scatter += scatter + np.outer(shift, shift) * (self.n_samples * n_samples / total)
        self._mean = self._mean + shift * (n_samples / total)
        self.n_samples = total

    def _check_rows(self, at_least: int) -> None:
        if self.n_samples < at_least:
            raise ValueError(
                f"These statistics have seen {self.n_samples} rows and at least {at_least} are needed; call update "
                "with more."
            )


@dataclass(frozen=True)
class FrechetDistance:
    """The result of :func:`frechet_distance`; ``float(result)`` is the distance.

    Parameters
    ----------
    distance : float
    name : str
        What it may be called, see :class:`FeatureStatistics`: with other features it is another quantity.
    n_real, n_generated : int
        Number of rows on either side, on which the distance depends.
    n_features : int

    Examples
    --------
    >>> from skal.metrics import FrechetDistance
    >>> float(FrechetDistance(2.5, "Frechet distance", 100, 50, 8))
    2.5
    """

    distance: float
    name: str
    n_real: int
    n_generated: int
    n_features: int

    def __float__(self) -> float:
        return self.distance


def frechet_distance(real: Any, generated: Any, features: Any = None) -> FrechetDistance:
    r"""Squared Frechet distance between the normal distributions that fit real and generated features.

    .. math:: \|\mu_r - \mu_g\|^2 + \operatorname{Tr}(\Sigma_r + \Sigma_g - 2 (\Sigma_r \Sigma_g)^{1/2})

    It is the FID [1]_ where `features` is the Inception network of that paper. The trace of the root is the sum of the
    singular values of :math:`\Sigma_r^{1/2} \Sigma_g^{1/2}`, the roots of the eigenvalues of the symmetric
    :math:`\Sigma_r^{1/2} \Sigma_g \Sigma_r^{1/2}`, so that singular covariances, such as those of fewer rows than
    features, lose no accuracy and bring in no imaginary part.

    The distance of few rows is too large, by much where they are fewer than the features: compare distances of equal
    numbers of rows, which the result tells.

    Parameters
    ----------
    real, generated : array-like, sparse matrix or data frame of shape (n_samples, ...), or FeatureStatistics
        Rows, at least two, or the statistics of rows, to be used more than once.
    features : callable, fitted transformer, fitted classifier or None, default=None
        As in :class:`FeatureStatistics`. Statistics bring their own, and the other side's rows go through them.

    Returns
    -------
    result : FrechetDistance
        With `distance` (0 where rounding makes it negative), `name`, `n_real`, `n_generated` and `n_features`.

    Raises
    ------
    ValueError
        If there are fewer than two rows on a side, a feature is NaN or infinite, the two sides have features of
        another number or name, or statistics are given other `features` than their own.
    TypeError
        If `features` is no callable, transformer or classifier with an embedding.

    References
    ----------
    .. [1] Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS
       2017, Eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import frechet_distance
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> round(float(frechet_distance(X, X + [2, 0, 0])), 6)
    4.0
    """
    given = [side for side in (real, generated) if isinstance(side, FeatureStatistics)]
    for statistics in given:
        if features is not None and features != statistics.features:
            raise ValueError(
                f"features={features!r} was given with statistics of other features ({statistics.features!r}); leave "
                "features out, the statistics bring their own."
            )
    features = given[0].features if given else features
    real, generated = (
        side if isinstance(side, FeatureStatistics) else FeatureStatistics(features).update(side)
        for side in (real, generated)
    )
    _check_same_features(real, generated)
    covariances = real.covariance, generated.covariance
    shift = real.mean - generated.mean
    traces = sum(np.trace(covariance) for covariance in covariances)
    squared = shift @ shift + traces - 2 * _trace_of_root(*covariances)
    return FrechetDistance(
        max(0.0, float(squared)), real.name, real.n_samples, generated.n_samples, len(shift)
    )


@dataclass(frozen=True)
class InceptionScore:
    """The result of :func:`inception_score`; ``float(result)`` is the mean.

    Parameters
    ----------
    mean, std : float
        Over the splits.
    name : str
        "classifier inception score" where a classifier judged, else "inception score".
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
    r"""How certain a judge is of generated rows, and of how many classes it finds them [1]_.

    .. math:: \exp \mathbb{E}_x \operatorname{KL}(p(y|x) \,\|\, p(y))

    with p(y) the mean over a split of the rows, between 1 and the number of classes. Mean and standard deviation over
    the splits are returned.

    Parameters
    ----------
    generated : array-like, sparse matrix or data frame of shape (n_samples, ...)
    judge : fitted classifier, InceptionFeatures, callable or None, default=None
        Gives the probabilities p(y|x) of a block of rows, shape (n_rows, n_classes): a classifier's or Inception's
        `predict_proba`, or a function. None: the rows of `generated` are such probabilities themselves.
    n_splits : int, default=10
    shuffle : bool, default=True
        Whether the rows of a split are drawn at random. Published programs cut the rows as they come, which is wrong
        where they are sorted by class.
    random_state : int, RandomState instance or None, default=None
        Decides the splits, with `shuffle`.

    Returns
    -------
    result : InceptionScore
        With `mean`, `std`, `name`, `n_samples` and `n_splits`.

    Raises
    ------
    ValueError
        If there are fewer rows than splits, the judge knows one class, or what it gives are no probabilities.
    TypeError
        If `judge` is no classifier with `predict_proba` and no callable.

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
    generated = _as_rows(generated)
    sums = _SplitSums(_num_samples(generated), n_splits, shuffle, random_state)
    probabilities = _probability_function(judge)
    for block, _ in row_blocks(generated, max_bytes=_BLOCK_BYTES):
        sums.add(probabilities(block), _num_samples(block))
    return sums.result(_score_name(judge))


@dataclass(frozen=True, eq=False)
class GANTestScore:
    """The result of :func:`gan_test_score`; ``float(result)`` is the accuracy.

    Parameters
    ----------
    accuracy : float
        Share of the generated rows that the classifier takes for what they should be.
    classes : ndarray of shape (n_classes,)
        The classes in `y`, sorted.
    class_accuracy : ndarray of shape (n_classes,)
        The share among the rows of each class.
    class_counts : ndarray of int of shape (n_classes,)
        Number of rows of each class.
    n_samples : int

    Examples
    --------
    >>> import numpy as np
    >>> from skal.metrics import GANTestScore
    >>> float(GANTestScore(0.75, np.array([0, 1]), np.array([1.0, 0.5]), np.array([2, 2]), 4))
    0.75
    """

    accuracy: float
    classes: NDArray[Any]
    class_accuracy: NDArray[np.float64]
    class_counts: NDArray[np.intp]
    n_samples: int

    def __float__(self) -> float:
        return self.accuracy


def gan_test_score(classifier: Any, generated: Any, y: ArrayLike) -> GANTestScore:
    """Accuracy on generated rows of a classifier that was trained on real ones, the GAN-test [1]_.

    Parameters
    ----------
    classifier : fitted classifier
        Trained on real rows only, best on all of them.
    generated : array-like, sparse matrix or data frame of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
        The classes for which the rows were generated.

    Returns
    -------
    result : GANTestScore
        With `accuracy`, `classes`, `class_accuracy`, `class_counts` and `n_samples`.

    Raises
    ------
    ValueError
        If there is not one label a row, or a label is unknown to the classifier.
    TypeError
        If the classifier has no `predict`.

    References
    ----------
    .. [1] Shmelkov, Schmid and Alahari, "How good is my GAN?", ECCV 2018, section 3.2.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skal.metrics import gan_test_score
    >>> X, y = load_iris(return_X_y=True)
    >>> gan_test_score(GaussianNB().fit(X, y), X + 0.1, y).class_accuracy
    array([1.  , 0.84, 0.96])
    """
    if not hasattr(classifier, "predict"):
        raise TypeError(f"{classifier!r} has no predict; give a classifier that was fitted on real rows.")
    generated = _as_rows(generated)
    y = check_new_labels(y, _num_samples(generated))
    _check_known(classifier, y)
    return _gan_test(np.asarray(blockwise(classifier.predict, generated)), y)


class GenerationScorer:
    """A scorer, as in scikit-learn, of classifiers that generate rows of the classes they learnt.

    It asks for `n_samples` rows, as many of each class, by ``estimator.sample(y, random_state=...)``, a block at a
    time, and measures them. Every call takes the same labels and seeds.

    As the `scoring` of :class:`skal.SimulatedLearner` it puts its metrics into `history_` as ``score_<name>``, with or
    without validation rows. As that of ``GridSearchCV``, `refit` has to name the metric; distances are better the
    smaller they are, which a search does not know.

    Parameters
    ----------
    reference : FeatureStatistics, default=None
        Of the real rows, for the Frechet distance.
    classifier : fitted classifier, default=None
        One that was trained on real rows, for the GAN-test, and for the inception score without a `judge`.
    judge : fitted classifier, InceptionFeatures or callable, default=None
        As in :func:`inception_score`.
    n_samples : int, default=10000
    n_splits : int, default=10
        As in :func:`inception_score`.
    random_state : int, RandomState instance or None, default=None
        Drawn from once, here.

    Raises
    ------
    ValueError
        If there is nothing to measure by, or a number is out of range.
    TypeError
        If `reference` is no FeatureStatistics, or `classifier` has no `predict_proba` or no classes.

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
        judge = classifier if judge is None else judge
        if reference is None and judge is None:
            raise ValueError("Nothing to measure by was given; give a reference, a classifier or a judge.")
        if reference is not None and not isinstance(reference, FeatureStatistics):
            raise TypeError(
                f"reference is a {type(reference).__name__}; give FeatureStatistics(features).update(X)."
            )
        if reference is not None:
            reference._check_rows(2)
        if classifier is not None and not (
            hasattr(classifier, "predict_proba") and hasattr(classifier, "classes_")
        ):
            raise TypeError(
                f"{type(classifier).__name__} has no predict_proba, or is not fitted; give a classifier that has it, "
                "fitted on real rows."
            )
        if judge is not None:
            _probability_function(judge)
        # Refuses a number out of range, before anything is trained.
        _SplitSums(n_samples, n_splits if judge is not None else 1, False, None)
        if n_samples < 2:
            raise ValueError(f"n_samples={n_samples} was given; at least 2 are needed.")
        self.reference = reference
        self.classifier = classifier
        self.judge = judge
        self.n_samples = n_samples
        self.n_splits = n_splits
        self.random_state = draw_seed(random_state)

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
            By the names of the results, such as "classifier_frechet_distance", "classifier_inception_score" and
            "gan_test_accuracy". NaN for a learner that knows fewer than two classes.

        Raises
        ------
        TypeError
            If the estimator has no `sample`.
        ValueError
            If it makes another number of rows than asked for, or learnt classes that `classifier` does not know.
        """
        scores = {} if X is None else {"accuracy": float(estimator.score(X, y))}
        generator = unwrap(estimator)
        if isinstance(generator, DummyClassifier):  # a learner's, while it knows a single class
            return scores | dict.fromkeys(self._names(), np.nan)
        if not hasattr(generator, "sample"):
            raise TypeError(_no_sample(generator))
        labels = np.asarray(generator.classes_)[np.arange(self.n_samples) % len(generator.classes_)]
        statistics, sums, predicted = None, None, []
        if self.reference is not None:
            statistics = FeatureStatistics(self.reference.features)
        if self.judge is not None:
            sums = _SplitSums(self.n_samples, self.n_splits, True, self.random_state)
        if self.classifier is not None:
            _check_known(self.classifier, labels)
        probabilities = _probability_function(self.judge)
        seeds = np.random.SeedSequence(self.random_state)
        for start in range(0, self.n_samples, _SAMPLES_A_BLOCK):
            asked = labels[start : start + _SAMPLES_A_BLOCK]
            # 31 bits, which scikit-learn's random states take.
            seed = int(seeds.spawn(1)[0].generate_state(1)[0] >> 1)
            rows = generator.sample(asked, random_state=seed)
            if _num_samples(rows) != len(asked):
                raise ValueError(
                    f"{type(generator).__name__}.sample was given {len(asked)} labels and made {_num_samples(rows)} "
                    "rows; it must make one a label."
                )
            if statistics is not None:
                statistics.update(rows)
            if sums is not None:
                sums.add(probabilities(rows), len(asked))
            if self.classifier is not None:
                predicted.append(np.asarray(self.classifier.predict(rows)))
        values: list[Any] = []
        if statistics is not None:
            values.append(frechet_distance(self.reference, statistics))
        if sums is not None:
            values.append(sums.result(_score_name(self.judge)))
        if self.classifier is not None:
            values.append(_gan_test(np.concatenate(predicted), labels))
        return scores | dict(zip(self._names(), map(float, values), strict=True))

    def _names(self) -> list[str]:
        names = [] if self.reference is None else [self.reference.name]
        names += [] if self.judge is None else [_score_name(self.judge)]
        names += [] if self.classifier is None else ["GAN-test accuracy"]
        return [name.lower().replace(" ", "_").replace("-", "_") for name in names]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # nothing changes it, and clones of a learner need no reference of their own

    def __repr__(self) -> str:
        return f"GenerationScorer({', '.join(self._names())}, n_samples={self.n_samples})"


class InceptionFeatures:
    """Features and class probabilities of torchvision's Inception v3 [1]_, with weights from a file.

    These are ImageNet weights in torchvision's translation, not those of the published FID and inception scores:
    figures are close to, but not comparable with, the papers'. For theirs, give a function that runs their network.

    Images are scaled to 299 x 299 pixels; a gray one becomes three equal channels. The features, 2048 numbers, are the
    input of the last layer.

    Parameters
    ----------
    weights : str or path-like
        A state dict that torch has saved, such as torchvision's own file, or one of safetensors with the suffix
        ".safetensors". Nothing is downloaded.
    image_shape : tuple of int, default=None
        Shape of one image, (C, H, W) or (H, W), where the rows are flat.
    pixel_range : tuple of two floats, default=None
        Black and white. By default 0 and 255 for integers, 0 and 1 for floats.
    device : str, default="auto"
        As in :class:`skal.classifiers.NetClassifier`.
    batch_size : int, default=32

    Raises
    ------
    FileNotFoundError
        If there is no file `weights`.
    ValueError
        If the file holds no weights or those of another network, `batch_size` is no positive integer, or
        `pixel_range` is empty; at the call, if rows are no images of one or three channels, or have pixels beyond
        `pixel_range`.

    References
    ----------
    .. [1] Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

    Examples
    --------
    >>> from skal.metrics import FeatureStatistics, InceptionFeatures, inception_score
    >>> inception = InceptionFeatures("inception_v3_google-0cc3c7bd.pth")  # doctest: +SKIP
    >>> reference = FeatureStatistics(inception).update(X)  # doctest: +SKIP
    >>> inception_score(generated, inception)  # doctest: +SKIP
    """

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        image_shape: tuple[int, ...] | None = None,
        pixel_range: tuple[float, float] | None = None,
        device: str = "auto",
        batch_size: int = 32,
    ) -> None:
        _check_count("batch_size", batch_size)
        if pixel_range is not None and not pixel_range[0] < pixel_range[1]:
            raise ValueError(f"pixel_range={pixel_range} was given; the first number must be the smaller.")
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.device = resolve_device(device)
        self.batch_size = batch_size
        net, head = _load_inception(weights)
        self._net, self._head = net.to(self.device), head.to(self.device)

    def __call__(self, X: Any) -> NDArray[np.float32]:
        """Features of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Images (N, C, H, W) or (N, H, W), or flat rows with `image_shape`.

        Returns
        -------
        features : ndarray of float32 of shape (n_samples, 2048)
        """
        return self._run(X, lambda features: features)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Class probabilities of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of float32 of shape (n_samples, n_classes)
        """
        return self._run(X, lambda features: self._head(features).softmax(dim=1))

    @torch.inference_mode()
    def _run(self, X: Any, output: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[np.float32]:
        images = self._as_images(np.asarray(X))
        starts = range(0, len(images), self.batch_size)
        outputs = [
            output(self._features(images[start : start + self.batch_size])).cpu().numpy() for start in starts
        ]
        return np.concatenate(outputs)

    def _features(self, images: NDArray[Any]) -> torch.Tensor:
        low, high = self.pixel_range or ((0, 255) if images.dtype.kind in "iu" else (0, 1))
        pixels = as_images(torch.as_tensor(images.astype(np.float32), device=self.device))
        pixels = (pixels - low) / (high - low)
        if not (pixels.min() >= -1e-3 and pixels.max() <= 1 + 1e-3):
            raise ValueError(
                f"Pixels from {images.min()} to {images.max()} were given and pixel_range is from {low} to {high}; "
                "give the range of the images."
            )
        pixels = pixels.expand(-1, 3, -1, -1)
        # The network was trained on pixels from -1 to 1.
        pixels = F.interpolate(2 * pixels - 1, size=299, mode="bilinear", antialias=True)
        return self._net(pixels)

    def _as_images(self, X: NDArray[Any]) -> NDArray[Any]:
        images = X.reshape(len(X), *self.image_shape) if X.ndim == 2 and self.image_shape else X
        if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[1] not in (1, 3)) or not len(X):
            raise ValueError(
                f"Rows of shape {X.shape} were given; give images (N, C, H, W) with 1 or 3 channels, (N, H, W), or "
                "flat rows and image_shape."
            )
        return images

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process must import torchvision by our way before it meets the network.
        return _blank_inception, (), self.__dict__


def _blank_inception() -> InceptionFeatures:
    import_torchvision()
    return InceptionFeatures.__new__(InceptionFeatures)


def _load_inception(weights: str | os.PathLike[str]) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The network without its last layer, and that layer."""
    import_torchvision()
    from torchvision.models.inception import Inception3

    # The branch that only training uses is left out.
    state = {key: value for key, value in read_weights(weights).items() if not key.startswith("AuxLogits.")}
    n_classes = len(state["fc.bias"]) if "fc.bias" in state else 1000
    with torch.device("meta"):  # no random weights, which would move torch's global generator
        net = Inception3(n_classes, aux_logits=False, init_weights=False)
    net = net.to_empty(device="cpu").eval()
    load_weights(net, state, weights)
    head, net.fc = net.fc, torch.nn.Identity()
    return net, head


def _feature_function(features: Any) -> Callable[[Any], Any]:
    """Check what turns rows into features, and return it as a function."""
    if features is None:
        return _identity
    if _is_classifier(features):
        if not has_embedding(features):
            raise TypeError(
                f"{type(features).__name__} has no penultimate embedding. Give a linear model, a network, a "
                "transformer or a function of rows."
            )
        check_is_fitted(unwrap(features))
        return partial(embed, features)
    if hasattr(features, "transform"):
        check_is_fitted(features)
        return features.transform
    if callable(features):
        return features
    raise TypeError(
        f"features={features!r} was given; give a function of rows, a fitted transformer or classifier, or None."
    )


def _probability_function(judge: Any) -> Callable[[Any], Any]:
    """Check what gives the class probabilities of rows, and return it as a function."""
    if judge is None:
        return _identity
    if not hasattr(judge, "predict_proba"):
        if callable(judge) and not _is_classifier(judge):
            return judge
        raise TypeError(
            f"judge={judge!r} was given; give a fitted classifier with predict_proba, a function of rows, or None "
            "where the rows are probabilities."
        )
    if not _is_classifier(judge):
        return judge.predict_proba
    check_is_fitted(unwrap(judge))
    return partial(predict_proba, judge)


def _identity(rows: Any) -> Any:
    return rows


def _is_classifier(value: Any) -> bool:
    return hasattr(value, "__sklearn_tags__") and is_classifier(value)


def _distance_name(features: Any) -> str:
    if isinstance(features, InceptionFeatures):
        return "torchvision Inception Frechet distance"
    return "classifier Frechet distance" if _is_classifier(features) else "Frechet distance"


def _score_name(judge: Any) -> str:
    if isinstance(judge, InceptionFeatures):
        return "torchvision inception score"
    return "classifier inception score" if _is_classifier(judge) else "inception score"


def _no_sample(generator: Any) -> str:
    return (
        f"{type(generator).__name__} has no sample(y, random_state), which a GenerationScorer asks for rows of given "
        "classes. Use a classifier that generates, and no pipeline around it."
    )


def _as_rows(X: Any) -> Any:
    X = as_pool(X).X
    if len(X.shape) < 2 or X.shape[0] == 0:
        raise ValueError(f"X has shape {X.shape}; give rows, an array of shape (n_samples, ...).")
    return X


def _as_matrix(features: Any, n_rows: int) -> NDArray[Any]:
    matrix = dense(features)
    if matrix.ndim < 2 or len(matrix) != n_rows:
        raise ValueError(
            f"Features of shape {matrix.shape} came back for {n_rows} rows; there must be one row of them a row."
        )
    matrix = matrix.reshape(n_rows, -1)
    if matrix.dtype.kind not in "fiub":
        raise ValueError(f"The features are of dtype {matrix.dtype}; they must be real numbers.")
    if not np.isfinite(matrix).all():
        raise ValueError("The features contain NaN or infinity; give rows and features that are finite.")
    return matrix


def _moments(rows: NDArray[np.float64]) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    mean = rows.mean(axis=0)
    rows -= mean
    return len(rows), mean, rows.T @ rows


def _check_same_features(one: FeatureStatistics, other: FeatureStatistics) -> None:
    kinds = [(s.name, len(s.mean)) for s in (one, other) if s.n_samples]
    if one.name != other.name or len(set(kinds)) > 1:
        described = " and ".join(f"{n_features} features ({name})" for name, n_features in kinds)
        raise ValueError(
            f"The statistics are of different features: {described}; take the same features for both."
        )


def _trace_of_root(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The trace of the root of a product of covariances, as the nuclear norm of the product of their factors."""
    return float(np.linalg.svd(_factor(one).T @ _factor(other), compute_uv=False).sum())


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """L with L @ L.T the covariance, of shape (n_features, rank)."""
    values, vectors = np.linalg.eigh(covariance)
    # What rounding leaves of zeros would come out of the root a hundred million times as large.
    kept = values > len(values) * np.finfo(float).eps * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def _check_count(name: str, number: Any) -> None:
    if isinstance(number, bool) or not isinstance(number, Integral) or number < 1:
        raise ValueError(f"{name}={number!r} was given; it must be an integer of at least 1.")


class _SplitSums:
    """Of each split the sum of the probabilities and of their entropies, from which its inception score follows."""

    def __init__(self, n_samples: Any, n_splits: Any, shuffle: bool, random_state: Any) -> None:
        _check_count("n_samples", n_samples)
        _check_count("n_splits", n_splits)
        if n_samples < n_splits:
            raise ValueError(
                f"{n_samples} rows cannot make n_splits={n_splits} splits; give more rows or take fewer splits."
            )
        self.splits = np.arange(n_samples) * n_splits // n_samples
        self.counts = np.bincount(self.splits)
        if shuffle:
            self.splits = np.random.default_rng(draw_seed(random_state)).permutation(self.splits)
        self.n_seen = 0
        self.entropies = np.zeros(n_splits)
        self.sums: NDArray[np.float64] | None = None

    def add(self, probabilities: Any, n_rows: int) -> None:
        """Take the next rows' probabilities."""
        p = np.asarray(probabilities)
        if p.ndim != 2 or len(p) != n_rows or p.shape[1] < 2 or p.dtype.kind not in "fiub":
            raise ValueError(
                f"Probabilities of shape {p.shape} and dtype {p.dtype} came back for {n_rows} rows; there must be a "
                "row of them a row, with a column for each of at least two classes."
            )
        p = p.astype(np.float64)
        # NaN compares as false.
        if not ((p >= 0).all() and (np.abs(p.sum(axis=1) - 1) < 1e-3).all()):
            raise ValueError(
                "The probabilities are negative, NaN, or do not sum to 1; give class probabilities."
            )
        splits = self.splits[self.n_seen : self.n_seen + len(p)]
        self.n_seen += len(p)
        if self.sums is None:
            self.sums = np.zeros((len(self.counts), p.shape[1]))
        np.add.at(self.sums, splits, p)
        np.add.at(self.entropies, splits, entr(p).sum(axis=1))

    def result(self, name: str) -> InceptionScore:
        assert self.sums is not None
        marginal = entr(self.sums / self.counts[:, None]).sum(axis=1)
        # The mean divergence from the marginal is the marginal's entropy without the mean of the rows'.
        scores = np.exp(np.maximum(0, marginal - self.entropies / self.counts))
        return InceptionScore(
            float(scores.mean()), float(scores.std()), name, len(self.splits), len(self.counts)
        )


def _check_known(classifier: Any, labels: NDArray[Any]) -> None:
    classes = getattr(classifier, "classes_", None)
    if classes is None:
        return
    unknown = sorted(set(labels.tolist()) - set(np.asarray(classes).tolist()), key=str)
    if unknown:
        raise ValueError(
            f"The labels {unknown[:5]} are unknown to the classifier, whose classes are {list(classes)}; give one "
            "that was trained on all classes."
        )


def _gan_test(predicted: NDArray[Any], labels: NDArray[Any]) -> GANTestScore:
    hits = predicted == labels
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return GANTestScore(
        float(hits.mean()), classes, np.bincount(codes, weights=hits) / counts, counts, len(labels)
    )
