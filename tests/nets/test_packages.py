"""Networks by name against those of torchvision and timm themselves."""

import copy
import pickle
import sys

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

from skal import ActiveLearner
from skal.classifiers import CNNClassifier, WassersteinClassifier
from skal.nets import ARCHITECTURES, ResNet18
from skal.nets.packages import package_network
from skal.nets.resnet import SampledConv2d
from skal.strategies import BADGE
from skal.utils.torchvision import import_torchvision
from tests.processes import run_fresh

timm = pytest.importorskip("timm")
models = import_torchvision().models


def seeded(build):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build()
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):  # statistics that are not the initial ones
                nn.init.uniform_(layer.running_mean, -0.1, 0.1)
                nn.init.uniform_(layer.running_var, 0.5, 2)
    return module.eval()


def network(name, shape, n_classes=3, **params):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return package_network(name, "a test", ARCHITECTURES)(shape, n_classes, **params).eval()


def images(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def saved(module, path):
    torch.save(module.state_dict(), path)
    return path


@pytest.fixture
def shallow(monkeypatch):
    """Some layers of torchvision's deepest networks."""
    transformer, densenet = models.vision_transformer._vision_transformer, models.densenet._densenet
    monkeypatch.setattr(
        models.vision_transformer,
        "_vision_transformer",
        lambda **params: transformer(**{**params, "num_layers": 2}),
    )
    monkeypatch.setattr(
        models.densenet,
        "_densenet",
        lambda growth, blocks, *rest, **params: densenet(8, (2, 3), *rest, **params),
    )


TORCHVISION = {
    "resnet34": ("fc", 64),
    "squeezenet1_1": ("classifier.1", 64),
    "mobilenet_v3_small": ("classifier.3", 64),
    "densenet121": ("classifier", 64),
    "regnet_x_400mf": ("fc", 64),
    "googlenet": ("fc", 64),
    "vit_b_32": ("heads.head", 64),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(tmp_path, shallow, name):
    head, side = TORCHVISION[name]
    params = {"image_size": side} if name == "vit_b_32" else {}
    params = {"init_weights": True, "transform_input": True} if name == "googlenet" else params
    theirs = seeded(lambda: models.get_model(name, weights=None, num_classes=5, **params))
    ours = network(name, (3, side, side), n_hidden=4, weights=saved(theirs, tmp_path / "weights.pth"))
    theirs.set_submodule(head, nn.Identity())
    x = images(2, 3, side, side)
    features = theirs(x).detach().flatten(1)
    torch.testing.assert_close(ours.body(x).flatten(1), features, rtol=1e-4, atol=1e-5)
    embeddings = F.linear(features, ours.hidden.weight, ours.hidden.bias)
    torch.testing.assert_close(ours.embed(x), embeddings, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ours(x), ours.head(ours.embed(x)))
    assert ours(x).shape == (2, 3)


def test_no_strided_1x1_convolution_is_left():
    net = network("resnet34", (3, 32, 32))
    assert sum(isinstance(part, SampledConv2d) for part in net.modules()) == 3
    assert not any(
        isinstance(p, nn.Conv2d) and p.kernel_size == (1, 1) and p.stride == (2, 2) for p in net.modules()
    )


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v3_small", "timm:test_resnet", "timm:test_vit"])
def test_gray_images_are_three_equal_channels(tmp_path, name):
    plain = name.partition(":")[2]
    build = timm.create_model if name.startswith("timm") else models.get_model
    theirs = seeded(lambda: build(plain, num_classes=5))
    path = saved(theirs, tmp_path / "weights.pth")
    gray, rgb = (network(name, (channels, 160, 160), weights=path) for channels in (1, 3))
    x = images(2, 1, 160, 160)
    torch.testing.assert_close(gray.embed(x), rgb.embed(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["torchvision:mobilenet_v3_small", "timm:test_convnext", "timm:test_vit"])
def test_images_of_any_channels(name):
    net = network(name, (5, 160, 160)).double()
    x = images(2, 5, 160, 160).double().requires_grad_()
    outputs = net(x)
    assert outputs.shape == (2, 3)
    (gradient,) = torch.autograd.grad(outputs[:, 0].sum(), x)
    assert (gradient.abs().sum(dim=(0, 2, 3)) > 0).all()


TIMM = ["test_resnet", "test_efficientnet", "test_vit", "test_convnext", "test_nfnet"]


@pytest.mark.parametrize("n_classes", [0, 5, 1000])
@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm(tmp_path, name, n_classes):
    theirs = seeded(lambda: timm.create_model(name, num_classes=n_classes))
    ours = network(f"timm:{name}", (3, 160, 160), weights=saved(theirs, tmp_path / "weights.pth"))
    x = images(2, 3, 160, 160)
    features = theirs.forward_head(theirs.forward_features(x), pre_logits=True)
    torch.testing.assert_close(ours.embed(x), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        ours(x), F.linear(features, ours.head.weight, ours.head.bias), rtol=1e-4, atol=1e-5
    )
    assert ours.body.pretrained_cfg["state_dict"] is None  # a second copy


def test_weights_for_images_of_another_size(tmp_path, shallow):
    theirs = seeded(lambda: timm.create_model("test_vit", num_classes=5))
    path = saved(theirs, tmp_path / "weights.pth")
    x = images(2, 3, 64, 96)
    expected = timm.create_model(
        "test_vit",
        pretrained=True,
        num_classes=5,
        img_size=(64, 96),
        pretrained_cfg_overlay={"state_dict": theirs.state_dict(), "num_classes": 5},
    ).eval()
    features = expected.forward_head(expected.forward_features(x), pre_logits=True)
    torch.testing.assert_close(network("timm:test_vit", (3, 64, 96), weights=path).embed(x), features)

    theirs = seeded(lambda: models.vit_b_32(num_classes=5, image_size=96))
    path = saved(theirs, tmp_path / "weights.pth")
    net = network("vit_b_32", (3, 64, 64), weights=path)
    state = models.vision_transformer.interpolate_embeddings(64, 32, theirs.state_dict())
    assert torch.equal(net.body.encoder.pos_embedding, state["encoder.pos_embedding"])
    assert net(images(1, 3, 64, 64)).shape == (1, 3)


def test_weights_of_the_package_itself(monkeypatch):
    theirs = seeded(lambda: models.mobilenet_v3_small())
    asked = []

    def get_state_dict(weights, **_):
        asked.append(weights)
        return theirs.state_dict()

    monkeypatch.setattr(models.MobileNet_V3_Small_Weights, "get_state_dict", get_state_dict)
    net = network("mobilenet_v3_small", (3, 64, 64), weights="DEFAULT")
    assert asked == [models.MobileNet_V3_Small_Weights.IMAGENET1K_V1]
    assert torch.equal(net.body.features[0][0].weight, theirs.features[0][0].weight)

    theirs = seeded(lambda: timm.create_model("test_resnet"))
    monkeypatch.setattr(
        "timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(theirs.state_dict())
    )
    monkeypatch.setattr("timm.models._builder.has_hf_hub", lambda *_, **__: True)
    net = network("timm:test_resnet", (3, 64, 64), pretrained=True)
    assert torch.equal(net.body.conv1[0].weight, theirs.conv1[0].weight)


def test_the_first_names_of_densenet(tmp_path, shallow):
    theirs = seeded(lambda: models.densenet121())
    old = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): w
        for key, w in theirs.state_dict().items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    torch.save(old, tmp_path / "densenet121-a639ec97.pth")
    net = network("densenet121", (3, 32, 32), weights=tmp_path / "densenet121-a639ec97.pth")
    for key, weight in net.body.state_dict().items():
        assert torch.equal(weight, theirs.state_dict()[key])


def test_weights_that_do_not_fit(tmp_path):
    path = saved(timm.create_model("test_resnet", num_classes=5), tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=r"weights\.pth does not fit this network .*timm's names"):
        network("timm:test_vit", (3, 160, 160), weights=path)
    with pytest.raises(ValueError, match=r"weights\.pth does not fit this network: it lacks .*torchvision's"):
        network("mobilenet_v3_small", (3, 64, 64), weights=path)
    for name in ("timm:test_resnet", "mobilenet_v3_small"):
        with pytest.raises(FileNotFoundError, match=r"weights='nowhere' was given.*downloads nothing"):
            network(name, (3, 64, 64), weights="nowhere")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"junk\.pth holds no weights"):
        network("timm:test_resnet", (3, 64, 64), weights=tmp_path / "junk.pth")


def test_images_that_a_network_does_not_take():
    with pytest.raises(
        ValueError, match=r"inception_v3 cannot take images of shape \(3, 32, 32\) \(.*\); resize them"
    ):
        network("inception_v3", (3, 32, 32))
    with pytest.raises(ValueError, match=r"image_shape=\(C, H, W\)"):
        network("timm:test_resnet", (12,))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "timm:test_vit", "timm:test_efficientnet"])
def test_copies_are_independent(name):
    net = network(name, (3, 160, 160))
    x = images(2, 3, 160, 160)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        torch.testing.assert_close(twin(x), net(x))
        nn.init.zeros_(twin.head.weight)
        assert net.head.weight.any()


# Names.


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("vgg", "torchvision:vgg16"),
        ("resnet35", "torchvision:resnet34"),
        ("lenett", "lenet"),
        ("efficientnet", "torchvision:efficientnet_b7"),
        ("timm:resnet18.b_in1k", "timm:resnet18.a3_in1k"),
        ("timm/resnet18.a1_in1k", "timm:resnet18.a1_in1k"),
        ("timm:convnext_ato", "timm:convnext_atto"),
        ("convnext_atto", "timm:convnext_atto"),
        ("torchvision:lenet", "lenet"),
    ],
)
def test_unknown_names_have_close_ones(name, close):
    with pytest.raises(ValueError, match=f"'architecture' parameter of CNNClassifier was '{name}'") as error:
        CNNClassifier(name).fit(X, Y)
    assert close in str(error.value).partition("Close to it are ")[2].partition(". Allowed")[0].split(", ")


def test_names_that_are_close_to_nothing():
    with pytest.raises(ValueError, match=r"No name is close to it\. Allowed are .*timm\.list_models\(\)"):
        WassersteinClassifier("hub:?").fit(np.zeros((4, 16, 16)), [0, 1, -1, -1])


def test_without_timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        ImportError, match=r"architecture='timm:resnet18' needs timm.*`pip install skal-learn\[timm\]`"
    ):
        CNNClassifier("timm:resnet18").fit(X, Y)
    with pytest.raises(ValueError, match="Close to it are torchvision:resnet34"):
        CNNClassifier("resnet33").fit(X, Y)


def test_own_names_win():
    assert type(fitted("resnet18").module_) is ResNet18
    theirs = fitted("torchvision:resnet18").module_
    assert type(theirs.body).__name__ == "ResNet"
    assert not isinstance(theirs, ResNet18)


LAZY = """
import sys
from skal.classifiers import CNNClassifier
from tests.processes import run_fresh
CNNClassifier("timm:test_vit"), CNNClassifier("resnet34")
CNNClassifier(max_epochs=1).fit([[0.0] * 4, [1.0] * 4], [0, 1])
assert not {"timm", "torchvision"} & {*sys.modules}
"""


def test_packages_are_imported_where_a_name_asks_for_them():
    run_fresh(LAZY)


# As classifiers.

X = np.random.default_rng(0).random((9, 3, 32, 32), dtype=np.float32)
Y = np.arange(9) % 3


def fitted(name, X=X, y=Y, **params):
    return CNNClassifier(name, **{"max_epochs": 1, "batch_size": 4, "random_state": 0, **params}).fit(X, y)


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "timm:test_resnet.r160_in1k", "timm:test_vit"])
def test_saved_classifiers_are_loaded_by_name(tmp_path, name):
    short = name.removeprefix("timm:")
    build = timm.create_model if name.startswith("timm") else models.get_model
    theirs = seeded(lambda: build(short, **({"img_size": 32} if "vit" in name else {})))
    path = saved(theirs, tmp_path / "weights.pth")
    params = {"weights": str(path), "n_hidden": 4}
    clf = fitted(name, module_params=params, scale="imagenet")
    probabilities = clf.predict_proba(X)
    np.testing.assert_array_equal(clone(clf).fit(X, Y).predict_proba(X), probabilities)
    path.unlink()
    clf.save(tmp_path / "classifier.skal")
    loaded = CNNClassifier.load(tmp_path / "classifier.skal")
    np.testing.assert_array_equal(loaded.predict_proba(X), probabilities)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), probabilities)
    assert (loaded.architecture, loaded.module_params) == (name, params)
    embeddings, _ = loaded.embed_and_predict_proba(X)
    head = loaded.module_.head
    logits = torch.from_numpy(embeddings) @ head.weight.T + head.bias
    np.testing.assert_allclose(logits.softmax(1).detach(), probabilities, rtol=1e-4, atol=1e-6)
    assert embeddings.shape == (9, 4)


def test_a_saved_classifier_needs_no_download(tmp_path, monkeypatch):
    theirs = timm.create_model("test_resnet")
    monkeypatch.setattr("timm.models._builder.has_hf_hub", lambda *_, **__: True)
    with monkeypatch.context() as patch:
        patch.setattr(
            "timm.models._builder.load_state_dict_from_hf", lambda *_, **__: dict(theirs.state_dict())
        )
        clf = fitted("timm:test_resnet", module_params={"pretrained": True})
        clf.save(tmp_path / "classifier.skal")

    def offline(*_, **__):
        raise ConnectionError("there is no network")

    monkeypatch.setattr("timm.models._builder.load_state_dict_from_hf", offline)
    loaded = CNNClassifier.load(tmp_path / "classifier.skal")
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ConnectionError):
        clone(clf).fit(X, Y)


def test_a_network_of_timm_learns_and_chooses():
    rows, truth = load_digits(return_X_y=True)
    rows, truth = rows[:400], truth[:400]
    bytes_ = np.kron((rows * 15).astype(np.uint8).reshape(-1, 8, 8), np.ones((4, 4), np.uint8))
    y = np.where(np.arange(400) < 200, truth, -1)
    clf = CNNClassifier("timm:test_resnet", max_epochs=15, random_state=0)
    learner = ActiveLearner(clf, BADGE(), n_queries=5, random_state=0).fit(bytes_, y)
    assert learner.score(bytes_[200:], truth[200:]) > 0.8
    assert (learner.query() >= 200).all()
