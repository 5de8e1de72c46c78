"""The pool is scanned for finite numbers at most once per `fit` and per query, and fingerprinted at most once."""

import numpy as np
import pytest
import sklearn.utils.validation as validation
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.pool import Pool, base
from skal.strategies import (
    ADBA,
    ALCG,
    ASAL,
    BADGE,
    BALD,
    DGAL,
    GAAL,
    SEALS,
    VAAL,
    WAAL,
    CoreSet,
    DeepFool,
    KMedian,
    LearningLoss,
    RandomSampling,
    RandomSubset,
    SynthesisStrategy,
    UncertaintySampling,
)
from tests.networks import Discriminating, tiny_gan, tiny_vae, tiny_wasserstein

X = np.random.default_rng(0).normal(size=(2000, 6))
Y = np.where(np.arange(2000) < 40, X[:, 0] > 0, -1)
N_LABELED = 40

PAIRS = [
    *(
        (strategy, Discriminating())
        for strategy in [
            RandomSampling(),
            UncertaintySampling(),
            CoreSet(),
            CoreSet(PCA(2)),
            KMedian(max_iter=2),
            BADGE(),
            RandomSubset(100),
            DGAL(PCA(2), n_candidates=100),
            DGAL(tiny_vae(), n_candidates=100, criterion=CoreSet(PCA(2))),
            SEALS(n_neighbors=5),
            SEALS(PCA(2), n_neighbors=5),
            ASAL(tiny_gan(), n_steps=2),
            ASAL(tiny_gan(), "discriminator", n_steps=2, criterion=BADGE()),
            ASAL(tiny_gan(), "classifier", n_steps=2),
            ALCG(),
            BALD(2),
            DeepFool(2),
            LearningLoss(),
            VAAL(),
            WAAL(),
            GAAL(tiny_gan(), n_steps=2),
            ADBA(),
        ]
    ),
    (WAAL(), tiny_wasserstein(max_epochs=1)),  # whose `fit` reads all rows
    (UncertaintySampling(), make_pipeline(StandardScaler(), Discriminating())),
]


@pytest.fixture
def counted(monkeypatch):
    """Numbers that were looked at for NaN and infinity, and fingerprints that were taken."""
    counts = {"scanned": 0, "fingerprints": 0}
    check, squares_fit = validation._assert_all_finite, base.squares_fit

    def scanning(array, *args, **params):
        if not validation._get_config()["assume_finite"] and np.asarray(array).dtype.kind == "f":
            counts["scanned"] += np.asarray(array).size
        return check(array, *args, **params)

    def squaring(array):  # whose squares are finite is finite
        counts["scanned"] += np.asarray(array).size
        return squares_fit(array)

    monkeypatch.setattr(validation, "_assert_all_finite", scanning)
    monkeypatch.setattr(base, "squares_fit", squaring)
    for kind in Pool.__subclasses__():

        def fingerprinting(pool, max_bytes, digest=kind.digest):
            counts["fingerprints"] += 1
            return digest(pool, max_bytes)

        monkeypatch.setattr(kind, "digest", fingerprinting)
    return counts


@pytest.mark.parametrize(("strategy", "classifier"), PAIRS, ids=str)
def test_one_scan_and_one_fingerprint(strategy, classifier, counted):
    def step(action, *args):
        counted.update(scanned=0, fingerprints=0)
        action(*args)
        return counted["scanned"] / X.size, counted["fingerprints"]

    learner = ActiveLearner(classifier, clone(strategy), n_queries=3, random_state=0)
    labeled = (
        3 * N_LABELED / len(X)
    )  # every step of a pipeline checks what it is fitted on, and what it transforms
    scans, fingerprints = step(learner.fit, X, Y)
    assert 1 <= scans <= 1 + labeled
    assert fingerprints == 1
    if isinstance(strategy, SynthesisStrategy):
        assert step(learner.synthesize) == (0, 1)
        return
    assert step(learner.query) == (0, 1)
    assert step(learner.query, X) == (0, 1)
    assert step(learner.query, X.copy()) == (0, 1)
    scans, fingerprints = step(learner.query, X + 1)
    assert scans == 1
    assert fingerprints == 0
    scans, fingerprints = step(learner.teach, [100, 101], [0, 1])
    assert scans <= labeled + 0.01 or getattr(classifier, "uses_unlabeled", False)
    assert scans <= 1 + labeled
    assert fingerprints == 0


@pytest.mark.parametrize("strategy", [CoreSet(PCA(2)), DGAL(PCA(2)), UncertaintySampling()], ids=str)
def test_a_strategy_by_itself_scans_once(strategy, counted):
    classifier = Discriminating().fit(X[:40], Y[:40])
    counted.update(scanned=0, fingerprints=0)
    strategy = clone(strategy).fit(X, Y)
    assert counted == {"scanned": X.size, "fingerprints": 1}
    strategy.query(X, Y, 3, estimator=classifier)
    assert counted == {"scanned": X.size, "fingerprints": 2}
