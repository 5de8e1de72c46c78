from functools import partial

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from skal.classifiers.vaal_net import PairedBatches, VAALNet
from skal.generators.vae import elbo_terms
from skal.nets import MLP
from skal.training.batches import Rows

from ..networks import LinearVAE

pytestmark = pytest.mark.usefixtures("local_random_state")


# The losses
def linear_net(**params):
    losses = partial(elbo_terms, beta=1.7)
    defaults = {"row_losses": losses, "adversary_weight": 2.5, "rates": {"discriminator": 1e-3}, "lr": 1e-3}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VAALNet(
            partial(LinearVAE, (4,)),
            discriminator=partial(MLP, n_classes=1, hidden=(3,)),
            input_shape=(4,),
            dtype=torch.float64,
            amp=False,
            seed=0,
            output_range=None,
            optimizer=torch.optim.Adam,
            verbose=0,
            **{**defaults, **params},
        ).initialize()


@pytest.fixture
def batch():
    """Three labelled and five unlabelled rows."""
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64).split([3, 5])


def expected_losses(net, batch):
    """The terms of the VAE's loss and the discriminator's loss, equation by equation."""
    vae, critic = net.module_, net.discriminator_
    means = [rows @ vae.encoder.T for rows in batch]
    deviation = (vae.log_variance / 2).exp()
    torch.manual_seed(5)
    noise = torch.randn(8, 2, dtype=torch.float64).split([3, 5])
    reconstruction = kl = adversary = 0
    for rows, mean, draw in zip(batch, means, noise, strict=True):
        rebuilt = (mean + deviation * draw) @ vae.decoder.T
        reconstruction = reconstruction + torch.linalg.vector_norm(rows - rebuilt, dim=1).square().mean()
        prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
        kl = kl + kl_divergence(Normal(mean, deviation), prior).sum(1).mean()
        adversary = adversary - critic(mean).sigmoid().log().mean()
    labeled, unlabeled = (Bernoulli(logits=critic(mean.detach())) for mean in means)
    one, zero = torch.tensor([1.0, 0.0], dtype=torch.float64)
    discriminator = -labeled.log_prob(one).mean() - unlabeled.log_prob(zero).mean()
    return {
        "loss": reconstruction + 1.7 * kl + 2.5 * adversary,
        "reconstruction": reconstruction,
        "kl": kl,
        "adversary": adversary,
        "discriminator_loss": discriminator,
    }


def test_losses_and_their_gradients(batch):
    net = linear_net()
    net.optimizer_.step = net.discriminator_optimizer_.step = lambda: None
    expected = expected_losses(net, batch)
    torch.manual_seed(5)
    losses = net.train_step(batch)["losses"]
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value)
    # Each network has the gradient of its own loss, and nothing of the other's.
    for loss, module in (("loss", net.module_), ("discriminator_loss", net.discriminator_)):
        weights = list(module.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(expected[loss], weights), strict=True):
            torch.testing.assert_close(weight.grad, gradient)
            assert weight.requires_grad


@pytest.mark.parametrize("name", ["module", "discriminator"])
def test_a_step_lowers_the_loss_of_the_one_that_learns(name, batch):
    net = linear_net()
    other = "discriminator" if name == "module" else "module"
    getattr(net, "optimizer_" if other == "module" else f"{other}_optimizer_").step = lambda: None
    before = {key: value.clone() for key, value in net.state_dict().items()}
    losses = []
    for _ in range(2):
        torch.manual_seed(5)
        losses.append(net.train_step(batch)["losses"])
    own = "loss" if name == "module" else "discriminator_loss"
    assert losses[1][own] < losses[0][own]
    changed = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key, _ in _parameters(net, name)}


def _parameters(net, name):
    return [(f"{name}/{key}", value) for key, value in getattr(net, f"{name}_").named_parameters()]


def test_without_unlabelled_rows_their_terms_fall_away(batch):
    net = linear_net()
    rows = torch.cat(batch)
    torch.manual_seed(5)
    losses = net.train_step((rows, rows[:0]))["losses"]
    torch.manual_seed(5)
    again = linear_net().train_step((rows, rows))["losses"]  # twice the same set, with the same first draws
    assert all(value.isfinite() for value in losses.values())
    torch.testing.assert_close(losses["kl"], again["kl"] / 2)
    torch.testing.assert_close(losses["adversary"], again["adversary"] / 2)
    torch.testing.assert_close(losses["discriminator_loss"], losses["adversary"])  # before either has learned


@pytest.mark.parametrize(("n_labeled", "n_unlabeled"), [(3, 25), (13, 25), (40, 9), (2, 1), (12, 0)])
def test_batches(n_labeled, n_unlabeled):
    rows = Rows(np.arange(n_labeled + n_unlabeled), dtype=torch.float64, device=torch.device("cpu"))
    parts = [
        rows.subset(part) for part in np.split(np.random.default_rng(0).permutation(len(rows)), [n_labeled])
    ]
    labeled, unlabeled = (part[:].tolist() for part in parts)
    batches = PairedBatches(*parts, 8, seed=0)
    passes = [list(batches) for _ in range(2)]
    orders = []
    for batch in passes:
        assert len(batch) == len(batches)
        first, second = (torch.cat(side).tolist() for side in zip(*batch, strict=True))
        assert set(first) <= set(labeled)
        assert sorted(second) == sorted(unlabeled)
        if not n_unlabeled:
            assert sorted(first) == sorted(labeled)
        else:
            assert {len(side) for side, _ in batch} == {min(8, n_labeled)}
        orders.append(second or first)
    assert (orders[0] != orders[1]) == (len(orders[0]) > 1)
