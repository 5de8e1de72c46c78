"""Labels saved until a score is reached."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skal.evaluation import labels_saved

from .common import history


def reaching(rounds, n_rounds=10):
    """A history that reaches 0.9 in some round of each repeat; None stands for never."""
    return history([[0.9 if r is not None and i >= r else 0.1 for i in range(n_rounds)] for r in rounds])


def bootstrapped(values, confidence=0.95):
    """The percentile interval of the median, resampled once more."""
    resampled = np.random.default_rng(1).choice(values, (9999, len(values)))
    return np.quantile(np.median(resampled, axis=1), [0.5 - confidence / 2, 0.5 + confidence / 2])


def test_the_interval_is_that_of_the_bootstrap_where_nothing_is_censored():
    ours, base = [1, 2, 0, 3, 4, 1, 2], [5, 2, 7, 9, 6, 8, 4]
    found = labels_saved(
        {"random": reaching(base), "m": reaching(ours)}, 0.9, baseline="random", random_state=0
    )
    saved = 10 * (np.array(base) - ours)
    assert_array_equal(found.saved, [np.median(saved)])
    assert_allclose([found.low[0], found.high[0]], bootstrapped(saved), atol=10)
    assert found.n_reached.tolist() == [7]
    assert found.n_baseline_reached == found.n_repeats == 7
    again = labels_saved(
        {"random": reaching(base), "m": reaching(ours)}, 0.9, baseline="random", random_state=0
    )
    assert (again.low, again.high) == (found.low, found.high)


@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_the_confidence_decides_how_wide_the_interval_is(confidence):
    base, ours = np.random.default_rng(0).permutation(60) + 1, np.zeros(60, int)
    found = labels_saved(
        {"random": reaching(base, 61), "m": reaching(ours)},
        0.9,
        baseline="random",
        confidence=confidence,
        random_state=0,
    )
    interval = bootstrapped(10 * base, confidence)
    assert interval[1] - interval[0] > 40
    assert_allclose([found.low[0], found.high[0]], interval, atol=10)


def test_a_single_resample_by_hand():
    base, ours = [3, 5, 9], [1, 1, 1]
    found = labels_saved(
        {"random": reaching(base), "m": reaching(ours)},
        0.9,
        baseline="random",
        n_resamples=1,
        random_state=np.random.RandomState(0),
    )
    assert found.low == found.high
    assert found.low[0] in (20, 40, 80)


def test_the_interval_of_two_resamples_spans_both():
    histories = {"random": reaching([3, 5, 9]), "m": reaching([1, 1, 1])}
    ends = [
        (found.low[0], found.high[0])
        for seed in range(8)
        for found in [labels_saved(histories, 0.9, baseline="random", n_resamples=2, random_state=seed)]
    ]
    assert set(np.ravel(ends)) == {20, 40, 80}
    assert any(low < high for low, high in ends), (
        "both ends are medians that were drawn, and not the same one"
    )


def test_a_baseline_that_never_got_there_bounds_from_below():
    """At least 100 - 20 labels were saved in the last two repeats, of which no one knows more."""
    base = reaching([5, 6, 7, None, None])
    found = labels_saved({"random": base, "m": reaching([1] * 5)}, 0.9, baseline="random", random_state=0)
    assert_array_equal(found.saved, [60])
    assert found.low[0] == 40
    assert found.high[0] == np.inf
    assert (found.n_baseline_reached, found.n_reached.tolist()) == (3, [5])
    most = labels_saved(
        {"random": reaching([5, None, None, None, None]), "m": reaching([1] * 5)}, 0.9, baseline="random"
    )
    assert np.isnan(most.saved[0])
    assert_array_equal([most.low[0], most.high[0]], [40, np.inf])


def test_a_learner_that_never_got_there_bounds_from_above():
    ours = reaching([9, 9, None, None, None])
    found = labels_saved({"random": reaching([1] * 5), "m": ours}, 0.9, baseline="random", random_state=0)
    assert np.isnan(found.saved[0])
    assert found.low[0] == -np.inf
    assert found.high[0] == -80
    nobody = labels_saved({"random": reaching([None] * 5), "m": reaching([None] * 5)}, 0.9, baseline="random")
    assert_array_equal([nobody.low[0], nobody.high[0]], [-np.inf, np.inf])


def test_the_text_says_which_scores_were_never_reached():
    never, late = history([[0.5, 0.85], [0.6, np.nan]]), history([[0.5, 0.95], [0.5, 0.7]])
    text = str(labels_saved({"random": never, "m": late}, 0.9, baseline="random", random_state=0))
    assert "random reached in 0 of 2 repeats (its highest score was 0.85):" in text
    assert text.endswith("and reached it in 1.")
    text = str(labels_saved({"random": late, "m": never}, 0.9, baseline="random", random_state=0))
    assert "random reached in 1 of 2 repeats:" in text
    assert text.endswith("and reached it in 0 (its highest score was 0.85).")
    found = labels_saved({"random": late, "m": never}, 90, baseline="random", random_state=0)
    assert str(found) == (
        "Until 90, which random reached in 0 of 2 repeats (its highest score was 0.95):\n"
        "m did not reach it either (its highest score was 0.85)."
    )
    assert (found.baseline_best, found.best.tolist()) == (0.95, [0.85])
    nothing = history([[np.nan, np.nan]] * 2)
    text = str(labels_saved({"random": nothing, "m": nothing}, 0.9, baseline="random"))
    assert text == "Until 0.9, which random reached in 0 of 2 repeats:\nm did not reach it either."


def test_repeats_that_ended_early_are_bounded_by_their_own_labels():
    early = reaching([None] * 3)
    early["n_labeled"] = np.where(np.arange(10) < 4, early["n_labeled"], np.nan)
    found = labels_saved({"random": reaching([8] * 3), "m": early}, 0.9, baseline="random", random_state=0)
    assert_array_equal([found.low[0], found.high[0]], [-np.inf, 90 - 40])


def test_a_round_without_a_score_may_have_reached_it():
    base, ours = history([[0.5, 0.6, 0.9]] * 3), history([[0.5, np.nan, np.nan]] * 3)
    found = labels_saved({"random": base, "m": ours}, 0.9, baseline="random", random_state=0)
    assert_array_equal([found.low[0], found.high[0]], [-np.inf, 30 - 10])


def test_one_repeat_bounds_nothing():
    found = labels_saved({"random": reaching([3]), "m": reaching([1])}, 0.9, baseline="random")
    assert_array_equal([found.saved[0], found.low[0], found.high[0]], [20, -np.inf, np.inf])
    frame = found.to_frame()
    assert frame["saved"].tolist() == [20]
    assert frame["learner"].tolist() == ["m"]
    assert "m saved 20 labels (95 % interval -inf to inf), and reached it in 1." in str(found)


def test_bad_input():
    histories = {"random": reaching([3]), "m": reaching([1])}
    with pytest.raises(ValueError, match="confidence=95 was given"):
        labels_saved(histories, 0.9, baseline="random", confidence=95)
    with pytest.raises(ValueError, match="n_resamples=0 was given"):
        labels_saved(histories, 0.9, baseline="random", n_resamples=0)
    with pytest.raises(ValueError, match="The history 'random' has no 'f1'"):
        labels_saved(histories, 0.9, baseline="random", metric="f1")
