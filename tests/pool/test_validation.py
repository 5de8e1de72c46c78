"""A pool is validated for the estimator that is given it, and read at most once."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import get_config
from sklearn.base import BaseEstimator

from skal.exceptions import PoolWarning
from skal.pool import as_pool, assuming_finite, check_features, check_pool, check_readable, warn_of

X = np.arange(12.0).reshape(4, 3)


class Takes(BaseEstimator):
    def __init__(self, sparse=True, nan=False):
        self.sparse = sparse
        self.nan = nan

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse, tags.input_tags.allow_nan = self.sparse, self.nan
        return tags


def test_the_callers_own_container_is_kept(tmp_path):
    mapped = np.memmap(tmp_path / "pool.dat", dtype=float, mode="w+", shape=X.shape)
    frame = pd.DataFrame(X)
    for container in (X, mapped, X.reshape(4, 3, 1), frame):
        assert check_pool(Takes(), container, reset=True).X is container
    assert check_pool(Takes(), sparse.csc_array(X), reset=True).X.format == "csr"
    assert isinstance(check_pool(Takes(), X.tolist(), reset=True).X, np.ndarray)


def test_features_are_recorded_and_checked():
    estimator = Takes()
    check_pool(estimator, X.reshape(4, 3, 1), reset=True)
    assert estimator.n_features_in_ == 3
    check_pool(estimator, X, reset=False)
    with pytest.raises(ValueError, match="2 features"):
        check_pool(estimator, X[:, :2], reset=False)
    frame = pd.DataFrame(X, columns=list("abc"))
    check_features(estimator, as_pool(frame), reset=True)
    assert estimator.feature_names_in_.tolist() == list("abc")
    with pytest.raises(ValueError, match="feature names"):
        check_pool(estimator, frame.rename(columns={"a": "z"}), reset=False)


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, lambda X: X.reshape(-1, 3, 1)])
def test_nan_and_infinity_are_refused_by_what_the_estimator_takes(container):
    for value, takes in ((np.nan, [True]), (np.inf, [])):
        bad = X.copy()
        bad[3, 1] = value
        for nan in (False, True):
            if nan in takes:
                assert check_readable(Takes(nan=nan), as_pool(container(bad))) is None
            else:
                with pytest.raises(ValueError, match=r"NaN|infinity"):
                    check_readable(Takes(nan=nan), as_pool(container(bad)))
            assert check_pool(Takes(nan=nan), container(bad), reset=True).flaw is not None


def test_no_rows_and_sparse_rows_that_are_not_taken():
    for empty in (X[:0], pd.DataFrame(X[:0])):
        with pytest.raises(ValueError, match="0 sample"):
            check_pool(Takes(), empty, reset=True)
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        check_pool(Takes(sparse=False), sparse.csr_array(X), reset=True)
    with pytest.raises(TypeError, match=r"takes dense rows only.*toarray"):
        check_readable(Takes(sparse=False), as_pool(sparse.csr_array(X)))


def test_a_known_pool_is_returned_for_its_rows_alone():
    estimator = Takes()
    known = check_pool(estimator, X, reset=True)
    assert check_pool(estimator, X, reset=False, known=known) is known
    assert check_pool(estimator, X.copy(), reset=False, known=known) is known
    other = X.copy()
    other[0, 0] = 5
    for value in (5, np.nan):
        other[0, 0] = value
        pool = check_pool(estimator, other, reset=False, known=known)
        assert pool.X is other
        with pytest.warns(PoolWarning, match="1 of 4 rows"):
            warn_of(pool)


def test_a_pool_is_not_validated_again():
    bad = as_pool(np.full((4, 3), np.nan))
    estimator = Takes()
    assert check_pool(estimator, bad, reset=True) is bad
    assert estimator.n_features_in_ == 3
    with pytest.raises(ValueError, match="2 features"):
        check_pool(estimator, as_pool(X[:, :2]), reset=False)


def test_finite_rows_are_trusted_inside_and_others_are_not():
    before = get_config()["assume_finite"]
    with assuming_finite(as_pool(X)):
        assert get_config()["assume_finite"]
    with assuming_finite(as_pool(X * np.nan)):
        assert not get_config()["assume_finite"]
    assert get_config()["assume_finite"] == before


def test_masked_rows_are_refused_as_they_would_be_read():
    masked = np.ma.masked_array(np.eye(3), mask=np.eye(3, dtype=bool))
    with pytest.raises(ValueError, match=r"masked array.*X\.filled"):
        check_pool(Takes(), masked, reset=True)
    assert len(check_pool(Takes(), np.ma.masked_array(np.eye(3)), reset=True)) == 3


def test_records_in_one_dimension_are_objects():
    records = np.array([(1, 2.0), (3, 4.0)], dtype=[("a", int), ("b", float)])
    pool = check_pool(Takes(), records, reset=True)
    assert pool.row_shape == ()
    assert pool.take(np.array([1]))["b"] == [4.0]


def test_texts_leave_no_features_of_an_earlier_fit():
    estimator = Takes()
    check_pool(estimator, X, reset=True)
    check_pool(estimator, ["some", "texts"], reset=True)
    assert not hasattr(estimator, "n_features_in_")
