"""Times of every strategy with its default parameters: ``python -m tests.benchmarks.defaults iris``.

One process and as many threads as torch takes (``OMP_NUM_THREADS``). Three rows of each class are labelled; `fit`
includes the classifier, and what the strategy trains and prepares.
"""

import sys
import time

import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner, classifiers, strategies
from skal.datasets import load_mnist


def mnist():
    X, y = load_mnist(return_X_y=True)
    return PCA(50, random_state=0).fit_transform(X.reshape(len(X), -1) / np.float32(255)), y


POOLS = {
    "iris": lambda: load_iris(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "mnist": mnist,
}
PAIRS = [
    (strategies.RandomSampling(), None),
    (strategies.UncertaintySampling(), None),
    (strategies.CoreSet(), None),
    (strategies.BADGE(), None),
    (strategies.KMedian(), None),
    (strategies.RandomSubset(), None),
    (strategies.SEALS(), None),
    (strategies.TypiClust(), None),
    (strategies.ProbCover(), None),
    (strategies.MaxHerding(), None),
    (strategies.Switch(), None),
    (strategies.DensityWeighted(), None),
    (strategies.ContrastiveAL(), None),
    (strategies.DiscriminativeAL(), None),
    (strategies.ClassBalanced(), None),
    (strategies.DropQuery(), None),
    (strategies.DiffusionSampling(), None),
    (strategies.BAIT(), None),
    (strategies.ExpectedErrorReduction(), None),
    (strategies.QueryByCommittee(), RandomForestClassifier(random_state=0)),
    (strategies.BatchBALD(), RandomForestClassifier(random_state=0)),
    (strategies.ADBA(), None),
    (strategies.BALD(), classifiers.NetClassifier(module_params={"dropout": 0.5})),
    (strategies.LearningLoss(), classifiers.LearningLossClassifier()),
    (strategies.DeepFool(), classifiers.NetClassifier()),
    (strategies.ALCG(), classifiers.ACGANClassifier()),
    (strategies.ASAL(), None),
    (strategies.GAAL(), None),
    (strategies.DGAL(), None),
    (strategies.WAAL(), classifiers.WassersteinClassifier()),
    (strategies.VAAL(), classifiers.VAALClassifier()),
]


def run(name, names):
    X, truth = POOLS[name]()
    rng = np.random.default_rng(0)
    for strategy, classifier in PAIRS:
        if names and type(strategy).__name__ not in names:
            continue
        labels = truth % 2 if isinstance(strategy, strategies.ADBA) else truth  # which is for two classes
        y = np.full(len(X), -1)
        for label in np.unique(labels):
            rows = rng.choice(np.flatnonzero(labels == label), 3, replace=False)
            y[rows] = label
        learner = ActiveLearner(
            LogisticRegression(max_iter=1000) if classifier is None else classifier,
            strategy,
            n_queries=5,
            random_state=0,
        )
        start, used = time.perf_counter(), time.process_time()
        learner.fit(X, y)
        fitted = time.perf_counter()
        learner.synthesize() if isinstance(strategy, strategies.SynthesisStrategy) else learner.query()
        end, used = time.perf_counter(), time.process_time() - used
        print(
            f"| {type(strategy).__name__:20} | {fitted - start:7.2f} | {end - fitted:6.2f} | {used:7.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
