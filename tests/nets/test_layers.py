import pytest
import torch
from torch import nn

from skal.nets.layers import LeakyReLU, ReLU

PAIRS = [
    (ReLU(), nn.ReLU()),
    (LeakyReLU(), nn.LeakyReLU(0.2)),
    (LeakyReLU(0.2), nn.LeakyReLU(0.2)),
    (LeakyReLU(0.01), nn.LeakyReLU(0.01)),
]
IDS = ["relu", "default", "leaky_0.2", "leaky_0.01"]


@pytest.mark.parametrize(("ours", "torchs"), PAIRS, ids=IDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_value_and_gradient_are_those_of_torch(ours, torchs, dtype):
    x = torch.tensor([-1e9, -3.0, -1e-3, 0.0, 1e-3, 2.0, 1e9], dtype=dtype)
    results = []
    for activation in (ours, torchs):
        leaf = x.clone().requires_grad_()
        y = activation(leaf)
        assert y.dtype == dtype
        y.backward(torch.arange(1, 8).to(dtype))
        results.append((y.detach(), leaf.grad))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize(("ours", "torchs"), PAIRS, ids=IDS)
def test_gradient_of_a_gradient_penalty_is_that_of_torch(ours, torchs):
    critic = nn.Sequential(nn.Linear(5, 7), ours, nn.Linear(7, 6), ours, nn.Linear(6, 1)).double()
    x = torch.randn(9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradients = []
    for activation in (ours, torchs):
        critic[1] = critic[3] = activation
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
        penalty = ((slope.norm(dim=1) - 1) ** 2).mean()
        weights = [critic[0].weight, critic[2].weight, critic[4].weight]
        gradients.append(torch.autograd.grad(penalty, weights))
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU()], ids=["relu", "leaky"])
def test_the_second_derivative_is_no_term_of_the_graph(activation):
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(activation(x).sum(), x, create_graph=True)
    assert not slope.requires_grad


def test_repr_names_the_slope():
    assert repr(LeakyReLU(0.1)) == "LeakyReLU(negative_slope=0.1)"
