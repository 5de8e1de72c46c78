"""Learners that are fitted, saved, loaded and compared."""

import copy

from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import ActiveLearner
from skal.strategies import ASAL, DGAL, GAAL, SEALS, CoreSet, SynthesisStrategy
from tests.learner.common import TRUTH, X, Y
from tests.networks import tiny_gan, tiny_vae

ENCODED = [
    DGAL(PCA(2)),
    DGAL(tiny_vae()),
    DGAL(FrozenEstimator(PCA(2).fit(X))),
    ASAL(tiny_gan()),
    GAAL(tiny_gan()),
    SEALS(PCA(2)),
    CoreSet(make_pipeline(StandardScaler(), PCA(2))),
]


def plan(classifier, strategy):
    return ActiveLearner(classifier, strategy, n_queries=3, cold_start=CoreSet("input"), random_state=0)


def kept():
    return plan(LogisticRegression(max_iter=1000), CoreSet(tiny_vae()))


def taught(planned):
    fitted = clone(planned).fit(X, Y).skip([55]).teach([51, 53], [1, 2])
    fitted.teach([91], [1], audit=True)
    rows = fitted.audit(4)[:2]
    return fitted.teach(rows, TRUTH[rows], audit=True).extend(X[:2] + 0.1, [0, 1], keys=["a", "b"])


def asked(learner):
    is_synthesis = isinstance(learner.strategy, SynthesisStrategy)
    return learner.synthesize() if is_synthesis else learner.query()


def assert_same(one, other):
    for step in ("now", "undo", "teach"):
        if step == "undo":
            one.undo(), other.undo()
        elif step == "teach":
            one.teach([22], [0]), other.teach([22], [0])
        assert_array_equal(asked(one), asked(other), err_msg=step)
        assert_array_equal(one.predict(X), other.predict(X), err_msg=step)
        for name in (
            "labels_",
            "y_",
            "skipped_",
            "audit_",
            "audit_pending_",
            "row_states_",
            "extension_keys_",
        ):
            assert_array_equal(getattr(one, name), getattr(other, name), err_msg=f"{step} {name}")
        assert one.class_counts_ == other.class_counts_
        assert_array_equal(copy.deepcopy(one).audit(2), copy.deepcopy(other).audit(2), err_msg=step)
        if step == "now":
            for table in ("record_", "audit_sample_"):
                for name, array in getattr(one, table).items():
                    assert_array_equal(array, getattr(other, table)[name])
