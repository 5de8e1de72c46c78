"""Learning loss's classifier: a network, and a small one that predicts its loss (Yoo and Kweon, 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import Interval

from ._learning_loss_net import LearningLossNet
from ._net import Net
from ._partial import AnyRowsClassifier


class LearningLossClassifier(AnyRowsClassifier):
    r"""A `CNNClassifier` that also predicts its own loss at a row [1]_.

    A loss predictor looks at several stages of the network: each is averaged over its pixels and goes through a linear
    layer and ReLU, and a linear layer makes one number of them all. Network and predictor are trained together
    (Equations 2 and 3) by

    .. math::

        E[l(x)] + \lambda \, E\big[\max(0, \xi - \mathrm{sign}(l(x_i) - l(x_j)) (\hat l_i - \hat l_j))\big]

    with the cross entropy l of a row, its prediction :math:`\hat l`, and pairs (i, j) of rows of a batch. Only the
    order of losses is learned, as their scale falls while the network learns.
    :class:`skal.strategies.LearningLoss` asks for the rows of the largest predicted loss.

    X has images (N, C, H, W), gray images (N, H, W), 2-D rows of images with `image_shape`, or plain 2-D rows, which
    stay plain rows.

    Parameters
    ----------
    architecture : str or type, default="auto"
        As in :class:`CNNClassifier`, but "auto" is :class:`skal.nets.MLP` for plain rows.
    stages : sequence of str, default=None
        Names of the parts of the network, as in ``module.named_modules()``, whose outputs the predictor sees, such as
        ``("body.layer1", "body.layer2")``. None takes, of all maps of a size, the last ones with the most channels,
        which are the four stages of a ResNet for small images, and the activations of each hidden linear layer.
    n_hidden : int, default=128
        Units of the predictor's layer for a stage.
    margin : float, default=1.0
        :math:`\xi`, by which the predictions of a pair should differ.
    ranking_weight : float, default=1.0
        :math:`\lambda`, the weight of the pairs' loss.
    detach_after : float, default=0.6
        Share of `max_epochs` after which the pairs' loss reaches the predictor alone and no longer the network: 120 of
        the paper's 200 epochs. 0 trains the predictor beside the network from the start, 1 never detaches.
    module_params, optimizer, optimizer_params, lr, max_epochs, batch_size, validation_fraction, patience, callbacks
        As in :class:`NetClassifier`; one optimizer trains both. The paper has SGD with lr 0.1, a tenth of it after
        epoch 160 of 200, momentum 0.9, weight decay 5e-4 and batches of 128. Early stopping looks at the cross entropy,
        and restores both of the best epoch.
    image_shape, dtype, amp, device, warm_start, verbose, random_state
        As in :class:`NetClassifier`.

    Attributes
    ----------
    net_ : skorch.NeuralNetClassifier
        What trained the network, ``net_.module_``, and the predictor, ``net_.predictor_``; ``net_.history`` has the
        cross entropy and the ranking loss of each epoch.
    classes_, module_, input_shape_, dtype_, device_, n_features_in_, feature_names_in_
        As in :class:`NetClassifier`.

    See Also
    --------
    skal.strategies.LearningLoss : The strategy that needs it.

    Notes
    -----
    Pairs are the first and the second half of a batch; the last row of an odd one has no partner. They have no weights:
    `sample_weight` is that of the cross entropy.

    References
    ----------
    .. [1] Yoo and Kweon, "Learning Loss for Active Learning", CVPR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skal.classifiers import LearningLossClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = LearningLossClassifier(lr=0.01, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9, clf.predicted_loss(X).shape
    (True, (150,))
    """

    _net_class = LearningLossNet
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **AnyRowsClassifier._parameter_constraints,
        "stages": [tuple, list, None],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "margin": [Interval(Real, 0, None, closed="left")],
        "ranking_weight": [Interval(Real, 0, None, closed="left")],
        "detach_after": [Interval(Real, 0, 1, closed="both")],
    }

    net_: LearningLossNet

    def __init__(
        self,
        architecture: str | Callable[..., torch.nn.Module] = "auto",
        *,
        stages: Sequence[str] | None = None,
        n_hidden: int = 128,
        margin: float = 1.0,
        ranking_weight: float = 1.0,
        detach_after: float = 0.6,
        module_params: dict[str, Any] | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_params: dict[str, Any] | None = None,
        lr: float = 1e-3,
        max_epochs: int = 50,
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
        self.stages = stages
        self.n_hidden = n_hidden
        self.margin = margin
        self.ranking_weight = ranking_weight
        self.detach_after = detach_after

    def predicted_loss(self, X: ArrayLike) -> NDArray[np.floating]:
        """Predict the loss at rows, on a scale of its own: only its order was learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)

        Returns
        -------
        losses : ndarray of shape (n_samples,)
        """
        (losses,) = self._run(X, lambda rows: (self.net_.logits_and_predicted_loss(rows)[1],))
        return losses

    def _make_net(
        self, input_shape: tuple[int, ...], classes: NDArray[Any] | None = None, **params: Any
    ) -> Net:
        return super()._make_net(
            input_shape,
            classes,
            stages=self.stages,
            n_hidden=self.n_hidden,
            margin=self.margin,
            ranking_weight=self.ranking_weight,
            detach_after=self.detach_after,
            **params,
        )
