"""torchvision's Inception v3, without its weights."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from skal.metrics import FeatureStatistics, InceptionFeatures
from skal.utils.torchvision import import_torchvision

from .conftest import X


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """The file of an Inception v3 with 12 classes, and the network: equal weights in a kernel keep the file small."""
    import_torchvision()
    from torchvision.models.inception import Inception3

    with torch.device("meta"):
        net = Inception3(12, init_weights=False)
    generator, state = torch.Generator().manual_seed(0), {}
    for name, tensor in net.state_dict().items():
        if tensor.ndim == 0:
            state[name] = torch.zeros((), dtype=torch.int64)
        elif tensor.ndim > 1:
            channels = torch.rand((len(tensor), *[1] * (tensor.ndim - 1)), generator=generator)
            state[name] = ((0.6 + channels) / tensor[0].numel()).expand(tensor.shape)
        else:
            state[name] = torch.ones(len(tensor)) if name.endswith(("var", "weight")) else torch.zeros(1)
            state[name] = state[name].expand(len(tensor))
    # Outputs that tell images, and classes, apart.
    state["fc.weight"] = torch.randn(12, 2048, generator=generator) / 20
    file = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(state, file)
    net = net.to_empty(device="cpu").eval()
    net.load_state_dict(state)
    return file, net


def test_inception_features_are_those_of_torchvision(inception):
    file, net = inception
    images = np.random.default_rng(0).integers(150, 200, size=(2, 1, 5, 5), dtype=np.uint8)
    images[1] += 50
    before = torch.random.get_rng_state()
    features = InceptionFeatures(file, batch_size=1, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    # As torchvision's own transform has it: ImageNet's means and deviations, which the network turns to [-1, 1].
    pixels = torch.as_tensor(images / 255.0, dtype=torch.float32).expand(-1, 3, -1, -1)
    pixels = torch.nn.functional.interpolate(pixels, size=(299, 299), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    net.transform_input = True
    with torch.no_grad():
        expected = net((pixels - mean[:, None, None]) / std[:, None, None]).softmax(1).numpy()
    probabilities = features.predict_proba(images)
    assert np.ptp(expected, axis=0).max() > 0.01
    assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-5)
    bits = images[:1] > images[:1].mean()
    assert_array_equal(features(bits), features(bits.astype(float)))
    loaded = pickle.loads(pickle.dumps(features))
    embedded = loaded(images[:1, 0] / 255.0)
    assert embedded.shape == (1, 2048)
    logits = torch.as_tensor(embedded) @ net.fc.weight.T + net.fc.bias
    assert_allclose(logits.softmax(1).detach().numpy(), expected[:1], rtol=1e-3, atol=1e-5)
    assert FeatureStatistics(features).name == "torchvision Inception Frechet distance"


def test_refusals_of_inception(inception, tmp_path):
    file, _ = inception
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        InceptionFeatures(tmp_path / "none.pth")
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="does not fit this network"):
        InceptionFeatures(tmp_path / "other.pth")
    with pytest.raises(ValueError, match="batch_size=0"):
        InceptionFeatures(file, batch_size=0)
    with pytest.raises(ValueError, match="must be the smaller"):
        InceptionFeatures(file, pixel_range=(1, 1))
    features = InceptionFeatures(file, image_shape=(8, 8))
    with pytest.raises(ValueError, match="give the range of the images"):
        features(16 * X[:1])
    for wrong in (np.zeros((1, 2, 8, 8)), np.zeros((0, 8, 8))):
        with pytest.raises(ValueError, match="give images"):
            features(wrong)
