"""WAAL: an epoch against bare PyTorch loops, and queries against those of its baselines, on MNIST.

Run with ``pytest tests/benchmarks/test_wasserstein.py -s``. Nothing asserts a time.
"""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from skal.classifiers import CNNClassifier, WassersteinClassifier
from skal.classifiers.wasserstein import bias_of_labeled
from skal.nets import MLP, WAALLeNet
from skal.strategies import (
    BALD,
    WAAL,
    CoreSet,
    DeepFool,
    KMedian,
    RandomSubset,
    UncertaintySampling,
)
from skal.training.batches import row_order
from skal.utils.random import draw_seed

from .timing import DEVICE, in_turns, report

N_LABELED = 1_000
N_UNLABELED = 59_000 if DEVICE == "cuda" else 5_900  # the paper's 59,000 take ten times as long
N_POOL = 60_000 if DEVICE == "cuda" else 6_000
N_DEEPFOOL = 500
BATCH_SIZE, N_QUERIES, MU, PENALTY = 64, 500, 1e-2, 2.0
ROUNDS = 5

GAMMA = N_UNLABELED / N_LABELED
WEIGHT = MU * GAMMA / (1 + GAMMA)
BIAS = bias_of_labeled(N_LABELED, N_UNLABELED, N_QUERIES, "paper")


@pytest.fixture(scope="module", autouse=True)
def one_thread(all_cores):
    """A network this small gains little from more, and whatever else runs disturbs them."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pool(images):
    """Some thousand rows, of which the last have labels."""
    X, y = images
    n_rows = N_UNLABELED + N_LABELED
    return X[:n_rows], np.where(np.arange(n_rows) < N_UNLABELED, -1, y[:n_rows])


def classifier(**params):
    return WassersteinClassifier(
        "lenet_waal", max_epochs=1, n_queries=N_QUERIES, device=DEVICE, random_state=0, **params
    )


def sgd(module, **params):
    return torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.5, **params)


def penalty(critic, labeled, unlabeled):
    """The gradient penalty at points between the rows and at the rows themselves."""
    share = torch.rand(len(labeled), device=labeled.device)[:, None]
    points = torch.cat([labeled + share * (unlabeled - labeled), labeled, unlabeled])
    points.requires_grad_()
    (gradients,) = torch.autograd.grad(critic(points).sigmoid().sum(), points, create_graph=True)
    return ((gradients.norm(dim=1) - 1) ** 2).mean()


def bare_epoch(X, y):
    """The same mathematics as `WassersteinClassifier`, step by step, without anything around it."""
    seed = draw_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = WAALLeNet((1, 28, 28), 10).to(DEVICE).to(memory_format=torch.channels_last)
        critic = MLP((320,), 1, hidden=(50,), dropout=0.5).to(DEVICE)
        optimizers = [sgd(module, fused=True), sgd(critic, fused=True)]
        rows, labels = torch.from_numpy(X).to(DEVICE), torch.from_numpy(y).to(DEVICE)
        known, others = (mask.nonzero()[:, 0] for mask in (labels >= 0, labels < 0))
        orders = [row_order(len(others), seed + i, 0).to(DEVICE) for i in range(2)]
        for start in range(0, len(others), BATCH_SIZE):
            drawn = [order[start : start + BATCH_SIZE] for order in orders]
            batch = torch.cat([known[drawn[0] % len(known)], others[drawn[1]]])
            n = len(drawn[0])
            for optimizer in optimizers:
                optimizer.zero_grad()
            features = module.features(rows[batch].contiguous(memory_format=torch.channels_last))
            logits = module.head(module.hidden(features))
            critic.requires_grad_(False)
            values = critic(features).sigmoid()
            divergence = values[n:].mean() - BIAS * values[:n].mean()
            (F.cross_entropy(logits[:n], labels[batch[:n]]) + WEIGHT * divergence).backward()
            critic.requires_grad_(True)
            features = features.detach()
            values = critic(features).sigmoid()
            divergence = values[n:].mean() - BIAS * values[:n].mean()
            critic.eval()
            slope = penalty(critic, features[:n], features[n:])
            critic.train()
            (WEIGHT * (PENALTY * slope - divergence)).backward()
            for optimizer in optimizers:
                optimizer.step()
    return module, critic


class Pairs(Dataset):
    """A labelled and an unlabelled image at each position, transformed one by one as torchvision does."""

    def __init__(self, X, y):
        self.X = (255 * X[:, 0]).astype(np.uint8)
        self.labels = y
        self.known, self.others = np.flatnonzero(y >= 0), np.flatnonzero(y < 0)

    def __len__(self):
        return max(len(self.known), len(self.others))

    def __getitem__(self, index):
        labeled, unlabeled = self.known[index % len(self.known)], self.others[index % len(self.others)]
        return self.image(labeled), self.labels[labeled], self.image(unlabeled)

    def image(self, row):
        image = torch.from_numpy(np.array(Image.fromarray(self.X[row])))
        return image[None].float().div(255).sub(0.1307).div(0.3081)


def public_epoch(X, y):
    """What the authors' code does: rows fetched one by one, three optimizers, and four passes of the features.

    The first step, of features and head, computes a penalty too, which changes nothing there.
    """
    module = WAALLeNet((1, 28, 28), 10).to(DEVICE)
    features, head = module.features, nn.Sequential(module.hidden, module.head)
    critic = MLP((320,), 1, hidden=(50,), dropout=0.5).to(DEVICE)
    of_features, of_head, of_critic = (sgd(part) for part in (features, head, critic))
    loader = DataLoader(Pairs(X, y), BATCH_SIZE, shuffle=True)
    for batch in loader:
        labeled, labels, unlabeled = (part.to(DEVICE) for part in batch)
        critic.requires_grad_(False)
        known, others = features(labeled), features(unlabeled)
        of_features.zero_grad()
        of_head.zero_grad()
        divergence = critic(others).sigmoid().mean() - BIAS * critic(known).sigmoid().mean()
        slope = penalty(critic, known.detach(), others.detach())
        loss = F.cross_entropy(head(known), labels) + WEIGHT * (divergence + 5 * slope)
        loss.backward()
        of_features.step()
        of_head.step()
        critic.requires_grad_(True)
        with torch.no_grad():
            known, others = features(labeled), features(unlabeled)
        of_critic.zero_grad()
        divergence = critic(others).sigmoid().mean() - BIAS * critic(known).sigmoid().mean()
        slope = penalty(critic, known, others)
        (WEIGHT * (2 * slope - divergence)).backward()
        of_critic.step()


def test_training(benchmark, pool):
    X, y = pool
    ours = classifier().fit(X, y)
    bare = bare_epoch(X, y)
    for mine, theirs in zip((ours.module_, ours.net_.critic_), bare, strict=True):
        for name, weight in theirs.state_dict().items():
            torch.testing.assert_close(mine.state_dict()[name], weight, rtol=1e-3, atol=1e-4, msg=name)
    times = in_turns(
        {
            "WassersteinClassifier": lambda: classifier().fit(X, y),
            "bare loop, the same mathematics": lambda: bare_epoch(X, y),
            "loop of the public code": lambda: public_epoch(X, y),
        },
        ROUNDS,
    )
    title = (
        f"one epoch of WAAL, {N_UNLABELED:,} unlabelled rows, batches of {BATCH_SIZE}, {DEVICE}, one thread"
    )
    report(benchmark, title, times, N_UNLABELED)
    seconds, *others = times.values()
    for name, value, goal in zip(("bare", "public"), others, (1.1, 0.5), strict=True):
        benchmark.extra_info[f"times the {name} loop"] = seconds / value
        print(f"  {seconds / value:.3f} times the {name} loop (goal at most {goal})")
    benchmark.pedantic(classifier().fit, args=(X, y), rounds=1)


def test_queries(benchmark, images):
    """The first query of all strategies, over the same pool (paper, Table 1: 1 for WAAL, 124 for DeepFool)."""
    X, y = images[0][:N_POOL], np.full(N_POOL, -1)
    y[:N_LABELED] = images[1][:N_LABELED]
    adversarial = classifier().fit(X, y)
    plain = CNNClassifier("lenet_waal", max_epochs=1, device=DEVICE, random_state=0)
    plain.fit(X[:N_LABELED], y[:N_LABELED])
    strategies = {
        "WAAL": WAAL(5),
        "margin": UncertaintySampling("margin"),
        "DBAL": BALD(),
        "k-median": KMedian("classifier"),
        "core-set": CoreSet("classifier"),
        f"DeepFool, {N_DEEPFOOL} rows only": RandomSubset(N_DEEPFOOL, DeepFool()),
    }

    def query(strategy):
        estimator = adversarial if isinstance(strategy, WAAL) else plain
        return strategy.query(X, y, n_queries=N_QUERIES, estimator=estimator)

    contestants = {}
    for name, strategy in strategies.items():
        strategy.set_params(random_state=0).fit(X)
        contestants[name] = lambda strategy=strategy: query(strategy)
    times = in_turns(contestants, ROUNDS)
    report(
        benchmark,
        f"{N_QUERIES} of {N_POOL - N_LABELED:,} rows, lenet_waal, {DEVICE}, one thread",
        times,
        N_POOL,
    )
    benchmark.pedantic(contestants["WAAL"], rounds=3)
