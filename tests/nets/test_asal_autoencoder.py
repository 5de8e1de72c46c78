import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skal.nets.asal_autoencoder import CelebAAutoEncoder, CIFARAutoEncoder, MNISTAutoEncoder

NETS = [MNISTAutoEncoder, CIFARAutoEncoder, CelebAAutoEncoder]
each_net = pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)


def layers(module):
    """Kinds and sizes of the layers, as the tables list them."""
    listed = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            kind = "deconv" if isinstance(layer, nn.ConvTranspose2d) else "conv"
            listed.append((kind, layer.kernel_size[0], layer.stride[0], layer.out_channels))
        elif isinstance(layer, nn.BatchNorm2d):
            listed.append(("norm", layer.num_features))
        elif not isinstance(layer, nn.Sequential | nn.Flatten | nn.Unflatten):
            listed.append(type(layer).__name__)
    return listed


def test_mnist_is_table_4():
    net = MNISTAutoEncoder((1, 28, 28))
    assert layers(net.encoder) == [
        *[("conv", 5, 2, 3), "LeakyReLU"],
        *[("conv", 5, 2, 6), "LeakyReLU"],
        *[("conv", 5, 2, 12), "LeakyReLU"],
    ]
    assert layers(net.decoder) == [
        *[("deconv", 5, 2, 6), "ReLU"],
        *[("deconv", 5, 2, 3), "ReLU"],
        *[("deconv", 5, 2, 1), "Sigmoid"],
    ]
    assert {layer.negative_slope for layer in net.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}
    assert net.n_latent == 192
    assert MNISTAutoEncoder((28, 28), channels=(1, 2, 4)).n_latent == 64


def test_cifar_is_table_6():
    net = CIFARAutoEncoder((3, 32, 32))
    assert layers(net.encoder) == [
        *[("conv", 3, 1, 64), ("norm", 64), "ReLU", "MaxPool2d"],
        *[("conv", 3, 1, 32), ("norm", 32), "ReLU", "MaxPool2d"],
        *[("conv", 3, 1, 16), ("norm", 16), "ReLU", "MaxPool2d"],
    ]
    assert layers(net.decoder) == [
        *[("deconv", 3, 2, 32), ("norm", 32), "ReLU"],
        *[("deconv", 3, 2, 64), ("norm", 64), "ReLU"],
        *[("deconv", 3, 2, 3), ("norm", 3), "Sigmoid"],
    ]
    assert net.n_latent == 256


def test_celeba_is_table_9():
    net = CelebAAutoEncoder((3, 64, 64))
    assert layers(net.encoder) == [
        *[("conv", 5, 2, 128), ("norm", 128), "ReLU"],
        *[("conv", 5, 2, 64), ("norm", 64), "ReLU"],
        *[("conv", 5, 2, 32), ("norm", 32), "ReLU"],
        ("conv", 5, 2, 16),
    ]
    assert layers(net.decoder) == [
        *[("deconv", 5, 2, 32), ("norm", 32), "ReLU"],
        *[("deconv", 5, 2, 64), ("norm", 64), "ReLU"],
        *[("deconv", 5, 2, 128), ("norm", 128), "ReLU"],
        *[("deconv", 5, 2, 3), "Tanh"],
    ]
    assert net.n_latent == 256


@pytest.mark.parametrize(
    ("net", "size", "sides"),
    [
        (MNISTAutoEncoder, 28, [14, 7, 4, 7, 14, 28]),
        (CIFARAutoEncoder, 32, [32, 16, 8, 8, 16, 32]),
        (CelebAAutoEncoder, 64, [32, 16, 8, 4, 8, 16, 32, 64]),
    ],
)
def test_sides_of_the_papers_images(net, size, sides):
    seen = []
    module = net((1, size, size))
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(lambda layer, args, output: seen.append(output.shape[-1]))
    module(torch.zeros(2, 1, size, size))
    assert seen == sides


@each_net
@given(channels=st.integers(1, 4), height=st.integers(1, 40), width=st.integers(1, 40))
def test_any_size(net, channels, height, width):
    module = net((channels, height, width), channels=(2, 3, 4)).eval()
    x = torch.zeros(1, channels, height, width)
    code = module.encode(x)
    assert code.shape == (1, module.n_latent)
    assert module.decode(code).shape == x.shape


@each_net
@pytest.mark.parametrize("shape", [(3, 16, 17), (16, 17), (1, 8, 8)], ids=str)
def test_float64_forward_and_gray_images_without_a_channel(net, shape):
    module = net(shape).double()
    x = torch.rand(5, *shape, dtype=torch.float64)
    output = module(x)
    assert output.dtype == torch.float64
    assert output.shape == x.shape
    module.eval()
    torch.testing.assert_close(module(x[:1]), module.decode(module.encode(x))[:1])


@each_net
def test_outputs_reach_their_range_and_stay_in_it(net):
    low, high = net.output_range
    module = net((1, 16, 16)).eval()
    output = module.decode(1e4 * torch.randn(50, module.n_latent))
    assert output.min() >= low
    assert output.max() <= high
    assert output.min() < low + 0.01
    assert output.max() > high - 0.01


@each_net
def test_every_parameter_gets_a_gradient(net):
    module = net((2, 16, 17))
    ((module(torch.rand(8, 2, 16, 17)) - 0.5) ** 3).sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


@each_net
def test_rows_that_are_no_images(net):
    with pytest.raises(ValueError, match=r"image_shape=\(C, H, W\)"):
        net((12,))
