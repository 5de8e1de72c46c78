"""WAAL's classifier: a network that hides which rows are labelled from a critic of its features (Shui et al., 2020)."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from ..nets import MLP
from ..training.batches import Rows
from ..training.estimator import module_builder, resolve_device
from ..utils.random import draw_seed
from ._net import BestEpoch, Net
from ._partial import PartialLabelsClassifier
from ._wasserstein_net import WassersteinNet
from .cnn import CNNClassifier


class WassersteinClassifier(PartialLabelsClassifier):
    r"""A `CNNClassifier` with WAAL's [1]_ loss, which matches the features of labelled rows and unlabelled ones.

    A critic :math:`g(x) \in [0, 1]` of the network's features learns to be high on the U unlabelled rows and low on
    the L labelled ones, while the features learn that it cannot be (Eq. 7 and 8):

    .. math::

        \min_{\theta_f, \theta_h} \max_{\theta_d} \frac1S \sum_{(x, y) \in L_S} -\log h(x, y)
            + \mu' \Bigl( \frac1S \sum_{x \in U_S} g(x) - C_0 \frac1S \sum_{x \in L_S} g(x) \Bigr),
        \quad \mu' = \frac{\gamma}{1 + \gamma} \mu, \quad \gamma = \frac UL

    over equally large batches, for which the smaller set is repeated (the redundancy trick). A gradient penalty keeps
    the critic near slope one. :class:`skal.strategies.WAAL` asks for rows that are uncertain and high in g.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, which
    stay plain rows.

    Parameters
    ----------
    architecture : str or type, default="auto"
        As in :class:`CNNClassifier`, but "auto" is :class:`skal.nets.MLP` for plain rows. The critic sees what the
        network's part ``features`` puts out, flattened, where it has one, as most of `skal.nets` do; else what
        :meth:`embed` returns.
    divergence : {"wasserstein", "h"}, default="wasserstein"
        "h" is the ablation, the H-divergence (Eq. 20): the critic is a discriminator under the binary cross entropy,
        the sum of the means of both batches, and the features raise that cross entropy; with :math:`\mu` for
        :math:`\mu'`, without :math:`C_0` and penalty.
    mu : float, default=1e-2
        :math:`\mu`, the weight of the adversarial loss: that of the paper, whose STL-10 has 1e-3. With 0 it is plain
        training with as many steps, and the critic learns nothing.
    n_queries : int, default=1
        B, the number of rows that the next query asks for, on which :math:`C_0` depends. Give it that of the learner.
    bias_coefficient : {"paper", "code", "unbiased"}, default="paper"
        :math:`C_0`, with :math:`\alpha = B / L`. "paper" is :math:`\frac{\gamma - \alpha}{\gamma^2 (1 + \alpha)}`;
        "code" is :math:`1 / \gamma`, as the authors' code has it; "unbiased" is
        :math:`\frac{\gamma - \alpha}{\gamma (1 + \alpha)}`, what Eq. 7 comes to with equally large batches.
    gradient_penalty : float, default=2.0
        Weight of the penalty beside the critic's own loss; 10 in its reference [2]_. 0 is none.
    critic_params : dict, default=None
        Further arguments of the critic, a :class:`skal.nets.MLP` with a sigmoid behind it;
        ``{"hidden": (50,), "dropout": 0.5}`` by default.
    critic_lr : float, default=None
        Learning rate of the critic, whose loss has the factor :math:`\mu'`; `lr` by default.
    module_params : dict, default=None
        As in :class:`CNNClassifier`.
    optimizer : type or callable, default=torch.optim.SGD
        As in :class:`NetClassifier`; one for the network and one for the critic.
    optimizer_params : dict, default=None
        Further arguments of both; with `torch.optim.SGD` momentum 0.5 is the default.
    lr : float, default=0.01
        Learning rate of the network.
    lr_drops : sequence of float, default=(0.5, 0.75)
        Shares of `max_epochs`, in (0, 1), after which both learning rates are divided by 10.
    max_epochs : int, default=80
        Passes over the larger of the two sets, hence over the unlabelled rows as a rule.
    batch_size : int, default=64
        Labelled rows of a step, and unlabelled ones.
    validation_fraction : float, default=None
        Share of the labelled rows that is held out, as in :class:`NetClassifier`, but the accuracy on it decides: after
        `patience` epochs without a higher one training stops, and network and critic are those of the best epoch.
    patience : int, default=10
        Epochs without improvement before training stops; needs `validation_fraction`.
    image_shape, dtype, amp, device, warm_start, callbacks, verbose, random_state
        As in :class:`NetClassifier`. The critic computes in full precision always.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        The trained net, with the critic as ``net_.critic_``; ``net_.history`` has the losses and the learning rate of
        each epoch.
    classes_, module_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_
        As in :class:`NetClassifier`.

    See Also
    --------
    skal.strategies.WAAL : The strategy that needs it.

    Notes
    -----
    The defaults are those of the paper on FashionMNIST (Table 3), whose network is "lenet_waal"; it has momentum 0.3
    on CIFAR-10 and STL-10. The paper stops early by an unstated rule.

    Choices: Labelled and unlabelled rows pass through the network together, once in a step, and both optimizers step by
    the gradients of that pass, where the authors' code makes four passes and lets the critic see the features after
    their step. Batch normalisation then treats both kinds of rows alike, as it does in prediction. The one optimizer of
    features and head makes the same steps as two. The critic ascends its loss minus the penalty (that code rewards a
    slope other than one); the penalty is that of points between labelled and unlabelled rows and of these themselves,
    without dropout. In Eq. 20 the discriminator would be trained to fail; here it lowers its cross entropy.

    With all rows labelled it is plain training, and the critic learns nothing.

    References
    ----------
    .. [1] Shui, Zhou, Gagné and Wang, "Deep Active Learning: Unified and Principled Method for Query and
       Training", AISTATS 2020.
    .. [2] Gulrajani et al., "Improved Training of Wasserstein GANs", NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import WassersteinClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[::2] = -1
    >>> clf = WassersteinClassifier(lr=0.1, n_queries=10, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9, clf.critic_scores(X).shape
    (True, (150,))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **CNNClassifier._parameter_constraints,
        "divergence": [StrOptions({"wasserstein", "h"})],
        "mu": [Interval(Real, 0, None, closed="left")],
        "n_queries": [Interval(Integral, 1, None, closed="left")],
        "bias_coefficient": [StrOptions({"paper", "code", "unbiased"})],
        "gradient_penalty": [Interval(Real, 0, None, closed="left")],
        "critic_params": [dict, None],
        "critic_lr": [Interval(Real, 0, None, closed="neither"), None],
        "lr_drops": [tuple, list],
    }

    _net_class = WassersteinNet

    net_: WassersteinNet

    def __init__(
        self,
        architecture: str | Callable[..., torch.nn.Module] = "auto",
        *,
        divergence: str = "wasserstein",
        mu: float = 1e-2,
        n_queries: int = 1,
        bias_coefficient: str = "paper",
        gradient_penalty: float = 2.0,
        critic_params: dict[str, Any] | None = None,
        critic_lr: float | None = None,
        module_params: dict[str, Any] | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
        optimizer_params: dict[str, Any] | None = None,
        lr: float = 0.01,
        lr_drops: tuple[float, ...] = (0.5, 0.75),
        max_epochs: int = 80,
        batch_size: int = 64,
        validation_fraction: float | None = None,
        patience: int = 10,
        image_shape: tuple[int, ...] | None = None,
        dtype: str = "auto",
        amp: bool = False,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        callbacks: list[Any] | None = None,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            architecture,
            module_params=module_params,
            optimizer=optimizer,
            optimizer_params=optimizer_params,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            validation_fraction=validation_fraction,
            patience=patience,
            image_shape=image_shape,
            dtype=dtype,
            amp=amp,
            device=device,
            warm_start=warm_start,
            callbacks=callbacks,
            verbose=verbose,
            random_state=random_state,
        )
        self.divergence = divergence
        self.mu = mu
        self.n_queries = n_queries
        self.bias_coefficient = bias_coefficient
        self.gradient_penalty = gradient_penalty
        self.critic_params = critic_params
        self.critic_lr = critic_lr
        self.lr_drops = lr_drops

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the network on the labels of the labelled rows, and network and critic on all.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            All rows, labelled or not.
        y : array-like of shape (n_samples,)
            Partial labels, of two classes or more: -1 where there is none, or, among strings, ``None``, NaN or -1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the labelled rows in the cross entropy; those of the others are ignored.

        Returns
        -------
        self : WassersteinClassifier

        Raises
        ------
        ValueError
            As :class:`NetClassifier` does, if no two classes are labelled, and for `lr_drops` outside (0, 1).
        TypeError
            If `architecture` is an instance, or a network without ``features`` has no embedding either.
        """
        if not all(isinstance(share, Real) and 0 < share < 1 for share in self.lr_drops):
            raise ValueError(
                f"lr_drops must hold shares of the epochs in (0, 1), got {self.lr_drops}; try (0.5, 0.75)"
            )
        device = resolve_device(self.device)
        rows, labels, labeled, weight = self._validate_partial(X, y, sample_weight, reset=not self._continues)
        data = Rows(rows, dtype=self._network_dtype(rows), device=device)
        known = rows if labeled.all() else rows[labeled]
        unlabeled = data.subset(np.flatnonzero(~labeled))
        seed = draw_seed(self.random_state)
        self._set(self._train(known, labels[labeled], weight, device, seed, unlabeled=unlabeled))
        return self

    def critic_scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the critic g(x): the higher, the less the rows look like labelled ones.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            In [0, 1], of rows in evaluation mode: nothing is drawn. In float64, where those near 1 do not round to it.
        """
        return self.critic_scores_and_log_proba(X)[0]

    def critic_scores_and_log_proba(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
        """Compute the critic and the logarithms of the class probabilities in one pass.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            See `critic_scores`.
        log_probabilities : ndarray of shape (n_samples, n_classes)
            By the log-softmax of the logits, which stays finite where a probability rounds to zero.
        """

        def compute(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits, features = self.net_.logits_and_features(rows)
            return self.net_.critic_logits(features), logits.log_softmax(1)

        logits, log_probabilities = self._run(X, compute)
        return expit(logits.astype(np.float64)), log_probabilities

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> Net:
        critic_params = {"hidden": (50,), "dropout": 0.5, **(self.critic_params or {})}
        if self.optimizer is torch.optim.SGD and "momentum" not in (self.optimizer_params or {}):
            params["optimizer__momentum"] = 0.5
        return super()._make_net(
            input_shape,
            classes,
            critic=module_builder(MLP, critic_params, name="critic", n_classes=1),
            divergence=self.divergence,
            mu=self.mu,
            bias_coefficient=self.bias_coefficient,
            n_queries=self.n_queries,
            penalty=self.gradient_penalty,
            critic_lr=self.critic_lr or self.lr,
            lr_drops=self.lr_drops,
            **params,
        )

    def _early_stopping(self) -> BestEpoch:
        return BestEpoch("valid_accuracy", patience=self.patience, threshold=0, lower_is_better=False)
