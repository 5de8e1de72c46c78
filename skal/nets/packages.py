"""Networks of torchvision and timm by name; each package is imported only if a name asks for it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any

import torch
from sklearn.utils._param_validation import InvalidParameterError
from torch import nn

from ..utils.torchvision import import_torchvision
from .resnet import SampledConv2d
from .shapes import as_image_shape
from .torchvision_net import TorchvisionNet, load_weights, read_body, read_weights


def package_network(name: str, asker: str, own: Iterable[str]) -> Callable[..., TorchvisionNet]:
    """Return a builder of a torchvision or timm network for images of some shape and a number of classes.

    Parameters
    ----------
    name : str
        "timm:NAME", with or without the tag of its weights, or "torchvision:NAME", or the name alone for torchvision.
    asker : str
        Named in errors.
    own : iterable of str
        Other names that the asker accepts, which errors may suggest.

    Raises
    ------
    ValueError
        If there is no such network. The error suggests similar names.
    ImportError
        If timm is not installed.

    Examples
    --------
    >>> import torch
    >>> from skal.nets.packages import package_network
    >>> build = package_network("torchvision:resnet34", "an example", [])
    >>> with torch.device("meta"):  # the shapes only
    ...     build((1, 64, 64), 10)(torch.zeros(2, 1, 64, 64)).shape
    torch.Size([2, 10])
    """
    package, _, short = name.rpartition(":")
    if package == "timm" and _has_timm(short):
        return partial(TimmModel, short)
    if package in ("", "torchvision") and short in _torchvision_names():
        return partial(TorchvisionModel, short)
    raise InvalidParameterError(
        f"The 'architecture' parameter of {asker} was {name!r}, which names no network. {_proposal(short, own)} "
        'Allowed are "auto", the names in skal.nets.ARCHITECTURES, those of torchvision.models.list_models(), also as '
        '"torchvision:NAME", those of timm.list_models() as "timm:NAME", and a class of torch.nn.Module.'
    )


def _torchvision_names() -> list[str]:
    models = import_torchvision().models
    return models.list_models(module=models)  # type: ignore[no-any-return]


def _import_timm(name: str = "NAME") -> Any:
    import_torchvision()  # which timm imports
    try:
        import timm
    except ImportError as error:
        raise ImportError(
            f"architecture='timm:{name}' needs timm, which is not installed; install it with "
            "`pip install skal-learn[timm]`"
        ) from error
    return timm


def _has_timm(name: str) -> bool:
    timm = _import_timm(name)
    architecture, _, tag = name.partition(".")
    return timm.is_model(architecture) and (
        not tag or name in timm.list_models(f"{architecture}.*", include_tags=True)
    )


def _proposal(short: str, own: Iterable[str]) -> str:
    """A sentence with the names that are close to a wrong one."""
    full = {name: f"torchvision:{name}" for name in _torchvision_names()} | {name: name for name in own}
    try:
        timm = _import_timm()
        of_timm = [*timm.list_models(), *timm.list_pretrained()]
    except ImportError:
        of_timm = []
    short = short.removeprefix("timm/")  # as the hub has it
    close = [full[name] for name in get_close_matches(short, full, 3)]
    close += [f"timm:{name}" for name in get_close_matches(short, of_timm, 3)]
    return f"Close to it are {', '.join(close)}." if close else "No name is close to it."


class _PackageModel(TorchvisionNet):
    """A linear head on a network of a package; the rest of the network may have any shape."""

    def __init__(
        self, body: nn.Module, name: str, shape: tuple[int, ...], n_classes: int, n_hidden: int | None
    ) -> None:
        _sample_convolutions(body)
        super().__init__(body, _n_features(body, name, shape), n_classes, n_hidden)

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features, or their projection to ``n_hidden`` numbers."""
        return super().embed(x).flatten(1)


def _n_features(body: nn.Module, name: str, shape: tuple[int, ...]) -> int:
    """Return how many features a network has for images of some shape, which it may refuse."""
    weight = next(body.parameters())
    body.eval()
    try:
        with torch.no_grad():
            features = body(weight.new_zeros(1, *shape))
    except Exception as error:  # each network has its own way
        raise InvalidParameterError(
            f"{name} cannot take images of shape {shape} ({str(error).partition(chr(10))[0]}); resize them, or choose "
            "another architecture"
        ) from error
    body.train()
    return features.flatten(1).shape[1]


def _sample_convolutions(body: nn.Module) -> None:
    """Replace strided 1x1 convolutions, see :class:`skal.nets.resnet.SampledConv2d`."""
    for part in list(body.modules()):
        for name, layer in part.named_children():
            if (
                type(layer) is nn.Conv2d
                and layer.kernel_size == (1, 1)
                and max(layer.stride) > 1
                and (layer.groups, layer.padding, layer.bias) == (1, (0, 0), None)
            ):
                setattr(part, name, SampledConv2d(layer))


class TorchvisionModel(_PackageModel):
    """A classification network of torchvision, with skal's own linear head.

    Parameters
    ----------
    name : str
        In ``torchvision.models.list_models(module=torchvision.models)``.
    input_shape : tuple of int
        Shape of one image, (C, H, W) or (H, W).
    n_classes : int
        Number of logits.
    n_hidden : int, default=None
        Size of a linear layer, without activation, before the last one: the embedding.
    weights : str or path-like, default=None
        A file of pretrained weights, as in :class:`skal.nets.ResNet18`, or the name of weights that torchvision has for
        this network, such as "DEFAULT", which torchvision downloads unless they are in its cache. The last layer is
        left out. For gray images, the first kernels are summed over the three channels.
    **params
        Further arguments of torchvision's network.

    Raises
    ------
    FileNotFoundError
        If `weights` is neither a file nor such a name.
    ValueError
        If the file does not suit the network, or the network does not take images of this shape.
    """

    def __init__(
        self,
        name: str,
        input_shape: tuple[int, ...],
        n_classes: int,
        n_hidden: int | None = None,
        weights: str | os.PathLike[str] | None = None,
        **params: Any,
    ) -> None:
        models = import_torchvision().models
        shape = as_image_shape(input_shape)
        if name.startswith("vit_"):
            params = {"image_size": shape[1], **params}
        elif name.startswith("maxvit"):
            params = {"input_size": shape[1:], **params}
        elif name in ("googlenet", "inception_v3"):  # parts that only their own training uses
            params = {"aux_logits": False, "init_weights": True, **params}
        body = models.get_model(name, weights=None, **params)
        convolutions = [key for key, part in body.named_modules() if isinstance(part, nn.Conv2d)]
        head = [key for key, part in body.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)][-1]
        first = convolutions[0]
        body.set_submodule(head, nn.Identity())
        if shape[0] != 3:
            body.set_submodule(first, _with_channels(body.get_submodule(first), shape[0]))
        if weights is not None:
            load_weights(body, _weights_of(body, name, weights, (head, first), shape), weights)
            if shape[0] == 3 and hasattr(body, "transform_input"):
                body.transform_input = True  # as torchvision sets it with its weights
        super().__init__(body, name, shape, n_classes, n_hidden)


def _with_channels(layer: Any, channels: int) -> nn.Conv2d:
    """A first convolution like another one, for another number of channels."""
    size, stride, padding = layer.kernel_size, layer.stride, layer.padding
    new = nn.Conv2d(channels, layer.out_channels, size, stride, padding, bias=layer.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    return new


def _weights_of(
    body: Any, name: str, weights: str | os.PathLike[str], layers: tuple[str, str], shape: tuple[int, ...]
) -> dict[str, torch.Tensor]:
    """The state dict of a body, from a file or from torchvision."""
    models = import_torchvision().models
    head, first = layers
    published = models.get_model_weights(name).__members__
    source = published[weights].get_state_dict(progress=False) if weights in published else weights
    state = read_body(
        source,
        (f"{head}.", "aux1.", "aux2.", "AuxLogits."),
        f"{first}.weight",
        shape[0],
        # as DenseNet's layers were called once
        lambda key: re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key),
    )
    if name.startswith("vit_") and "encoder.pos_embedding" in state:
        resize = models.vision_transformer.interpolate_embeddings
        state = dict(resize(shape[1], body.patch_size, state))
    return state


class TimmModel(_PackageModel):
    """A network of timm, with skal's own linear head.

    Parameters
    ----------
    name : str
        In ``timm.list_models()``, with or without the tag of its weights.
    input_shape, n_classes, n_hidden
        As in :class:`TorchvisionModel`.
    weights : str or path-like, default=None
        A file of pretrained weights, as in :class:`skal.nets.ResNet18`, which timm adapts to the channels, and to the
        size of the images. The last layer is left out.
    pretrained : bool, default=False
        Whether timm provides the weights, which it downloads unless they are in its cache.
    **params
        Further arguments of ``timm.create_model``, such as `drop_path_rate`. `img_size` is set to the size of the
        images if the network needs it.

    Raises
    ------
    FileNotFoundError
        If the file `weights` does not exist.
    ValueError
        If the file does not suit the network, or the network does not take images of this shape.
    """

    without_weights = {"weights": None, "pretrained": False}

    def __init__(
        self,
        name: str,
        input_shape: tuple[int, ...],
        n_classes: int,
        n_hidden: int | None = None,
        weights: str | os.PathLike[str] | None = None,
        pretrained: bool = False,
        **params: Any,
    ) -> None:
        timm = _import_timm(name)
        shape = as_image_shape(input_shape)
        settings = timm.models.get_pretrained_cfg(name)
        if settings is not None and settings.fixed_input_size:
            params = {"img_size": shape[1:], **params}
        create = partial(timm.create_model, name, in_chans=shape[0], **params)
        if weights is None:
            body = create(pretrained=pretrained, num_classes=0)
        else:
            body = _with_weights(create, settings, weights)
        super().__init__(body, f"timm:{name}", shape, n_classes, n_hidden)


def _with_weights(create: Callable[..., Any], settings: Any, weights: str | os.PathLike[str]) -> Any:
    """A network of timm with the weights of a file; timm checks their names only where it keeps their head."""
    state = read_weights(weights)
    heads = getattr(settings, "classifier", None) or ()
    heads = [f"{head}.weight" for head in ((heads,) if isinstance(heads, str) else heads)]
    sizes = {len(state[head]) for head in heads if head in state} or {
        getattr(settings, "num_classes", 1000),
        0,
    }
    for n_classes in sorted(sizes, reverse=True):
        overlay = {"state_dict": dict(state), "num_classes": n_classes, "label_offset": 0}
        try:
            body = create(pretrained=True, num_classes=n_classes, pretrained_cfg_overlay=overlay)
        except (RuntimeError, KeyError) as error:
            reason = re.sub(r"\s+", " ", str(error))[:300]
            problem = InvalidParameterError(
                f"{os.fspath(weights)} does not fit this network ({reason}); give weights of the same architecture, "
                "with timm's names, or weights=None"
            )
            problem.__cause__ = error
            continue
        body.pretrained_cfg = body.default_cfg = {**body.pretrained_cfg, "state_dict": None}
        body.reset_classifier(0)
        return body
    raise problem
