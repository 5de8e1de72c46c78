from contextlib import contextmanager

import numpy as np
import torch
from skorch import NeuralNet


def as_input(estimator, X):
    if isinstance(estimator, NeuralNet) and isinstance(X, np.ndarray) and X.dtype == np.float64:
        return X.astype(np.float32)
    return X


def fit_raw_net(net, X, y, params, seed):
    classes = np.unique(y)
    if y.dtype.kind not in "iu" or classes[0] < 0:
        raise ValueError(
            f"A raw skorch net takes the labels 0, 1, ... and was given {classes[:5].tolist()}; wrap its module in "
            "skal.classifiers.NetClassifier, which encodes labels."
        )
    with keeping_torch_state(net, seed):
        net.fit(as_input(net, X), y.astype(np.int64), **params)


@contextmanager
def keeping_torch_state(estimator, seed=None):
    if not isinstance(estimator, NeuralNet):
        yield
        return
    with torch.random.fork_rng(
        devices=[estimator.device] if str(estimator.device).startswith("cuda") else []
    ):
        if seed is not None:
            torch.manual_seed(seed)
        yield
