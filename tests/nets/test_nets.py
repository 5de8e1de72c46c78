import pytest
import torch
from torch import nn

from skal.nets import (
    ARCHITECTURES,
    MLP,
    VGG16BN,
    CelebACNN,
    DigitsNet,
    LeNet,
    Linear,
    ResNet18,
    ResNet50,
    ViTSmall,
    WAALLeNet,
)

DEEP = {ResNet18, ResNet50, VGG16BN, ViTSmall}  # slow at their full size; their own tests have short ones
NETS = [Linear, MLP, *(net for net in ARCHITECTURES.values() if net not in DEEP)]


@pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (2, 17, 22), (28, 28)], ids=str)
def test_logits_are_the_head_of_the_embedding(net, shape):
    module = net(shape, 7).double().eval()
    x = torch.rand(4, *shape, dtype=torch.float64)
    embedding = module.embed(x)
    assert embedding.shape == (4, module.head.in_features)
    torch.testing.assert_close(module(x), embedding @ module.head.weight.T + module.head.bias)
    assert module(x).shape == (4, 7)


@pytest.mark.parametrize("net", [Linear, MLP, LeNet, CelebACNN, DigitsNet], ids=lambda net: net.__name__)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (1, 2, 2), (1, 3, 5)], ids=str)
def test_tiny_images(net, shape):
    assert net(shape, 2)(torch.zeros(3, *shape)).shape == (3, 2)


def layer_shapes(module):
    return [
        tuple(layer.weight.shape) for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    ]


def test_lenet_is_table_5_of_asal():
    # 5x5 conv: 32 | 5x5 conv: 64 | linear 3136 x 1024 | dropout 0.5 | linear 1024 x 10
    module = LeNet((1, 28, 28), 10)
    assert layer_shapes(module) == [(32, 1, 5, 5), (64, 32, 5, 5), (1024, 3136), (10, 1024)]
    assert [layer.p for layer in module.modules() if isinstance(layer, nn.Dropout)] == [0.5]


def test_waal_lenet_is_320_50_10():
    module = WAALLeNet((1, 28, 28), 10)
    assert layer_shapes(module) == [(10, 1, 5, 5), (20, 10, 5, 5), (50, 320), (10, 50)]
    assert WAALLeNet((1, 16, 16), 10)(torch.zeros(2, 1, 16, 16)).shape == (2, 10)


def test_mlp_sizes():
    assert layer_shapes(MLP((2, 3), 4, hidden=(8, 5))) == [(8, 6), (5, 8), (4, 5)]
    assert layer_shapes(MLP((6,), 4, hidden=())) == [(4, 6)]


def test_linear_starts_at_equal_probabilities():
    assert not Linear((3,), 2)(torch.rand(5, 3)).any()


@pytest.mark.parametrize("net", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_rows_that_are_no_images(net):
    with pytest.raises(ValueError, match=r"image_shape=\(C, H, W\)"):
        net((12,), 2)


def test_too_small_an_image_names_the_remedy():
    with pytest.raises(ValueError, match=r"at least 16x16 pixels, got 8x8.*DigitsNet"):
        WAALLeNet((1, 8, 8), 10)
