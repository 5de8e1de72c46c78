"""Every strategy over every kind of pool: the rows that the dense equivalent gives, or the documented refusal."""

import copy
import pickle
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner
from skal.pool import as_pool
from skal.strategies import (
    ADBA,
    ASAL,
    BADGE,
    DGAL,
    GAAL,
    SEALS,
    CoreSet,
    DeepFool,
    KMedian,
    RandomSampling,
    RandomSubset,
    SynthesisStrategy,
    UncertaintySampling,
)
from tests.networks import tiny_gan
from tests.pool.kinds import COUNTS, HOLES, NAMES, NUMBERS, TRUTH, Y, containers

# Those that leave the rows to the classifier.
LEAVE = {
    "random": RandomSampling(),
    "margin": UncertaintySampling("margin"),
    "entropy": UncertaintySampling("entropy"),
    "subset": RandomSubset(40, BADGE()),
    "BADGE": BADGE(),
    "core-set": CoreSet("auto"),
    "core-set of the classifier": CoreSet("classifier"),
    "k-median": KMedian(max_iter=2),
    "SEALS": SEALS("classifier", n_neighbors=5),
}
# Those that leave them to an encoder.
ENCODE = {
    "core-set of an encoder": CoreSet,
    "k-median of an encoder": KMedian,
    "SEALS of an encoder": lambda encoder: SEALS(encoder, n_neighbors=5),
    "DGAL": lambda encoder: DGAL(encoder, n_candidates=30, criterion=CoreSet("classifier")),
    "subset of an encoder": lambda encoder: RandomSubset(40, CoreSet(encoder)),
}
# Those that read them as numbers.
READ = {
    "core-set of the input": CoreSet("input"),
    "subset of the input": RandomSubset(40, KMedian("input", max_iter=2)),
    "ASAL": ASAL(tiny_gan(), n_steps=2),
    "GAAL": GAAL(tiny_gan(), n_steps=2),
    "ADBA": ADBA(),
    "DeepFool": DeepFool(2),
}
HALF = slice(0, None, 2)


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    for package in ("dask", "h5py", "zarr"):
        pytest.importorskip(package)
    return containers(tmp_path_factory.mktemp("pool"))


def logistic():
    return LogisticRegression(tol=0.1)


def dense_rows(name):
    return np.where(np.isnan(HOLES), 1.0, HOLES) if "holes" in name else COUNTS


def learner(classifier, strategy):
    return ActiveLearner(classifier, strategy, n_queries=6, random_state=0)


def answers(fitted, X, other):
    """Rows for the fitted pool, given or not, after a label more, and for another pool."""
    first = fitted.query()
    assert_array_equal(fitted.query(X), first)
    assert_array_equal(fitted.query(copy.deepcopy(X) if not hasattr(X, "chunks") else X), first)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).query(), first)
    scores = fitted.score(X, TRUTH)
    fitted.teach(first, TRUTH[first])
    second = fitted.query()
    assert not len(np.intersect1d(first, second))
    return first, second, fitted.query(other), scores


@cache  # for a dozen kinds of pools
def dense_answers(kind, has_holes):
    X = dense_rows("holes" if has_holes else "")
    fitted = learner(logistic(), clone(LEAVE[kind]) if kind in LEAVE else ENCODE[kind](PCA(3))).fit(X, Y)
    return *answers(fitted, X, X[HALF]), fitted.predict(X)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [*LEAVE, *ENCODE])
def test_answers_are_those_of_the_dense_rows(pools, name, kind):
    X, reader = pools[name]
    strategy = LEAVE[kind] if kind in LEAVE else ENCODE[kind](make_pipeline(reader, PCA(3)))
    fitted = learner(make_pipeline(reader, logistic()), strategy).fit(X, Y)
    ours = *answers(fitted, X, as_pool(X).take(HALF)), fitted.predict(X)
    for got, wanted in zip(ours, dense_answers(kind, "holes" in name), strict=True):
        assert_array_equal(got, wanted)


class Untrainable(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("the classifier was trained before the pool was refused")


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NUMBERS])
@pytest.mark.parametrize("kind", READ)
def test_readers_of_numbers_refuse_other_rows_before_training(pools, name, kind):
    X, reader = pools[name]
    if name == "unsorted CSR" and kind in ("core-set of the input", "subset of the input"):
        return  # they make sparse rows dense
    with pytest.raises((TypeError, ValueError), match=r"numbers|NaN|[Ss]parse|gradient"):
        learner(make_pipeline(reader, Untrainable()), READ[kind]).fit(X, Y)


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize("kind", READ)
def test_readers_of_numbers_read_numbers_of_any_kind(pools, name, kind):
    X, _ = pools[name]
    if isinstance(READ[kind], SynthesisStrategy) and name in ("h5py", "zarr", "dask", "integers", "bytes"):
        return  # what is synthesised need be no such number
    y = np.where(Y > 1, -1, Y)  # ADBA knows two classes
    fitted, expected = (learner(logistic(), READ[kind]).fit(each, y) for each in (X, COUNTS))
    if isinstance(READ[kind], SynthesisStrategy):
        np.testing.assert_allclose(
            np.asarray(fitted.synthesize(), float), expected.synthesize(), rtol=1e-3, atol=1e-3
        )
    else:
        assert len(np.intersect1d(fitted.query(), expected.query())) >= 5  # narrower types round


def test_every_kind_is_its_own_dense_equivalent(pools):
    for name in NAMES:
        X, reader = pools[name]
        np.testing.assert_allclose(clone(reader).fit(X).transform(X), dense_rows(name), err_msg=name)
