"""What every classifier with networks promises, over one table of them."""

import copy
import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skal.classifiers import CNNClassifier, LinearClassifier, NetClassifier
from skal.nets import MLP, ConvCritic, ConvGenerator, DenseCritic, DenseGenerator

from ..networks import (
    DIGITS,
    generator_states,
    same_tensors,
    tiny_acgan,
    tiny_learning_loss,
    tiny_vaal,
    tiny_wasserstein,
)

X, TRUTH = make_blobs(60, n_features=6, centers=3, cluster_std=3.0, random_state=0)
LABELED = np.arange(60) % 4 == 0
PARTIAL = np.where(LABELED, TRUTH, -1)
BYTES = (10 * DIGITS[:30]).astype(np.uint8)
NAMES = np.array(["cat", "bird", "dog"], dtype=object)


@dataclass(eq=False, repr=False, kw_only=True)
class EntropyMinimization(NetClassifier):
    """A classifier of one's own, as docs/write_your_own_classifier.md has it."""

    uses_unlabeled: ClassVar[bool] = True
    entropy_weight: float = 0.1

    def losses(self, net, labeled, unlabeled):
        losses = {"cross_entropy": labeled.cross_entropy()}
        if unlabeled is not None:
            log_p = unlabeled.logits.log_softmax(1)
            losses["entropy"] = -self.entropy_weight * (log_p.exp() * log_p).sum(1).mean()
        return losses


def tiny_net(module=MLP, kind=NetClassifier, **params):
    return kind(module, **{"lr": 0.01, "max_epochs": 2, "random_state": 0, **params})


def tiny_cnn(architecture="digits", **params):
    small = {"module_params": {"n_filters": 4}} if architecture == "digits" else {}
    return CNNClassifier(architecture, **{"lr": 0.01, "max_epochs": 2, "random_state": 0, **small, **params})


@dataclass
class Kind:
    """How a classifier is made, what it is asked beside the probabilities, and what changes its architecture."""

    make: Callable[..., Any]
    answer: str
    wider: dict[str, Any]
    partial: bool = False
    still: tuple[str, ...] = ("lr",)  # the learning rates of all its networks


KINDS = {
    "net": Kind(tiny_net, "embed", {"module_params": {"hidden": (5,)}}),
    "entropy": Kind(
        partial(tiny_net, kind=EntropyMinimization),
        "embed",
        {"module_params": {"hidden": (5,)}},
        partial=True,
    ),
    "cnn": Kind(tiny_cnn, "embed", {"module_params": {"n_filters": 5}}),
    "loss": Kind(partial(tiny_learning_loss, max_epochs=2), "predicted_loss", {"n_hidden": 5}),
    "wasserstein": Kind(
        partial(tiny_wasserstein, max_epochs=2),
        "critic_scores",
        {"critic_params": {"hidden": (5,)}},
        partial=True,
        still=("lr", "critic_lr"),
    ),
    "vaal": Kind(
        partial(tiny_vaal, max_epochs=2),
        "labeled_proba",
        {"vae_params": {"hidden": (5,)}},
        partial=True,
        still=("lr", "vae_lr", "discriminator_lr"),
    ),
    "acgan": Kind(partial(tiny_acgan, n_iter=2), "realness", {"critic_params": {"hidden": (5,)}}),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_partial_kind = pytest.mark.parametrize("kind", [name for name, kind in KINDS.items() if kind.partial])


def data(kind):
    return X, PARTIAL if KINDS[kind].partial else TRUTH


@cache
def fitted(kind):
    """One that nobody changes."""
    return KINDS[kind].make().fit(*data(kind))


def states(clf):
    """All weights and buffers of all networks."""
    return {
        f"{net}/{name}": tensor.clone()
        for net in clf._nets
        for name, tensor in getattr(clf, net).state_dict().items()
    }


def parts(clf):
    return [part for net in clf._nets for module in getattr(clf, net).modules for part in module.modules()]


def answers(clf, rows):
    kind = next(kind for kind in KINDS.values() if isinstance(clf, type(kind.make())))
    return clf.predict_proba(rows), getattr(clf, kind.answer)(rows), clf.embed(rows)


def assert_same_answers(clf, other, rows):
    for own, expected in zip(answers(clf, rows), answers(other, rows), strict=True):
        np.testing.assert_array_equal(own, expected)


@parametrize_with_checks(
    [
        tiny_net(lr=0.03, max_epochs=10, module_params={"hidden": (16,)}),
        LinearClassifier(lr=0.3, max_epochs=10),
        tiny_cnn("auto", lr=0.02, max_epochs=5),
        tiny_net(kind=EntropyMinimization, lr=0.03, max_epochs=10, module_params={"hidden": (16,)}),
    ],
    expected_failed_checks=lambda estimator: (
        {"check_classifiers_classes": "-1 marks an unlabelled row, and this check uses it as a class"}
        if isinstance(estimator, EntropyMinimization)
        else {}
    ),
)
def test_scikit_learn_checks(estimator, check):
    """Those of the other classifiers are in tests/test_common.py."""
    check(estimator)


@each_kind
def test_random_state_decides_everything(kind):
    before = generator_states()
    one, same = (KINDS[kind].make().fit(*data(kind)) for _ in range(2))
    other = KINDS[kind].make(random_state=1).fit(*data(kind))
    answers(one, X)
    assert generator_states() == before
    assert same_tensors(states(one), states(same))
    learned = {name for name, tensor in states(one).items() if not torch.equal(tensor, states(other)[name])}
    # One weight at least of each module is another.
    for net in one._nets:
        for name in getattr(one, net)._modules:
            assert name == "scaling" or any(key.startswith(f"{net}/{name}/") for key in learned)


@each_kind
@pytest.mark.parametrize("way", ["pickle", "deepcopy", "file"])
def test_copies_answer_the_same(kind, way, tmp_path):
    clf = fitted(kind)
    if way == "file":
        clf.save(tmp_path / "clf.skal")
        twin = type(clf).load(tmp_path / "clf.skal")
    else:
        twin = pickle.loads(pickle.dumps(clf)) if way == "pickle" else copy.deepcopy(clf)
    assert same_tensors(states(twin), states(clf))
    assert_same_answers(twin, clf, X)


@each_kind
def test_answers_leave_no_trace_and_are_those_of_evaluation_mode(kind):
    clf = copy.deepcopy(fitted(kind))
    assert not any(part.training for part in parts(clf))
    for part in parts(clf)[::2]:
        part.training = True
    flags = [part.training for part in parts(clf)]
    before = states(clf)
    assert_same_answers(clf, fitted(kind), X)
    assert [part.training for part in parts(clf)] == flags
    assert same_tensors(states(clf), before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in parts(clf))


@each_kind
def test_warm_start_continues_with_all_networks(kind):
    clf = KINDS[kind].make().fit(*data(kind))
    first, net = states(clf), clf.net_
    still = dict.fromkeys(KINDS[kind].still, 1e-15)
    clf.set_params(warm_start=True, random_state=1, **still).fit(*data(kind))
    assert clf.net_ is not net
    for name, tensor in states(clf).items():
        if "running_" not in name and "num_batches" not in name:
            torch.testing.assert_close(tensor, first[name], atol=1e-8, rtol=0)
    expected = answers(clf, X)
    rows, y = data(kind)
    with pytest.raises(ValueError, match="warm_start=True continues with the classes"):
        clf.fit(rows[y < 2], y[y < 2])
    with pytest.raises(ValueError, match="warm_start=True needs the architecture"):
        clf.set_params(**KINDS[kind].wider).fit(rows, y)
    for own, before in zip(answers(clf, X), expected, strict=True):
        np.testing.assert_array_equal(own, before)


@each_kind
def test_every_layout_of_the_same_images_gives_the_same_answer(kind):
    y = np.arange(30) % 3
    if KINDS[kind].partial:
        y = np.where(np.arange(30) % 2, y, -1)
    networks = {
        "vaal": {"vae": "conv", "vae_params": {"n_filters": 2}},
        "acgan": {
            "architecture": (ConvGenerator, ConvCritic),
            "generator_params": {"channels": (4, 2)},
            "critic_params": {"channels": (2, 4)},
        },
    }
    length = {"n_iter": 1} if kind == "acgan" else {"max_epochs": 1}
    make = partial(KINDS[kind].make, **{"lr": 1e-4, **length, **networks.get(kind, {})})
    flat = BYTES.reshape(30, 64)
    first = make().fit(BYTES, y)
    assert first.n_features_in_ == 64
    others = [make(image_shape=shape).fit(flat, y) for shape in ((1, 8, 8), [1, 8, 8])]
    if kind not in ("net", "entropy"):  # modules that want a channel axis get one
        others += [make().fit(BYTES[:, 0], y), make(image_shape=[8, 8]).fit(flat, y)]
    for clf in others:
        assert clf.input_shape_ == (1, 8, 8)
        assert same_tensors(states(clf), states(first))
        for rows in (BYTES, flat):
            assert_same_answers(clf, first, rows)


@each_partial_kind
@pytest.mark.parametrize("marker", [None, float("nan"), -1])
def test_partial_labels_of_strings(kind, marker):
    y = np.array(
        [NAMES[code] if known else marker for code, known in zip(TRUTH, LABELED, strict=True)], object
    )
    clf = KINDS[kind].make().fit(X, y)
    assert clf.classes_.tolist() == ["bird", "cat", "dog"]
    assert set(clf.predict(X)) <= set(NAMES)
    numbers = np.where(LABELED, np.array([1, 0, 2])[TRUTH], -1)
    reference = KINDS[kind].make().fit(X, numbers)
    assert same_tensors(states(clf), states(reference))
    assert clf.score(X, y) == reference.score(X, numbers) == (reference.predict(X) == numbers)[LABELED].mean()


@each_partial_kind
def test_score_is_that_of_the_labelled_rows(kind):
    clf = fitted(kind)
    weight = np.random.default_rng(0).random(60)
    right = clf.predict(X[LABELED]) == TRUTH[LABELED]
    assert clf.score(X, PARTIAL) == right.mean()
    assert clf.score(X, PARTIAL, weight) == pytest.approx(np.average(right, weights=weight[LABELED]))
    assert clf.score(X, TRUTH) == (clf.predict(X) == TRUTH).mean()
    assert np.isfinite(cross_val_score(KINDS[kind].make(), X, PARTIAL, cv=2)).all()
    with pytest.raises(ValueError, match="no labelled row"):
        clf.score(X, np.full(60, -1))
    dataset = torch.utils.data.TensorDataset(torch.tensor(X), torch.tensor(TRUTH))
    assert clf.score(dataset, PARTIAL, weight) == clf.score(X, PARTIAL, weight)


@each_partial_kind
def test_weights_of_unlabelled_rows_may_be_missing(kind):
    weight = np.random.default_rng(0).random(60)
    make = KINDS[kind].make
    first, second = (
        make().fit(X, PARTIAL, sample_weight=np.where(LABELED, weight, other)) for other in (1, np.nan)
    )
    assert same_tensors(states(first), states(second))


def test_score_takes_mappings_with_partial_labels():
    class TwoParts(MLP):
        def forward(self, left, right):
            return super().forward(torch.cat([left, right], 1))

    def module(n_classes):
        return TwoParts((6,), n_classes)

    parts = {"left": X[:, :2], "right": X[:, 2:]}
    clf = tiny_net(module, EntropyMinimization).fit(parts, PARTIAL)
    right = clf.predict(parts)[LABELED] == TRUTH[LABELED]
    assert clf.score(parts, PARTIAL) == right.mean()


@each_partial_kind
@pytest.mark.parametrize("n_unlabeled", [0, 1, 58])
def test_few_rows_on_either_side(kind, n_unlabeled):
    n_labeled = 2 if n_unlabeled == 58 else 20
    rows, y = X[np.arange(n_labeled + n_unlabeled) % 60], np.arange(n_labeled + n_unlabeled) % 2
    y[n_labeled:] = -1
    sizes = {"vae_batch_size": 1} if kind == "vaal" else {"batch_size": 1}
    clf = KINDS[kind].make(**sizes).fit(rows, y)
    net = clf.vae_net_ if kind == "vaal" else clf.net_
    assert net.history[-1, "step"] == 2 * (
        max(n_unlabeled, n_labeled) if kind != "vaal" else n_unlabeled or 20
    )
    assert np.isfinite(net.history[:, "train_loss"]).all()
    assert np.isfinite(getattr(clf, KINDS[kind].answer)(rows)).all()


@each_partial_kind
def test_nothing_copies_the_pool(kind):
    pool = np.random.default_rng(0).integers(0, 255, size=(20_000, 256), dtype=np.uint8)
    y = np.where(np.arange(20_000) < 20, np.arange(20_000) % 2, -1)
    sizes = {"batch_size": 1000}
    if kind == "vaal":
        sizes = {"vae_batch_size": 1000, "vae_epochs": 1, "vae": "conv", "vae_params": {"n_filters": 2}}
    clf = KINDS[kind].make(
        MLP, image_shape=(1, 16, 16), max_epochs=1, lr=1e-6, module_params={"hidden": (2,)}, **sizes
    )
    clf.fit(pool[:40], y[:40])
    tracemalloc.start()
    getattr(clf.fit(pool, y), KINDS[kind].answer)(pool[:4000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pool.nbytes / 2
    assert len(pickle.dumps(clf)) < pool.nbytes / 10


@each_kind
def test_verbose_prints_a_line_an_epoch(kind, capsys):
    fitted.__wrapped__(kind)
    assert capsys.readouterr().out == ""
    KINDS[kind].make(verbose=1).fit(*data(kind))
    printed = capsys.readouterr().out
    assert "train_critic_loss" in printed if kind == "acgan" else "train_loss" in printed


@each_kind
def test_autocast_stays_close(kind):
    exact, clf = (
        KINDS[kind].make(**params).fit(*data(kind)) for params in ({"dtype": "float32"}, {"amp": True})
    )
    assert clf.dtype_ == torch.float32
    for own, expected in zip(answers(clf, X)[:2], answers(exact, X)[:2], strict=True):
        assert own.dtype == expected.dtype
        assert 0 < np.abs(own - expected).max() < 0.1 * max(1, np.abs(expected).max())


class Forbidden(MLP):
    def forward(self, x):
        assert not self.training, "the network was trained on bad input"
        return super().forward(x)


class ForbiddenCritic(DenseCritic):
    def embed(self, x):
        assert not self.training, "the network was trained on bad input"
        return super().embed(x)


def first_class(y):
    """Labels of the first class alone, with the unlabelled rows that there are."""
    return np.minimum(y, 0)


@each_kind
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows, y: (rows, first_class(y)), "at least two classes, got one class: (0|0.0|'0');"),
        (
            lambda rows, y: (rows, np.full(60, -1)),
            "at least two classes(, got one class|, and y has no label)",
        ),
        (lambda rows, y: (rows, y[:-1]), "inconsistent numbers of samples"),
        (lambda rows, y: (rows, None), "requires y|y cannot be None"),
        (lambda rows, y: (np.where(np.arange(6) == 2, np.nan, rows), y), "NaN"),
        (lambda rows, y: (np.where(np.arange(6) == 2, np.inf, rows), y), "infinity"),
        (lambda rows, y: (rows, rows[:, 0]), "continuous"),
    ],
)
def test_bad_data_fail_before_training(kind, change, message):
    forbidden = (DenseGenerator, ForbiddenCritic) if kind == "acgan" else Forbidden
    name = "module" if kind in ("net", "entropy") else "architecture"
    with pytest.raises(ValueError, match=message):
        KINDS[kind].make(**{name: forbidden}).fit(*change(*data(kind)))


@each_kind
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"device": "gpu"}, "is not a device of torch"),
        ({"device": "cuda:99"}, 'device="cuda:99" is not there'),
        ({"amp": True, "dtype": "float64"}, "amp=True"),
        ({"image_shape": (1, 2, 4)}, r"image_shape=\(1, 2, 4\) holds 8 numbers.*\(6,\)"),
        ({"image_shape": (-1, 2, -3)}, "positive integers"),
        ({"lr": 0.0}, "'lr'"),
    ],
)
def test_bad_parameters_fail_before_training(kind, params, message):
    with pytest.raises(ValueError, match=message):
        KINDS[kind].make(**params).fit(*data(kind))


@each_kind
def test_divergence_of_the_training_is_told(kind):
    with pytest.raises(ValueError, match="training diverged; set a smaller lr"):
        KINDS[kind].make(optimizer=torch.optim.SGD, lr=1e200).fit(*data(kind))


@pytest.mark.gpu
@each_kind
def test_cuda(kind, monkeypatch):
    before = torch.cuda.get_rng_state()
    clf = KINDS[kind].make(dtype="float64").fit(*data(kind))
    assert clf.device_.type == "cuda"
    assert {part.device.type for each in parts(clf) for part in each.parameters()} == {"cuda"}
    assert torch.equal(torch.cuda.get_rng_state(), before)
    expected, saved = answers(clf, X), pickle.dumps(clf)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(saved)
    assert loaded.device_.type == "cpu"
    for own, before in zip(answers(loaded, X), expected, strict=True):
        np.testing.assert_allclose(own, before, atol=1e-6)
