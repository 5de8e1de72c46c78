"""Steps that are kept: only what new labels change is computed, with the same bits."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skal.graph import UNCERTAINTIES, LabelDiffusion, steps
from skal.selection import Best, drawn_key
from skal.utils.threads import Kept
from tests.threads import check_threads

from .walks import first_labels_met, hops_from, labels_of, random_graph, walks


def pickled(diffusion):
    return pickle.loads(pickle.dumps(diffusion))


@pytest.mark.parametrize("few", [1, 8, 1000])  # frontiers are followed row by row, now and then, never
@given(walks(), st.integers(1, 8), st.data())
def test_incremental_diffusion_is_the_full_one_bit_for_bit(few, M, n_steps, data):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(steps, "_FEW", few)
        check_incremental_diffusion(M, n_steps, data)


def check_incremental_diffusion(M, n_steps, data):
    diffusion, plain = LabelDiffusion(M, n_steps), LabelDiffusion(M, n_steps, incremental=False)
    labels, width = np.full(len(M), -1), None
    rounds = st.tuples(
        st.sampled_from([2, 4, 5]),  # two of which are padded to the same width
        st.sampled_from([0, 0.05, 0.5]),
        st.sampled_from([None, None, None, pickled, copy.copy, copy.deepcopy]),
    )
    for n_classes, share, renew in data.draw(st.lists(rounds, min_size=2, max_size=6)):
        known = labels if width == (n_classes > 4) else np.full(len(M), -1)
        if renew is not None:
            diffusion, known = renew(diffusion), np.full(len(M), -1)
        kept = (labels < n_classes) & (np.random.default_rng(0).random(len(M)) >= share)
        labels = np.where(kept, labels, data.draw(labels_of(len(M), n_classes)))
        hits = diffusion.diffuse(labels, n_classes).hits()
        np.testing.assert_array_equal(hits, LabelDiffusion(M, n_steps).diffuse(labels, n_classes).hits())
        np.testing.assert_array_equal(hits, plain.diffuse(labels, n_classes).hits())
        check_least_certain(diffusion, labels)
        # A label hides what is behind it.
        assert diffusion.n_updated_ == (hops_from(M, labels != known, n_steps, labels < 0) <= n_steps).sum()
        width = n_classes > 4


def check_least_certain(diffusion, labels):
    """As many rows as there are, without the labelled ones, as top_k draws them of what is measured again."""
    without = np.flatnonzero(labels >= 0)
    left = np.flatnonzero(labels < 0)
    for measure in UNCERTAINTIES:
        values = diffusion.uncertainty(measure)
        n_rows = len(left) // 2
        rows, uncertainty, n_unreached = diffusion.least_certain(
            n_rows, measure, without=without, rng=np.random.default_rng(0)
        )
        expected = Best.of(-values[left], left, n_rows, drawn_key(np.random.default_rng(0))).positions
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_array_equal(uncertainty, values[rows])
        assert n_unreached == np.count_nonzero(~diffusion.reached()[left])


def test_an_interrupt_leaves_nothing_half_done(monkeypatch):
    M, labels = random_graph(200), np.where(np.arange(200) % 9, -1, np.arange(200) % 2)
    diffusion = LabelDiffusion(M, 3).diffuse(labels)
    more = np.where(np.arange(200) % 5, labels, 1)
    with monkeypatch.context() as patched:
        patched.setattr(steps, "step", None)
        with pytest.raises(TypeError):
            diffusion.diffuse(more)
    np.testing.assert_array_equal(diffusion.diffuse(more).hits(), LabelDiffusion(M, 3).diffuse(more).hits())


def test_labels_of_rows_are_those_of_an_array():
    M = random_graph(50)
    labels = np.where(np.arange(50) % 7, -1, np.arange(50) % 3)
    rows = np.flatnonzero(labels >= 0)[::-1]
    expected = LabelDiffusion(M, 3).diffuse(labels, 4).hits()
    np.testing.assert_array_equal(LabelDiffusion(M, 3).diffuse_rows(rows, labels[rows], 4).hits(), expected)
    assert not LabelDiffusion(M, 3).diffuse_rows([], []).reached().any()
    for wrong, message in (
        (([1, 1], [0, 0]), "more than once"),
        (([50], [0]), "out of range"),
        (([1], [-1]), "from -1 to -1"),
        (([1], [2], 2), "between 0 and 1"),
        (([1], [0, 1]), r"shape \(2,\)"),
        (([1], [0.5]), "float64"),
    ):
        with pytest.raises(ValueError, match=message):
            LabelDiffusion(M, 3).diffuse_rows(*wrong)


def test_nothing_is_computed_where_no_label_has_changed():
    diffusion = LabelDiffusion(random_graph(200), 3)
    labels = np.where(np.arange(200) % 9, -1, np.arange(200) % 2)
    hits = diffusion.diffuse(labels).hits()
    assert diffusion.n_updated_ > 100
    np.testing.assert_array_equal(diffusion.diffuse(labels).hits(), hits)
    assert diffusion.n_updated_ == 0


@pytest.mark.parametrize(
    ("incremental", "kept"),
    [("auto", 1 << 31), ("auto", 4 * 4 * 100 * 3), (True, 0), ("auto", 4799), (False, 1 << 31)],
)
def test_the_steps_are_kept_where_they_fit(monkeypatch, incremental, kept):
    monkeypatch.setattr(steps, "_KEPT_BYTES", kept)
    monkeypatch.setattr(steps, "_KEPT_SHARE", 1 << 60)
    labels = np.where(np.arange(100) % 9, -1, np.arange(100) % 2)
    diffusion = LabelDiffusion(random_graph(100), 3, incremental=incremental).diffuse(labels)
    n_updated = diffusion.n_updated_
    keeps = incremental is True or (incremental == "auto" and kept >= 4800)
    assert diffusion.diffuse(labels).n_updated_ == (0 if keeps else n_updated)


def test_a_new_label_is_computed_where_it_is_heard():
    chain = np.eye(30, k=1) + np.eye(30, k=-1)
    diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), 4)
    labels = np.full(30, -1)
    labels[[0, 29]] = 0, 1
    diffusion.diffuse(labels)
    labels[15] = 1
    assert diffusion.diffuse(labels).n_updated_ == 9  # itself, and four on either side
    labels[17] = 0
    assert diffusion.diffuse(labels).n_updated_ == 1 + 1 + 4  # nothing passes the label beside it
    labels[17] = -1
    assert diffusion.diffuse(labels).n_updated_ == 1 + 1 + 4


def test_many_new_labels_are_heard_no_farther():
    chain = np.eye(40, k=1) + np.eye(40, k=-1)
    diffusion = LabelDiffusion(chain / chain.sum(axis=1, keepdims=True), 3)
    labels = np.full(40, -1)
    labels[8:33] = 0
    assert diffusion.diffuse(labels).n_updated_ == 3 + 25 + 3


def test_threads_give_the_same_bits(monkeypatch):
    M, rng = random_graph(500), np.random.default_rng(0)
    rounds = [np.where(rng.random(500) < 0.02, rng.integers(5, size=500), -1) for _ in range(3)]
    rounds[1][:450], rounds[2][100:] = rounds[0][:450], rounds[1][100:]  # some changes, more changes
    monkeypatch.setattr(steps, "_PART_ROWS", 16)
    answers = []
    for n_threads in (1, 3):
        monkeypatch.setattr("torch.get_num_threads", lambda n=n_threads: n)
        diffusion = LabelDiffusion(M, 4)
        answers.append([diffusion.diffuse(labels, 5).hits() for labels in rounds])
    np.testing.assert_array_equal(*answers)
    np.testing.assert_allclose(
        answers[0], [first_labels_met(M.toarray(), labels, 5, 4) for labels in rounds], atol=1e-5
    )


def test_threads_that_share_a_diffusion_under_a_lock_find_what_one_thread_finds():
    kept = Kept()
    kept.value = LabelDiffusion(random_graph(300), 3)

    def ask(seed):
        rng = np.random.default_rng(seed % 10)
        labels = np.where(rng.random(300) < 0.1, rng.integers(3, size=300), -1)
        with kept:
            diffusion = kept.value.diffuse(labels, 3)
            return diffusion.uncertainty(), diffusion.reached()

    check_threads(ask)
