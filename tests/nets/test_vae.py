import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from skal.nets.small_resnet import BasicBlock, resnet18
from skal.nets.vae import ConvVAE, ResNetVAE

each_net = pytest.mark.parametrize("net", [ConvVAE, ResNetVAE], ids=lambda net: net.__name__)


def filters(module):
    return [m.out_channels for m in module.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]


@pytest.mark.parametrize(
    ("shape", "encoder", "n_features", "decoder"),
    [
        ((1, 8, 8), [32, 64], 64 * 2 * 2, [32, 1]),
        ((1, 28, 28), [32, 64, 128], 128 * 3 * 3, [64, 32, 1]),
        ((3, 32, 32), [32, 64, 128, 256], 256 * 2 * 2, [128, 64, 32, 3]),
        ((3, 64, 64), [32, 64, 128, 256], 256 * 4 * 4, [128, 64, 32, 3]),
        ((3, 5, 33), [32], 32 * 2 * 16, [3]),
    ],
    ids=str,
)
def test_layers_of_the_convolutional_one(shape, encoder, n_features, decoder):
    module = ConvVAE(shape)
    assert filters(module.encoder) == encoder
    assert module.posterior.in_features == n_features
    assert filters(module.decoder) == decoder
    assert {m.kernel_size for m in module.modules() if isinstance(m, nn.Conv2d)} == {(4, 4)}


def test_128_filters_are_those_of_vaal():
    assert filters(ConvVAE((3, 32, 32), n_filters=128).encoder) == [128, 256, 512, 1024]


def test_resnet18_has_its_parameters():
    # The ResNet-18 of torchvision has 11,689,512: 513,000 of them in the last layer; its stem is 7x7, here it is 3x3.
    expected = 11_689_512 - 513_000 - 64 * 3 * (7 * 7 - 3 * 3)
    assert sum(p.numel() for p in resnet18(3).parameters()) == expected
    assert resnet18(3, n_filters=2)(torch.zeros(2, 3, 32, 32)).shape == (2, 16)


def test_resnet18_halves_three_times():
    stages = [m for m in resnet18(3, n_filters=2) if isinstance(m, nn.Sequential)]
    x = torch.zeros(1, 2, 32, 32)
    sides = []
    for stage in stages:
        x = stage.eval()(x)
        sides.append(tuple(x.shape[1:]))
    assert sides == [(2, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]


@pytest.mark.parametrize(("n_out", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_basic_block_is_the_rectified_sum_of_both_ways(n_out, stride):
    block = BasicBlock(3, n_out, stride).double().eval()
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64)

    def normalised(maps):  # the statistics of a new batch norm are mean 0 and variance 1
        return maps / (1 + 1e-5) ** 0.5

    first, _, _, second, _ = block.residual
    hidden = normalised(F.conv2d(x, first.weight, stride=stride, padding=1)).clamp(min=0)
    expected = normalised(F.conv2d(hidden, second.weight, padding=1))
    if (n_out, stride) == (3, 1):
        expected = expected + x
    else:
        projection = block.shortcut[1].weight[:, :, 0, 0]
        expected = expected + normalised(
            torch.einsum("oc,nchw->nohw", projection, x[:, :, ::stride, ::stride])
        )
    torch.testing.assert_close(block(x), expected.clamp(min=0))


@each_net
@given(channels=st.integers(1, 4), height=st.integers(4, 40), width=st.integers(4, 40))
def test_any_size(net, channels, height, width):
    module = net((channels, height, width), n_latent=3, n_filters=2).eval()
    x = torch.zeros(1, channels, height, width)
    mean, log_variance = module.encode(x)
    assert mean.shape == log_variance.shape == (1, module.n_latent) == (1, 3)
    assert module.decode(mean).shape == x.shape


@each_net
@pytest.mark.parametrize("shape", [(3, 16, 17), (16, 17), (1, 8, 8), (1, 64, 64)], ids=str)
def test_float64_forward_and_gray_images_without_a_channel(net, shape):
    module = net(shape, n_filters=4).double()
    x = torch.rand(5, *shape, dtype=torch.float64)
    output = module(x)
    assert output.dtype == torch.float64
    assert output.shape == x.shape
    module.eval()
    torch.testing.assert_close(module(x[:1]), module.decode(module.encode(x)[0])[:1])


@each_net
def test_outputs_reach_their_range_and_stay_in_it(net):
    module = net((1, 16, 16), n_filters=4).eval()
    output = module.decode(1e4 * torch.randn(50, 50))
    assert net.output_range == (0, 1)
    assert 0 <= output.min() < 0.01
    assert 0.99 < output.max() <= 1


@each_net
def test_every_parameter_gets_a_gradient(net):
    module = net((2, 16, 17), n_filters=4)
    mean, log_variance = module.encode(torch.rand(8, 2, 16, 17))
    loss = ((module.decode(mean) - 0.5) ** 3).sum() + (log_variance**2).sum()
    loss.backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@each_net
def test_wrong_shapes(net):
    with pytest.raises(ValueError, match=r"image_shape=\(C, H, W\)"):
        net((12,))
    with pytest.raises(ValueError, match="at least 4x4 pixels, got 3x9"):
        net((1, 3, 9))
