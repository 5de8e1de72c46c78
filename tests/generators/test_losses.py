"""The terms of the losses against closed forms, brute force and finite differences, all in float64."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import nn
from torch.nn import functional as F

from skal.generators import gan_net
from skal.generators.gan_net import GANNet
from skal.generators.losses import (
    consistency_term,
    discriminator_loss,
    gradient_penalty,
    hinge_loss,
    interpolate,
    kl_divergence,
    squared_error,
    squared_slope,
)
from skal.generators.vae import elbo_terms


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


# Gradient penalty


def test_penalty_of_a_quadratic_critic():
    """The gradient of D(x) = x'Ax / 2 is (A + A')x / 2."""
    matrix, x = normal(4, 4), normal(7, 4)
    penalty = gradient_penalty(lambda x: (x @ matrix * x).sum(1) / 2, x)
    norms = ((x @ (matrix + matrix.T)) / 2).norm(dim=1)
    torch.testing.assert_close(penalty, ((norms - 1) ** 2).mean())


def test_slope_of_a_quadratic_critic_of_pairs():
    """The gradient of D(x, z) = x'Az is (Az, A'x)."""
    matrix, x, z = normal(4, 3), normal(7, 4), normal(7, 3)
    slope = squared_slope(lambda x, z: (x @ matrix * z).sum(1), x, z)
    expected = (z @ matrix.T).square().sum(1) + (x @ matrix).square().sum(1)
    torch.testing.assert_close(slope, expected.mean())
    images = normal(2, 3, 3)
    slope = squared_slope(lambda x: (x * images).sum(dim=(1, 2, 3)), normal(5, 2, 3, 3))
    torch.testing.assert_close(slope, images.square().sum())


def test_penalty_of_images_has_one_gradient_a_row():
    """Pixels and channels of a row count in one norm; a row whose gradient has norm 1 costs nothing."""
    weight = normal(2, 3, 3)
    weight /= weight.norm()
    factors = torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64)

    def critic(x):
        return factors * (x * weight).sum(dim=(1, 2, 3))

    assert gradient_penalty(critic, normal(3, 2, 3, 3)).item() == pytest.approx((0 + 4 + 1) / 3)


def test_gradient_of_the_penalty_in_the_weights_by_finite_differences():
    critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1)).double()
    x = normal(6, 3)
    penalty = gradient_penalty(lambda x: critic(x).squeeze(1), x)
    weights = [critic[0].weight, critic[0].bias, critic[2].weight]
    gradients = torch.autograd.grad(penalty, weights)
    step = 1e-6
    for weight, gradient in zip(weights, gradients, strict=True):
        expected = torch.empty_like(weight)
        for place in np.ndindex(*weight.shape):
            values = []
            for shift in (step, -step):
                with torch.no_grad():
                    weight[place] += shift
                values.append(gradient_penalty(lambda x: critic(x).squeeze(1), x).item())
                with torch.no_grad():
                    weight[place] -= shift
            expected[place] = (values[0] - values[1]) / (2 * step)
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-8)


def test_penalty_leaves_the_points_alone():
    points = normal(3, 2).requires_grad_()
    weight = normal(2).requires_grad_()
    gradient_penalty(lambda x: (x @ weight).square(), points).backward()
    assert points.grad is None
    assert weight.grad is not None


def test_interpolation_by_hand():
    real, fake = normal(3, 2, 2, 2), normal(3, 2, 2, 2)
    share = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64)
    points = interpolate(real, fake, share)
    for i in range(3):
        torch.testing.assert_close(points[i], (1 - share[i]) * real[i] + share[i] * fake[i])


def test_points_are_drawn_uniformly_with_one_share_a_row():
    points = interpolate(
        torch.zeros(20_000, 2, dtype=torch.float64), torch.ones(20_000, 2, dtype=torch.float64)
    )
    assert points.dtype == torch.float64
    assert torch.equal(points[:, 0], points[:, 1])
    shares = points[:, 0]
    assert (shares >= 0).all()
    assert (shares <= 1).all()
    # Three standard errors of the mean, and of the mean square, of a uniform variable.
    assert shares.mean().item() == pytest.approx(1 / 2, abs=3 * math.sqrt(1 / 12 / 20_000))
    assert shares.square().mean().item() == pytest.approx(1 / 3, abs=3 * math.sqrt(4 / 45 / 20_000))


# Consistency and discriminator


@pytest.mark.parametrize(("weight", "margin"), [(2.0, 0.0), (0.7, 1.5), (0.0, 0.0)])
def test_consistency_by_hand(weight, margin):
    scores, other_scores, features, other = normal(6), normal(6), normal(6, 4), normal(6, 4)
    other_scores[0], other[0] = scores[0], features[0]  # below the margin
    terms = []
    for i in range(6):
        distance = sum((features[i, j] - other[i, j]).item() ** 2 for j in range(4)) / 4
        difference = (scores[i] - other_scores[i]).item() ** 2
        terms.append(max(0.0, weight * (difference + 0.1 * distance) - margin))
    term = consistency_term(scores, other_scores, features, other, weight=weight, margin=margin)
    assert term.item() == pytest.approx(sum(terms) / 6)


def test_discriminator_loss_by_hand():
    real, fake = normal(5), normal(5)

    def logistic(score):
        return 1 / (1 + math.exp(-score))

    expected = -sum(math.log(logistic(s)) for s in real.tolist()) / 5
    expected -= sum(math.log(1 - logistic(s)) for s in fake.tolist()) / 5
    assert discriminator_loss(real, fake).item() == pytest.approx(expected / 2)
    certain = torch.tensor([1000.0], dtype=torch.float64)
    assert discriminator_loss(certain, -certain).item() == 0
    assert discriminator_loss(-certain, certain).item() == 1000  # where the logarithm of 0 would be infinite


def test_hinge_loss_by_hand():
    real, fake = 2 * normal(9), 2 * normal(9)
    expected = (
        sum(max(0.0, 1 - s) for s in real.tolist()) / 9 + sum(max(0.0, 1 + s) for s in fake.tolist()) / 9
    )
    assert hinge_loss(real, fake).item() == pytest.approx(expected)
    assert hinge_loss(torch.ones(2), -torch.ones(2)).item() == 0


# Variational lower bound


def test_divergence_against_torch_distributions():
    mean, log_variance = 2 * normal(6, 4), normal(6, 4)
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


@pytest.mark.parametrize(("mean", "variance"), [(0.0, 1.0), (1.5, 0.3), (-2.0, 4.0)])
def test_divergence_by_numerical_integration(mean, variance):
    def log_density(z, mean, variance):
        return -((z - mean) ** 2) / (2 * variance) - math.log(2 * math.pi * variance) / 2

    def integrand(z):
        return math.exp(log_density(z, mean, variance)) * (
            log_density(z, mean, variance) - log_density(z, 0, 1)
        )

    width = 12 * math.sqrt(variance)
    expected, _ = integrate.quad(integrand, mean - width, mean + width)
    tensors = (
        torch.tensor([[mean]], dtype=torch.float64),
        torch.tensor([[math.log(variance)]], dtype=torch.float64),
    )
    assert kl_divergence(*tensors).item() == pytest.approx(expected, abs=1e-8)


def test_squared_error_by_hand():
    rows, others = normal(3, 2, 4), normal(3, 2, 4)
    expected = [
        sum((rows[i, j, k] - others[i, j, k]).item() ** 2 for j in range(2) for k in range(4))
        for i in range(3)
    ]
    assert squared_error(rows, others).tolist() == pytest.approx(expected)


class LinearVAE(nn.Module):
    """An encoder that says the same of every row, and a linear decoder."""

    def __init__(self, decoder, log_variance):
        super().__init__()
        self.decoder = decoder
        self.log_variance = log_variance

    def encode(self, x):
        return x[:, : len(self.log_variance)], self.log_variance.expand(len(x), -1)

    def decode(self, z):
        return z @ self.decoder.T


def test_lower_bound_of_a_linear_gaussian_model():
    """With z ~ N(m, S), E||x - Wz||^2 = ||x - Wm||^2 + tr(W S W'); a draw and its mirror image have no odd terms."""
    decoder, log_variance, x = normal(4, 3), normal(3), normal(5, 4)
    module, beta = LinearVAE(decoder, log_variance), 1.8
    # Draws whose second moments are exactly those of a standard normal: sqrt(3) times the axes, both ways.
    noise = math.sqrt(3) * torch.cat([torch.eye(3), -torch.eye(3)]).double()
    terms = [elbo_terms(module, x, beta, noise=draw) for draw in noise]
    mean = {name: torch.stack([term[name] for term in terms]).mean(0) for name in terms[0]}
    latents = x[:, :3]
    trace = torch.trace(decoder @ torch.diag(log_variance.exp()) @ decoder.T)
    reconstruction = (x - latents @ decoder.T).square().sum(1) + trace
    kl = (latents.square().sum(1) + log_variance.exp().sum() - log_variance.sum() - 3) / 2
    torch.testing.assert_close(mean["reconstruction"], reconstruction)
    torch.testing.assert_close(mean["kl"], kl)
    torch.testing.assert_close(mean["loss"], reconstruction + beta * kl)


def test_latents_are_drawn_anew_for_each_row_with_the_posterior_variance():
    log_variance = torch.tensor([0.0, 2.0], dtype=torch.float64)
    module = LinearVAE(torch.eye(2, dtype=torch.float64), log_variance)
    x = torch.zeros(20_000, 2, dtype=torch.float64)
    errors = elbo_terms(module, x)["reconstruction"]
    # ||z||^2 has mean 1 + e^2 and variance 2 (1 + e^4).
    e = math.e
    assert errors.mean().item() == pytest.approx(1 + e**2, abs=4 * math.sqrt(2 * (1 + e**4) / 20_000))
    assert errors.unique().numel() == 20_000


# A step of the GAN's net


class LinearCritic(nn.Module):
    """D(x) = w'x, whose gradient is w everywhere."""

    def __init__(self, weight):
        super().__init__()
        self.head = nn.Linear(len(weight), 1, bias=False)
        self.head.weight = nn.Parameter(torch.tensor([weight]))

    def embed(self, x):
        return x.flatten(1)

    def forward(self, x):
        return self.head(self.embed(x)).squeeze(1)


class SquashedCritic(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(dropout))
        self.head = nn.Linear(5, 1)

    def embed(self, x):
        return self.features(x)

    def forward(self, x):
        return self.head(self.embed(x)).squeeze(1)


def gan_net_of(critic, loss="wgan_gp", *, n_latent=2, generator=None, **params):
    defaults = {
        "n_iter": 1,
        "n_critic": 1,
        "penalty": 10.0,
        "consistency": 2.0,
        "noise": 0.0,
        "decay": False,
        "cuda_graph": False,
        "output_range": None,
        "compile_modules": False,
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
        "batch_size": 4,
        "input_shape": (2,),
        "dtype": torch.float64,
        "amp": False,
        "seed": 0,
        "device": "cpu",
    }
    generator = generator or (lambda: nn.Linear(n_latent, 2))
    net = GANNet(generator, critic=critic, loss=loss, n_latent=n_latent, **{**defaults, **params})
    return net.initialize()


def test_a_critic_step_on_a_linear_critic_by_hand():
    """d/dw [w'(mean fake - mean real) + p (||w|| - 1)^2] = mean fake - mean real + 2 p (||w|| - 1) w / ||w||."""
    net = gan_net_of(lambda: LinearCritic([3.0, 4.0]), penalty=0.7, generator=lambda: Constant([0.5, -0.25]))
    real = normal(4, 2)
    losses = net.step(real)
    difference = torch.tensor([0.5, -0.25], dtype=torch.float64) - real.mean(0)
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64)
    gradient = difference + 2 * 0.7 * (5 - 1) * weight / 5
    torch.testing.assert_close(net.critic_.head.weight[0], weight - 0.1 * gradient)
    torch.testing.assert_close(losses["wasserstein"], -difference @ weight)
    torch.testing.assert_close(losses["gradient_penalty"], torch.tensor(0.7 * 16, dtype=torch.float64))
    torch.testing.assert_close(losses["critic_loss"], difference @ weight + 0.7 * 16)
    # The generator was scored by the critic after its step.
    after = weight - 0.1 * gradient
    torch.testing.assert_close(
        losses["generator_loss"], -after @ torch.tensor([0.5, -0.25], dtype=torch.float64)
    )


class Constant(nn.Module):
    """Generates the same row from every latent vector."""

    def __init__(self, row):
        super().__init__()
        self.row = nn.Parameter(torch.tensor(row))

    def forward(self, z):
        return self.row.expand(len(z), -1)


def test_a_generator_step_by_hand():
    """The fakes of a constant generator move along the critic's gradient: row + lr w."""
    net = gan_net_of(lambda: LinearCritic([0.6, -0.8]), generator=lambda: Constant([1.0, 2.0]))
    net.critic_optimizer_ = torch.optim.SGD(net.critic_.parameters(), lr=0.0)
    net.step(normal(4, 2))
    expected = torch.tensor([1.0 + 0.1 * 0.6, 2.0 - 0.1 * 0.8], dtype=torch.float64)
    torch.testing.assert_close(net.generator_.row.data, expected)


def test_the_critic_is_better_off_where_real_rows_score_higher():
    net = gan_net_of(lambda: LinearCritic([1.0, 0.0]))
    low, high = (torch.tensor([[x, 0.0]], dtype=torch.float64) for x in (-1.0, 2.0))
    for loss in ("wgan_gp", "wgan_ct", "dcgan"):
        net.loss = loss
        assert net.critic_losses(high, low)["critic_loss"] < net.critic_losses(low, high)["critic_loss"]


@pytest.mark.parametrize("loss", ["wgan_gp", "wgan_ct", "dcgan"])
def test_a_generator_step_raises_the_score_of_fakes_and_leaves_the_critic_alone(loss):
    net = gan_net_of(SquashedCritic, loss, generator_share=16, lr=1e-2)
    net.critic_optimizer_ = torch.optim.SGD(net.critic_.parameters(), lr=0.0)
    critic = copy.deepcopy(net.critic_.state_dict())
    z = normal(200, 2)
    with torch.no_grad():
        before = net.critic_(net.generator_(z)).mean()
    net.step(normal(4, 2))
    with torch.no_grad():
        after = net.critic_(net.generator_(z)).mean()
    assert after > before
    assert all(torch.equal(value, critic[name]) for name, value in net.critic_.state_dict().items())
    assert all(weight.requires_grad for weight in net.critic_.parameters())


@pytest.mark.parametrize("loss", ["wgan_gp", "wgan_ct", "dcgan"])
def test_critic_steps_leave_the_generator_alone(loss):
    net = gan_net_of(SquashedCritic, loss, n_critic=3)
    net.generator_optimizer_ = torch.optim.SGD(net.generator_.parameters(), lr=0.0)
    generator, critic = (copy.deepcopy(module.state_dict()) for module in (net.generator_, net.critic_))
    net.step(normal(12, 2))
    assert all(torch.equal(value, generator[name]) for name, value in net.generator_.state_dict().items())
    assert not torch.equal(net.critic_.state_dict()["head.weight"], critic["head.weight"])


def test_each_critic_step_has_rows_of_its_own(monkeypatch):
    net = gan_net_of(SquashedCritic, n_critic=3, generator_share=2)
    seen, drawn = [], []
    losses_of, latents_of = net.critic_losses, net.draw_latents
    monkeypatch.setattr(
        net, "critic_losses", lambda real, fake: seen.append((real, fake)) or losses_of(real, fake)
    )
    monkeypatch.setattr(net, "draw_latents", lambda n_rows: drawn.append(latents_of(n_rows)) or drawn[-1])
    real = torch.arange(24.0, dtype=torch.float64).reshape(12, 2)
    net.step(real)
    assert torch.equal(torch.cat([rows for rows, _ in seen]), real)
    assert [len(rows) for rows, _ in seen] == [4, 4, 4]
    assert [len(z) for z in drawn] == [4, 4, 4, 8]
    assert torch.cat(drawn).unique().numel() == 2 * (4 + 4 + 4 + 8)
    assert all(not fake.requires_grad for _, fake in seen)


def test_losses_of_a_wasserstein_gan_with_consistency_by_hand(monkeypatch):
    """Two dropout passes over the real rows; the first is also that of the Wasserstein estimate."""
    net = gan_net_of(lambda: SquashedCritic(dropout=0.5), "wgan_ct", penalty=3.0, consistency=1.3)
    points = normal(6, 2)
    monkeypatch.setattr(gan_net, "interpolate", lambda real, fake: points)
    real, fake = normal(6, 2), normal(6, 2)
    torch.manual_seed(3)
    losses = net.critic_losses(real, fake)
    torch.manual_seed(3)
    features = net.critic_.embed(torch.cat([real, fake]))
    scores = net.critic_.head(features)[:, 0]
    penalty = gradient_penalty(net.critic_, points)
    other = net.critic_.embed(real)
    difference = (scores[:6] - net.critic_.head(other)[:, 0]).square()
    consistency = 1.3 * (difference + 0.1 * (features[:6] - other).square().mean(1)).mean()
    wasserstein = scores[:6].mean() - scores[6:].mean()
    torch.testing.assert_close(losses["consistency"], consistency)
    torch.testing.assert_close(losses["gradient_penalty"], 3 * penalty)
    torch.testing.assert_close(losses["critic_loss"], 3 * penalty - wasserstein + consistency)
    assert consistency > 0


def test_losses_of_a_dcgan_by_hand():
    net = gan_net_of(SquashedCritic, "dcgan")
    real, fake, latents = normal(6, 2), normal(6, 2), normal(6, 2)
    losses = net.critic_losses(real, fake)
    expected = (-F.logsigmoid(net.critic_(real)).mean() - (1 - net.critic_(fake).sigmoid()).log().mean()) / 2
    torch.testing.assert_close(losses["critic_loss"], expected)
    generator_loss = -net.critic_(net.generator_(latents)).sigmoid().log().mean()
    torch.testing.assert_close(net.generator_loss(latents), generator_loss)


def test_noise_and_decay(monkeypatch):
    """Uniform noise in [0, noise) on the real rows; the learning rate falls linearly to zero over the steps."""
    net = gan_net_of(SquashedCritic, noise=0.5, decay=True, n_iter=4, lr=0.2)
    seen, rates = [], []
    losses_of = net.critic_losses
    monkeypatch.setattr(net, "critic_losses", lambda real, fake: seen.append(real) or losses_of(real, fake))
    net._step, net._n_steps = net.step, 0
    for _ in range(4):
        net.train_step(torch.zeros(1, 100, 2, dtype=torch.float64))
        rates += [
            group["lr"]
            for optimizer in (net.generator_optimizer_, net.critic_optimizer_)
            for group in optimizer.param_groups
        ]
    noise = torch.stack(seen)
    assert 0 <= noise.min() < 0.05
    assert 0.45 < noise.max() < 0.5
    assert noise.mean().item() == pytest.approx(0.25, abs=0.03)
    assert rates == pytest.approx([0.2, 0.2, 0.15, 0.15, 0.1, 0.1, 0.05, 0.05])
