"""Passes with dropout against passes made by hand, and what `dropout_proba` makes of them."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from skorch import NeuralNetClassifier
from torch import nn

from skal.access import as_torch, dropout_proba
from skal.access.dropout import DropoutPasses, dropout_layers
from skal.classifiers import NetClassifier
from skal.training.estimator import BLOCK_ROWS

from ..networks import generator_states

X = np.random.default_rng(0).normal(size=(30, 4))
Y = (X[:, 0] > 0).astype(int)
CLASSIFIER = NetClassifier(
    module_params={"hidden": (8, 8), "dropout": 0.4}, max_epochs=3, lr=0.02, random_state=0
)


@pytest.fixture(scope="module")
def fitted():
    return CLASSIFIER.fit(X, Y)


# Passes


class Blocks(nn.Module):
    """Dropout in a residual branch after layers that count their calls, some written to in place."""

    def __init__(self, in_place=False):
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6))
        self.branch = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 6))
        self.late = nn.ReLU(inplace=in_place)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 3)
        self.n_stems = 0
        self.stem.register_forward_hook(self._count)

    def _count(self, *_):
        self.n_stems += 1

    def forward(self, x):
        stem = self.stem(x)
        return self.head(self.drop(self.late(stem + self.branch(stem)) + self.late(stem)))


def blocks(**params):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Blocks(**params).double().eval()
        nn.init.uniform_(module.stem[2].running_mean)
        nn.init.uniform_(module.stem[2].running_var)
    return module


def plain_passes(module, rows, seeds, layers):
    """Passes one after another, each whole, by masks drawn as documented: the pass's generator, call by call."""
    outputs = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(int(seed))

        def masked(layer, inputs, output, generator=generator):
            keep = torch.rand((1, *output.shape[1:]), generator=generator) >= layer.p
            return output * keep / (1 - layer.p)

        handles = [layer.register_forward_hook(masked) for layer in layers(module)]
        outputs.append(module(rows))
        for handle in handles:
            handle.remove()
    return torch.stack(outputs, 1)


@pytest.mark.parametrize("in_place", [False, True])
def test_the_common_part_is_computed_once_and_nothing_else_changes(in_place):
    rows = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    module = blocks(in_place=in_place)
    passes = DropoutPasses(module, 4, seed=7)
    outputs = passes(rows)
    reference = blocks(in_place=in_place)
    with torch.no_grad():
        expected = plain_passes(reference, rows, passes.seeds, lambda m: (m.branch[2], m.drop))
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    assert outputs[:, 0].ne(outputs[:, 1]).any()
    torch.testing.assert_close(passes(rows[3:4]), outputs[3:4], rtol=1e-12, atol=1e-12)
    assert not any(part.training or "forward" in vars(part) for part in module.modules())


def test_layers_before_the_first_dropout_run_once():
    counts = []

    class Counting(nn.Linear):
        def forward(self, x):
            counts.append(self.out_features)
            return super().forward(x)

    module = nn.Sequential(
        nn.Sequential(Counting(4, 5), nn.ReLU()), Counting(5, 6), nn.Dropout(), Counting(6, 2)
    )
    with torch.random.fork_rng(devices=[]):
        DropoutPasses(module.eval(), 3, seed=0)(torch.ones(2, 4))
    assert counts == [5, 6, 2, 2, 2]


def test_a_part_with_a_forward_of_its_own_keeps_it():
    module = nn.Sequential(nn.Linear(4, 5), nn.Dropout()).eval()
    own = module[0].forward = lambda x: x + 1
    passes = DropoutPasses(module, 2, seed=0)
    outputs = passes(torch.ones(2, 4))
    assert torch.equal(passes(torch.ones(2, 4)), outputs)
    assert set(outputs.unique().tolist()) == {0, 4}
    assert module[0].forward is own
    assert "forward" not in vars(module[1])


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout(0.3), (1, 5000)),
        (nn.Dropout1d(0.3), (1, 5000, 2)),
        (nn.Dropout2d(0.3), (1, 5000, 1, 2)),
        (nn.Dropout3d(0.3), (1, 5000, 1, 1, 2)),
        (nn.AlphaDropout(0.3), (1, 5000)),
        (nn.FeatureAlphaDropout(0.3), (1, 5000, 1, 2)),
        (nn.Dropout(0.3, inplace=True), (1, 5000)),
    ],
    ids=str,
)
def test_each_kind_of_layer_drops_what_torch_drops(layer, shape):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    kept = x.clone()
    ours = DropoutPasses(nn.Sequential(layer.eval()), 1, seed=0)(x)[:, 0]
    assert torch.equal(x, kept)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = layer.train()(x.clone())
    layer.eval()

    def shape_of_drops(y):
        """The scale and offset of what is kept, and the value, share and grouping of what is dropped."""
        value = y.flatten().sort().values[len(y.flatten()) // 10].item()  # a dropped one: the smallest are
        dropped = (y - value).abs() < 1e-12
        together = dropped.flatten(2).all(2) == dropped.flatten(2).any(2) if y.ndim > 2 else torch.ones(1)
        slope = (y[~dropped].max() - y[~dropped].min()) / (x[~dropped].max() - x[~dropped].min())
        offset = y[~dropped].max() - slope * x[~dropped].max()
        return value, dropped.double().mean().item(), together.all().item(), slope.item(), offset.item()

    value, share, together, slope, offset = shape_of_drops(ours)
    expected = shape_of_drops(theirs)
    assert_allclose([value, slope, offset], [expected[0], *expected[3:]], rtol=1e-9, atol=1e-9)
    assert together == expected[2] is True
    assert abs(share - 0.3) < 0.03


class Padded(nn.Module):
    """A transformer over sequences whose last place is padding; it notes whether torch's fast path is allowed."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.seen = []

    def forward(self, x):
        self.seen.append(torch.backends.mha.get_fastpath_enabled())
        padding = torch.zeros(x.shape[:2], dtype=torch.bool)
        padding[:, -1] = True
        return self.encoder(x, src_key_padding_mask=padding)


def test_transformers_drop_without_their_fast_path():
    rows = torch.rand(3, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Padded().eval()
    reference = copy.deepcopy(module)
    passes = DropoutPasses(module, 2, seed=0)
    outputs = passes(rows)
    assert module.seen == [True, True]  # other threads continue with it
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            expected = plain_passes(reference, rows, passes.seeds, dropout_layers)
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    torch.testing.assert_close(outputs, expected)
    assert (outputs[:, 0] != outputs[:, 1]).double().mean() > 0.5
    alone = DropoutPasses(copy.deepcopy(reference.encoder.layers[0]), 2, seed=0)(rows)
    assert (alone[:, 0] != alone[:, 1]).double().mean() > 0.5


def test_a_share_of_one_drops_everything():
    assert not DropoutPasses(nn.Sequential(nn.Dropout(1.0)), 2, seed=0)(torch.ones(2, 3)).any()


# Access


def test_mean_over_many_passes_is_that_of_training_mode(fitted):
    ours = dropout_proba(fitted, X, n_passes=2000, seed=1)
    assert_allclose(ours.sum(2), 1)
    module = fitted.module_
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        module.train()
        theirs = torch.stack([module(torch.from_numpy(X)).softmax(1) for _ in range(2000)], 1).numpy()
        module.eval()
    assert_allclose(ours.mean(1), theirs.mean(1), atol=0.03)
    assert_allclose(ours.std(1), theirs.std(1), atol=0.03)


def test_blocks_wrappers_and_containers_agree(fitted, monkeypatch):
    expected = dropout_proba(fitted, X, seed=3)
    assert expected.shape == (30, 10, 2)
    for estimator in (FrozenEstimator(fitted), make_pipeline("passthrough", fitted)):
        assert_array_equal(dropout_proba(estimator, X, seed=3), expected)
    assert (dropout_proba(fitted, X, seed=4) == expected).mean() < 0.5
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 7)
    monkeypatch.setitem(BLOCK_ROWS, "cpu", (2, 3))
    rows = [29, 0, 11, 12]
    assert_allclose(dropout_proba(fitted, X, rows, seed=3), expected[rows], rtol=1e-12)
    assert_allclose(dropout_proba(fitted, X, seed=3), expected, rtol=1e-12)
    mean = dropout_proba(fitted, X, seed=3, summary=lambda p: p.mean(axis=1))
    assert_allclose(mean, expected.mean(1), rtol=1e-12)
    # Steps that cannot be differentiated are no obstacle.
    scaled = make_pipeline(QuantileTransformer(n_quantiles=5), CLASSIFIER).fit(X, Y)
    assert_allclose(
        dropout_proba(scaled, X, seed=3),
        dropout_proba(scaled[-1], scaled[0].transform(X), seed=3),
        rtol=1e-12,
    )


def test_skorch_nets():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 2), nn.Softmax(dim=1))
        net = NeuralNetClassifier(module, train_split=None, max_epochs=1, verbose=0)
        net.fit(X.astype(np.float32), Y)
    flags = [part.training for part in net.module_.modules()]
    probabilities = dropout_proba(net, X, n_passes=3)
    assert_allclose(probabilities.sum(2), 1, rtol=1e-6)
    assert (probabilities[:, 0] != probabilities[:, 1]).any()
    assert [part.training for part in net.module_.modules()] == flags


def test_passes_leave_no_trace(fitted):
    before, states = pickle.dumps(fitted), generator_states()
    dropout_proba(fitted, X, n_passes=3)
    assert pickle.dumps(fitted) == before
    assert generator_states() == states


def test_one_copy_makes_the_passes_of_all_blocks(fitted, monkeypatch):
    copies = []
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 7)
    monkeypatch.setattr(
        "skal.access.dropout.as_torch", lambda classifier: copies.append(1) or as_torch(classifier)
    )
    dropout_proba(fitted, X, n_passes=3)
    assert copies == [1]


def test_sparse_rows(fitted):
    assert_array_equal(dropout_proba(fitted, csr_array(X)), dropout_proba(fitted, X))


def test_passes_are_checked(fitted):
    class Odd(LogisticRegression):
        def dropout_proba(self, X, n_passes, seed):
            return np.full((len(X), n_passes, 2), np.nan if seed else 0.5)[:, :, : 2 - (n_passes == 3)]

    odd = Odd().fit(X, Y)
    assert dropout_proba(odd, X).shape == (30, 10, 2)
    with pytest.raises(ValueError, match=r"Odd\.dropout_proba returned NaN"):
        dropout_proba(odd, X, seed=1, summary=lambda p: np.nan_to_num(p))
    with pytest.raises(ValueError, match=r"Odd\.dropout_proba returned .* must be \(n_rows, n_passes, 2\)"):
        dropout_proba(odd, X, n_passes=3)


def test_what_has_no_dropout_is_refused(fitted):
    dry = NetClassifier(module_params={"hidden": (3,)}, max_epochs=1).fit(X, Y)
    for classifier in (LogisticRegression().fit(X, Y), dry):
        with pytest.raises(
            TypeError, match=rf"with dropout layers and {type(classifier).__name__} has none.*NetClassifier"
        ):
            dropout_proba(classifier, X)

    class Tempered(NetClassifier):
        def predict_proba(self, X):
            return super().predict_proba(X) ** 0.5

    with pytest.raises(
        TypeError, match=r"Tempered has none.*dropout_proba\(X, n_passes, seed\) if it overrides"
    ):
        dropout_proba(Tempered(module_params={"dropout": 0.5}, max_epochs=1).fit(X, Y), X)

    class Idle(nn.Module):
        def __init__(self, n_classes):
            super().__init__()
            self.head, self.drop = nn.Linear(4, n_classes), nn.Dropout()

        def forward(self, x):
            return self.head(x)

    with pytest.raises(TypeError, match="none of its dropout layers"):
        dropout_proba(NetClassifier(Idle, max_epochs=1).fit(X, Y), X)
    with pytest.raises(ValueError, match="X has 3 features"):
        dropout_proba(fitted, X[:, :3])
