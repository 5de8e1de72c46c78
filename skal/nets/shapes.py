"""How the convolutional networks read the shape of one row."""

import torch
from sklearn.utils._param_validation import InvalidParameterError


def as_image_shape(input_shape: tuple[int, ...], *, smallest: int = 1) -> tuple[int, int, int]:
    """Return ``input_shape`` as ``(C, H, W)``, reading ``(H, W)`` as one gray channel.

    Raises
    ------
    ValueError
        If the shape is not that of an image, or a side has fewer than ``smallest`` pixels.
    """
    if len(input_shape) not in (2, 3):
        raise InvalidParameterError(
            f"a convolutional network needs images of shape (C, H, W) or (H, W), got rows of shape "
            f"{tuple(input_shape)}; reshape X, or pass image_shape=(C, H, W) with 2-D rows"
        )
    channels, height, width = (1, *input_shape)[-3:]
    if min(height, width) < smallest:
        raise InvalidParameterError(
            f"this network needs images of at least {smallest}x{smallest} pixels, got {height}x{width}; "
            "use one for small images, such as DigitsNet, or a dense one"
        )
    return channels, height, width


def architecture_for(input_shape: tuple[int, ...]) -> str:
    """Return the name, in the tables of generative networks, of the network for rows of a shape."""
    if len(input_shape) != 3:
        return "dense"
    n_channels, *sides = input_shape
    if min(sides) < 16:
        return "digits"
    if n_channels == 1 and max(sides) <= 32:
        return "mnist"
    return "cifar" if max(sides) <= 48 else "celeba"


def as_images(x: torch.Tensor) -> torch.Tensor:
    """Give gray images ``(N, H, W)`` their channel axis; leave ``(N, C, H, W)`` unchanged."""
    return x.unsqueeze(1) if x.ndim == 3 else x
