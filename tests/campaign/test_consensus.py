"""Consensus and agreement against the definitions, written out."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from skal.campaign import agreement, dawid_skene, majority


@st.composite
def votes(draw, most_annotators=4):
    """Items, annotators and classes of answers, no annotator twice on an item."""
    pairs = list(itertools.product(range(5), range(most_annotators)))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=15))
    classes = draw(st.lists(st.integers(0, 2), min_size=len(chosen), max_size=len(chosen)))
    return [i for i, _ in chosen], [a for _, a in chosen], classes


@given(votes())
def test_majority_is_the_most_frequent_class(votes):
    items, _, classes = votes
    found = majority(items, classes, n_items=5, n_classes=3)
    for item in range(5):
        own = [c for i, c in zip(items, classes, strict=True) if i == item]
        counts = [own.count(c) for c in range(3)]
        is_alone = own and counts.count(max(counts)) == 1
        assert found.classes[item] == (counts.index(max(counts)) if is_alone else -1)
        np.testing.assert_allclose(found.probabilities[item], np.array(counts) / max(len(own), 1))


def em_by_hand(items, annotators, classes, n, smoothing, n_steps):
    """The two steps of Dawid and Skene, term by term."""
    n_items, n_annotators, n_classes = n
    answers = list(zip(items, annotators, classes, strict=True))
    t = [[0.0] * n_classes for _ in range(n_items)]
    for i in range(n_items):
        own = [c for j, _, c in answers if j == i]
        for k in range(n_classes):
            t[i][k] = own.count(k) / len(own) if own else 0.0
    for _ in range(n_steps):
        total = sum(map(sum, t))
        p = [sum(t[i][k] for i in range(n_items)) / total for k in range(n_classes)]
        pi = {}
        for a in range(n_annotators):
            for k in range(n_classes):
                row = [
                    smoothing + sum(t[i][k] for i, b, c in answers if (b, c) == (a, answer))
                    for answer in range(n_classes)
                ]
                for answer in range(n_classes):
                    pi[a, k, answer] = row[answer] / sum(row)
        new = []
        for i in range(n_items):
            own = [(a, c) for j, a, c in answers if j == i]
            likely = [p[k] * np.prod([pi[a, k, c] for a, c in own]) for k in range(n_classes)]
            new.append([x / sum(likely) if own else 0.0 for x in likely])
        t = new
    return np.array(t), pi


@settings(max_examples=40, deadline=None)
@given(votes(), st.integers(1, 4), st.sampled_from([0.01, 0.5]))
def test_dawid_skene_is_the_two_steps(votes, n_steps, smoothing):
    if not votes[0]:
        return
    n = 5, 4, 3
    found = dawid_skene(
        *votes, n_items=5, n_annotators=4, n_classes=3, smoothing=smoothing, max_iter=n_steps, tol=0
    )
    t, pi = em_by_hand(*votes, n, smoothing, found.n_iterations)
    np.testing.assert_allclose(found.probabilities, t, atol=1e-9)
    for (a, k, answer), value in pi.items():
        np.testing.assert_allclose(found.confusions[a, k, answer], value, atol=1e-9)


def test_dawid_skene_of_one_annotator_is_what_they_say():
    found = dawid_skene([0, 1, 2], [0, 0, 0], [1, 0, 1], n_items=3, n_annotators=1, n_classes=2, smoothing=0)
    assert found.classes.tolist() == [1, 0, 1]
    np.testing.assert_allclose(found.confusions[0], np.eye(2))


@pytest.mark.parametrize("n_classes", [0, 2])
def test_dawid_skene_before_the_first_answer(n_classes):
    found = dawid_skene([], [], [], n_items=3, n_annotators=2, n_classes=n_classes)
    assert found.classes.tolist() == [-1, -1, -1]
    assert found.probabilities.tolist() == [[0] * n_classes] * 3
    assert found.confusions.tolist() == [[[0.5] * n_classes] * n_classes] * 2


def test_dawid_skene_finds_the_parameters_that_answers_were_drawn_with():
    rng = np.random.default_rng(0)
    truth = rng.choice(3, size=4000, p=[0.5, 0.3, 0.2])
    confusions = np.array(
        [
            [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.05, 0.05, 0.9]],
            [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]],
            [[0.05, 0.9, 0.05], [0.9, 0.05, 0.05], [0.1, 0.1, 0.8]],  # takes two for each other
            [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]],
        ]
    )
    items, annotators = np.repeat(np.arange(4000), 4), np.tile(np.arange(4), 4000)
    classes = np.array(
        [rng.choice(3, p=confusions[a, truth[i]]) for i, a in zip(items, annotators, strict=True)]
    )
    found = dawid_skene(items, annotators, classes, n_items=4000, n_annotators=4, n_classes=3)
    np.testing.assert_allclose(found.confusions, confusions, atol=0.05)
    plain = majority(items, classes, n_items=4000, n_classes=3)
    assert (found.classes == truth).mean() > (plain.classes == truth).mean() + 0.05


def test_consensus_refuses_what_is_out_of_range():
    with pytest.raises(ValueError, match="classes must be"):
        majority([0], [2], n_items=1, n_classes=2)
    with pytest.raises(ValueError, match="annotators must be"):
        dawid_skene([0], [1], [0], n_items=1, n_annotators=1, n_classes=1)
    with pytest.raises(ValueError, match="majority"):
        dawid_skene([0], [0], [0], n_items=1, n_annotators=20, n_classes=10_000)
    with pytest.raises(ValueError, match="smoothing"):
        dawid_skene([0], [0], [0], n_items=1, n_annotators=1, n_classes=1, smoothing=-1)


@given(votes())
def test_agreement_is_the_definition(votes):
    items, annotators, classes = votes
    by_item = {i: [c for j, c in zip(items, classes, strict=True) if j == i] for i in set(items)}
    shared = {i: own for i, own in by_item.items() if len(own) > 1}
    found = agreement(items, annotators, classes)
    assert found.n_items == len(shared)
    if not shared:
        assert np.isnan(found.raw)
        return
    pairs = [a == b for own in shared.values() for a, b in itertools.combinations(own, 2)]
    assert found.raw == pytest.approx(np.mean(pairs))
    assert found.n_disputed == sum(2 * max(own.count(c) for c in own) <= len(own) for own in shared.values())
    means = [np.mean([a == b for a, b in itertools.combinations(own, 2)]) for own in shared.values()]
    everything = [c for own in shared.values() for c in own]
    by_chance = sum((everything.count(c) / len(everything)) ** 2 for c in set(everything))
    if by_chance < 1:
        assert found.fleiss == pytest.approx((np.mean(means) - by_chance) / (1 - by_chance))
    else:
        assert np.isnan(found.fleiss)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=20))
def test_cohen_is_that_of_scikit_learn(pairs):
    left, right = zip(*pairs, strict=True)
    n = len(pairs)
    found = agreement([*range(n), *range(n)], [0] * n + [1] * n, [*left, *right])
    assert found.n_common == {(0, 1): n}
    if len({*left, *right}) > 1:
        expected = cohen_kappa_score(left, right)
        assert found.cohen[0, 1] == pytest.approx(expected, nan_ok=True)


def test_fleiss_of_his_own_example():
    # Fleiss 1971, in the shape of the textbook table: 10 items, 14 raters, 5 classes; kappa 0.210.
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    items, annotators, classes = [], [], []
    for i, row in enumerate(table):
        own = [k for k, n in enumerate(row) for _ in range(n)]
        items += [i] * 14
        annotators += range(14)
        classes += own
    assert agreement(items, annotators, classes).fleiss == pytest.approx(0.210, abs=5e-4)
