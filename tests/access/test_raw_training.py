"""Raw skorch nets are trained as skorch trains them, on what they take, and on few labels too."""

import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from skorch.helper import SliceDict, predefined_split
from torch import nn

from skal.access import embed_and_predict_proba, predict_proba
from skal.access.raw_nets import as_input
from skal.access.raw_training import fit_raw_net
from skal.training.devices import seeded

from ..networks import generator_states
from .common import Net, X, Y, make_net

FLOATS = X.astype(np.float32)
CODES = np.unique(Y, return_inverse=True)[1]
TWO = CODES % 2


def trained(seed):
    codes = np.unique(Y, return_inverse=True)[1].astype(np.int32)
    net = NeuralNetClassifier(Net, criterion=nn.CrossEntropyLoss, train_split=None, max_epochs=1, verbose=0)
    fit_raw_net(net, X, codes, {}, seed)
    return net.module_.first.weight.detach().numpy()


def test_training_depends_on_the_seed_alone():
    expected, states = trained(0), generator_states()
    with torch.random.fork_rng():
        torch.rand(1)
        assert_array_equal(trained(0), expected)
    assert (trained(1) != expected).any()
    assert generator_states() == states


@pytest.mark.parametrize("y", [Y, np.array([-1] * 30 + [0] * 30), np.array([0.0, 1.0] * 30)])
def test_labels_that_are_no_indices(y):
    with pytest.raises(
        ValueError, match=r"A raw skorch net takes the labels 0, 1, .* was given \[.*NetClassifier"
    ):
        fit_raw_net(make_net(), X, y, {}, seed=0)


def test_fit_parameters_reach_the_net():
    class Keeping(NeuralNetClassifier):
        def fit(self, X, y, **params):
            self.given = X.dtype, y.dtype, params

    net = Keeping(Net)
    fit_raw_net(net, X, np.zeros(60, dtype=np.int8), {"epochs": 3}, seed=0)
    assert net.given == (np.float32, np.int64, {"epochs": 3})


def new_net(kind=NeuralNetClassifier, **params):
    module = (
        {"module__n_outputs": 1} if kind is NeuralNetBinaryClassifier else {"criterion": nn.CrossEntropyLoss}
    )
    return kind(params.pop("module", Net), **{"verbose": 0, "max_epochs": 2, **module, **params})


def assert_same_weights(net, other):
    ours, theirs = net.module_.state_dict(), other.module_.state_dict()
    for name, weight in ours.items():
        assert torch.equal(weight, theirs[name]), name


def fitted_by_skorch(net, rows, y, seed=0):
    with seeded(seed, torch.device("cpu")):
        return net.fit(rows, y)


class Wide(Net):
    def __init__(self, **params):
        super().__init__(**params)
        self.double()


@pytest.mark.parametrize("train_split", [None, ValidSplit(5, stratified=True), ValidSplit(0.3)])
@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNetBinaryClassifier])
@pytest.mark.parametrize("module", [Net, Wide])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_training_is_that_of_skorch_on_what_the_module_takes(train_split, kind, module, dtype):
    rows = (10 * X).astype(dtype)
    net = new_net(kind, module=module, train_split=train_split)
    np.random.seed(0)  # noqa: NPY002, of which skorch's own random split draws
    fit_raw_net(net, rows, TWO, {}, seed=0)
    wide = np.float64 if module is Wide else np.float32
    np.random.seed(0)  # noqa: NPY002
    expected = fitted_by_skorch(
        new_net(kind, module=module, train_split=train_split),
        rows.astype(wide),
        TWO.astype(wide if kind is NeuralNetBinaryClassifier else np.int64),
    )
    assert_same_weights(net, expected)
    assert net.train_split is train_split
    assert net.history[:, "train_loss"] == expected.history[:, "train_loss"]
    assert ("valid_loss" in net.history[-1]) == (train_split is not None)


def test_training_on_mappings():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 2)

        def forward(self, left, right):
            return self.linear(left + right)

    net = NeuralNetClassifier(Sum, criterion=nn.CrossEntropyLoss, verbose=0, train_split=None, max_epochs=2)
    expected = fitted_by_skorch(net, SliceDict(left=FLOATS, right=FLOATS), TWO).module_
    net = NeuralNetClassifier(Sum, criterion=nn.CrossEntropyLoss, verbose=0, train_split=None, max_epochs=2)
    fit_raw_net(net, {"left": X, "right": X}, TWO, {}, seed=0)
    assert torch.equal(net.module_.linear.weight, expected.linear.weight)


@pytest.mark.parametrize("warm_start", [False, True])
def test_warm_start(warm_start):
    net, expected = (new_net(warm_start=warm_start, train_split=None) for _ in range(2))
    for seed in (0, 1):
        fit_raw_net(net, X, CODES, {}, seed)
        fitted_by_skorch(expected, FLOATS, CODES, seed)
    assert_same_weights(net, expected)
    assert net.warm_start is warm_start
    assert len(net.history) == (4 if warm_start else 2)


def test_one_logit_is_for_two_classes():
    with pytest.raises(ValueError, match=r"takes the labels 0, 1 and was given \[0, 1, 2\]; .*NetClassifier"):
        fit_raw_net(new_net(NeuralNetBinaryClassifier), X, CODES, {}, seed=0)


# Few labels.

FEW = {
    "one row of each class": (np.array([0, 1]), ValidSplit(5, stratified=True)),
    "fewer rows than folds": (np.array([0, 0, 1, 1]), ValidSplit(5, stratified=True)),
    "a class with fewer rows than folds": (np.arange(30) // 26, ValidSplit(5, stratified=True)),
    "fewer rows than folds of any class": (np.array([0, 0, 1, 1]), ValidSplit(5)),
    "a share with no row of a class": (np.array([0, 0, 1, 1]), ValidSplit(0.1, stratified=True)),
    "a share of a single row": (np.array([0, 1, 1, 1]), ValidSplit(0.5, stratified=True)),
}


@pytest.mark.parametrize("case", FEW)
@pytest.mark.parametrize("kind", [NeuralNetClassifier, NeuralNetBinaryClassifier])
def test_few_labels_are_all_trained_on(kind, case):
    y, split = FEW[case]
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    net = new_net(kind, train_split=split)
    with pytest.warns(
        UserWarning, match=rf"{kind.__name__} has too few labels.*Give train_split=None"
    ) as caught:
        fit_raw_net(net, X[: len(y)], y, {}, seed=0)
    assert len(caught) == 1
    expected = new_net(kind, train_split=None)
    fit_raw_net(expected, X[: len(y)], y, {}, seed=0)
    assert_same_weights(net, expected)
    assert net.train_split is split
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_enough_labels_are_split_as_skorch_does():
    y = np.arange(10) % 2
    net, expected = new_net(), new_net()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_raw_net(net, X[:10], y, {}, seed=0)
    assert_same_weights(net, fitted_by_skorch(expected, FLOATS[:10], y))
    assert "valid_acc" in net.history[-1]


def test_callbacks_that_watch_held_out_rows_wait_until_there_are_some(tmp_path):
    callbacks = [
        ("stop", EarlyStopping(patience=1)),
        ("keep", Checkpoint(dirname=tmp_path, monitor="valid_loss_best")),
        ("rate", LRScheduler("StepLR", step_size=1, gamma=0.5)),
    ]
    net = new_net(callbacks=callbacks)
    with pytest.warns(UserWarning, match="without the callbacks that watch held-out rows"):
        fit_raw_net(net, X[:4], np.array([0, 0, 1, 1]), {}, seed=0)
    assert net.optimizer_.param_groups[0]["lr"] == pytest.approx(0.01 / 4)
    assert not any(tmp_path.iterdir())
    assert {"stop", "keep", "rate"} <= {name for name, _ in net.callbacks_}
    fit_raw_net(net, X, CODES, {}, seed=0)
    assert any(tmp_path.iterdir())


def test_other_splits_are_left_to_themselves():
    held_out = torch.utils.data.TensorDataset(torch.tensor(FLOATS[:4]), torch.tensor(CODES[:4]))
    for split in (predefined_split(held_out), ValidSplit([(np.array([0, 1, 2]), np.array([3]))])):
        net = new_net(train_split=split)
        fit_raw_net(net, X[:4], np.array([0, 1, 0, 1]), {}, seed=0)
        assert "valid_loss" in net.history[-1]


def test_what_was_set_for_the_fit_is_set_back_after_an_error():
    split = ValidSplit(5, stratified=True)
    net = new_net(train_split=split)
    with (
        pytest.warns(UserWarning, match="train_split=None"),
        pytest.raises(RuntimeError, match="mat1 and mat2"),
    ):
        fit_raw_net(net, X[:4, :3], np.array([0, 0, 1, 1]), {}, seed=0)
    assert net.train_split is split
    assert not net.warm_start
    assert "valid_acc" in dict(net.callbacks_)


def test_logits_that_skorch_takes_for_probabilities_are_refused():
    rows = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    net = NeuralNetClassifier(
        nn.Linear, module__in_features=3, module__out_features=2, verbose=0
    ).initialize()
    for ask in (predict_proba, embed_and_predict_proba):
        with pytest.raises(
            ValueError, match=r"NLLLoss skorch wants a module that ends in a softmax.*CrossEntropyLoss"
        ):
            ask(net, rows)


def test_read_only_rows_are_not_copied():
    rows = np.zeros((4, 3), dtype=np.float32)
    rows.flags.writeable = False
    given = as_input(NeuralNetClassifier(nn.Linear), rows)
    assert np.shares_memory(given, rows)
    assert given.flags.writeable  # else torch warns
