import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skal.nets import DCGANCritic, DCGANGenerator
from skal.nets.spectral_norm import SpectralNorm, normalize_spectrally

pytestmark = pytest.mark.usefixtures("local_random_state")

NARROW = (2, 3, 4, 5)


def test_the_tables():
    generator, critic = DCGANGenerator((3, 32, 32)), DCGANCritic((3, 32, 32), batch_norm=True)
    shapes = []
    for module in (generator, critic):
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                part.register_forward_hook(lambda _, inputs, out: shapes.append(tuple(out.shape[1:3])))
    with torch.no_grad():
        images = generator(torch.zeros(2, 128))
        assert images.shape == (2, 3, 32, 32)
        assert critic(images).shape == (2,)
    assert generator.first_shape == (512, 4, 4)
    assert shapes[:4] == [(256, 8), (128, 16), (64, 32), (3, 32)]
    assert shapes[4:] == [(64, 32), (128, 16), (128, 16), (256, 8), (256, 8), (512, 4), (512, 4)]
    kernels = [part.kernel_size[0] for part in critic.modules() if isinstance(part, nn.Conv2d)]
    assert kernels == [3, 4, 3, 4, 3, 4, 3]
    assert critic.head.in_features == 8192
    assert sum(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in generator.modules()) == 4
    assert [p.num_features for p in critic.modules() if isinstance(p, nn.BatchNorm2d)] == [
        *(128, 128, 256, 256, 512, 512)
    ]


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 9, 15), (8, 8)], ids=str)
def test_any_size(shape):
    generator, critic = DCGANGenerator(shape, 3, NARROW[::-1]), DCGANCritic(shape, NARROW)
    images = generator(torch.randn(4, 3))
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1
    torch.testing.assert_close(critic(images), critic.head(critic.embed(images)).squeeze(1))


def test_too_small_an_image_is_refused():
    for net in (DCGANGenerator, DCGANCritic):
        with pytest.raises(ValueError, match="at least 8x8 pixels, got 7x9"):
            net((1, 7, 9))


# Spectral normalisation

LAYERS = [nn.Linear(5, 4), nn.Linear(6, 1), nn.Conv2d(2, 3, 3), nn.Conv2d(3, 2, (1, 4), stride=2, bias=False)]


def converged(layer):
    """A normalised layer whose singular vectors are exact."""
    norm = SpectralNorm(copy.deepcopy(layer).double()).double()
    norm._iterate(3000)
    return norm


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_the_weight_is_divided_by_its_largest_singular_value(layer):
    norm = converged(layer)
    matrix = layer.weight.detach().double().flatten(1)
    sigma = torch.linalg.svdvals(matrix)[0]
    expected = (matrix / sigma).reshape(layer.weight.shape)
    torch.testing.assert_close(norm.normalized_weight(), expected)
    assert torch.linalg.matrix_norm(norm.normalized_weight().flatten(1), 2).item() == pytest.approx(1)
    x = torch.randn(2, *((matrix.shape[1],) if isinstance(layer, nn.Linear) else (layer.in_channels, 6, 7)))
    plain = copy.deepcopy(layer).double()
    with torch.no_grad():
        plain.weight.copy_(expected)
    torch.testing.assert_close(norm(x.double()), plain(x.double()))


def test_its_gradient_is_that_of_the_spectral_norm():
    layer = nn.Linear(4, 3)
    norm, x = converged(layer), torch.randn(5, 4, dtype=torch.float64)
    norm(x).square().sum().backward()
    weight = layer.weight.detach().double().requires_grad_()
    F.linear(
        x, weight / torch.linalg.svdvals(weight)[0], layer.bias.detach().double()
    ).square().sum().backward()
    torch.testing.assert_close(norm.weight.grad, weight.grad)


def test_a_pass_in_training_makes_one_iteration_and_one_in_evaluation_none():
    norm = SpectralNorm(nn.Linear(30, 20, dtype=torch.float64)).double()
    with torch.no_grad():
        norm.weight.normal_()
    x, u = torch.randn(2, 30, dtype=torch.float64), norm.u.clone()
    weight = norm.weight.detach()
    norm(x)
    once = F.normalize(weight @ F.normalize(weight.T @ u, dim=0), dim=0)
    torch.testing.assert_close(norm.u, once)
    norm.eval()(x)
    torch.testing.assert_close(norm.u, once)
    # Two passes before a gradient is asked for, as over real and generated rows.
    norm.train()
    (norm(x).sum() + norm(2 * x).sum()).backward()
    assert norm.weight.grad.isfinite().all()


def test_every_layer_inside_is_normalised_and_can_be_copied():
    critic = normalize_spectrally(DCGANCritic((1, 8, 8), NARROW))
    layers = [part for part in critic.modules() if isinstance(part, nn.Linear | nn.Conv2d)]
    norms = [part for part in critic.modules() if isinstance(part, SpectralNorm)]
    assert [norm.layer for norm in norms] == layers
    assert len(layers) == 8
    critic(torch.randn(2, 1, 8, 8)).sum().backward()
    x = torch.randn(3, 1, 8, 8)
    for other in (copy.deepcopy(critic), pickle.loads(pickle.dumps(critic))):
        assert torch.equal(other.eval()(x), critic.eval()(x))
