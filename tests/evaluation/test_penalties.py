"""The pairwise penalty matrix, against loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from skal.evaluation import paired_test, penalty_matrix

from .common import history, noisy

EXPERIMENTS = {
    "digits": {"a": noisy(1), "b": noisy(2, 0.08), "c": noisy(3, 0.05)},
    "letters": {"c": noisy(4, -0.03, n_rounds=7), "a": noisy(5, n_rounds=7), "b": noisy(6, n_rounds=7)},
}


def test_penalties_are_those_of_loops_with_a_critical_value():
    """Five repeats: t beyond 2.776, the critical value of four degrees of freedom."""
    found = penalty_matrix(EXPERIMENTS)
    expected = np.zeros((3, 3))
    for histories in EXPERIMENTS.values():
        for i, first in enumerate("abc"):
            for j, second in enumerate("abc"):
                differences = (histories[first]["score"] - histories[second]["score"])[:, 1:]
                if i != j:
                    t = stats.ttest_1samp(differences, 0).statistic
                    expected[i, j] += np.count_nonzero(t > 2.776) / differences.shape[1]
    assert_allclose(found.penalties, expected)
    assert 0 < expected[1, 0] < 2
    assert (found.names, found.n_experiments) == (("a", "b", "c"), 2)
    assert_allclose(found.mean_losses, expected.sum(axis=0) / 3)
    frame = found.to_frame()
    assert frame["learner"].tolist() == ["a", "b", "c"]
    assert_allclose(frame["b"], expected[:, 1])


def test_a_single_result_is_one_data_set():
    alone = penalty_matrix(EXPERIMENTS["digits"])
    assert alone.n_experiments == 1
    assert_allclose(alone.penalties, penalty_matrix({"digits": EXPERIMENTS["digits"]}).penalties)


def test_some_numbers_of_labels():
    better = [[0.5, 0.6, 0.7, 0.8], [0.5, 0.7, 0.6, 0.9], [0.5, 0.7, 0.7, 0.7]]
    worse = [[0.5, 0.1, 0.7, 0.9], [0.5, 0.3, 0.6, 0.9], [0.5, 0.2, 0.7, 0.7]]
    histories = {"better": history(better), "worse": history(worse)}
    assert_allclose(penalty_matrix(histories).penalties, [[0, 1 / 3], [0, 0]])
    assert_allclose(penalty_matrix(histories, between=(10, 30)).penalties, [[0, 1 / 2], [0, 0]])
    assert_allclose(penalty_matrix(histories, between=(20, 20)).penalties, [[0, 1], [0, 0]])
    assert_allclose(penalty_matrix(histories, between=(30, 40)).penalties, 0)
    assert_allclose(penalty_matrix(histories, alpha=1e-3).penalties, 0)
    with pytest.raises(
        ValueError, match="share no number of labels after their first round between 50 and 60"
    ):
        penalty_matrix(histories, between=(50, 60))


def test_what_was_chosen_first_counts():
    """Without initial labels, or with a score that begins later, the first score is of rows that were chosen."""
    scores = np.array([[np.nan, 0.5, 0.9], [np.nan, 0.52, 0.9], [np.nan, 0.54, 0.9]])
    better = {"n_labeled": np.broadcast_to([0, 10, 20], (3, 3)), "score": scores + np.array([0, 0.2, 0])}
    histories = {"better": better, "worse": history(scores, [0, 10, 20])}
    better["score"][0, 1] += 0.01  # or the differences would be equal
    assert_allclose(penalty_matrix(histories).penalties, [[0, 1 / 2], [0, 0]])
    # The two share 10 labels alone, which both have chosen.
    early = history(scores[:, 1:] - 0.4, [5, 10])
    assert_allclose(penalty_matrix({"better": better, "early": early}).penalties, [[0, 1], [0, 0]])


def test_a_p_value_at_the_bound_is_no_penalty():
    """The BADGE paper asks for less than alpha."""
    better, worse = [[0.5, 0.6], [0.5, 0.7], [0.5, 0.7]], [[0.5, 0.1], [0.5, 0.3], [0.5, 0.2]]
    histories = {"better": history(better), "worse": history(worse)}
    p_value = paired_test([0.6, 0.7, 0.7], [0.1, 0.3, 0.2])
    assert_allclose(penalty_matrix(histories, alpha=p_value).penalties, 0)
    assert_allclose(penalty_matrix(histories, alpha=p_value * (1 + 1e-9)).penalties, [[0, 1], [0, 0]])


def test_bad_input():
    one = {
        name: {key: values[:1] for key, values in each.items()}
        for name, each in EXPERIMENTS["digits"].items()
    }
    with pytest.raises(ValueError, match="needs two"):
        penalty_matrix(one)
    with pytest.raises(ValueError, match="different numbers of repeats"):
        penalty_matrix({"a": noisy(1), "b": one["b"]})
    with pytest.raises(ValueError, match="No results were given"):
        penalty_matrix({})
    with pytest.raises(ValueError, match=r"Only the learner \['a'\] was given"):
        penalty_matrix({"a": noisy(1)})
    with pytest.raises(
        ValueError, match=r"'other' has the learners \['a'\], and the first one \['a', 'b', 'c'\]"
    ):
        penalty_matrix(EXPERIMENTS | {"other": {"a": noisy(1)}})
    with pytest.raises(ValueError, match="alpha=5 was given"):
        penalty_matrix(EXPERIMENTS, alpha=5)
    shifted = {"a": history(np.ones((2, 2))), "b": history(np.ones((2, 2)), [15, 25])}
    with pytest.raises(ValueError, match="share no number of labels after their first round on None"):
        penalty_matrix(shifted)
