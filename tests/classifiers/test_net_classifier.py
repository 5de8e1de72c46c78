import copy
import json
import pickle
import random

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch.callbacks import Callback, EpochScoring
from torch import nn

from skal.classifiers import CNNClassifier, LinearClassifier, NetClassifier
from skal.nets import ARCHITECTURES, MLP, DigitsNet, LeNet

X, Y = make_blobs(90, n_features=6, centers=3, cluster_std=3.0, random_state=0)
IMAGES, DIGITS = load_digits(return_X_y=True)
IMAGES = IMAGES[:200].astype(np.float32).reshape(-1, 1, 8, 8)
DIGITS = DIGITS[:200]

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


class Normed(nn.Module):
    """BatchNorm, no `embed`, a signature that names one of the two known arguments."""

    def __init__(self, n_classes, width=4):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(width, n_classes),
        )

    def forward(self, x):
        return self.layers(x)


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


def generator_states():
    return (
        torch.get_rng_state().numpy().tobytes(),
        str(np.random.get_state()),  # noqa: NPY002
        random.getstate(),
    )


def same_weights(a, b):
    a, b = a.module_.state_dict(), b.module_.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@parametrize_with_checks([NetClassifier(), LinearClassifier(), CNNClassifier()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


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


def test_gray_images_need_no_channel_axis():
    with_axis = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    without = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES[:, 0], DIGITS)
    assert same_weights(with_axis, without)
    np.testing.assert_array_equal(without.predict_proba(IMAGES), with_axis.predict_proba(IMAGES[:, 0]))


def test_a_prepared_layout_does_not_change_the_answer():
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    expected = clf.predict_proba(IMAGES)
    last_axis = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(clf.predict_proba(last_axis), expected, rtol=1e-5)
    np.testing.assert_array_equal(clf.predict_proba(IMAGES[::-1])[::-1].argmax(1), expected.argmax(1))


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
    # Bytes are cast, not scaled: the answer is that of the same numbers as floats.
    same = CNNClassifier(dtype=dtype, max_epochs=2, random_state=0)
    if expected == torch.float32:
        same.fit(rows.astype(np.float32), DIGITS)
        np.testing.assert_array_equal(clf.predict_proba(rows), same.predict_proba(rows.astype(np.float32)))


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


@pytest.mark.parametrize("architecture", ["digits", "lenet", "lenet_waal"])
def test_embedding_of_the_cnns(architecture):
    images = np.kron(IMAGES, np.ones((2, 2), np.float32))
    clf = CNNClassifier(architecture, max_epochs=1, random_state=0).fit(images, DIGITS)
    images = np.concatenate([images, images])
    calls = []
    clf.module_.features.register_forward_hook(lambda *_: calls.append(1))
    embeddings, probabilities = clf.embed_and_predict_proba(images)
    assert len(calls) == 4, "400 images are four blocks of up to 128, each run once"
    head = clf.module_.head
    with torch.no_grad():
        logits = torch.from_numpy(embeddings) @ head.weight.T + head.bias
    np.testing.assert_allclose(probabilities, logits.softmax(1).numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(probabilities, clf.predict_proba(images))


def test_a_module_says_itself_what_its_embedding_is():
    clf = NetClassifier(Detour, max_epochs=1, random_state=0).fit(X, Y)
    embeddings, probabilities = clf.embed_and_predict_proba(X)
    np.testing.assert_allclose(embeddings, np.stack([X.sum(1), X.prod(1)], 1))
    np.testing.assert_array_equal(probabilities, clf.predict_proba(X))


def test_no_embedding():
    clf = NetClassifier(Headless, max_epochs=1, random_state=0).fit(X, Y)
    with pytest.raises(TypeError, match=r"Headless has no penultimate embedding: give it a method embed"):
        clf.embed(X)


@pytest.mark.parametrize("weighted", [False, True])
def test_early_stopping_restores_the_best_epoch(weighted):
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(90) < 0.3, rng.integers(0, 3, 90), Y)
    weight = rng.random(90) if weighted else None
    clf = NetClassifier(lr=0.05, max_epochs=200, validation_fraction=0.3, patience=4, random_state=0)
    clf.fit(X, noisy, sample_weight=weight)
    losses = np.array(clf.net_.history[:, "valid_loss"])
    best = losses.argmin()
    assert 0 < best < len(losses) - 1
    assert len(losses) == best + 1 + 4
    # Training that ends with that epoch meets the same weights.
    again = clone(clf).set_params(max_epochs=int(best) + 1).fit(X, noisy, sample_weight=weight)
    assert same_weights(clf, again)


def test_recorded_losses_are_weighted_means_over_all_rows():
    weight = np.random.default_rng(0).random(90)
    clf = NetClassifier(batch_size=7, lr=1e-12, max_epochs=1, random_state=0).fit(X, Y, sample_weight=weight)
    losses = -np.log(clf.predict_proba(X)[np.arange(90), Y])
    np.testing.assert_allclose(
        clf.net_.history[0, "train_loss"], np.average(losses, weights=weight), rtol=1e-6
    )


@pytest.mark.parametrize("counts", [(30, 30, 30), (1, 1, 88), (2, 3, 85), (1, 5, 4)], ids=str)
@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5])
def test_held_out_rows_are_stratified(counts, fraction):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(3), counts))
    split = NetClassifier(validation_fraction=fraction)._split(codes, np.random.default_rng(1))
    np.testing.assert_array_equal(np.sort(np.concatenate(split)), np.arange(len(codes)))
    training, held_out = (np.bincount(codes[rows], minlength=3) for rows in split)
    assert held_out.sum() == max(1, round(fraction * len(codes)))
    assert training.min() >= 1
    spare = np.array(counts) - 1
    assert (np.abs(held_out - held_out.sum() * spare / spare.sum()) <= 1).all()


def test_weights_equal_repeated_rows():
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    params = {"batch_size": 1000, "max_epochs": 20, "lr": 0.01, "random_state": 0}
    weighted = NetClassifier(**params).fit(X, Y, sample_weight=weight)
    repeated = NetClassifier(**params).fit(X.repeat(weight, 0), Y.repeat(weight))
    unweighted = NetClassifier(**params).fit(X, Y)
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6, atol=1e-9)
    assert not np.allclose(weighted.predict_proba(X), unweighted.predict_proba(X), rtol=1e-3)


def test_rows_without_weight_take_no_part():
    weight = np.arange(90) % 2
    params = {"batch_size": 7, "max_epochs": 3, "validation_fraction": 0.2, "random_state": 0}
    spoilt = np.where(weight[:, None] == 1, X, 1e9)
    weighted = NetClassifier(Normed, **params).fit(spoilt, Y, sample_weight=weight)
    assert same_weights(weighted, NetClassifier(Normed, **params).fit(X[1::2], Y[1::2]))


def test_linear_classifier_reaches_the_optimum_of_its_loss():
    penalty = 1.0
    clf = LinearClassifier(
        optimizer=torch.optim.SGD,
        optimizer_params={"weight_decay": penalty},
        lr=0.02,
        batch_size=90,
        max_epochs=700,
    ).fit(X, Y)
    # Gradient descent with weight decay minimises mean loss + penalty / 2 |w|^2, here with the biases in w.
    with_bias = np.hstack([X, np.ones((90, 1))])
    exact = LogisticRegression(C=1 / (penalty * 90), fit_intercept=False, tol=1e-10, max_iter=10_000)
    exact.fit(with_bias, Y)
    np.testing.assert_allclose(clf.predict_proba(X), exact.predict_proba(with_bias), atol=1e-5)


@pytest.mark.parametrize("n_rows", [65, 2])
def test_batch_norm_trains_when_a_single_row_is_left(n_rows):
    rows = np.r_[np.flatnonzero(Y == 0)[: n_rows - 1], np.flatnonzero(Y == 1)][:n_rows]
    clf = NetClassifier(Normed, batch_size=64, max_epochs=2, random_state=0).fit(X[rows], Y[rows])
    assert clf.predict_proba(X[:1]).shape == (1, 2)


@pytest.mark.parametrize("copied", [lambda clf: pickle.loads(pickle.dumps(clf)), copy.deepcopy])
def test_copies_predict_the_same_and_train_on(copied):
    clf = NetClassifier(Normed, validation_fraction=0.2, max_epochs=3, random_state=0).fit(X, Y)
    twin = copied(clf)
    np.testing.assert_array_equal(twin.predict_proba(X), clf.predict_proba(X))
    assert twin.device_ == clf.device_
    for fitted in (clf, twin):
        fitted.set_params(warm_start=True, random_state=1).fit(X, Y)
    assert same_weights(clf, twin)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_network_of_a_gpu_loads_without_one():
    clf = NetClassifier(max_epochs=1, random_state=0).fit(X, Y)
    clf.net_.device = "cuda:0"  # what a pickle from a GPU says
    loaded = pickle.loads(pickle.dumps(clf))
    assert loaded.device_ == torch.device("cpu")
    assert loaded.predict_proba(X).shape == (90, 3)


@needs_cuda
def test_cuda(monkeypatch):
    before = torch.cuda.get_rng_state()
    params = {"max_epochs": 3, "dtype": "float64", "random_state": 0}
    clf = CNNClassifier(**params).fit(IMAGES, DIGITS)
    assert clf.device_.type == "cuda"
    assert torch.equal(torch.cuda.get_rng_state(), before)
    embeddings, probabilities = clf.embed_and_predict_proba(IMAGES)
    saved = pickle.dumps(clf)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(saved)
    assert loaded.device_.type == "cpu"
    np.testing.assert_allclose(loaded.predict_proba(IMAGES), probabilities, atol=1e-6)
    np.testing.assert_allclose(loaded.embed(IMAGES), embeddings, atol=1e-5)


def test_warm_start_continues():
    clf = NetClassifier(optimizer=torch.optim.SGD, lr=0.01, batch_size=90, max_epochs=4, random_state=0)
    whole = clone(clf).fit(X, Y)
    halves = clone(clf).set_params(max_epochs=2, warm_start=True).fit(X, Y).fit(X, Y)
    for a, b in zip(whole.module_.parameters(), halves.module_.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    cold = clone(clf).set_params(max_epochs=2).fit(X, Y).fit(X, Y)
    assert not same_weights(cold, halves)


@pytest.mark.parametrize(
    ("X_next", "y_next", "params", "message"),
    [
        (X, Y + 1, {}, "warm_start=True continues with the classes"),
        (X[Y < 2], Y[Y < 2], {}, "warm_start=True continues with the classes"),
        (X[:, :3], Y, {}, "3 features"),
        (X, Y, {"module_params": {"hidden": (3,)}}, "warm_start=True needs the architecture"),
        (X, Y, {"image_shape": (1, 2, 3)}, "warm_start=True continues with"),
    ],
)
def test_warm_start_needs_the_same_problem(X_next, y_next, params, message):
    clf = NetClassifier(max_epochs=1, warm_start=True, random_state=0).fit(X, Y)
    expected = clf.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        clf.set_params(**params).fit(X_next, y_next)
    np.testing.assert_array_equal(clf.predict_proba(X), expected)


class Forbidden(nn.Module):
    def __init__(self):
        raise AssertionError("bad input must fail before the module is built")


@pytest.mark.parametrize(
    ("X_bad", "y_bad", "params", "weight", "message"),
    [
        (np.where(np.arange(6) == 2, np.nan, X), Y, {}, None, "NaN"),
        (np.where(np.arange(6) == 2, np.inf, X), Y, {}, None, "infinity"),
        (X, np.zeros(90), {}, None, "at least two classes, got one class: .*0.0"),
        (X, X[:, 0], {}, None, "Unknown label type: continuous"),
        (X, Y[:-1], {}, None, "inconsistent numbers of samples"),
        (X, Y, {"image_shape": (1, 2, 4)}, None, r"image_shape=\(1, 2, 4\) holds 8 numbers.*\(6,\)"),
        (X, Y, {"image_shape": (-1, 2, -3)}, None, "positive integers"),
        (X.reshape(90, 1, 2, 3), Y, {"image_shape": (1, 3, 2)}, None, "image_shape"),
        (X, Y, {}, -np.ones(90), "must not be negative, got -1"),
        (X, Y, {}, np.zeros(90), "zero"),
        (X, Y, {}, (Y == 1) * 1.0, "at least two classes, got one class: .*1"),
        (X, Y, {}, np.full(90, np.nan), "NaN"),
        (X, Y, {"device": "gpu"}, None, "is not a device of torch"),
        (X, Y, {"device": "cuda:99"}, None, 'device="cuda:99" is not there'),
        (X, Y, {"amp": True, "dtype": "float64"}, None, "amp=True"),
        (X[:4], [0, 0, 1, 1], {"validation_fraction": 0.9}, None, "validation_fraction=0.9 of 4 rows"),
        (X, Y, {"max_epochs": 0}, None, "max_epochs"),
        (X, Y, {"lr": 0.0}, None, "'lr'"),
    ],
)
def test_bad_input_fails_before_training(X_bad, y_bad, params, weight, message):
    clf = NetClassifier(Forbidden, **params)
    with pytest.raises(ValueError, match=message):
        clf.fit(X_bad, y_bad, sample_weight=weight)


def test_a_module_instance_is_refused():
    with pytest.raises(TypeError, match="Pass the class MLP, and its arguments as module_params"):
        NetClassifier(MLP((6,), 3)).fit(X, Y)


def test_a_module_must_return_logits():
    with pytest.raises(ValueError, match=r"returned shape \(64, 6\).*= \(64, 3\)"):
        NetClassifier(WrongShape).fit(X, Y)


@pytest.mark.parametrize("params", [{"lr": 1e300}, {"lr": 1e300, "max_epochs": 1, "batch_size": 90}])
def test_divergence_is_named(params):
    optimizer = {"optimizer": torch.optim.SGD}
    with pytest.raises(
        ValueError, match=r"in epoch [12].*training diverged; set a smaller lr \(now 1e\+300\)"
    ):
        NetClassifier(**optimizer, **params, random_state=0).fit(X * 1e10, Y)


def test_rows_of_another_shape_are_refused_in_prediction():
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    with pytest.raises(ValueError, match=r"X has rows of shape \(1, 4, 16\)"):
        clf.predict(IMAGES.reshape(-1, 1, 4, 16))
    with pytest.raises(ValueError, match="63 features"):
        clf.predict(IMAGES.reshape(200, 64)[:, :63])


def test_read_only_memory_maps_are_read_where_they_lie(tmp_path, monkeypatch):
    IMAGES.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.float32, mode="r", shape=IMAGES.shape)
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(mapped, DIGITS)
    reference = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    assert same_weights(clf, reference)

    import skal.training.estimator as module

    seen = []
    original = module.as_tensor
    monkeypatch.setattr(module, "as_tensor", lambda block: seen.append(block) or original(block))
    monkeypatch.setattr(module, "BLOCK_ROWS", {"cpu": (128, 1024), "cuda": (128, 1024)})
    np.testing.assert_allclose(clf.predict_proba(mapped), reference.predict_proba(IMAGES), rtol=1e-5)
    assert [len(block) for block in seen[:2]] == [128, 72]
    assert all(np.shares_memory(block, mapped) for block in seen[:2])


@pytest.mark.parametrize(
    ("shape", "input_shape", "module"),
    [
        ((64,), (1, 8, 8), DigitsNet),
        ((3,), (1, 1, 3), DigitsNet),
        ((1,), (1, 1, 1), DigitsNet),
        ((784,), (1, 28, 28), LeNet),
        ((3, 32, 32), (3, 32, 32), LeNet),
        ((15, 40), (1, 15, 40), DigitsNet),
        ((16, 16), (1, 16, 16), LeNet),
    ],
)
def test_auto_architecture(shape, input_shape, module):
    rows = np.random.default_rng(0).random((4, *shape), dtype=np.float32)
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(rows, [0, 1, 0, 1])
    assert clf.input_shape_ == input_shape
    assert type(clf.module_) is module
    assert clf.predict_proba(rows).shape == (4, 2)


def test_named_and_own_architectures():
    for name, module in ARCHITECTURES.items():
        size = 32 if name == "vgg16_bn" else 16  # the smallest that it takes
        rows = np.zeros((2, size, size), np.float32)
        assert type(CNNClassifier(name, max_epochs=1).fit(rows, [0, 1]).module_) is module
    own = CNNClassifier(LeNet, module_params={"dropout": 0.1}, max_epochs=1).fit(IMAGES, DIGITS)
    assert own.module_.hidden[-1].p == 0.1
    with pytest.raises(ValueError, match="'architecture' parameter of CNNClassifier"):
        CNNClassifier("vgg").fit(IMAGES, DIGITS)


def test_cnn_learns_digits():
    rows, y = load_digits(return_X_y=True)
    labelled, test, y_labelled, y_test = train_test_split(
        rows.astype(np.float32), y, train_size=300, stratify=y, random_state=0
    )
    assert CNNClassifier(max_epochs=20, random_state=0).fit(labelled, y_labelled).score(test, y_test) > 0.94


def test_autocast_stays_close():
    params = {"max_epochs": 3, "random_state": 0}
    exact = CNNClassifier(**params).fit(IMAGES, DIGITS)
    clf = CNNClassifier(amp=True, **params).fit(IMAGES.astype(np.float64), DIGITS)
    assert clf.dtype_ == torch.float32
    assert clf.predict_proba(IMAGES).dtype == np.float32
    difference = np.abs(clf.predict_proba(IMAGES) - exact.predict_proba(IMAGES))
    assert 0 < difference.mean() < 0.02


class CountEpochs(Callback):
    def __init__(self):
        self.n_epochs = 0

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs += 1


def test_callbacks_run_in_copies():
    count = CountEpochs()
    accuracy = EpochScoring("accuracy", lower_is_better=False, on_train=True, name="train_accuracy")
    clf = NetClassifier(callbacks=[count, accuracy], max_epochs=5, lr=0.01, random_state=0).fit(X, Y)
    assert count.n_epochs == 0
    assert dict(clf.net_.callbacks_)["CountEpochs"].n_epochs == 5
    assert clf.net_.history[-1, "train_accuracy"] > 0.5


def test_verbose_prints_a_line_an_epoch(capsys):
    NetClassifier(max_epochs=2, random_state=0).fit(X, Y)
    assert capsys.readouterr().out == ""
    NetClassifier(max_epochs=2, verbose=1, validation_fraction=0.2, random_state=0).fit(X, Y)
    printed = capsys.readouterr().out
    assert "train_loss" in printed
    assert "valid_loss" in printed


def test_optimizer_and_its_parameters():
    clf = NetClassifier(optimizer_params={"weight_decay": 0.5}, lr=0.02, max_epochs=1).fit(X, Y)
    (group,) = clf.net_.optimizer_.param_groups
    assert (group["weight_decay"], group["lr"], group["fused"]) == (0.5, 0.02, True)
    plain = NetClassifier(optimizer_params={"foreach": False}, max_epochs=1).fit(X, Y)
    assert not plain.net_.optimizer_.param_groups[0]["fused"]
    assert isinstance(
        NetClassifier(optimizer=torch.optim.RMSprop, max_epochs=1).fit(X, Y).net_.optimizer_,
        torch.optim.RMSprop,
    )


def test_grid_search():
    search = GridSearchCV(NetClassifier(max_epochs=20, random_state=0), {"lr": [1e-9, 1e-2]}, cv=2, n_jobs=1)
    assert search.fit(X, Y).best_params_ == {"lr": 1e-2}


def test_history_is_plain_numbers():
    clf = NetClassifier(max_epochs=2, validation_fraction=0.2, random_state=0).fit(X, Y)
    json.dumps(clf.net_.history)
