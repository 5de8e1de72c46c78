"""ALCG's classifier: a GAN that generates rows of given classes, with an auxiliary classifier (Xie and Huang, 2019)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..access import torch_module
from ..generators.adversarial import AdversarialEstimator
from ..generators.maps import RowsToFeatures
from ..nets.spectral_norm import normalize_spectrally
from ..training.devices import resolve_device
from ..training.estimator import keeping_what_is_fitted
from ..utils.callbacks import with_callbacks
from ..utils.random import draw_seed
from .acgan_net import ACGANNet
from .checks import check_classes, check_continues
from .prediction import PredictionMixin


@dataclass(eq=False, repr=False, kw_only=True)
class ACGANClassifier(PredictionMixin, AdversarialEstimator):
    r"""A generator of rows of given classes, and a classifier that shares all but its last layer with the critic.

    An auxiliary-classifier GAN [1]_ as ALCG [2]_ trains it, only on labelled rows. With G the generator, D the critic
    and C the classifier of its features, D and C ascend and G descends (Equations 1 to 5)

    .. math::

        L_{D/C} &= L_{GAN} - E\big[-\log C(y \mid x)\big] \\
        L_G &= L_{GAN} + E\big[-\log C(y' \mid G(z, y'))\big] \\
        L_{GAN} &= E[\log D(x)] + E[\log(1 - D(G(z, y')))]

    with latents z and classes y' of equal probability. C learns from real rows only. With adversarial sampling, each
    step generates `candidates` times as many rows as it needs, and both D and G learn from those that look most real to
    D.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, on any
    scale.

    Parameters
    ----------
    base : {"dcgan", "sngan", "wgan_gp"}, default="dcgan"
        The underlying GAN:

        - ``"dcgan"``: the losses above, with batch normalisation in the critic if it has that option [3]_;
        - ``"sngan"``: the same with spectral normalisation of all layers of the critic [4]_, but not of the classifier;
        - ``"wgan_gp"``: the Wasserstein loss E[D(x)] - E[D(G(z, y'))] for :math:`L_{GAN}`, and a gradient penalty [5]_.
    candidates : int, default=4
        :math:`\gamma`, the number of generated rows per row that is kept. Of all generated rows, those that D scores
        highest are kept. 1 is regular training.
    stratified : bool, default=False
        Whether each kept row is instead the one with the highest score among `candidates` rows of its own class, so
        that all classes are as frequent among the kept rows as among the generated ones.
    adversarial_loss : {"non_saturating", "saturating", "hinge"}, default="non_saturating"
        For "dcgan" and "sngan". With "saturating", G descends :math:`E[\log(1 - D)]`, as in Equation 5; with
        "non_saturating", it descends :math:`E[-\log D]`, which has larger gradients while D wins. "hinge" is the hinge
        loss, for D and G.
    architecture : str or tuple of types, default="auto"
        A pair in `skal.nets.GANS`, or the classes of a generator and a critic, as in :class:`~skal.generators.GAN`.
        "auto" chooses by the shape of a row, and "dcgan", the paper's, for colour images of 16x16 to 48x48 pixels.
    n_latent : int, default=128
        Length of z, standard normal. The generator gets z followed by the class, in one-hot coding with `n_classes`
        numbers.
    n_iter : int or "auto", default="auto"
        Generator steps of a `fit`. "auto" makes 5 sqrt(rows x columns) of them, at least 200 and at most 3000. The
        paper does not state its own; 10,000 to 20,000 are usual for 32x32 images.
    batch_size : int, default=64
        Real rows of a critic step, and the number of generated rows that are kept; all rows if there are fewer.
    n_critic : int, default=None
        Steps of D and C for each step of G, each with its own candidates; G learns from those of the last step. None is
        1, and 5 for "wgan_gp".
    penalty : float, default=10.0
        Weight of the gradient penalty; critics with batch normalisation are refused with it.
    auxiliary_weight, generator_auxiliary_weight : float, default=1.0
        Weights of the cross entropy in the losses of D and C, and of G. The latter is 0.1 in the reference code of
        WGAN-GP.
    generator_params, critic_params : dict, default=None
        Further arguments of the networks.
    optimizer : type or callable, default=torch.optim.Adam
        A class of `torch.optim.Optimizer`; one for G, and one for D and C.
    optimizer_params : dict, default=None
        Further arguments of the optimizers; None is ``betas`` of (0.5, 0.999) for Adam, (0.5, 0.9) for "wgan_gp".
    lr : float, default=None
        Learning rate; None is 2e-4 for images, 1e-4 for "wgan_gp", and 1e-3 for plain rows.
    {image_shape, dtype, amp, device, verbose, checkpoint, checkpoint_every, callbacks}
    compile : bool, default=False
        Whether to compile the generator, and the critic of "dcgan", with `torch.compile`.
    warm_start : bool, default=False
        Whether `fit` continues from the weights, and the scale of the rows, of the last `fit`, with fresh optimizers.
        Classes and shape must be those of that fit.
    {random_state}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, in the order of the columns of `predict_proba`.
    history_ : dict of ndarray
        Means over each record of up to 100 steps: ``critic_loss`` and its terms ``auxiliary_loss`` and
        ``adversarial_loss``, or ``wasserstein`` and ``gradient_penalty`` (with its weight); ``generator_loss`` and
        its term ``generator_auxiliary_loss``; ``step``, the generator steps made at its end; and ``class_shares``, of
        shape (n_records, n_classes), the share of the kept rows that was generated for each class.
    generator_, critic_, classifier_ : torch.nn.Module
        G, D, and the last layer of C, in evaluation mode. They work with rows on the networks' own scale.
    {net_}
    {input_shape_}
    n_iter_ : int
        Generator steps made.
    n_latent_ : int
        Length of the generator's input: `n_latent` plus the number of classes.
    {dtype_, device_, n_features_in_, feature_names_in_}

    See Also
    --------
    skal.strategies.ALCG : The strategy of the paper, for any classifier.

    Notes
    -----
    Choices that the paper leaves open: D ranks the candidates in evaluation mode, so that ranking changes nothing in D,
    and one pass of G makes all candidates, so that batch normalisation uses the statistics of all of them. The highest
    scores can all belong to a few classes; ``history_["class_shares"]`` shows this. Batch normalisation in D uses the
    statistics of each batch in training. In evaluation it uses the statistics of real rows only, computed again with
    the final weights.

    Ctrl-C ends training and is raised again; what has been learned is kept. A callback that raises `KeyboardInterrupt`,
    which is skorch's way to stop early, does not count as an interrupt.

    References
    ----------
    .. [1] Odena, Olah and Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017.
    .. [2] Xie and Huang, "Learning Class-Conditional GANs with Active Sampling", KDD 2019.
    .. [3] Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
       Adversarial Networks", ICLR 2016.
    .. [4] Miyato et al., "Spectral Normalization for Generative Adversarial Networks", ICLR 2018.
    .. [5] Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import ACGANClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ACGANClassifier(n_latent=8, n_iter=100, lr=2e-3, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    >>> clf.sample([0, 0, 2]).shape, clf.sample(5).shape
    ((3, 4), (5, 4))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "base": [StrOptions({"dcgan", "sngan", "wgan_gp"})],
        "candidates": [Interval(Integral, 1, None, closed="left")],
        "stratified": ["boolean"],
        "adversarial_loss": [StrOptions({"non_saturating", "saturating", "hinge"})],
        "auxiliary_weight": [Interval(Real, 0, None, closed="left")],
        "generator_auxiliary_weight": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }

    base: str = field(default="dcgan", kw_only=False)
    candidates: int = 4
    stratified: bool = False
    adversarial_loss: str = "non_saturating"
    auxiliary_weight: float = 1.0
    generator_auxiliary_weight: float = 1.0
    warm_start: bool = False

    net_: ACGANNet = field(init=False)

    @property
    def classifier_(self) -> nn.Module:
        """The trained last layer of the classifier."""
        return self.net_.classifier_

    @property
    def history_(self) -> dict[str, NDArray[Any]]:
        """The mean losses of each record, the number of steps at its end, and the classes of the kept rows."""
        history = super().history_
        return {**history, "class_shares": np.array(self.net_.history[:, "class_shares"])} if history else {}

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    @keeping_what_is_fitted
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Train generator, critic and classifier on labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Rows on any scale, such as images (n_samples, C, H, W). Bytes stay bytes until a batch is cast.
        y : array-like of shape (n_samples,)
            Labels of any kind, of two classes or more.

        Returns
        -------
        self : ACGANClassifier

        Raises
        ------
        ValueError
            For NaN or infinity, only one class, a shape that does not suit `image_shape` or the networks, other classes
            than a warm start needs, a device that does not exist, a checkpoint with `warm_start` or of another training
            run, or a critic with batch normalisation for "wgan_gp"; also if a loss diverges.
        TypeError
            If a network is given as an instance, or a critic has no ``embed`` or `head`.
        """
        if self.warm_start and self.checkpoint is not None:
            raise ValueError(
                f"warm_start=True and checkpoint={self.checkpoint!r} were given; a checkpoint belongs to one training, "
                "not to the next too, so give one of the two"
            )
        device = resolve_device(self.device)
        previous = self.net_ if self.warm_start and hasattr(self, "net_") else None
        rows, labels = self._validate(X, y, reset=previous is None)
        check_classification_targets(labels)
        classes, codes = np.unique(labels, return_inverse=True)
        check_classes(self, classes)
        if previous is not None:
            check_continues(self, classes, self._input_shape(rows.shape[1:]))
        return self._train(X, rows, device, classes=classes, codes=codes, previous=previous)

    def realness(self, X: ArrayLike) -> NDArray[np.floating]:
        """Compute the critic's scores: the higher, the more the rows look real.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Before any logistic function, in the number type of the networks.
        """
        (scores,) = self._ask(X, lambda net, rows: net.scores_and_features(rows)[:1])
        return scores

    def embed_and_predict_proba(self, X: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Compute the features that critic and classifier share, and class probabilities, in one pass.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        embeddings : ndarray of shape (n_samples, n_embedding)
            The same as `transform` returns.
        probabilities : ndarray of shape (n_samples, n_classes)
            See `predict_proba`.
        """

        def compute(net: ACGANNet, rows: Tensor) -> tuple[Tensor, Tensor]:
            features = net.scores_and_features(rows)[1]
            return features, net.logits(features).softmax(1)

        embeddings, probabilities = self._ask(X, compute)
        return embeddings, probabilities

    def sample(self, y: ArrayLike | int = 1, random_state: Any = None) -> NDArray[np.floating]:
        """Generate rows of given classes.

        Parameters
        ----------
        y : int or array-like of shape (n_samples,), default=1
            One label per row, or the number of rows: their classes are then drawn with equal probability, as in
            training.
        random_state : int, RandomState instance or None, default=None
            None takes the estimator's own `random_state`: if that is an integer, every call draws the same rows.

        Returns
        -------
        X : ndarray of shape (n_samples, ...)
            On the scale and in the shape of the rows that `fit` saw, in the number type of the networks.

        Raises
        ------
        ValueError
            If `y` is not a positive number, or holds labels that are not in `classes_`.

        See Also
        --------
        decode : Rows from given latents, whose last numbers are the class.
        """
        check_is_fitted(self)
        rng = np.random.default_rng(draw_seed(self.random_state if random_state is None else random_state))
        codes = self._codes(y, rng)
        noise = rng.standard_normal((len(codes), self.net_.n_noise))
        return self.decode(np.hstack([noise, np.eye(len(self.classes_))[codes]]))

    def _codes(self, y: Any, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return the positions of the classes of labels, or draw as many as asked for."""
        if np.ndim(y) == 0:
            if isinstance(y, bool) or not isinstance(y, Integral) or y < 1:
                raise ValueError(
                    f"y={y!r} was given; it must be labels of shape (n_samples,), or how many rows to generate, an "
                    "integer of at least 1"
                )
            return rng.integers(len(self.classes_), size=int(y))
        labels = column_or_1d(y)
        position = {label: code for code, label in enumerate(self.classes_.tolist())}
        unknown = [label for label in labels.tolist() if label not in position]
        if unknown or not len(labels):
            raise ValueError(
                f"y holds the labels {unknown[:5]}, which are not among the classes {self.classes_}"
                if unknown
                else "y is empty; give at least one label, or how many rows to generate"
            )
        return np.array([position[label] for label in labels.tolist()])

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> ACGANNet:
        n_classes = len(self.classes_ if classes is None else classes)
        wasserstein = self.base == "wgan_gp"
        shared = self._gan_params(
            input_shape,
            n_latent=self.n_latent + n_classes,
            n_critic=5 if wasserstein else 1,
            lr=1e-4 if wasserstein else 2e-4,
            betas=(0.5, 0.9 if wasserstein else 0.999),
            colour="dcgan",
            batch_norm=self.base == "dcgan",
        )
        if self.base == "sngan":
            shared["critic"] = partial(_spectrally_normalized, shared["critic"])
        if self.verbose:
            shared["callbacks__print_log__keys_ignored"] = "class_shares"
        return ACGANNet(
            **shared,
            n_classes=n_classes,
            loss=self.base,
            adversarial_loss=self.adversarial_loss,
            candidates=self.candidates,
            stratified=self.stratified,
            auxiliary_weight=self.auxiliary_weight,
            generator_auxiliary_weight=self.generator_auxiliary_weight,
            **params,
        )


@torch_module.register
def _(estimator: ACGANClassifier) -> nn.Module:
    return copy.deepcopy(RowsToFeatures(estimator.net_.module_, "forward", estimator.net_))


def _spectrally_normalized(build: Callable[[], nn.Module]) -> nn.Module:
    return normalize_spectrally(build())
