"""Raw skorch nets: what they answer, that the question leaves no trace, and that threads do not meet."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Lock

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from skorch.helper import SliceDict
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler

from skal.access import as_torch, dropout_proba, embed, embed_and_predict_proba, has_embedding, predict_proba
from skal.access.raw_nets import as_input, asked
from skal.access.raw_training import fit_raw_net
from skal.classifiers import NetClassifier
from skal.training.devices import seeded

from .. import THOROUGH
from ..networks import generator_states
from .common import ROWS, Learner, Net, X, Y, hidden_of, make_net, softmax, wanted

FLOATS = X.astype(np.float32)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_answers_are_those_of_the_module(rows):
    net = make_net()
    weight, bias = (p.detach().numpy() for p in net.module_.last.parameters())
    hidden = hidden_of(net, X)
    proba = softmax(hidden @ weight.T + bias)
    embeddings, probabilities = embed_and_predict_proba(net, X, rows)
    assert_allclose(embeddings, wanted(hidden, rows), rtol=1e-4, atol=1e-5)
    assert_allclose(probabilities, wanted(proba, rows), rtol=1e-4, atol=1e-5)
    assert_array_equal(embed(FrozenEstimator(net), X, rows), embeddings)
    assert_array_equal(predict_proba(net, X, rows), probabilities)
    scaler = StandardScaler().fit(X)
    scaled = embed(make_pipeline(scaler, net), pd.DataFrame(X), rows)
    assert_allclose(scaled, wanted(hidden_of(net, scaler.transform(X)), rows), rtol=1e-4, atol=1e-5)


def test_answers_are_those_of_skorch():
    for net in (
        make_net(),
        make_net(iterator_valid__shuffle=False, iterator_valid__batch_size=7),
        make_net(predict_nonlinearity=lambda outputs: (outputs / 2).softmax(dim=-1)),
        make_net(module__output=nn.Softmax(dim=-1), criterion=nn.NLLLoss),
    ):
        assert_array_equal(predict_proba(net, X), net.predict_proba(FLOATS))


def test_a_net_may_know_fewer_classes_than_it_has_outputs():
    net = make_net(train_split=None, max_epochs=1)
    fit_raw_net(net, X, np.arange(60) % 2, {}, seed=0)
    assert_array_equal(net.classes_, [0, 1])
    assert predict_proba(net, X).shape == (60, 3)


def test_containers_and_dtypes():
    net = make_net()
    expected = predict_proba(net, X)
    assert_allclose(predict_proba(net, csr_array(X)), expected, rtol=1e-6)
    assert_allclose(predict_proba(net, pl.DataFrame(X)), expected, rtol=1e-6)
    whole = (10 * X).astype(np.int64)
    assert_array_equal(predict_proba(net, whole), predict_proba(net, whole.astype(np.float32)))
    net.module_.to(torch.float64)
    assert predict_proba(net, FLOATS).dtype == np.float64


# What the question leaves behind.


class Forgetful(Net):
    """Drops units in evaluation mode too, as it forgets to pass the flag on."""

    def forward(self, x):
        return self.last(F.dropout(torch.tanh(self.first(x))))


class Shuffled(DataLoader):
    """Draws from torch's global generator, though the order stays."""

    def __iter__(self):
        list(RandomSampler(self.dataset))
        return super().__iter__()


class Scripted(Net):
    """Has a part that cannot be viewed."""

    def __init__(self):
        super().__init__()
        self.script = torch.jit.script(nn.Sequential(nn.Identity(), nn.Dropout()))

    def forward(self, x):
        return super().forward(self.script(x))


NETS = {
    "plain": {},
    "forgetful": {"module": Forgetful},
    "loader": {"iterator_valid": Shuffled},
    "scripted": {"module": Scripted},
}


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("ask", [predict_proba, embed, embed_and_predict_proba])
@pytest.mark.parametrize("kind", NETS)
def test_asking_leaves_no_trace(kind, ask, training):
    net = make_net(**NETS[kind])
    net.module_.train(training)
    net.module_.first.eval()
    net.criterion_.train(training)
    flags = [part.training for part in net.module_.modules()]
    before = pickle.dumps(net) if kind != "scripted" else None
    states = generator_states()
    ask(net, X)
    assert generator_states() == states
    assert [part.training for part in net.module_.modules()] == flags
    assert net.criterion_.training == training
    if kind != "scripted":
        assert pickle.dumps(net) == before
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.module_.modules())


def test_a_net_that_draws_depends_on_the_global_generator_alone():
    net = make_net(Forgetful)
    expected = predict_proba(net, X)
    assert_array_equal(predict_proba(net, X), expected)
    with seeded(3, torch.device("cpu")):
        assert (predict_proba(net, X) != expected).any()


def test_an_error_leaves_no_trace():
    net = make_net()
    states = generator_states()
    with pytest.raises(RuntimeError):
        embed(net, np.zeros((3, 7), dtype=np.float32))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.module_.modules())
    assert net.module_.training
    assert generator_states() == states


def test_any_other_estimator_is_asked_itself():
    classifier = NetClassifier()
    with asked(classifier, X) as answering:
        assert answering is classifier


def test_a_net_whose_loader_has_a_generator_does_not_move_it():
    generator = torch.Generator()
    net = make_net(iterator_valid__generator=generator)
    before = net.iterator_valid__generator.get_state()
    predict_proba(net, X)
    assert torch.equal(net.iterator_valid__generator.get_state(), before)


# Threads.


@contextmanager
def in_background(function):
    """Call a function again and again in another thread; what is yielded holds how often."""
    done, calls = Event(), []

    def repeat():
        while not done.is_set():
            calls.append(function())

    with ThreadPoolExecutor(1) as thread:
        repeated = thread.submit(repeat)
        try:
            yield calls
        finally:
            done.set()
    repeated.result()


def equal_in_threads(questions, n_times):
    """Whether each question gets the answer of one thread n_times in a thread of its own."""
    expected = [ask() for ask in questions]

    def is_equal(ask, answer):
        return all(np.array_equal(ask(), answer) for _ in range(n_times))

    with ThreadPoolExecutor(len(questions)) as threads:
        return list(threads.map(is_equal, questions, expected))


def questions_to(net):
    return [
        lambda: embed(net, X),
        lambda: predict_proba(net, X),
        lambda: dropout_proba(net, X, n_passes=2, seed=1),
        lambda: embed_and_predict_proba(net, X)[0],
    ]


def test_threads_get_what_one_thread_gets():
    net = make_net(batch_size=64)
    learner = Learner(net)
    states = generator_states()

    def predict():
        with asked(net, FLOATS) as answering:  # as a learner does
            return answering.predict(FLOATS)

    with in_background(predict) as predictions:
        assert equal_in_threads(2 * questions_to(learner), n_times=100 if THOROUGH else 20) == [True] * 8
    assert predictions
    assert generator_states() == states
    assert net.module_.training


def test_threads_get_what_one_thread_gets_of_a_network_of_skal():
    params = {"hidden": (5,), "dropout": 0.5}
    net = NetClassifier(module_params=params, max_epochs=1, random_state=0).fit(FLOATS, Y)
    states = generator_states()
    with in_background(lambda: net.predict_proba(FLOATS)) as predictions:
        assert equal_in_threads(2 * questions_to(net), n_times=100 if THOROUGH else 20) == [True] * 8
    assert predictions
    assert generator_states() == states


def test_flags_that_another_thread_switches_do_not_matter():
    net = make_net(batch_size=64)
    with in_background(lambda: net.module_.train() and net.module_.eval()):
        assert equal_in_threads(2 * questions_to(net), n_times=20) == [True] * 8


def test_nets_that_move_the_generators_wait_for_each_other():
    inside, alone = Lock(), []

    class Watched(Forgetful):
        def forward(self, x):
            outputs = super().forward(x)  # the trial ends here
            alone.append(inside.acquire(blocking=False))
            time.sleep(1e-3)
            inside.release()
            return outputs

    net = make_net(Watched, batch_size=64)
    states = generator_states()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: predict_proba(net, X), range(20)))
    assert alone == [True] * 20
    assert generator_states() == states


def test_other_nets_wait_for_nobody():
    net = make_net(batch_size=64)
    with ThreadPoolExecutor(1) as threads, seeded(None, torch.device("cpu")):
        assert threads.submit(predict_proba, net, X).result(timeout=60).shape == (60, 3)


# Input.


def test_input_is_in_the_type_of_the_net():
    net = make_net()
    assert as_input(net, X).dtype == np.float32
    assert as_input(net, FLOATS) is FLOATS
    assert as_input(net, X.astype(np.float16)).dtype == np.float32
    net.module_.to(torch.float64)
    assert as_input(net, FLOATS).dtype == np.float64
    assert as_input(NeuralNetClassifier(Net), X).dtype == np.float32  # not initialised
    for rows in (X.tolist(), torch.tensor(X), pd.DataFrame(X), pl.DataFrame(X)):
        assert_array_equal(as_input(net, rows), X)
    whole, texts = X.astype(int), ["some", "texts"]
    for rows in (whole, whole > 0):
        assert_array_equal(as_input(net, rows), rows.astype(np.float64))
        assert as_input(net, rows).dtype == np.float64
    for estimator, rows in (
        (net, csr_array(X)),
        (net, texts),
        (net, np.array(texts, dtype=object)),
        (NetClassifier(), X),
        (NetClassifier(), whole),
        (NetClassifier(), X.tolist()),
    ):
        assert as_input(estimator, rows) is rows


def test_rows_that_nobody_may_write_to_are_copied():
    rows = FLOATS.copy()
    rows.flags.writeable = False
    given = as_input(make_net(), rows)
    assert given.flags.writeable
    assert_array_equal(given, rows)
    assert_array_equal(predict_proba(make_net(), rows), make_net().predict_proba(FLOATS))


class Tokens(nn.Module):
    """Looks tokens up; a row is the mean of the tokens that a mask, if there is one, leaves."""

    def __init__(self):
        super().__init__()
        self.embedding, self.last = nn.Embedding(9, 4), nn.Linear(4, 2)

    def forward(self, ids, padding=None):
        padding = torch.zeros_like(ids, dtype=torch.bool) if padding is None else padding
        keep = (~padding)[..., None].to(self.embedding.weight.dtype)
        return self.last((self.embedding(ids) * keep).sum(dim=1) / keep.sum(dim=1))


IDS = np.random.default_rng(0).integers(0, 9, size=(60, 5))
PADDING = np.arange(5) >= np.arange(60)[:, None] % 5 + 1


def make_token_net(**params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        params = {"criterion": nn.CrossEntropyLoss, "verbose": 0, "train_split": None, **params}
        return NeuralNetClassifier(Tokens, **params).initialize()


def token_means(net, ids, padding):
    table = net.module_.embedding.weight.detach().numpy()[ids]
    return (table * ~padding[..., None]).sum(axis=1) / (~padding).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_integers_that_are_looked_up(dtype):
    net = make_token_net()
    assert as_input(net, IDS.astype(dtype)).dtype == np.int64
    embeddings, probabilities = embed_and_predict_proba(net, IDS.astype(dtype))
    hidden = token_means(net, IDS, np.zeros_like(PADDING))
    assert_allclose(embeddings, hidden, rtol=1e-5, atol=1e-6)
    weight, bias = (p.detach().numpy() for p in net.module_.last.parameters())
    assert_allclose(probabilities, softmax(hidden @ weight.T + bias), rtol=1e-5)
    assert_allclose(as_torch(net)(torch.tensor(IDS)).softmax(1).detach(), probabilities, rtol=1e-5)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mappings_are_arguments_of_the_module(rows, dtype):
    net = make_token_net()
    net.module_.to(dtype)
    mapping = {"ids": IDS.astype(np.int32), "padding": PADDING}
    hidden = token_means(net, IDS, PADDING)
    weight, bias = (p.detach().numpy() for p in net.module_.last.parameters())
    embeddings, probabilities = embed_and_predict_proba(net, mapping, rows)
    assert_allclose(embeddings, wanted(hidden, rows), rtol=1e-5, atol=1e-6)
    assert_allclose(probabilities, wanted(softmax(hidden @ weight.T + bias), rows), rtol=1e-5)
    assert_array_equal(embed(net, SliceDict(**mapping), rows), embeddings)
    logits = as_torch(net)({"ids": torch.tensor(IDS), "padding": torch.tensor(PADDING)})
    assert_allclose(wanted(logits.softmax(1).detach().numpy(), rows), probabilities, rtol=1e-5)


def test_arrays_of_a_mapping_have_the_numbers_of_the_module():
    net = make_token_net()
    given = as_input(net, {"ids": IDS.astype(np.uint8), "padding": PADDING, "weights": X})
    assert [part.dtype for part in given.values()] == [np.int64, bool, np.float32]
    assert_array_equal(given["ids"], IDS)
    assert given["padding"] is PADDING


def test_a_data_frame_whose_columns_are_arguments():
    class Columns(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, height, width):
            return self.linear(torch.cat([height, width], dim=1))

    net = NeuralNetClassifier(Columns, criterion=nn.CrossEntropyLoss).initialize()
    frame = pd.DataFrame(FLOATS[:, :2].copy(), columns=["height", "width"])
    weight, bias = (p.detach().numpy() for p in net.module_.parameters())
    assert as_input(net, frame) is frame
    assert_allclose(predict_proba(net, frame), softmax(FLOATS[:, :2] @ weight.T + bias), rtol=1e-5)


def test_a_net_of_one_logit():
    for module, criterion in ((Net, nn.BCEWithLogitsLoss), (Flat, nn.BCEWithLogitsLoss), (Net, nn.BCELoss)):
        params = {"module__output": nn.Sigmoid()} if criterion is nn.BCELoss else {}
        net = make_net(module, NeuralNetBinaryClassifier, module__n_outputs=1, criterion=criterion, **params)
        weight, bias = (p.detach().numpy() for p in net.module_.last.parameters())
        hidden = hidden_of(net, X)
        expected = softmax(np.hstack([np.zeros((60, 1)), hidden @ weight.T + bias]))
        embeddings, probabilities = embed_and_predict_proba(net, X)
        assert_allclose(embeddings, hidden, rtol=1e-4, atol=1e-5)
        assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-5)
        assert_allclose(
            as_torch(net).eval()(torch.tensor(X)).softmax(1).detach(), expected, rtol=1e-4, atol=1e-5
        )
        assert dropout_proba(net, X, n_passes=2, seed=0).shape == (60, 2, 2)


class Flat(Net):
    """Returns a logit per row, without an axis for it."""

    def forward(self, x):
        return super().forward(x)[:, 0]


# Nets without an embedding.


def test_nets_without_a_linear_layer():
    net = NeuralNetClassifier(nn.Conv1d, module__in_channels=1, module__out_channels=2, module__kernel_size=3)
    assert has_embedding(net)
    net.initialize()
    assert not has_embedding(net)
    with pytest.raises(TypeError, match="penultimate embeddings and NeuralNetClassifier has none"):
        embed(net, np.zeros((3, 1, 3)))

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x):
            return x

    net = NeuralNetClassifier(Unused, criterion=nn.CrossEntropyLoss).initialize()
    with pytest.raises(TypeError, match=r"Unused ran no torch\.nn\.Linear"):
        embed(net, np.zeros((3, 3)))


def test_a_net_that_diverged():
    net = make_net()
    with torch.no_grad():
        net.module_.first.bias.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"NeuralNetClassifier\.predict_proba returned NaN"):
        predict_proba(net, X)
    with pytest.raises(ValueError, match=r"NeuralNetClassifier\.embed returned NaN"):
        embed(net, X)
