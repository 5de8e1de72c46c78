"""torchvision's Inception v3 as a source of features and class probabilities."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..nets.torchvision_net import TorchvisionNet, load_weights, read_weights
from ..training.devices import resolve_device
from ..utils.checks import check_integer
from ..utils.torchvision import import_torchvision


class InceptionFeatures:
    """Features and class probabilities of torchvision's Inception v3 [1]_, with weights from a file.

    These are torchvision's ImageNet weights, not those of the published FID and inception scores: figures are close
    to, but not comparable with, the published ones. To get the published ones, pass a function that runs the original
    network.

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
        The values of black and white. By default 0 and 255 for integers, 0 and 1 for floats.
    device : str, default="auto"
        As in :class:`skal.classifiers.NetClassifier`.
    batch_size : int, default=32

    Raises
    ------
    FileNotFoundError
        If the file `weights` does not exist.
    ValueError
        If the file holds no weights or those of another network, `batch_size` is not a positive integer, or
        `pixel_range` is empty; at the call, if rows are not images of one or three channels, or have pixels beyond
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

    metric_names = {
        "Frechet distance": "torchvision Inception Frechet distance",
        "inception score": "torchvision inception score",
    }

    def __init__(
        self,
        weights: str | os.PathLike[str],
        *,
        image_shape: tuple[int, ...] | None = None,
        pixel_range: tuple[float, float] | None = None,
        device: str = "auto",
        batch_size: int = 32,
    ) -> None:
        check_integer("batch_size", batch_size)
        if pixel_range is not None and not pixel_range[0] < pixel_range[1]:
            raise ValueError(f"pixel_range={pixel_range} was given; the first number must be the smaller.")
        self.image_shape = image_shape
        self.pixel_range = pixel_range
        self.device = resolve_device(device)
        self.batch_size = batch_size
        self._net = _load_inception(weights).to(self.device)

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
        return self._run(X, self._net.embed)

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        """Class probabilities of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        probabilities : ndarray of float32 of shape (n_samples, n_classes)
        """
        return self._run(X, lambda images: self._net(images).softmax(dim=1))

    @torch.inference_mode()
    def _run(self, X: Any, compute: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[np.float32]:
        images = np.asarray(X)
        if images.ndim == 2 and self.image_shape:
            images = images.reshape(-1, *self.image_shape)
        if images.ndim == 3:
            images = images[:, np.newaxis]
        if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
            raise ValueError(
                f"Rows of shape {np.shape(X)} were given; give images (N, C, H, W) with 1 or 3 channels, (N, H, W), or "
                "flat rows and image_shape."
            )
        low, high = self.pixel_range or ((0, 255) if images.dtype.kind in "iu" else (0, 1))
        outputs = []
        for start in range(0, len(images), self.batch_size):
            batch = torch.as_tensor(images[start : start + self.batch_size].astype(np.float32))
            pixels = (batch.to(self.device) - low) / (high - low)
            if not (pixels.min() >= -1e-3 and pixels.max() <= 1 + 1e-3):
                raise ValueError(
                    f"Pixels from {images.min()} to {images.max()} were given and pixel_range is from {low} to {high}; "
                    "give the range of the images."
                )
            # The network was trained on pixels from -1 to 1.
            pixels = 2 * pixels.expand(-1, 3, -1, -1) - 1
            outputs.append(compute(F.interpolate(pixels, size=299, mode="bilinear", antialias=True)).cpu())
        return torch.cat(outputs).numpy()


def _load_inception(weights: str | os.PathLike[str]) -> TorchvisionNet:
    import_torchvision()
    from torchvision.models.inception import Inception3

    # The branch that only training uses is left out.
    state = {key: value for key, value in read_weights(weights).items() if not key.startswith("AuxLogits.")}
    n_classes = len(state["fc.bias"]) if "fc.bias" in state else 1000
    with torch.device("meta"):  # no random weights, which would move torch's global generator
        body = Inception3(n_classes, aux_logits=False, init_weights=False)
        net = TorchvisionNet(body, body.fc.in_features, n_classes, n_hidden=None)
    net = net.to_empty(device="cpu").eval()
    load_weights(body, state, weights)
    net.head, body.fc = body.fc, torch.nn.Identity()
    return net
