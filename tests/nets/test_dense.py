import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from skal.nets.dense import DenseAutoEncoder, DenseCritic, DenseGenerator, DenseVAE
from skal.nets.layers import LeakyReLU

NETS = [DenseGenerator, DenseCritic, DenseAutoEncoder, DenseVAE]
each_net = pytest.mark.parametrize("net", NETS, ids=lambda net: net.__name__)
shapes = st.one_of(st.tuples(st.integers(1, 40)), st.tuples(st.integers(1, 4), st.integers(1, 8)))


def layers(module):
    """Sizes of linear layers and kinds of all others."""
    return [
        (layer.in_features, layer.out_features) if isinstance(layer, nn.Linear) else type(layer)
        for layer in module
        if not isinstance(layer, nn.Flatten | nn.Dropout)
    ]


def test_layers():
    relu = nn.ReLU
    assert layers(DenseGenerator((7,), 3, hidden=(5, 6)).layers) == [(3, 5), relu, (5, 6), relu, (6, 7)]
    auto_encoder = DenseAutoEncoder((7,), 3, hidden=(5, 6))
    assert layers(auto_encoder.encoder) == [(7, 5), relu, (5, 6), relu, (6, 3)]
    assert layers(auto_encoder.decoder) == [(3, 6), relu, (6, 5), relu, (5, 7)]
    vae = DenseVAE((7,), 3, hidden=[5, 6])
    assert layers(vae.encoder) == [(7, 5), relu, (5, 6), relu, (6, 6)]
    assert layers(vae.decoder) == [(3, 6), relu, (6, 5), relu, (5, 7)]
    assert layers(DenseCritic((7,), hidden=(5, 6)).features) == [(7, 5), LeakyReLU, (5, 6), LeakyReLU]
    critic = DenseCritic((7,), dropout=0.3, hidden=(5, 6))
    assert [layer.p for layer in critic.features if isinstance(layer, nn.Dropout)] == [0.3, 0.3]


@each_net
def test_no_hidden_layers(net):
    assert sum(isinstance(m, nn.Linear) for m in net((5,), hidden=()).modules()) == (
        2 if hasattr(net, "decode") else 1
    )


def test_a_code_is_no_longer_than_the_row_by_default():
    assert DenseAutoEncoder((5,)).n_latent == 5
    assert DenseAutoEncoder((2, 50)).n_latent == 16
    assert DenseAutoEncoder((5,), n_latent=8).encode(torch.zeros(2, 5)).shape == (2, 8)


@given(shape=shapes)
def test_any_shape(shape):
    x = torch.zeros(2, *shape)
    options = {"hidden": (4, 3)}
    assert DenseGenerator(shape, 6, **options)(torch.zeros(2, 6)).shape == x.shape
    critic = DenseCritic(shape, **options)
    assert critic(x).shape == (2,)
    assert critic.embed(x).shape == (2, 3)
    auto_encoder = DenseAutoEncoder(shape, **options)
    assert auto_encoder.encode(x).shape == (2, auto_encoder.n_latent)
    assert auto_encoder(x).shape == x.shape
    vae = DenseVAE(shape, 6, **options)
    mean, log_variance = vae.encode(x)
    assert mean.shape == log_variance.shape == (2, vae.n_latent) == (2, 6)
    assert vae(x).shape == x.shape


def test_scores_are_the_head_of_the_embedding():
    critic = DenseCritic((6,), dropout=0.5).double().eval()
    x = torch.randn(4, 6, dtype=torch.float64)
    torch.testing.assert_close(critic(x), critic.embed(x) @ critic.head.weight[0] + critic.head.bias)
    torch.testing.assert_close(critic(x[:1]), critic(x)[:1])


@pytest.mark.parametrize("net", [DenseAutoEncoder, DenseVAE])
def test_forward_decodes_the_code(net):
    module = net((6,)).double()
    x = torch.randn(4, 6, dtype=torch.float64)
    code = module.encode(x)
    code = code[0] if net is DenseVAE else code
    torch.testing.assert_close(module(x), module.decode(code))


def test_outputs_have_no_range():
    assert DenseGenerator.output_range is DenseAutoEncoder.output_range is DenseVAE.output_range is None
    assert DenseGenerator((6,))(1e4 * torch.randn(50, 128)).abs().max() > 10


@each_net
def test_every_parameter_gets_a_gradient(net):
    module = net((6,))
    x = torch.randn(8, 128) if net is DenseGenerator else torch.randn(8, 6)
    loss = (module(x) ** 2).sum()
    if net is DenseVAE:
        loss = loss + (module.encode(x)[1] ** 2).sum()
    loss.backward()
    assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []
