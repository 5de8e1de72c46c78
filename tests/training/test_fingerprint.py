"""Fingerprints: the same for what gives the same answers, in every process, and others for other weights and code."""

import copy
import io
import pickle
import threading

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from skal.classifiers import NetClassifier
from skal.generators import VAE, AutoEncoder
from skal.training.fingerprint import fingerprint

X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)

NETWORKS = {
    "layers": lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)),
    "recurrent": lambda: nn.LSTM(4, 3),
    "attention": lambda: nn.TransformerEncoderLayer(4, 2, 8),
    "bfloat16": lambda: nn.Linear(4, 3).bfloat16(),
    "parametrized": lambda: spectral_norm(nn.Linear(4, 3)),
    "compiled": lambda: torch.compile(nn.Linear(4, 3)),
}


def reloaded(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_networks_are_known_by_class_weights_and_mode(make):
    torch.manual_seed(0)
    network = make()
    same = make()
    same.load_state_dict(network.state_dict())
    expected = fingerprint(network)
    assert fingerprint(same) == expected
    assert fingerprint(same.eval()) != expected
    same.train()
    with torch.no_grad():
        next(same.parameters()).add_(1)
    assert fingerprint(same) != expected


def test_networks_are_known_by_their_configuration():
    relu, tanh = nn.ReLU(), nn.Tanh()
    networks = [
        nn.Dropout(0.1),
        nn.Dropout(0.2),
        relu,
        tanh,
        nn.Sequential(relu, tanh),
        nn.Sequential(tanh, relu),
    ]
    one, other = nn.Sequential(), nn.Sequential()
    for network, names in ((one, "ab"), (other, "ba")):
        for name in names:  # the same names, in another order
            network.add_module(name, relu if name == "a" else tanh)
    assert len(set(map(fingerprint, [*networks, one, other]))) == 8


def test_gradients_do_not_count():
    network = nn.Linear(4, 3)
    expected = fingerprint(network)
    network(torch.ones(4)).sum().backward()
    assert fingerprint(network) == fingerprint(reloaded(network)) == expected


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_scripts_are_known_by_what_they_are_saved_as():
    saved = torch.jit.script(nn.Linear(4, 3)).save_to_buffer()
    one, other = (torch.jit.load(io.BytesIO(saved)) for _ in range(2))
    assert fingerprint(one) == fingerprint(other)
    with torch.no_grad():
        other.weight.add_(1)
    assert fingerprint(one) != fingerprint(other)


class Recording(Callback):
    def __init__(self):
        self.lock = threading.Lock()


@pytest.mark.parametrize("kind", [AutoEncoder, VAE, NetClassifier])
def test_our_networks_are_known_by_what_save_writes(kind, tmp_path):
    fitted = kind(max_epochs=1, random_state=0).fit(X, y)
    fitted.callbacks = [Recording()]
    fitted.save(tmp_path / "net.skal")
    loaded = [
        kind.load(tmp_path / "net.skal", **params) for params in ({"callbacks": None}, {"callbacks": []})
    ]
    assert len(set(map(fingerprint, [fitted, *loaded, reloaded(loaded[0])]))) == 1
    assert fingerprint(kind(max_epochs=1, random_state=1).fit(X, y)) != fingerprint(fitted)
    with torch.no_grad():
        loaded[0].net_.modules[0].register_forward_hook(print)
    assert fingerprint(loaded[0]) != fingerprint(fitted)


def test_a_net_of_skorch_is_known_without_its_training():
    net = NeuralNetClassifier(
        nn.Linear, module__in_features=4, module__out_features=2, max_epochs=1, verbose=0, train_split=None
    ).fit(X, y)
    expected = fingerprint(net)
    same = reloaded(net)
    same.history.clear()
    same.set_params(callbacks=[("recording", Recording())], optimizer__weight_decay=0.1)
    same.initialize_optimizer()
    assert fingerprint(same) == expected
    with torch.no_grad():
        same.module_.weight.add_(1)
    assert fingerprint(same) != expected


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch gives quantized tensors up
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_are_told_apart(dtype):
    tensors = [torch.zeros(2, dtype=dtype), torch.ones(2, dtype=dtype), torch.zeros(2, 1, dtype=dtype)]
    tensors.append(torch.zeros(2, dtype=torch.float16))
    tensors.append(torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8))
    tensors.append(torch.zeros(2, dtype=dtype).to_sparse())
    assert len(set(map(fingerprint, tensors))) == 6
    assert fingerprint(torch.eye(3, dtype=dtype)[:, 1]) == fingerprint(torch.eye(3, dtype=dtype)[1])


def test_the_order_in_memory_does_not_count(tmp_path):
    X = np.arange(12.0).reshape(4, 3)
    np.save(tmp_path / "X.npy", X)
    mapped, strided = np.load(tmp_path / "X.npy", mmap_mode="r"), np.repeat(X, 2, axis=1)[:, ::2]
    assert len(set(map(fingerprint, [X, np.asfortranarray(X), mapped, strided]))) == 1
    assert fingerprint(X.T.copy()) != fingerprint(X)
    assert fingerprint(X[:1]) == fingerprint(X[::4]) == fingerprint(reloaded(X[::4]))


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"a", "b", "c"}, {"c", "a", "b"}),
        ({2: "x", 1: "y"}, {1: "y", 2: "x"}),
        ({1: 0, "a": 1}, {"a": 1, 1: 0}),
        (dict.fromkeys((torch.zeros(2), torch.ones(3))), dict.fromkeys((torch.ones(3), torch.zeros(2)))),
    ],
    ids=["set", "numbers", "mixed", "tensors"],
)
def test_the_order_in_sets_and_dicts_does_not_count(one, same):
    assert fingerprint(one) == fingerprint(same)


def test_a_module_that_its_part_refers_to():
    one, other = (nn.Sequential(nn.Linear(2, 2)) for _ in range(2))
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each[0].owner = [each]
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize("thing", [np.sin, torch.relu, nn.ReLU, np.linalg.norm, "a".lower, list[int], len])
def test_what_is_installed_is_known_by_its_name(thing):
    assert fingerprint(thing) == fingerprint(copy.copy(thing)) != fingerprint(nn.Tanh)


@pytest.mark.parametrize("thing", [threading.Lock(), (i for i in "a"), nn.Linear(1, 1, device="meta")])
def test_what_cannot_be_told_from_others_is_refused(thing):
    with pytest.raises((TypeError, NotImplementedError)):
        fingerprint(thing)
