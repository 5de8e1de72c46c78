"""Against torchvision's own networks, whose sizes are the published ones; most tests have one block a stage."""

import copy
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.base import clone
from torch import nn

from skal.classifiers import CNNClassifier
from skal.nets import ResNet18, ResNet50, ViTSmall
from skal.utils.torchvision import import_torchvision
from tests.processes import run_fresh


class Short18(ResNet18):
    _n_blocks = (1, 1, 1, 1)


class Short50(ResNet50):
    _n_blocks = (1, 1, 1, 1)


class Seeded:
    """A context in which torch's random numbers are the same each time."""

    def __enter__(self):
        self.fork = torch.random.fork_rng(devices=[])
        self.fork.__enter__()
        torch.manual_seed(0)

    def __exit__(self, *error):
        self.fork.__exit__(*error)


def torchvision_resnet(block, n_classes=5):
    """torchvision's network of one block a stage, with statistics that are not the initial ones."""
    resnet = import_torchvision().models.resnet
    with Seeded():
        module = resnet.ResNet(getattr(resnet, block), [1, 1, 1, 1], num_classes=n_classes)
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.running_mean, -0.1, 0.1)
                nn.init.uniform_(layer.running_var, 0.5, 2)
                nn.init.uniform_(layer.weight, 0.5, 2)
                nn.init.uniform_(layer.bias, -0.1, 0.1)
    return module.eval()


@pytest.fixture(scope="module")
def pretrained():
    return torchvision_resnet("BasicBlock")


def write(state, path):
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def output_shapes(net, shape, names):
    """Shapes of what some parts of a network return, computed without numbers."""
    shapes = []
    for name in names:
        part = net.body.get_submodule(name)
        part.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.device("meta"):
        net(torch.zeros(2, *shape))
    return shapes


@pytest.mark.parametrize(("net", "expansion"), [(ResNet18, 1), (ResNet50, 4)])
def test_layers_of_both_stems(net, expansion):
    parts = ["maxpool", "layer1", "layer2", "layer3", "layer4"]
    widths = [64 * expansion, 128 * expansion, 256 * expansion, 512 * expansion]
    with torch.device("meta"):
        small, large = net((1, 63, 64), 10), net((3, 64, 64), 10)
        forced = net((3, 32, 32), 10, stem="imagenet"), net((3, 224, 224), 10, stem="small")
    sides = [32, 32, 16, 8, 4]
    assert output_shapes(small, (1, 32, 32), parts) == [
        (w, s, s) for w, s in zip([64, *widths], sides, strict=True)
    ]
    sides = [56, 56, 28, 14, 7]
    assert output_shapes(large, (3, 224, 224), parts) == [
        (w, s, s) for w, s in zip([64, *widths], sides, strict=True)
    ]
    assert [module.body.conv1.kernel_size for module in forced] == [(7, 7), (3, 3)]


@pytest.mark.parametrize(("net", "n_parameters"), [(ResNet18, 11_689_512), (ResNet50, 25_557_032)])
def test_published_number_of_parameters(net, n_parameters):
    with torch.device("meta"):
        module = net((3, 224, 224), 1000)
    assert sum(parameter.numel() for parameter in module.parameters()) == n_parameters


@pytest.mark.parametrize("net", [Short18, Short50])
@pytest.mark.parametrize(
    ("shape", "params"),
    [((28, 28), {}), ((2, 9, 14), {"n_hidden": 50}), ((3, 33, 40), {"stem": "imagenet"}), ((1, 1, 1), {})],
    ids=str,
)
def test_logits_are_the_head_of_the_embedding(net, shape, params):
    module = net(shape, 7, **params).double().eval()
    x = images(3, *shape)
    embedding = module.embed(x)
    assert embedding.shape == (3, params.get("n_hidden", 512 * (1 if net is Short18 else 4)))
    torch.testing.assert_close(module(x), embedding @ module.head.weight.T + module.head.bias)
    assert module(x).shape == (3, 7)


def test_the_hidden_layer_is_linear():
    with Seeded():
        module = Short18((1, 8, 8), 2, n_hidden=5).double().eval()
    x = images(3, 1, 8, 8)
    expected = module.body(x) @ module.hidden.weight.T + module.hidden.bias
    torch.testing.assert_close(module.embed(x), expected)
    assert (expected < 0).any()


@pytest.mark.parametrize("stem", ["small", "imagenet"])
def test_initial_kernels_keep_the_variance_of_gradients(stem):
    with Seeded():
        kernels = Short18((1, 28, 28), 2, stem=stem).body.conv1.weight
    variance = 2 / (64 * kernels.shape[-1] ** 2)  # He et al., 2015, over the outputs
    assert kernels.var().item() == pytest.approx(variance, rel=0.15)


@pytest.mark.parametrize(("block", "net"), [("BasicBlock", Short18), ("Bottleneck", Short50)])
@pytest.mark.parametrize("training", [False, True])
def test_equals_torchvision(block, net, training):
    theirs = torchvision_resnet(block).double().train(training)
    ours = net((3, 34, 47), 5, stem="imagenet").double().train(training)
    state = theirs.state_dict()
    ours.head.load_state_dict({"weight": state.pop("fc.weight"), "bias": state.pop("fc.bias")})
    ours.body.load_state_dict(state)
    x = images(4, 3, 34, 47)
    torch.testing.assert_close(ours(x), theirs(x))
    for module in (ours, theirs):
        nn.functional.cross_entropy(module(x), torch.tensor([0, 1, 2, 3])).backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.body.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name])
        assert parameter.grad.any()


def test_no_strided_1x1_convolution_is_left():
    # They corrupt memory in channels-last training.
    with torch.device("meta"):
        for net in (ResNet18, ResNet50):
            layers = [layer for layer in net((3, 32, 32), 2).modules() if isinstance(layer, nn.Conv2d)]
            assert not [layer for layer in layers if layer.kernel_size == (1, 1) and layer.stride != (1, 1)]


# Pretrained weights


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_weights_from_a_file(tmp_path, pretrained, suffix):
    path = write(pretrained.state_dict(), tmp_path / f"resnet{suffix}")
    x = images(2, 3, 32, 32).float()
    net = Short18((3, 32, 32), 2, stem="imagenet", weights=path).eval()
    torch.testing.assert_close(pretrained.fc(net.embed(x)), pretrained(x))
    assert net.head.out_features == 2


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_weights_in_a_checkpoint_that_does_not_count_batches(tmp_path, pretrained, key):
    state = {k: v.half() for k, v in pretrained.state_dict().items() if "num_batches" not in k}
    path = write({key: state, "epoch": 3}, tmp_path / "resnet.pth")
    net = Short18((3, 32, 32), 2, stem="imagenet", weights=str(path))
    assert net.body.bn1.weight.dtype == torch.float32
    torch.testing.assert_close(net.body.bn1.weight, state["bn1.weight"].float())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_small_stem_stays_random(tmp_path, pretrained, channels):
    path = write(pretrained.state_dict(), tmp_path / "resnet.pth")
    with Seeded():
        expected = Short18((channels, 32, 32), 2).body.state_dict()["conv1.weight"]
    with Seeded():
        loaded = Short18((channels, 32, 32), 2, weights=path).body.state_dict()
    assert torch.equal(loaded.pop("conv1.weight"), expected)
    for name, tensor in loaded.items():
        assert torch.equal(tensor, pretrained.state_dict()[name])


def test_small_stems_have_weights_too(tmp_path, pretrained):
    kernels = images(64, 3, 3, 3).float()
    path = write({**pretrained.state_dict(), "conv1.weight": kernels}, tmp_path / "resnet.safetensors")
    assert torch.equal(Short18((3, 32, 32), 2, weights=path).body.conv1.weight, kernels)
    with pytest.raises(
        ValueError, match=r"conv1\.weight of shape \(64, 3, 3, 3\) instead of \(64, 3, 7, 7\)"
    ):
        Short18((3, 32, 32), 2, stem="imagenet", weights=path)


def test_gray_images_are_three_equal_channels(tmp_path, pretrained):
    path = write(pretrained.state_dict(), tmp_path / "resnet.pth")
    gray, rgb = (
        Short18((channels, 32, 32), 2, stem="imagenet", weights=path).double().eval() for channels in (1, 3)
    )
    x = images(2, 1, 32, 32)
    torch.testing.assert_close(gray.embed(x[:, 0]), rgb.embed(x.expand(-1, 3, -1, -1)))


def test_weights_that_do_not_fit(tmp_path, pretrained):
    state = pretrained.state_dict()
    path = tmp_path / "resnet.pth"
    for changed, message in [
        (
            {k: v for k, v in state.items() if k != "bn1.bias"},
            r"resnet\.pth does not fit .* it lacks bn1\.bias; ",
        ),
        ({**state, "extra": torch.zeros(1)}, "it has an unknown extra; .*or weights=None"),
        (
            {**state, "conv1.weight": torch.zeros(64)},
            r"conv1\.weight of shape \(64,\) instead of \(64, 3, 3, 3\)",
        ),
        (
            {"fc.weight": torch.zeros(1)},
            r"lacks conv1.weight, lacks bn1.weight, lacks bn1.bias and \d+ more; ",
        ),
    ]:
        write(changed, path)
        with pytest.raises(ValueError, match=message):
            Short18((3, 32, 32), 2, weights=path)
    write(state, path)
    with pytest.raises(
        ValueError, match=r"\(64, 3, 7, 7\) instead of \(64, 4, 7, 7\).*architecture and channels"
    ):
        Short18((4, 32, 32), 2, stem="imagenet", weights=path)
    with pytest.raises(ValueError, match=r"lacks layer1\.0\.conv3\.weight"):
        Short50((3, 32, 32), 2, weights=path)


class Code:
    """What a file of weights must not hold."""


@pytest.mark.parametrize(
    "content",
    [Code(), {"weight": 1.0}, torch.zeros(3), b"", b"no weights"],
    ids=["code", "number", "tensor", "empty", "junk"],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_without_weights(tmp_path, content, suffix):
    path = tmp_path / f"resnet{suffix}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(
        ValueError, match=rf"resnet\{suffix} holds no weights \(.*torch\.save\(module\.state_dict"
    ):
        Short18((3, 8, 8), 2, weights=path)


def test_bad_parameters():
    with pytest.raises(ValueError, match='stem=\'tiny\' was given; pass "auto", "small" or "imagenet"'):
        Short18((3, 8, 8), 2, stem="tiny")
    with pytest.raises(ValueError, match="n_hidden=0 was given; pass a positive integer, or None"):
        Short18((3, 8, 8), 2, n_hidden=0)
    with pytest.raises(FileNotFoundError, match=r"weights='DEFAULT' was given.*downloads nothing"):
        Short18((3, 8, 8), 2, weights="DEFAULT")


# As classifiers

X = np.random.default_rng(0).random((9, 8, 8), dtype=np.float32)
Y = np.arange(9) % 3


def test_classifier_with_pretrained_weights(tmp_path, pretrained):
    # The last batch has a single row, which batch norm could not take.
    path = write(pretrained.state_dict(), tmp_path / "resnet.pth")
    params = {"weights": str(path), "n_hidden": 4}
    clf = CNNClassifier(Short18, module_params=params, max_epochs=1, batch_size=4, random_state=0)
    probabilities = clf.fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(clone(clf).fit(X, Y).predict_proba(X), probabilities)
    assert clf.embed(X).shape == (9, 4)

    path.unlink()
    with pytest.raises(FileNotFoundError, match="which is not a file"):
        clone(clf).fit(X, Y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), probabilities)


def test_a_saved_classifier_needs_its_weights_no_more(tmp_path):
    path = write(ResNet18((1, 8, 8), 2).body.state_dict(), tmp_path / "resnet.safetensors")
    params = {"weights": str(path)}
    clf = CNNClassifier("resnet18", module_params=params, max_epochs=1, random_state=0).fit(X, Y)
    path.unlink()
    clf.save(tmp_path / "classifier.skal")
    loaded = CNNClassifier.load(tmp_path / "classifier.skal")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    assert loaded.module_params == params


READ = """
import pickle, sys
assert "torchvision" not in sys.modules
nets = pickle.loads(pickled)
assert [type(net).__name__ for net in nets] == ["ResNet18", "ViTSmall"]
assert "torchvision" in sys.modules
"""


def test_pickles_are_read_in_a_process_that_has_not_imported_torchvision():
    with torch.device("meta"):
        nets = [ResNet18((1, 28, 28), 10), ViTSmall((1, 28, 28), 10)]
    run_fresh(READ, pickled=pickle.dumps(nets))


def test_copies_are_independent():
    net = Short18((1, 8, 8), 2).eval()
    twin = copy.deepcopy(net)
    x = images(2, 1, 8, 8).float()
    torch.testing.assert_close(twin(x), net(x))
    nn.init.zeros_(twin.body.conv1.weight)
    assert net.body.conv1.weight.any()
