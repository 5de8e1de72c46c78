import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skal.nets import ConvSmall


def of_type(module, kind):
    return [layer for layer in module.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("n_filters", [64, 96], ids=["svhn", "cifar"])
def test_layers_are_those_of_conv_small(n_filters):
    n, m = n_filters, 2 * n_filters
    module = ConvSmall((3, 32, 32), 10, n_filters=n_filters)
    layers = [
        (c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in of_type(module, nn.Conv2d)
    ]
    assert layers == [
        *[(3, n, 3, 1), (n, n, 3, 1), (n, n, 3, 1), (n, m, 3, 1), (m, m, 3, 1), (m, m, 3, 1)],
        *[(m, m, 3, 1), (m, m, 1, 1), (m, m, 1, 1)],
    ]
    assert [layer.num_features for layer in of_type(module, nn.BatchNorm2d)] == [n] * 3 + [m] * 6
    assert [layer.p for layer in of_type(module, nn.Dropout)] == [0.5, 0.5]
    # Weights, scales and shifts of the batch norms, the linear layer.
    weights = n * (3 + 2 * n) * 9 + (n * m + 3 * m * m) * 9 + 2 * m * m
    expected = weights + 2 * (3 * n + 6 * m) + (m + 1) * 10
    assert sum(p.numel() for p in module.parameters()) == expected


@pytest.mark.parametrize(
    ("side", "first_stride", "kernel_size"), [(32, 1, 3), (64, 2, 5)], ids=["svhn", "lsun"]
)
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_activation_follows_batch_norm_and_pooling_follows_both(side, first_stride, kernel_size, training):
    module = ConvSmall((3, side, side), 10, dropout=0.0, n_filters=4, first_stride=first_stride).double()
    module.train(training)
    convolutions, norms = of_type(module, nn.Conv2d), of_type(module, nn.BatchNorm2d)
    assert (convolutions[0].kernel_size, convolutions[0].stride) == ((kernel_size,) * 2, (first_stride,) * 2)
    for norm in norms:  # scales of both signs: pooling may not go before the batch norm
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    x = maps = torch.rand(2, 3, side, side, dtype=torch.float64)
    shapes = []
    paddings = [first_stride, 1, 1, 1, 1, 1, 0, 0, 0]
    for i, (conv, norm, padding) in enumerate(zip(convolutions, norms, paddings, strict=True)):
        maps = F.conv2d(maps, conv.weight, stride=conv.stride, padding=padding)
        mean = maps.mean((0, 2, 3)) if training else norm.running_mean
        variance = maps.var((0, 2, 3), unbiased=False) if training else norm.running_var
        scale = norm.weight / (variance + 1e-5).sqrt()
        maps = (maps - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
        maps = torch.where(maps > 0, maps, 0.1 * maps)
        if i in (2, 5):
            maps = F.max_pool2d(maps, 2)
        shapes.append(tuple(maps.shape[1:]))
    assert shapes == [(4, 32, 32)] * 2 + [(4, 16, 16)] + [(8, 16, 16)] * 2 + [(8, 8, 8)] + [(8, 6, 6)] * 3
    torch.testing.assert_close(module(x), maps.mean((2, 3)) @ module.head.weight.T + module.head.bias)


@pytest.mark.parametrize("first_stride", [1, 2, 3])
@pytest.mark.parametrize("extra", [(0, 0), (1, 3), (2, 7), (5, 4)], ids=str)
def test_any_size_from_the_smallest(first_stride, extra):
    shape = (2, *(8 * first_stride + 1 + more for more in extra))
    module = ConvSmall(shape, 2, n_filters=2, first_stride=first_stride)
    assert module.embed(torch.zeros(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize(("first_stride", "smallest"), [(1, 9), (2, 17)])
def test_smaller_images_are_refused(first_stride, smallest):
    for height, width in [(smallest - 1, 64), (64, smallest - 1)]:
        with pytest.raises(ValueError, match=rf"at least {smallest}x{smallest} pixels, got {height}x{width}"):
            ConvSmall((3, height, width), 10, first_stride=first_stride)
