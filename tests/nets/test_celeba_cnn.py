import torch
from torch import nn
from torch.nn import functional as F

from skal.nets import CelebACNN


def test_layers_are_table_10_of_asal():
    # 3x3 conv: 16 | 32 | 64 | linear 4096 x 1024 | dropout 0.5 | linear 1024
    module = CelebACNN((3, 64, 64), 2)
    shapes = [
        tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]
    assert shapes == [(16, 3, 3, 3), (32, 16, 3, 3), (64, 32, 3, 3), (1024, 4096), (2, 1024)]
    assert [layer.p for layer in module.modules() if isinstance(layer, nn.Dropout)] == [0.5]


def test_each_convolution_is_rectified_and_pooled():
    module = CelebACNN((3, 64, 64), 2).double().eval()
    x = maps = torch.rand(2, 3, 64, 64, dtype=torch.float64)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            maps = F.max_pool2d(F.conv2d(maps, layer.weight, layer.bias, padding=1).clamp(min=0), 2)
    assert maps.shape == (2, 64, 8, 8)
    linear = module.hidden[0]
    hidden = (maps.flatten(1) @ linear.weight.T + linear.bias).clamp(min=0)
    torch.testing.assert_close(module(x), hidden @ module.head.weight.T + module.head.bias)
