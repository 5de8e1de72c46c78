"""Data, classifiers and reference computations that the tests of skal.access share."""

from functools import cache

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_classification
from skorch import NeuralNetClassifier
from torch import nn

X = np.random.default_rng(0).normal(size=(60, 6))
Y = np.array(["ant", "bee", "cow"])[np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.4, 0.4])]

# All rows, a few of them in any order, and most of them.
ROWS = {"all": None, "few": [59, 0, 30], "most": np.delete(np.arange(60), [4, 5, 50])[::-1]}


@cache
def data(n_classes):
    """Features on several scales, and labels; nobody writes to them."""
    X, y = make_classification(
        n_samples=90, n_features=6, n_informative=4, n_classes=n_classes, random_state=0
    )
    return X * [1, 10, 0.1, 3, 1, 1] + 2, np.array(["ant", "bee", "cow"], dtype=object)[y]


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def wanted(values, rows):
    return values if rows is None else values[rows]


def logits_of(module, X):
    return module(torch.as_tensor(X)).detach().numpy()


def check_gradient(module, X):
    rows = torch.tensor(np.asarray(X)[:3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, rows)


class Given(ClassifierMixin, BaseEstimator):
    """Returns what it was given as probabilities, decision values and embeddings."""

    def __init__(self, n_classes=3):
        self.classes_ = np.arange(n_classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return X

    decision_function = embed = predict_proba


class Learner:
    """The attributes by which a learner is known."""

    delegates = True

    def __init__(self, estimator, strategy=None):
        self.estimator, self.strategy = estimator, strategy


class Net(nn.Module):
    """Dropout, batch normalisation, and a linear layer that never runs behind the last that does."""

    def __init__(self, n_outputs=3, output=None):
        super().__init__()
        self.first, self.norm, self.drop = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Dropout(0.5)
        self.last = nn.Linear(5, n_outputs)
        self.unused = nn.Linear(2, 2)
        self.output = output or nn.Identity()

    def forward(self, x):
        return self.output(self.last(self.drop(torch.tanh(self.norm(self.first(x))))))


def make_net(module=Net, kind=NeuralNetClassifier, **kwargs):
    """A raw skorch net in training mode, with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        params = {"criterion": nn.CrossEntropyLoss, "batch_size": 4, "verbose": 0, **kwargs}
        net = kind(module, **params).initialize()
        nn.init.uniform_(net.module_.norm.running_mean)
        nn.init.uniform_(net.module_.norm.running_var, 0.5, 2)
    return net


def hidden_of(net, X):
    """Its penultimate embeddings, computed by hand."""
    weight, bias = (p.detach().numpy() for p in net.module_.first.parameters())
    norm = net.module_.norm
    mean, var = norm.running_mean.numpy(), norm.running_var.numpy()
    return np.tanh((X @ weight.T + bias - mean) / np.sqrt(var + norm.eps))
