import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skal.nets import (
    CelebACritic,
    CelebAGenerator,
    CIFARCritic,
    CIFARGenerator,
    ConvCritic,
    ConvGenerator,
    DigitsCritic,
    DigitsGenerator,
    MNISTCritic,
    MNISTGenerator,
)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def linear(n_in, n_out):
    return n_in * n_out + n_out


def conv5(n_in, n_out):
    return 25 * n_in * n_out + n_out


@pytest.mark.parametrize(
    ("generator", "critic", "shape", "maps", "n_norms", "n_generator", "n_critic"),
    [
        (
            *(MNISTGenerator, MNISTCritic, (1, 28, 28), [(256, 4), (128, 7), (64, 14), (1, 28)], 0),
            linear(128, 4096) + conv5(256, 128) + conv5(128, 64) + conv5(64, 1),
            conv5(1, 64) + conv5(64, 128) + conv5(128, 256) + linear(4096, 1),
        ),
        (
            *(CIFARGenerator, CIFARCritic, (3, 32, 32), [(512, 4), (256, 8), (128, 16), (3, 32)], 3),
            linear(128, 8192) + conv5(512, 256) + conv5(256, 128) + conv5(128, 3) + 2 * (8192 + 256 + 128),
            conv5(3, 128) + conv5(128, 256) + conv5(256, 512) + linear(8192, 1),
        ),
        (
            *(CelebAGenerator, CelebACritic, (3, 64, 64)),
            *([(256, 4), (256, 8), (128, 16), (64, 32), (3, 64)], 4),
            linear(128, 4096)
            + conv5(256, 256)
            + conv5(256, 128)
            + conv5(128, 64)
            + conv5(64, 3)
            + 2 * (4096 + 256 + 128 + 64),
            conv5(3, 128) + conv5(128, 256) + conv5(256, 512) + conv5(512, 512) + linear(8192, 1),
        ),
        (
            *(DigitsGenerator, DigitsCritic, (1, 8, 8), [(64, 2), (32, 4), (1, 8)], 0),
            linear(128, 256) + conv5(64, 32) + conv5(32, 1),
            conv5(1, 32) + conv5(32, 64) + linear(256, 1),
        ),
    ],
)
def test_the_tables(generator, critic, shape, maps, n_norms, n_generator, n_critic):
    net = generator(shape)
    seen = [(net.first_shape[0], net.first_shape[1])]
    for part in net.modules():
        if isinstance(part, nn.ConvTranspose2d):
            part.register_forward_hook(lambda _, inputs, out: seen.append((out.shape[1], out.shape[2])))
    images = net(torch.randn(4, 128))
    assert seen == maps
    assert images.shape == (4, *shape)
    assert n_parameters(net) == n_generator
    assert sum(isinstance(p, nn.BatchNorm1d | nn.BatchNorm2d) for p in net.modules()) == n_norms
    assert n_parameters(critic(shape)) == n_critic
    assert critic(shape)(images).shape == (4,)


@given(
    channels=st.integers(1, 4),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    widths=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    batch_norm=st.booleans(),
)
def test_any_size(channels, height, width, widths, batch_norm):
    shape = (channels, height, width)
    generator = ConvGenerator(shape, 2, tuple(widths), batch_norm).eval()
    images = generator(torch.randn(2, 2))
    assert images.shape == (2, *shape)
    critic = ConvCritic(shape, tuple(widths), batch_norm).eval()
    features = critic.embed(images)
    assert torch.equal(critic.head(features).squeeze(1), critic(images))


def test_gray_images_keep_their_shape():
    assert MNISTGenerator((9, 13))(torch.zeros(3, 128)).shape == (3, 9, 13)
    assert MNISTCritic((9, 13))(torch.zeros(3, 9, 13)).shape == (3,)


@pytest.mark.parametrize(("generator", "low"), [(MNISTGenerator, 0), (CIFARGenerator, -1)])
def test_the_range_is_that_of_the_last_layer(generator, low):
    net = generator((3, 8, 8), 2)
    assert net.output_range == (low, 1)
    images = net(1e4 * torch.randn(200, 2)).detach()
    assert images.min() == pytest.approx(low, abs=1e-3)
    assert images.max() == pytest.approx(1, abs=1e-3)


def test_batch_norm_and_dropout_of_the_critic():
    def parts(critic, kind):
        return [isinstance(part, kind) for part in critic.features]

    plain, norm, dropout = (
        CIFARCritic((3, 8, 8), **variant) for variant in ({}, {"batch_norm": True}, {"dropout": 0.5})
    )
    assert sum(parts(plain, nn.BatchNorm2d | nn.Dropout)) == 0
    assert [part.num_features for part in norm.features if isinstance(part, nn.BatchNorm2d)] == [256, 512]
    assert sum(parts(dropout, nn.Dropout)) == 3
    x = torch.randn(4, 3, 8, 8)
    assert not torch.equal(dropout(x), dropout(x))
    assert torch.equal(dropout.eval()(x), dropout(x))
