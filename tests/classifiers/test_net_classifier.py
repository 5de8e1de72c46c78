import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from torch import nn

from skal.classifiers import CNNClassifier, NetClassifier
from skal.nets import MLP, DigitsNet

from ..networks import Normed, generator_states, same_weights

X, Y = make_blobs(90, n_features=6, centers=3, cluster_std=3.0, random_state=0)


IMAGES, DIGITS = load_digits(return_X_y=True)


IMAGES = IMAGES[:200].astype(np.float32).reshape(-1, 1, 8, 8)


DIGITS = DIGITS[:200]


class Detour(nn.Module):
    """Has an `embed` that its `forward` does not go through."""

    def __init__(self, input_shape, n_classes):
        super().__init__()
        self.head = nn.Linear(input_shape[0], n_classes)

    def embed(self, x):
        return torch.stack([x.sum(1), x.prod(1)], 1)

    def forward(self, x):
        return self.head(x)


class Headless(nn.Module):
    def __init__(self, input_shape, n_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(input_shape[0], n_classes))

    def forward(self, x):
        return x @ self.weight


class WrongShape(Headless):
    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "names",
    [
        np.array(["cat", "bird", "dog"]),
        np.array(["cat", "bird", "dog"], dtype=object),
        np.array([5, -3, 0]),
        np.array([2.0, -1.0, 7.0]),
    ],
    ids=["str", "object", "int", "float"],
)
def test_labels_of_any_kind(names):
    clf = NetClassifier(lr=0.01, random_state=0).fit(X, names[Y])
    reference = NetClassifier(lr=0.01, random_state=0).fit(X, np.argsort(np.argsort(names))[Y])
    assert clf.classes_.dtype == names.dtype
    np.testing.assert_array_equal(clf.classes_, np.sort(names))
    probabilities = clf.predict_proba(X)
    np.testing.assert_array_equal(probabilities, reference.predict_proba(X))
    np.testing.assert_array_equal(clf.predict(X), clf.classes_[probabilities.argmax(1)])
    assert clf.score(X, names[Y]) > 0.8


def test_probabilities_are_the_softmax_of_the_module():
    clf = NetClassifier(module_params={"hidden": (5,)}, max_epochs=2, random_state=0).fit(X, Y)
    weights = [p.detach().numpy() for p in clf.module_.parameters()]
    hidden = np.maximum(X @ weights[0].T + weights[1], 0)
    logits = hidden @ weights[2].T + weights[3]
    odds = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(clf.predict_proba(X), odds / odds.sum(1, keepdims=True), rtol=1e-10)
    np.testing.assert_allclose(clf.embed(X), hidden, rtol=1e-10)


@pytest.mark.parametrize(
    "clf",
    [
        CNNClassifier(max_epochs=2, image_shape=(1, 8, 8), random_state=0),
        NetClassifier(DigitsNet, max_epochs=2, image_shape=(1, 8, 8), random_state=0),
        NetClassifier(max_epochs=2, image_shape=[1, 8, 8], random_state=0),
    ],
    ids=lambda clf: type(clf).__name__ + clf.get_params().get("module", MLP).__name__,
)
def test_images_and_flat_rows_give_the_same_answer(clf):
    flat = IMAGES.reshape(200, 64)
    on_flat = clone(clf).fit(flat, DIGITS)
    on_images = clone(clf).set_params(image_shape=None).fit(IMAGES, DIGITS)
    assert same_weights(on_flat, on_images)
    assert on_flat.n_features_in_ == on_images.n_features_in_ == 64
    assert on_flat.input_shape_ == on_images.input_shape_ == (1, 8, 8)
    expected = on_flat.predict_proba(flat)
    for fitted in (on_flat, on_images):
        np.testing.assert_array_equal(fitted.predict_proba(flat), expected)
        np.testing.assert_array_equal(fitted.predict_proba(IMAGES), expected)
        np.testing.assert_array_equal(fitted.embed(IMAGES), on_flat.embed(flat))


@pytest.mark.parametrize(
    ("dtype", "given", "expected"),
    [
        ("auto", np.float64, torch.float64),
        ("auto", np.float32, torch.float32),
        ("auto", np.float16, torch.float32),
        ("auto", np.uint8, torch.float32),
        ("auto", bool, torch.float32),
        ("float64", np.uint8, torch.float64),
        ("float32", np.float64, torch.float32),
    ],
)
def test_the_network_follows_the_numbers(dtype, given, expected):
    rows = (IMAGES > 7).astype(given)
    clf = CNNClassifier(dtype=dtype, max_epochs=2, random_state=0).fit(rows, DIGITS)
    assert clf.dtype_ == next(clf.module_.parameters()).dtype == expected
    for result in (clf.predict_proba(rows), clf.embed(rows)):
        assert torch.from_numpy(result).dtype == expected
    # The answer is that of the same numbers as floats, for bytes in [0, 1].
    if expected == torch.float32:
        same, floats = clone(clf), rows.astype(np.float32) / (255 if given is np.uint8 else 1)
        np.testing.assert_array_equal(clf.predict_proba(rows), same.fit(floats, DIGITS).predict_proba(floats))


def test_the_same_random_state_gives_the_same_network_and_no_other_does():
    clf = NetClassifier(Normed, max_epochs=3, batch_size=16, validation_fraction=0.2)
    before = generator_states()
    fits = [clone(clf).set_params(random_state=seed).fit(X, Y) for seed in (0, 0, 1)]
    unseeded = [clone(clf).fit(X, Y) for _ in range(2)]
    for fitted in fits:
        fitted.predict(X)
        fitted.embed(X)
    assert generator_states() == before
    assert same_weights(fits[0], fits[1])
    assert not same_weights(fits[0], fits[2])
    assert not same_weights(*unseeded)


def test_the_global_random_state_does_not_matter():
    fits = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fits.append(NetClassifier(Normed, max_epochs=3, random_state=0).fit(X, Y))
    assert same_weights(*fits)


def test_prediction_is_deterministic_and_leaves_the_module_as_it_was():
    clf = NetClassifier(Normed, max_epochs=3, random_state=0).fit(X, Y)
    assert not any(part.training for part in clf.module_.modules())
    expected = clf.predict_proba(X)
    clf.module_.train()
    clf.module_.layers[1].eval()
    modes = [part.training for part in clf.module_.modules()]
    state = copy.deepcopy(clf.module_.state_dict())
    np.testing.assert_array_equal(clf.predict_proba(X), expected)
    clf.embed(X)
    assert [part.training for part in clf.module_.modules()] == modes
    assert "embed" not in vars(clf.module_)
    assert not clf.module_._forward_hooks
    assert not clf.module_.layers[-1]._forward_pre_hooks
    assert all(torch.equal(value, state[name]) for name, value in clf.module_.state_dict().items())


def test_embedding_is_the_input_of_the_last_linear_layer():
    clf = NetClassifier(Normed, max_epochs=3, random_state=0).fit(X, Y)
    with torch.no_grad():
        expected = clf.module_.layers[:-1](torch.from_numpy(X)).numpy()
    np.testing.assert_array_equal(clf.embed(X), expected)
    embeddings, probabilities = clf.embed_and_predict_proba(X)
    np.testing.assert_array_equal(embeddings, expected)
    np.testing.assert_array_equal(probabilities, clf.predict_proba(X))


def test_a_module_says_itself_what_its_embedding_is():
    clf = NetClassifier(Detour, max_epochs=1, random_state=0).fit(X, Y)
    embeddings, probabilities = clf.embed_and_predict_proba(X)
    np.testing.assert_allclose(embeddings, np.stack([X.sum(1), X.prod(1)], 1))
    np.testing.assert_array_equal(probabilities, clf.predict_proba(X))


def test_no_embedding():
    clf = NetClassifier(Headless, max_epochs=1, random_state=0).fit(X, Y)
    with pytest.raises(TypeError, match=r"Headless has no penultimate embedding: give it a method embed"):
        clf.embed(X)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_network_of_a_gpu_loads_without_one():
    clf = NetClassifier(max_epochs=1, random_state=0).fit(X, Y)
    clf.net_.device = "cuda:0"  # what a pickle from a GPU says
    loaded = pickle.loads(pickle.dumps(clf))
    assert loaded.device_ == torch.device("cpu")
    assert loaded.predict_proba(X).shape == (90, 3)


def test_a_module_instance_is_refused():
    with pytest.raises(TypeError, match="Pass the class MLP, and its arguments as module_params"):
        NetClassifier(MLP((6,), 3)).fit(X, Y)


def test_a_module_must_return_logits():
    with pytest.raises(ValueError, match=r"returned shape \(64, 6\).*= \(64, 3\)"):
        NetClassifier(WrongShape).fit(X, Y)


def test_read_only_memory_maps_are_read_where_they_lie(tmp_path, monkeypatch):
    IMAGES.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.float32, mode="r", shape=IMAGES.shape)
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(mapped, DIGITS)
    reference = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    assert same_weights(clf, reference)

    import skal.training.batches as batches
    import skal.training.estimator as module

    seen = []
    original = batches.as_tensor
    monkeypatch.setattr(batches, "as_tensor", lambda block: seen.append(block) or original(block))
    monkeypatch.setattr(module, "BLOCK_ROWS", {"cpu": (128, 1024), "cuda": (128, 1024)})
    np.testing.assert_allclose(clf.predict_proba(mapped), reference.predict_proba(IMAGES), rtol=1e-5)
    assert [len(block) for block in seen[:2]] == [128, 72]
    assert all(np.shares_memory(block, mapped) for block in seen[:2])
