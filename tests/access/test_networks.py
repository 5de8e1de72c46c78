"""Networks of skorch and skal as torch modules, against their own predictions."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skal.access import as_torch, batch_rows
from skal.access.networks import input_dtype
from skal.classifiers import CNNClassifier, LinearClassifier, NetClassifier
from skal.pool import as_pool
from skal.training.estimator import BLOCK_ROWS

from .common import Net, X, check_gradient, data, logits_of, make_net, softmax

FLOATS = X.astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (NeuralNetClassifier, {}),
        (NeuralNetClassifier, {"criterion": nn.NLLLoss, "module__output": nn.Softmax(dim=-1)}),
        (NeuralNetBinaryClassifier, {"criterion": nn.BCEWithLogitsLoss, "module__n_outputs": 1}),
        (
            NeuralNetBinaryClassifier,
            {"criterion": nn.BCELoss, "module__n_outputs": 1, "module__output": nn.Sigmoid()},
        ),
        (NeuralNetClassifier, {"predict_nonlinearity": lambda x: (x / 2).softmax(dim=-1)}),
    ],
    ids=["cross-entropy", "nll", "bce-logits", "bce", "own-nonlinearity"],
)
def test_skorch_nets(kind, params):
    net = make_net(kind=kind, **params)
    module = as_torch(net)
    logits = logits_of(module, X)  # float64 rows are cast to the float32 of the parameters
    assert logits.dtype == np.float32
    assert_allclose(softmax(logits), net.predict_proba(FLOATS), rtol=1e-4, atol=1e-6)
    check_gradient(module.to(torch.float64), X)


def test_compiled_nets():
    net = make_net()
    expected = logits_of(as_torch(net), X)
    net.module_ = torch.compile(net.module_, backend="eager")
    net.criterion_ = torch.compile(net.criterion_, backend="eager")
    module = as_torch(net)
    assert torch.equal(module(torch.tensor(X)), torch.tensor(expected))
    assert (
        type(module.module) is Net
    )  # what was compiled: a copy of the compiled one is not possible everywhere


def test_a_net_whose_criterion_is_unknown():
    net = make_net()
    net.criterion_ = nn.MultiMarginLoss()
    with pytest.raises(TypeError, match=r"criterion MultiMarginLoss was given.*CrossEntropyLoss"):
        as_torch(net)


def test_modules_that_return_tuples_or_take_tokens():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.last = nn.Embedding(10, 4), nn.Linear(4, 2)

        def forward(self, x):
            hidden = self.embedding(x).mean(dim=1)
            return self.last(hidden), hidden

    net = NeuralNetClassifier(Tokens, criterion=nn.CrossEntropyLoss).initialize()
    rows = torch.tensor([[1, 2, 3], [4, 5, 6]])
    expected = net.module_.last(net.module_.embedding(rows).mean(dim=1)).detach()
    assert torch.equal(as_torch(net)(rows), expected)


@pytest.mark.parametrize("image_shape", [None, (1, 8, 8)])
def test_networks_of_skal_take_rows_and_images(image_shape):
    X = np.random.default_rng(0).normal(size=(30, 64)).astype(np.float32)
    y = np.array(list("abc"))[np.arange(30) % 3]
    classifier = CNNClassifier("digits", image_shape=image_shape, max_epochs=1, random_state=0)
    classifier.fit(X if image_shape else X.reshape(-1, 1, 8, 8), y)
    module = as_torch(FrozenEstimator(classifier))
    expected = classifier.predict_proba(X.reshape(-1, 1, 8, 8))
    for rows in (X, X.reshape(-1, 1, 8, 8), X.astype(np.float64)):
        assert_allclose(softmax(logits_of(module, rows)), expected, rtol=1e-4, atol=1e-6)


def test_networks_of_skal_after_scalers():
    X, y = data(3)
    pipeline = make_pipeline(StandardScaler(), LinearClassifier(max_epochs=1, random_state=0)).fit(X, y)
    module = as_torch(pipeline)
    assert_allclose(softmax(logits_of(module, X)), pipeline.predict_proba(X), rtol=1e-4, atol=1e-6)
    check_gradient(module.to(torch.float64), X)


def test_zero_probabilities_have_finite_logits():
    net = make_net(criterion=nn.NLLLoss, module__output=nn.Threshold(1e9, 0))  # all are zero
    expected = np.full((60, 3), np.log(np.finfo(np.float32).tiny))
    assert_allclose(logits_of(as_torch(net), X), expected, rtol=1e-6)


def test_the_dtype_of_rows():
    assert input_dtype(nn.Linear(2, 2, dtype=torch.float64)) == torch.float64
    assert input_dtype(nn.ReLU()) == torch.float32
    assert input_dtype(nn.Sequential(nn.Embedding(3, 2), nn.Linear(2, 2))) is None
    assert input_dtype(nn.EmbeddingBag(3, 2)) is None


def test_images_come_in_small_batches():
    images, flat = X.reshape(60, 1, 2, 3), X
    plain = NetClassifier(max_epochs=1).fit(X[:9], np.arange(9) % 3)
    convolving = CNNClassifier("digits", max_epochs=1, module_params={"n_filters": 2})
    pixels = np.zeros((9, 1, 8, 8))
    convolving.fit(pixels, np.arange(9) % 3)
    small, large = BLOCK_ROWS["cpu"]
    for estimator, rows, expected in (
        (NeuralNetClassifier(nn.Flatten), images, small),
        (NeuralNetClassifier(nn.Flatten, device=None), as_pool(flat), large),
        (LogisticRegression(), images, small),
        (plain, flat, large),
        (make_pipeline("passthrough", convolving), pixels.reshape(9, -1), small),
    ):
        assert batch_rows(estimator, rows) == expected
    net = NeuralNetClassifier(nn.Flatten, device="cuda")
    assert [batch_rows(net, rows) for rows in (images, flat)] == list(BLOCK_ROWS["cuda"])
