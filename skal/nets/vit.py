"""The small vision transformer of DGAL's CIFAR-100 and Mini-ImageNet experiments."""

import math
import os
import re
from typing import Literal

import torch
import torch.nn.functional as F
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from ..utils.torchvision import import_torchvision
from .shapes import as_image_shape, as_images
from .torchvision_net import TorchvisionNet, load_weights, read_body

# timm's names, and those of torchvision's first files, in terms of torchvision's.
_NAMES = [
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"^norm\.", "encoder.ln."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.mlp\.(fc|linear_)1\.", ".mlp.0."),
    (r"\.mlp\.(fc|linear_)2\.", ".mlp.3."),
]
_MAX_GRID = 14  # patches to a side, as the published networks have them
_MIN_PATCH = 4


class ViTSmall(TorchvisionNet):
    """The small vision transformer [1]_, torchvision's module: the classifier of DGAL [2]_ for CIFAR-100.

    =============================================  ===========  ===========  ============
    layer                                          at 32x32     at 84x84     at 224x224
    =============================================  ===========  ===========  ============
    linear projection of patches of                4x4 pixels   6x6 pixels   16x16 pixels
    class token, position embeddings               65 x 384     197 x 384    197 x 384
    12 encoder layers: 6 heads, MLP of 1536, GELU  65 x 384     197 x 384    197 x 384
    layer norm, class token                        384          384          384
    linear, with `n_hidden`                        `n_hidden`   `n_hidden`   `n_hidden`
    linear                                         `n_classes`  `n_classes`  `n_classes`
    =============================================  ===========  ===========  ============

    DGAL also trains it on Mini-ImageNet (84x84), both times from pretrained weights, and does not state a patch size.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W); square unless `resize` is given.
    n_classes : int
        Number of logits.
    patch_size : int or "auto", default="auto"
        Side of a patch in pixels, a divisor of the image's side. "auto" is the smallest such divisor from 4 on that
        makes at most 14x14 patches.
    resize : int, default=None
        Side to which images are first resized, bilinearly: 224 for most pretrained weights. None does not resize them.
    n_layers : int, default=12
        Number of encoder layers.
    n_heads : int, default=6
        Attention heads of a layer, a divisor of `width`.
    width : int, default=384
        Size of a token; the MLPs have four times as many hidden units.
    dropout : float, default=0.0
        Share of activations dropped in training, after the position embeddings, attentions and MLP layers.
    n_hidden : int, default=None
        Size of a linear layer, without activation, before the last one: the embedding. DGAL's appendix A has 50. None
        is the plain network, whose embedding is the class token.
    weights : str or path-like, default=None
        A file with pretrained weights under torchvision's or timm's names, such as those of timm's
        vit_small_patch16_224: a state dict that torch has saved, or one of safetensors with the suffix ".safetensors".
        The last layer is left out. Position embeddings are interpolated (bicubic) to the network's grid of patches; the
        patches must have the same size. For gray images, the first kernels are summed over the three channels. Scale
        the pixels as the weights expect.

    Raises
    ------
    FileNotFoundError
        If the file `weights` does not exist.
    ValueError
        If the images cannot be cut into such patches, or the file holds no weights or those of another network.

    References
    ----------
    .. [1] Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale", ICLR 2021.
       The small size is that of Touvron et al., "Training data-efficient image transformers", ICML 2021, Table 1.
    .. [2] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024, appendix A, Table 1.

    Examples
    --------
    >>> import torch
    >>> from skal.nets import ViTSmall
    >>> net = ViTSmall((1, 28, 28), 10, n_layers=2, n_hidden=50)
    >>> net.embed(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 50])
    """

    def __init__(
        self,
        input_shape: tuple[int, ...],
        n_classes: int,
        patch_size: int | Literal["auto"] = "auto",
        resize: int | None = None,
        n_layers: int = 12,
        n_heads: int = 6,
        width: int = 384,
        dropout: float = 0.0,
        n_hidden: int | None = None,
        weights: str | os.PathLike[str] | None = None,
    ) -> None:
        import_torchvision()
        from torchvision.models.vision_transformer import VisionTransformer

        channels, *sides = as_image_shape(input_shape)
        if resize is None and sides[0] != sides[1]:
            raise InvalidParameterError(
                f"a vision transformer needs square images, got {sides[0]}x{sides[1]}; crop or pad them, or pass "
                f"resize={_roundest(max(sides))} to stretch them to that side"
            )
        side = sides[0] if resize is None else resize
        patch_size = _patch_size(side, patch_size)
        if width % n_heads:
            raise InvalidParameterError(
                f"n_heads={n_heads} does not divide width={width}; pass a divisor, such as {math.gcd(n_heads, width)}"
            )
        body = VisionTransformer(side, patch_size, n_layers, n_heads, width, 4 * width, dropout)
        body.heads = nn.Identity()
        if channels != 3:
            body.conv_proj = nn.Conv2d(channels, width, patch_size, stride=patch_size)
            nn.init.trunc_normal_(body.conv_proj.weight, std=(channels * patch_size**2) ** -0.5)
            nn.init.zeros_(body.conv_proj.bias)
        if weights is not None:
            _load(body, weights, channels, patch_size, body.seq_length)
        super().__init__(body, width, n_classes, n_hidden)
        self.resize = resize

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class token after the last layer, or its projection to ``n_hidden`` numbers."""
        x = as_images(x)
        if self.resize is not None:
            x = F.interpolate(x, (self.resize, self.resize), mode="bilinear", antialias=True)
        return super().embed(x)


def _patch_size(side: int, patch_size: int | str) -> int:
    divisors = [size for size in range(1, side + 1) if side % size == 0]
    if patch_size == "auto":
        sizes = [size for size in divisors if size >= _MIN_PATCH and 1 < side // size <= _MAX_GRID]
        if not sizes:
            raise InvalidParameterError(
                f"images of {side}x{side} pixels cannot be cut into 2x2 to {_MAX_GRID}x{_MAX_GRID} patches of "
                f"{_MIN_PATCH}x{_MIN_PATCH} pixels or more; pass a patch_size out of {divisors}, or "
                f"resize={_roundest(side)}"
            )
        return sizes[0]
    if patch_size not in divisors:
        raise InvalidParameterError(
            f"patch_size={patch_size!r} was given for images of {side}x{side} pixels; pass a divisor of the side, "
            f'{divisors}, or "auto", or a multiple of the patch size as resize'
        )
    return int(patch_size)


def _roundest(side: int) -> int:
    """Return a side that "auto" can cut."""
    return max(2, math.ceil(side / _MIN_PATCH)) * _MIN_PATCH


def _load(
    body: nn.Module, file: str | os.PathLike[str], n_channels: int, patch_size: int, n_tokens: int
) -> None:
    first, positions = "conv_proj.weight", "encoder.pos_embedding"
    state = read_body(file, ("head.", "heads."), first, n_channels, _name)
    if first in state and state[first].ndim == 4 and (size := state[first].shape[-1]) != patch_size:
        raise InvalidParameterError(
            f"the weights in {os.fspath(file)} are for patches of {size}x{size} pixels, this network has "
            f"{patch_size}x{patch_size}; pass patch_size={size}, and resize={_MAX_GRID * size} for small images"
        )
    if positions in state and state[positions].ndim == 3:
        state[positions] = _interpolated(state[positions], n_tokens)
    load_weights(body, state, file)


def _name(key: str) -> str:
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def _interpolated(positions: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """Return the embeddings (1, 1 + n * n, width) of class token and grid for another number of tokens."""
    old, new = math.isqrt(max(positions.shape[1] - 1, 0)), math.isqrt(n_tokens - 1)
    if old == new or old**2 != positions.shape[1] - 1:
        return positions
    grid = positions[:, 1:].float().unflatten(1, (old, old)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (new, new), mode="bicubic", antialias=True)
    return torch.cat([positions[:, :1].float(), grid.flatten(2).mT], dim=1)
