import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from torch import nn

from skal.classifiers import ACGANClassifier
from skal.classifiers.acgan_net import ACGANNet
from skal.nets import (
    DCGANCritic,
    DenseCritic,
    DenseGenerator,
)
from skal.nets.spectral_norm import SpectralNorm, normalize_spectrally
from skal.training.batches import LabeledRows, Stream

from ..networks import DIGITS, same_tensors, tiny_acgan

pytestmark = pytest.mark.usefixtures("local_random_state")

X, Y = make_blobs(60, n_features=6, centers=3, random_state=0)


IMAGES = DIGITS[:30].astype(np.float32)


TINY = {
    "generator_params": {"channels": (8, 4, 4)},
    "critic_params": {"channels": (4, 4, 8)},
    "batch_size": 30,
}


IMAGE_LABELS = np.arange(30) % 3


quick = partial(tiny_acgan, n_iter=2)


# The training step
class NormalizedGenerator(nn.Module):
    """Linear, with batch normalisation: what it makes of a latent depends on the others of the batch."""

    output_range = None

    def __init__(self, input_shape, n_latent):
        super().__init__()
        self.linear = nn.Linear(n_latent, math.prod(input_shape))
        self.norm = nn.BatchNorm1d(math.prod(input_shape))

    def forward(self, z):
        return self.norm(self.linear(z))


def make_net(base="dcgan", adversarial_loss="non_saturating", generator=DenseGenerator, **params):
    defaults = {
        "n_critic": 1,
        "candidates": 1,
        "stratified": False,
        "auxiliary_weight": 0.7,
        "generator_auxiliary_weight": 0.3,
        "lr": 0.1,
    }
    sizes = {} if generator is NormalizedGenerator else {"hidden": (5,)}
    critic = partial(DenseCritic, (4,), hidden=(3, 3))
    if base == "sngan":
        critic = (
            tiny_acgan("sngan", critic_params={"hidden": (3, 3)})
            ._make_net((4,), classes=range(3), **RUN)
            .critic
        )
    net = ACGANNet(
        partial(generator, (4,), n_latent=2 + 3, **sizes),
        critic=critic,
        n_classes=3,
        n_latent=2 + 3,
        loss=base,
        adversarial_loss=adversarial_loss,
        n_iter=4,
        penalty=10.0,
        output_range=None,
        compile_modules=False,
        batch_size=8,
        optimizer=torch.optim.SGD,
        verbose=0,
        input_shape=(4,),
        **RUN,
        **{**defaults, **params},
    ).initialize()
    net.on_epoch_begin(net)
    return net


RUN = {"dtype": torch.float64, "amp": False, "seed": 0}


LOSSES = [
    ("dcgan", "non_saturating"),
    ("dcgan", "saturating"),
    ("dcgan", "hinge"),
    ("sngan", "non_saturating"),
    ("sngan", "hinge"),
    ("wgan_gp", "non_saturating"),
]


def batch(n_rows):
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(n_rows, 4, generator=generator, dtype=torch.float64),
        torch.arange(n_rows) % 3,
    )


def draws(n_rows):
    """Labels and the generator's input, as a step draws them."""
    wanted = torch.randint(3, (n_rows,))
    noise = torch.randn(n_rows, 2, dtype=torch.float64)
    return wanted, torch.cat([noise, torch.eye(3, dtype=torch.float64)[wanted]], dim=1)


def cross_entropy(net, rows, classes):
    logits = net.critic_.embed(rows) @ net.classifier_.weight.T + net.classifier_.bias
    return -logits.softmax(1)[torch.arange(len(rows)), classes].log().mean()


def critic_loss(net, real, classes, fake):
    """Minus Equation 4."""
    on_real, on_fake = net.critic_(real), net.critic_(fake)
    if net.loss == "wgan_gp":
        share = torch.rand(len(real), dtype=torch.float64)[:, None]
        points = ((1 - share) * real + share * fake).requires_grad_()
        (slope,) = torch.autograd.grad(net.critic_(points).sum(), points, create_graph=True)
        penalty = ((slope.square().sum(1).sqrt() - 1) ** 2).mean()
        adversarial = on_fake.mean() - on_real.mean() + 10 * penalty
    elif net.adversarial_loss == "hinge":
        adversarial = (1 - on_real).clamp(min=0).mean() + (1 + on_fake).clamp(min=0).mean()
    else:
        adversarial = -on_real.sigmoid().log().mean() - (1 - on_fake.sigmoid()).log().mean()
    return adversarial + 0.7 * cross_entropy(net, real, classes)


def generator_loss(net, fake, wanted):
    """Equation 5."""
    scores = net.critic_(fake)
    if net.loss == "wgan_gp" or net.adversarial_loss == "hinge":
        adversarial = -scores.mean()
    elif net.adversarial_loss == "saturating":
        adversarial = (1 - scores.sigmoid()).log().mean()
    else:
        adversarial = -scores.sigmoid().log().mean()
    return adversarial + 0.3 * cross_entropy(net, fake, wanted)


@pytest.mark.parametrize(("base", "adversarial_loss"), LOSSES)
def test_losses_and_their_gradients(base, adversarial_loss):
    net = make_net(base, adversarial_loss)
    if base == "sngan":
        assert sum(isinstance(part, SpectralNorm) for part in net.critic_.modules()) == 3
        for norm in net.critic_.modules():
            if isinstance(norm, SpectralNorm):
                norm._iterate(2000)  # until another iteration changes nothing
    net.generator_optimizer_.step = net.critic_optimizer_.step = lambda: None
    real, classes = batch(8)
    torch.manual_seed(5)
    wanted, latents = draws(8)
    fake = net.generator_(latents)
    losses = {"critic_loss": critic_loss(net, real, classes, fake.detach())}
    losses["generator_loss"] = generator_loss(net, fake, wanted)
    torch.manual_seed(5)
    result = net.labeled_step(real, classes)
    trained = {
        "critic_loss": [*net.critic_.parameters(), *net.classifier_.parameters()],
        "generator_loss": [*net.generator_.parameters()],
    }
    for name, expected in losses.items():
        torch.testing.assert_close(result[name], expected.detach())
        # Each has the gradient of its own loss and nothing of the other's.
        for weight, gradient in zip(trained[name], torch.autograd.grad(expected, trained[name]), strict=True):
            torch.testing.assert_close(weight.grad, gradient)
            assert weight.requires_grad
    torch.testing.assert_close(result["auxiliary_loss"], cross_entropy(net, real, classes).detach())


def test_the_classifier_sees_no_generated_row_while_it_learns():
    real, classes = batch(8)
    gradients = []
    for fake in (real + 100, real - 3):
        net = make_net()
        net.critic_.load_state_dict(make_net().critic_.state_dict())
        torch.manual_seed(1)
        for module in (net.critic_, net.classifier_):
            for weight in module.parameters():
                weight.data.normal_()
        net.labeled_critic_losses(real, classes, fake)["critic_loss"].backward()
        gradients.append([weight.grad for weight in net.classifier_.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert one.abs().sum() > 0
        assert torch.equal(one, other)


@pytest.mark.parametrize("base", ["dcgan", "wgan_gp"])
@pytest.mark.parametrize("n_critic", [1, 2])
def test_one_candidate_is_regular_training_draw_for_draw(base, n_critic):
    net = make_net(base, generator=NormalizedGenerator, n_critic=n_critic)
    own = copy.deepcopy(net)
    own.generator_, own.critic_, own.classifier_ = map(
        copy.deepcopy, (net.generator_, net.critic_, net.classifier_)
    )
    critic_sgd = torch.optim.SGD([*own.critic_.parameters(), *own.classifier_.parameters()], lr=0.1)
    generator_sgd = torch.optim.SGD(own.generator_.parameters(), lr=0.1)
    real, classes = batch(8 * n_critic)
    torch.manual_seed(3)
    for _ in range(3):
        for rows, y in zip(real.split(8), classes.split(8), strict=True):
            wanted, latents = draws(8)
            fake = own.generator_(latents)
            critic_sgd.zero_grad()
            critic_loss(own, rows, y, fake.detach()).backward()
            critic_sgd.step()
        generator_sgd.zero_grad()
        generator_loss(own, fake, wanted).backward()
        generator_sgd.step()
    torch.manual_seed(3)
    for _ in range(3):
        net.labeled_step(real, classes)
    before = make_net(base, generator=NormalizedGenerator, n_critic=n_critic).state_dict()
    for name in ("generator", "critic", "classifier"):
        for key, value in getattr(own, f"{name}_").state_dict().items():
            torch.testing.assert_close(net.state_dict()[f"{name}/{key}"], value)
    assert not same_tensors(before, net.state_dict())


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("n_critic", [1, 3])
def test_the_candidates_that_are_kept(n_critic, stratified, monkeypatch):
    """The highest by the critic as it is then, as they came out of the one pass that ranked them."""
    net = make_net(generator=NormalizedGenerator, n_critic=n_critic, candidates=4, stratified=stratified)
    passes, kept = [], []
    net.generator_.register_forward_hook(lambda _, inputs, out: passes.append((inputs[0], out)))

    def critic_losses(real, classes, fake):
        latents, rows = passes[-1]
        with torch.no_grad():
            scores = net.critic_(rows)
        if stratified:
            best = torch.stack([4 * i + scores[4 * i : 4 * i + 4].argmax() for i in range(8)])
            assert (latents[:, 2:].argmax(1).reshape(8, 4).diff(dim=1) == 0).all()
        else:
            best = scores.argsort(descending=True)[:8]
            assert scores[best].min() >= np.delete(scores.numpy(), best.numpy()).max()
        assert torch.equal(fake, rows[best])
        kept.append((fake, latents[best, 2:].argmax(1)))
        return ACGANNet.labeled_critic_losses(net, real, classes, fake)

    def generator_losses(fake, wanted):
        assert torch.equal(fake, kept[-1][0])
        assert torch.equal(wanted, kept[-1][1])
        assert fake.requires_grad
        return ACGANNet.generator_losses(net, fake, wanted)

    monkeypatch.setattr(net, "labeled_critic_losses", critic_losses)
    monkeypatch.setattr(net, "generator_losses", generator_losses)
    net.labeled_step(*batch(8 * n_critic))
    assert [len(rows) for _, rows in passes] == [32] * n_critic
    assert len({tuple(fake.flatten().tolist()) for fake, _ in kept}) == n_critic
    assert torch.equal(net._kept, torch.bincount(torch.cat([wanted for _, wanted in kept]), minlength=3))
    # A second pass over the latents of the kept ones alone would make other rows.
    latents, rows = passes[-1]
    assert not torch.allclose(net.generator_(latents[:8]), rows[:8])


@pytest.mark.parametrize("variant", ["batch_norm", "dropout", "spectral_norm"])
def test_ranking_leaves_no_trace(variant):
    net, shape = make_net(candidates=4), (1, 8, 8)
    net.critic_ = {
        "batch_norm": lambda: DCGANCritic(shape, (2, 3), batch_norm=True),
        "dropout": lambda: DenseCritic(shape, hidden=(5,), dropout=0.5),
        "spectral_norm": lambda: normalize_spectrally(DCGANCritic(shape, (2, 3))),
    }[variant]().double()
    net.critic_.train()
    fake = torch.randn(8, *shape, dtype=torch.float64)
    before, state = copy.deepcopy(net.critic_.state_dict()), torch.get_rng_state()
    assert torch.equal(net.most_real(fake), net.most_real(fake))
    assert torch.equal(torch.get_rng_state(), state)
    assert same_tensors(net.critic_.state_dict(), before)
    assert all(part.training for part in net.critic_.modules())
    net.critic_.embed(fake)  # as in training, which does leave one
    assert not (torch.equal(torch.get_rng_state(), state) and same_tensors(net.critic_.state_dict(), before))


def test_evaluation_has_the_statistics_of_real_rows():
    net = make_net()
    critic = DCGANCritic((1, 8, 8), (2, 3), batch_norm=True).double()
    net.critic_, net.classifier_ = critic, nn.Linear(48, 3).double()
    real, fake = torch.randn(2, 8, 1, 8, 8, dtype=torch.float64)
    copied = copy.deepcopy(critic)
    copied(real)
    net.labeled_critic_losses(real, torch.arange(8) % 3, fake)
    net.generator_losses(fake, torch.arange(8) % 3)
    for own, expected in zip(critic.modules(), copied.modules(), strict=True):
        if isinstance(own, nn.BatchNorm2d):
            torch.testing.assert_close(own.running_mean, expected.running_mean)
            torch.testing.assert_close(own.running_var, expected.running_var)
            assert own.momentum == 0.1
            assert own.running_mean.any()


def test_the_last_statistics_are_those_of_the_final_weights():
    clf = ACGANClassifier(architecture="dcgan", n_iter=3, n_latent=2, **TINY, lr=0.5, random_state=0)
    clf.fit(IMAGES, IMAGE_LABELS)
    seen, norm = [], next(part for part in clf.critic_.modules() if isinstance(part, nn.BatchNorm2d))
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].transpose(0, 1).flatten(1)))
    clf.predict(IMAGES)  # no batch normalisation lies before the first one
    (values,) = seen
    torch.testing.assert_close(norm.running_mean, values.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, values.var(1), rtol=1e-4, atol=1e-5)
    assert norm.momentum == 0.1
    assert not norm.training


def test_batches_of_labelled_rows():
    rows = LabeledRows(
        np.arange(20.0), np.arange(20) % 7, None, dtype=torch.float64, device=torch.device("cpu")
    )
    stream = Stream(rows, 5, 2, n_steps=2, seed=0, start=0, stop=2)
    batches = list(stream)
    assert [len(y) for _, y in batches] == [10, 10]
    x, y = (torch.cat(part) for part in zip(*((x, y) for (x, _, _), y in batches), strict=True))
    assert sorted(x.tolist()) == list(range(20))
    assert torch.equal(y, x.long() % 7)


def test_nothing_of_a_device_is_kept_outside_the_networks():
    net = quick(n_iter=2).fit(X, Y).net_
    assert not [name for name, value in vars(net).items() if isinstance(value, torch.Tensor)]
