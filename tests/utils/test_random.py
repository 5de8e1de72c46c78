import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skal.utils.random import draw_seed, seed_random_states


@pytest.mark.parametrize("seed", [0, 7, np.int64(7), 2**40])
def test_an_integer_is_the_seed(seed):
    assert draw_seed(seed) == seed
    assert type(draw_seed(seed)) is int


def test_a_random_state_moves_on_by_one_draw():
    state, expected = np.random.RandomState(3), np.random.RandomState(3)
    assert [draw_seed(state), draw_seed(state)] == expected.randint(2**31 - 1, size=2).tolist()


def test_none_is_fresh_entropy_and_leaves_the_global_state_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert draw_seed(None) != draw_seed(None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def seeds(estimator):
    return {
        name: value
        for name, value in estimator.get_params().items()
        if name.split("__")[-1] == "random_state"
    }


def test_every_part_without_a_seed_gets_one_of_its_own():
    pipeline = make_pipeline(PCA(), PCA(random_state=4), BaggingClassifier(DecisionTreeClassifier()))
    seed_random_states(pipeline, 1)
    drawn = np.random.default_rng(1).integers(2**31 - 1, size=3).tolist()
    assert seeds(pipeline) == {
        "baggingclassifier__estimator__random_state": drawn[0],
        "baggingclassifier__random_state": drawn[1],
        "pca-1__random_state": drawn[2],
        "pca-2__random_state": 4,
    }


def test_an_estimator_without_random_parts_stays_as_it_is():
    scaler = StandardScaler()
    seed_random_states(scaler, 0)
    assert scaler.get_params() == StandardScaler().get_params()
