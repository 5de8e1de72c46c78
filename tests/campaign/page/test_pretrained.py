"""Features of a network whose weights are on this machine, random ones here: nothing is downloaded."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

from skal.campaign.page import begin, read_items
from skal.campaign.page.pretrained import cached_network

from .common import image_folder

models = pytest.importorskip("torchvision").models


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A network with random weights, in the file that torchvision would download."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert cached_network() is None
    torch.manual_seed(0)
    network = models.resnet18()
    file = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    assert cached_network() == "resnet18"
    return network.eval(), file


def test_features_are_those_before_the_classes(network, tmp_path):
    items = read_items(image_folder(tmp_path, 3))
    assert items.features == "resnet18"
    features = items.pool(tmp_path / "campaign").dense()
    image = Image.open(items.raw()[1]).convert("RGB").resize((224, 224))
    pixels = (np.asarray(image) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    module, _ = network
    module.fc = torch.nn.Identity()
    with torch.inference_mode():
        expected = module(torch.tensor(pixels[None], dtype=torch.float32).permute(0, 3, 1, 2))[0].numpy()
    assert_allclose(features[1], 10 * expected / np.linalg.norm(expected), rtol=1e-3, atol=1e-4)


def test_a_campaign_keeps_its_features(network, tmp_path):
    _, weights = network
    folder = image_folder(tmp_path, 6)
    where = tmp_path / "photos.campaign"
    with begin(
        where, read_items(folder), classes=["a", "b"], training="foreground", retrain_every=2
    ) as campaign:
        for row, label in zip(campaign.next("anna", 2), "ab", strict=True):
            campaign.answer("anna", row, label)
        campaign.next("anna")
        assert campaign.progress().by_model[-1]["n_labeled"] == 2
        assert campaign.learner().estimator_.n_features_in_ == 512
    weights.unlink()
    items = read_items(folder)
    assert items.features == "resnet18"
    with pytest.raises(ValueError, match="features of resnet18, whose weights are not in"):
        begin(where, items, training=None)


def test_a_campaign_that_began_without_a_network_goes_on_without(tmp_path, monkeypatch, request):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    folder = image_folder(tmp_path, 3)
    begin(tmp_path / "photos.campaign", read_items(folder), classes=["a", "b"], training=None).close()
    request.getfixturevalue("network")
    items = read_items(folder)
    assert items.features == "gradients"
    begin(tmp_path / "photos.campaign", items, training=None).close()
