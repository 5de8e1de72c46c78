"""Against torchvision's own network; all tests but one have two filters or four."""

import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F

from skal.classifiers import CNNClassifier
from skal.nets import VGG16BN
from skal.utils.torchvision import import_torchvision


class Narrow(VGG16BN):
    _n_filters = ((2, 2), (3, 3), (2, 2, 4), (4,), (4, 3))


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def theirs(n_channels=3):
    """torchvision's layers of the narrow network, with statistics that are not the initial ones."""
    vgg = import_torchvision().models.vgg
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = vgg.make_layers([2, 2, "M", 3, 3, "M", 2, 2, 4, "M", 4, "M", 4, 3, "M"], batch_norm=True)
        for layer in layers:
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.running_mean, -0.1, 0.1)
                nn.init.uniform_(layer.running_var, 0.5, 2)
                nn.init.uniform_(layer.weight, 0.5, 2)
    return nn.ModuleDict({"features": layers, "classifier": nn.Sequential(nn.Linear(3, 5))})


def test_layers_are_torchvisions_and_the_head_is_the_papers():
    with torch.device("meta"):
        net = VGG16BN((3, 32, 32), 10)
        reference = import_torchvision().models.vgg16_bn()
        shapes = [(name, part.shape) for name, part in net.body.state_dict().items()]
        assert shapes == [
            (name, part.shape) for name, part in reference.state_dict().items() if "classifier" not in name
        ]
        assert net.features(torch.zeros(2, 3, 32, 32)).shape == (2, 512)
        assert VGG16BN((1, 96, 96), 10, n_hidden=100)(torch.zeros(2, 1, 96, 96)).shape == (2, 10)
    # Published: 138,365,992 with the three linear layers of 123,642,856.
    assert sum(p.numel() for p in net.body.parameters()) == 138_365_992 - 123_642_856
    assert [tuple(layer.weight.shape) for layer in (net.hidden[0], net.head)] == [(50, 512), (10, 50)]
    assert [layer.p for layer in net.modules() if isinstance(layer, nn.Dropout)] == [0.5]


@pytest.mark.parametrize("training", [False, True])
def test_equals_torchvision(training):
    reference = theirs().double()
    net = Narrow((3, 34, 33), 5, dropout=0.0).double()
    net.body.load_state_dict({k: v for k, v in reference.state_dict().items() if "classifier" not in k})
    net.train(training)
    reference.train(training)
    x = images(4, 3, 34, 33)
    features = x
    for layer in reference["features"]:
        features = layer(features)
    embedding = F.linear(features.flatten(1), net.hidden[0].weight, net.hidden[0].bias).clamp_min(0)
    assert embedding.shape == (4, 50)
    logits = net(x)
    torch.testing.assert_close(logits, embedding @ net.head.weight.T + net.head.bias)
    torch.testing.assert_close(net.eval().train(training).embed(x), embedding)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_dropout_is_for_training():
    net = Narrow((1, 32, 32), 3, dropout=0.9).double()
    net.features.eval()
    x = images(2, 1, 32, 32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    torch.testing.assert_close(net(x), net(x))
    assert net.hidden[2].p == 0.9


def test_initial_kernels_keep_the_variance_of_gradients():
    class Wide(VGG16BN):
        _n_filters = ((64,), (2,), (2,), (2,), (2,))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer = Wide((2, 32, 32), 2).body[0][0]
    assert layer.weight.var().item() == pytest.approx(
        2 / (64 * 9), rel=0.2
    )  # He et al., 2015, over the outputs
    assert not layer.bias.any()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_file(tmp_path, suffix):
    reference, path = theirs(), tmp_path / f"vgg{suffix}"
    if suffix == ".pth":
        torch.save(reference.state_dict(), path)
    else:
        safetensors.torch.save_file(reference.state_dict(), path)
    net = Narrow((3, 32, 32), 2, weights=path).eval()
    x = features = images(2, 3, 32, 32).float()
    for layer in reference["features"].eval():
        features = layer(features)
    torch.testing.assert_close(net.features(x), features.flatten(1))
    gray = Narrow((32, 32), 2, weights=str(path)).eval()
    three = x[:, :1].expand(-1, 3, -1, -1)
    torch.testing.assert_close(gray.features(x[:, :1]), net.features(three), rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"does not fit .*features\.0\.weight of shape \(2, 3, 3, 3\)"):
        Narrow((4, 32, 32), 2, weights=path)
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        Narrow((3, 32, 32), 2, weights="vgg16_bn")


def test_what_cannot_be_built():
    with pytest.raises(ValueError, match="at least 32x32 pixels, got 28x28"):
        Narrow((1, 28, 28), 2)
    with pytest.raises(ValueError, match="n_hidden=0 was given"):
        Narrow((1, 32, 32), 2, n_hidden=0)


def test_as_a_classifier(tmp_path):
    path = tmp_path / "vgg.pth"
    torch.save(theirs().state_dict(), path)
    X = np.random.default_rng(0).random((9, 3, 32, 32), dtype=np.float32)
    params = {"weights": str(path), "dropout": 0.2}
    clf = CNNClassifier(Narrow, module_params=params, max_epochs=1, batch_size=4, random_state=0)
    clf.fit(X, np.arange(9) % 3)
    probabilities = clf.predict_proba(X)
    assert clf.embed(X).shape == (9, 50)
    clf.save(tmp_path / "classifier.skal")
    path.unlink()
    loaded = CNNClassifier.load(tmp_path / "classifier.skal", architecture=Narrow)
    for copied in (loaded, pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(copied.predict_proba(X), probabilities)
