"""Several learners against a baseline."""

import pickle
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from skal.evaluation import (
    area_under_curve,
    final_score,
    labels_saved,
    paired_tests,
    paired_tests_by_labels,
    penalty_matrix,
    win_rates,
)
from skal.simulation import labels_needed

from .common import history, noisy

HISTORIES = {"a": noisy(1, 0.02), "random": noisy(2), "b": noisy(3, 0.05)}


@pytest.mark.parametrize(
    ("measure", "function"),
    [
        ("area", area_under_curve),
        ("final", final_score),
        (partial(area_under_curve, between=(15, 25)), partial(area_under_curve, between=(15, 25))),
    ],
    ids=["area", "last score", "part of the area"],
)
def test_areas_and_last_scores(measure, function):
    found = paired_tests(HISTORIES, baseline="random", measure=measure)
    assert found.names == ("a", "b")
    base = function(HISTORIES["random"])
    for i, name in enumerate("ab"):
        values = function(HISTORIES[name])
        assert_allclose(found.differences[i], (values - base).mean())
        assert_allclose(found.p_values[i], stats.ttest_rel(values, base).pvalue)
    low, high = sorted(found.p_values)
    assert_allclose(sorted(found.adjusted), [min(1, 2 * low), max(min(1, 2 * low), high)])
    assert_array_equal(found.n_pairs, [5, 5])
    assert found.to_frame()["adjusted"].tolist() == found.adjusted.tolist()


def test_each_number_of_labels():
    found = paired_tests_by_labels(HISTORIES, baseline="random", test="wilcoxon")
    assert [*found] == [10, 20, 30, 40]
    assert_array_equal(found[10].p_values, [1, 1])  # the initial labels are shared
    for i, tests in enumerate(found.values()):
        for j, name in enumerate("ab"):
            difference = HISTORIES[name]["score"][:, i] - HISTORIES["random"]["score"][:, i]
            assert_allclose(tests.differences[j], difference.mean())
            if i:
                assert_allclose(tests.p_values[j], stats.wilcoxon(difference).pvalue)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_tests_at_each_number_are_a_table(library):
    pytest.importorskip(library)
    found = paired_tests_by_labels(HISTORIES, baseline="random")
    for tests in (found, pickle.loads(pickle.dumps(found))):
        frame = tests.to_frame(library)
        assert [*frame["n_labeled"]] == [10, 10, 20, 20, 30, 30, 40, 40]
        assert [*frame["learner"]] == ["a", "b"] * 4
        assert_array_equal(frame["p_value"], np.concatenate([found[n].p_values for n in found]))
        assert frame["n_pairs"].to_numpy().dtype.kind == "i"


def test_repeats_that_ended_early_are_left_out():
    early = {key: values.copy() for key, values in HISTORIES["a"].items()}
    early["score"][0, 2:] = np.nan
    early["n_labeled"] = np.where(np.isnan(early["score"]), np.nan, early["n_labeled"])
    found = paired_tests_by_labels({"a": early, "random": HISTORIES["random"]}, baseline="random")
    assert [int(tests.n_pairs[0]) for tests in found.values()] == [5, 5, 4, 4]
    later = (early["score"] - HISTORIES["random"]["score"])[1:, 3]
    assert_allclose(found[40].differences, [later.mean()])
    expected = stats.ttest_rel(early["score"][1:, 3], HISTORIES["random"]["score"][1:, 3])
    assert_allclose(found[40].p_values, expected.pvalue)
    early["score"][1:, 3] = np.nan
    assert 40 not in paired_tests_by_labels({"a": early, "random": HISTORIES["random"]}, baseline="random")


def test_equal_infinite_scores_are_a_pair_without_a_difference():
    ours, theirs = np.full((2, 4, 2), [-np.inf, 0.5])
    ours[1:, 0], theirs[1:, 0] = [0.4, 0.5, 0.7], [0.3, 0.35, 0.4]
    ours[:, 1] += [0.1, 0.2, 0.2, 0.3]
    histories = {"a": history(ours), "random": history(theirs)}
    for test, p_value in (("t", stats.ttest_1samp([0, 0.1, 0.15, 0.3], 0).pvalue), ("wilcoxon", 0.25)):
        found = paired_tests_by_labels(histories, baseline="random", test=test)[10]
        assert found.n_pairs == [4]
        assert_allclose(found.differences, [0.55 / 4])
        assert_allclose(found.p_values, [p_value])
    assert_allclose(
        penalty_matrix({"a": histories["random"], "b": histories["a"]}).penalties, [[0, 0], [1, 0]]
    )
    late = {name: history(scores[:, ::-1]) for name, scores in (("a", ours), ("b", theirs))}
    assert_allclose(penalty_matrix(late, alpha=0.2).penalties, [[0, 1], [0, 0]])


def test_numbers_of_labels_that_one_lacks():
    other = history(np.ones((5, 2)), [20, 35])
    found = paired_tests_by_labels(HISTORIES | {"other": other}, baseline="random")
    assert [*found] == [20]
    assert found[20].differences[2] == pytest.approx(1 - HISTORIES["random"]["score"][:, 1].mean())


def test_no_number_of_labels_that_all_have():
    other = history(np.ones((5, 2)), [15, 25])
    with pytest.raises(
        ValueError,
        match=r"no number of labels .* have a 'score'; .*'random': \(10, 40\), 'other': \(15, 25\)",
    ):
        paired_tests_by_labels({"random": HISTORIES["random"], "other": other}, baseline="random")


def test_nothing_to_compare():
    outside = partial(area_under_curve, between=(5, 40))
    with pytest.raises(
        ValueError, match=r"nothing to compare.*between.*\{'a': \(10, 40\), 'random': \(10, 40\)"
    ):
        paired_tests(HISTORIES, baseline="random", measure=outside)
    short = history(np.full((5, 4), [0.5, np.nan, np.nan, np.nan]))
    with pytest.raises(ValueError, match=r"nothing to compare.*one round only"):
        paired_tests({"a": HISTORIES["a"], "random": short}, baseline="random")
    found = paired_tests(HISTORIES | {"short": short}, baseline="random")
    assert_array_equal(found.n_pairs, [5, 5, 0])
    assert np.isnan([found.differences[2], found.p_values[2], found.adjusted[2]]).all()


def test_one_history_in_place_of_several_and_the_reverse():
    one, experiments = HISTORIES["a"], {"digits": HISTORIES}
    for call in (paired_tests, paired_tests_by_labels, partial(labels_saved, score=0.9)):
        with pytest.raises(
            ValueError, match=r"One history was given, with the arrays \['n_labeled', 'score'\]; give"
        ):
            call(one, baseline="random")
    for call in (win_rates, penalty_matrix):
        with pytest.raises(ValueError, match="One history was given"):
            call(one)
    for call in (area_under_curve, final_score, partial(labels_needed, score=0.9)):
        match = r"histories \['a', 'random', 'b'\] were given; give one of them, such as histories\['a'\]"
        with pytest.raises(ValueError, match=match):
            call(HISTORIES)
    with pytest.raises(ValueError, match=r"such as histories\['a'\]"):
        paired_tests(experiments | {"letters": HISTORIES}, baseline="letters")
    with pytest.raises(ValueError, match="The history has no 'f1'"):
        labels_needed(one, 0.9, metric="f1")


def test_bad_input():
    one = {name: {key: values[:1] for key, values in each.items()} for name, each in HISTORIES.items()}
    with pytest.raises(ValueError, match="needs two"):
        paired_tests(one, baseline="random")
    with pytest.raises(ValueError, match=r"baseline='none' was given; the histories are those of \['a'"):
        paired_tests(HISTORIES, baseline="none")
    with pytest.raises(ValueError, match="Only the baseline"):
        paired_tests({"a": HISTORIES["a"]}, baseline="a")
    with pytest.raises(ValueError, match=r"different numbers of repeats, \{'a': 5, 'random': 1\}"):
        paired_tests({"a": HISTORIES["a"], "random": one["random"]}, baseline="random")
    with pytest.raises(ValueError, match="measure='mean' was given"):
        paired_tests(HISTORIES, baseline="random", measure="mean")
    for values, shape in ((3, r"\(\)"), ([1, 2], r"\(2,\)"), (np.ones((5, 4)), r"\(5, 4\)")):
        for call in (
            partial(paired_tests, baseline="random"),
            lambda histories, **how: win_rates({"d": histories}, **how),
        ):
            with pytest.raises(ValueError, match=f"of shape {shape} for a history of 5 repeats; it must"):
                call(HISTORIES, measure=lambda history, values=values: values)
    with pytest.raises(ValueError, match="has no 'f1'"):
        paired_tests_by_labels(HISTORIES, baseline="random", metric="f1")
