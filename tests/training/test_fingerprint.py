"""Fingerprints: the same for what gives the same answers, in every process, and others for other weights and code."""

import copy
import io
import pickle
import re
import sys
import threading
import types

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


CODE = """
import threading
import torch
from functools import cached_property, lru_cache, partial
import helpers
SCALE = 2
LOCK = threading.Lock()
CLIENT = (each for each in "ab")  # cannot be pickled
NET = {"weights": torch.ones(3)}
def helper(x):
    "Say what it does."
    return 5 * x
def embed(x, shift=7):
    with LOCK:
        CLIENT.gi_running
        return NET["weights"] * SCALE * helper(helpers.more(x)) + shift
def deep(x):
    return [(lambda z: embed(z))(each) for each in x]
def again(x):
    return x and again(x - 1)
def scaled(factor):
    return lambda x: factor * x
times = scaled(11)
class Base:
    @torch.no_grad()
    def transform(self, x):
        return self.inner(x) - 13
class Encoder(Base):
    n_calls = 0
    def fit(self, x): return self
    def transform(self, x):
        Encoder.n_calls += 1
        return super().transform(x)
    def inner(self, x): return self.first + self.second() * self.third(x) - 17
    @property
    def first(self): return 19
    @staticmethod
    def second(): return 23
    @lru_cache
    def third(self, x): return 29
    @cached_property
    def fourth(self): return 31
"""


def run(code, helper="def more(x): return x * 37"):
    for name, text in (("helpers", helper), ("mine", code)):
        module = sys.modules[name] = types.ModuleType(name)
        exec(text, vars(module))
    return module


@pytest.fixture
def mine(monkeypatch):
    for name in ("helpers", "mine"):
        monkeypatch.setitem(sys.modules, name, None)
    return run(CODE)


def known(module):
    return fingerprint(module.deep, module.times, module.again, module.Encoder())


def test_code_is_known_by_what_it_does(mine):
    expected = known(mine)
    mine.Encoder.n_calls = 5  # what changes with use
    assert known(mine) == expected
    lower = "\n# A line above\n" + CODE.replace("(x, shift", "(  x, shift")
    assert known(run(lower)) == expected
    for number in (2, 5, 7, 11, 13, 17, 19, 23, 29, 31):
        assert known(run(re.sub(rf"(?<=[ =(]){number}\b", "41", CODE))) != expected
    assert known(run(CODE, "def more(x): return x * 41")) != expected
    assert known(run(CODE.replace("ones(3)", "zeros(3)"))) != expected
    assert known(run(CODE.replace('(each for each in "ab")', "threading.Lock()"))) != expected


def test_the_order_in_a_dict_counts():
    assert fingerprint({"first": 1, "second": 2}) != fingerprint({"second": 2, "first": 1})


@pytest.mark.parametrize(
    "thing", [np.sin, torch.relu, nn.ReLU, np.linalg.norm, "a".lower, type(None), list[int], len]
)
def test_what_is_installed_is_known_by_its_name(thing):
    assert fingerprint(thing) == fingerprint(copy.copy(thing)) != fingerprint(nn.Tanh)


@pytest.mark.parametrize("thing", [threading.Lock(), (i for i in "a"), nn.Linear(1, 1, device="meta")])
def test_what_cannot_be_told_from_others_is_refused(thing):
    with pytest.raises((TypeError, NotImplementedError)):
        fingerprint(thing)
