import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from skal.nets.residual_gan import ResidualCritic, ResidualGenerator, _CriticBlock, _UpBlock

each_net = pytest.mark.parametrize("net", [ResidualGenerator, ResidualCritic], ids=lambda net: net.__name__)


def layer_shapes(module):
    return [tuple(m.weight.shape) for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def sides(module, x):
    """Sides of the maps that each block makes of ``x``."""
    seen = []
    for block in module.modules():
        if isinstance(block, _UpBlock | _CriticBlock):
            block.register_forward_hook(lambda block, args, output: seen.append(output.shape[-1]))
    module(x)
    return seen


def test_generator_is_table_8():
    generator = ResidualGenerator((3, 32, 32))
    up = [(128, 128, 3, 3), (128, 128, 3, 3), (128, 128, 1, 1)]
    assert layer_shapes(generator) == [(2048, 128), *up, *up, *up, (3, 128, 3, 3)]
    assert [type(m) for m in generator.layers[-4:]] == [nn.BatchNorm2d, nn.ReLU, nn.Conv2d, nn.Tanh]
    assert sides(ResidualGenerator((3, 32, 32), n_filters=2), torch.zeros(2, 128)) == [8, 16, 32]


def test_critic_is_table_8_with_the_block_it_lacks():
    critic = ResidualCritic((3, 32, 32))
    plain = [(128, 128, 3, 3), (128, 128, 3, 3)]
    first = [(128, 3, 3, 3), (128, 128, 3, 3), (128, 3, 1, 1)]
    down = [*plain, (128, 128, 1, 1)]
    assert layer_shapes(critic) == [*first, *down, *plain, *plain, (1, 128)]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in critic.modules())
    assert sides(ResidualCritic((3, 32, 32), n_filters=2), torch.zeros(2, 3, 32, 32)) == [16, 8, 8, 8]


@pytest.mark.parametrize(
    ("dropout", "rates"),
    [(0.0, (0, 0, 0)), (0.5, (0.2, 0.5, 0.5)), ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3))],
    ids=str,
)
def test_dropout_follows_the_last_three_blocks(dropout, rates):
    kinds = [type(m) for m in ResidualCritic((3, 32, 32), dropout=dropout).features]
    block = _CriticBlock
    assert kinds[:7] == [block, block, nn.Dropout, block, nn.Dropout, block, nn.Dropout]
    critic = ResidualCritic((3, 32, 32), dropout=dropout)
    assert tuple(m.p for m in critic.modules() if isinstance(m, nn.Dropout)) == rates


def test_dropout_only_in_training():
    critic = ResidualCritic((1, 8, 8), dropout=0.5, n_filters=8)
    x = torch.rand(2, 1, 8, 8)
    assert not torch.equal(critic(x), critic(x))
    critic.eval()
    assert torch.equal(critic(x), critic(x))


def test_batch_norm_in_all_blocks_but_the_first():
    critic = ResidualCritic((3, 8, 8), batch_norm=True, n_filters=2)
    blocks = [m for m in critic.modules() if isinstance(m, _CriticBlock)]
    norms = [sum(isinstance(m, nn.BatchNorm2d) for m in block.modules()) for block in blocks]
    assert norms == [0, 2, 2, 2]
    assert critic(torch.rand(4, 3, 8, 8)).shape == (4,)


def convolved(x, layer, padding=1):
    return F.conv2d(x, layer.weight, layer.bias, padding=padding)


@pytest.mark.parametrize(("halve", "first"), [(False, False), (True, False), (True, True)])
def test_critic_block_convolves_then_takes_means(halve, first):
    block = _CriticBlock(3, 4 if halve else 3, first=first, halve=halve).double()
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    convolutions = [m for m in block.residual if isinstance(m, nn.Conv2d)]
    hidden = convolved(x if first else x.clamp(min=0), convolutions[0]).clamp(min=0)
    expected = convolved(hidden, convolutions[1])
    if halve:
        expected = expected + convolved(x, block.shortcut[1], padding=0)
        expected = expected.reshape(2, 4, 3, 2, 4, 2).mean(dim=(3, 5))
    else:
        expected = expected + x
    torch.testing.assert_close(block(x), expected)


def test_generator_block_convolves_the_enlarged_image():
    block = _UpBlock(3, (7, 8)).double().eval()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)

    def enlarged(maps):
        return maps.repeat_interleave(2, 2).repeat_interleave(2, 3)[:, :, :7]

    def activated(maps):  # the statistics of a new batch norm are mean 0 and variance 1
        return (maps / (1 + 1e-5) ** 0.5).clamp(min=0)

    first, second = (m for m in block.residual if isinstance(m, nn.Conv2d))
    hidden = convolved(enlarged(activated(x)), first)
    expected = convolved(activated(hidden), second) + convolved(enlarged(x), block.shortcut[0], padding=0)
    torch.testing.assert_close(block(x), expected)


@given(channels=st.integers(1, 4), height=st.integers(1, 20), width=st.integers(1, 20))
def test_any_size(channels, height, width):
    shape = (channels, height, width)
    assert ResidualGenerator(shape, 5, n_filters=2).eval()(torch.zeros(1, 5)).shape == (1, *shape)
    critic = ResidualCritic(shape, n_filters=2)
    assert critic(torch.zeros(1, *shape)).shape == (1,)
    assert critic.embed(torch.zeros(1, *shape)).shape == (1, 2)


@pytest.mark.parametrize("shape", [(3, 16, 17), (16, 17)], ids=str)
def test_float64_and_gray_images_without_a_channel(shape):
    images = ResidualGenerator(shape, 5, n_filters=4).double()(torch.randn(6, 5, dtype=torch.float64))
    assert images.shape == (6, *shape)
    critic = ResidualCritic(shape, dropout=0.5, n_filters=4).double().eval()
    scores = critic(images)
    assert scores.dtype == torch.float64
    torch.testing.assert_close(scores, critic.embed(images) @ critic.head.weight[0] + critic.head.bias)


def test_images_reach_their_range_and_stay_in_it():
    generator = ResidualGenerator((1, 8, 8), n_filters=8).eval()
    images = generator(1e4 * torch.randn(50, 128))
    assert generator.output_range == (-1, 1)
    assert -1 <= images.min() < -0.99
    assert 0.99 < images.max() <= 1


@each_net
def test_every_parameter_gets_a_gradient(net):
    module = net((2, 16, 17), n_filters=8)
    x = torch.randn(8, 128) if net is ResidualGenerator else torch.randn(8, 2, 16, 17)
    (module(x) ** 2).sum().backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_a_gradient_penalty_reaches_every_weight():
    critic = ResidualCritic((2, 8, 8), n_filters=8).double()
    x = torch.randn(8, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean().backward()
    weights = {name: p for name, p in critic.named_parameters() if name.endswith("weight")}
    assert [name for name, p in weights.items() if p.grad is None or not p.grad.any()] == []


@each_net
def test_rows_that_are_no_images(net):
    with pytest.raises(ValueError, match=r"image_shape=\(C, H, W\)"):
        net((12,))
