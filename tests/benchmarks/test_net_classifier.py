"""NetClassifier against bare PyTorch loops and skorch's own path, on MNIST with the LeNet of ASAL's Table 5.

Run with ``pytest tests/benchmarks/test_net_classifier.py -s``.
"""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F

from skal.classifiers import CNNClassifier
from skal.nets import LeNet

from .timing import DEVICE, in_turns, report

N_TRAIN = 60_000 if DEVICE == "cuda" else 1_280
N_PREDICT = 6_000
ROUNDS = 5


@pytest.fixture(scope="module")
def fitted(images):
    X, y = images
    clf = CNNClassifier("lenet", max_epochs=3, device="cpu", random_state=0)
    return clf.fit(X[-N_TRAIN:], y[-N_TRAIN:])


def bare_predict_proba(module, X, batch_size):
    result = np.empty((len(X), 10), np.float32)
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(X), batch_size):
            x = torch.from_numpy(X[start : start + batch_size]).contiguous(memory_format=torch.channels_last)
            result[start : start + batch_size] = module(x).softmax(1).numpy()
    return result


def skorch_net(module, **params):
    net = NeuralNetClassifier(
        lambda: module, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0, **params
    )
    return net.initialize()


def test_predict_proba(benchmark, images, fitted):
    X, _ = images
    plain = LeNet((1, 28, 28), 10)
    plain.load_state_dict(fitted.module_.state_dict())
    skorch = skorch_net(plain)
    np.testing.assert_allclose(
        fitted.predict_proba(X[:300]), bare_predict_proba(fitted.module_, X[:300], 128), atol=1e-6
    )
    part = X[:N_PREDICT]
    times = in_turns(
        {
            "NetClassifier": lambda: fitted.predict_proba(part),
            **{
                f"bare loop, channels-last, {size} rows": lambda size=size: bare_predict_proba(
                    fitted.module_, part, size
                )
                for size in (64, 128, 256)
            },
            "skorch's default": lambda: skorch.predict_proba(part),
        },
        ROUNDS,
    )
    report(benchmark, "predict_proba, LeNet, float32", times, len(part))
    best = min(seconds for name, seconds in times.items() if name.startswith("bare"))
    benchmark.extra_info["share of the best bare loop"] = best / times["NetClassifier"]
    print(f"  share of the best bare loop: {best / times['NetClassifier']:.3f} (goal 0.95)")
    benchmark.pedantic(fitted.predict_proba, args=(X,), rounds=1)


def test_bfloat16(benchmark, images, fitted):
    X, y = images
    test = slice(N_PREDICT)

    def autocast():
        fitted.net_.amp = True
        try:
            return fitted.predict_proba(X[test])
        finally:
            fitted.net_.amp = False

    times = in_turns({"bfloat16": autocast, "float32": lambda: fitted.predict_proba(X[test])}, rounds=3)
    report(benchmark, "predict_proba, LeNet, amp=True", times, N_PREDICT)
    exact, rounded = fitted.predict_proba(X[test]), autocast()
    accuracies = [np.mean(p.argmax(1) == y[test]) for p in (exact, rounded)]
    print(f"  accuracy {accuracies[0]:.4f} in float32, {accuracies[1]:.4f} in bfloat16")
    print(f"  largest change of a probability {np.abs(exact - rounded).max():.3f}")
    benchmark.pedantic(autocast, rounds=1)


def test_training(benchmark, images):
    X, y = images[0][:N_TRAIN], images[1][:N_TRAIN]

    def bare(channels_last=True, **params):
        generator = torch.Generator().manual_seed(0)
        module = LeNet((1, 28, 28), 10).to(DEVICE).train()
        if channels_last:
            module.to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, **params)
        rows, codes = torch.from_numpy(X).to(DEVICE), torch.from_numpy(y).to(DEVICE)
        for batch in torch.randperm(N_TRAIN, generator=generator).to(DEVICE).split(64):
            x = rows[batch]
            if channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            F.cross_entropy(module(x), codes[batch]).backward()
            optimizer.step()

    def skorch():
        net = skorch_net(
            LeNet((1, 28, 28), 10),
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=1,
            batch_size=64,
            device=DEVICE,
        )
        net.partial_fit(X, y)

    clf = CNNClassifier("lenet", max_epochs=1, device=DEVICE, random_state=0)
    ours = "NetClassifier (fused Adam)"
    times = in_turns(
        {
            ours: lambda: clf.fit(X, y),
            "bare loop, fused Adam, channels-last": lambda: bare(fused=True),
            "bare loop, fused Adam": lambda: bare(channels_last=False, fused=True),
            "bare loop, Adam, channels-last": bare,
            "skorch's default": skorch,
        },
        ROUNDS,
    )
    report(benchmark, f"one epoch of LeNet, batches of 64, {DEVICE}", times, N_TRAIN)
    share = times["bare loop, fused Adam, channels-last"] / times[ours]
    benchmark.extra_info["share of the bare loop"] = share
    print(f"  share of the same bare loop: {share:.3f} (goal 0.95)")
    ratio = times["skorch's default"] / times[ours]
    benchmark.extra_info["skorch's default"] = ratio
    print(f"  skorch's default takes {ratio:.2f} times as long (goal 1.5, on a GPU 5)")
    benchmark.pedantic(clf.fit, args=(X, y), rounds=1)
