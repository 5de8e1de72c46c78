"""A learner in any interleaving of its verbs, against a dict of answers: none is lost, none is invented."""

import os
import pickle
import tempfile
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skal import UNLABELED, ActiveLearner, RowState
from skal.learner import recording, saving
from skal.learner.state import State
from skal.pool import NO_ROWS
from skal.strategies import CoreSet, RandomSampling
from tests import THOROUGH

from .strategies import STRATEGIES, NearestMean

PACE = settings(stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
USED = Counter()  # how often each rule was used, over all machines of this process


class Moody(NearestMean):
    """A classifier whose training fails now and then, as an annotator's machine does."""

    failing = None

    def fit(self, X, y, sample_weight=None):
        if Moody.failing is not None:
            raise Moody.failing
        return super().fit(X, y)


def pool_of(n_rows):
    """The same rows whatever their number, on a grid where ties are common."""
    return np.random.default_rng(0).integers(-2, 3, (40, 3))[:n_rows].astype(float)


class Campaign(RuleBasedStateMachine):
    """What must hold: the dict `labels`, and the sets `skipped`, `audit` and `drawn`."""

    strategy = RandomSampling()

    @initialize(labels=st.lists(st.integers(0, 2), min_size=2, max_size=4), random_state=st.integers(0, 3))
    def fit(self, labels, random_state):
        self.X = pool_of(12)
        y = np.full(12, UNLABELED)
        y[: len(labels)] = labels
        self.labels = dict(enumerate(labels))
        self.skipped, self.audit, self.drawn, self.outside, self.step = set(), set(), set(), {}, None
        self.learner = ActiveLearner(
            Moody(), clone(self.strategy), n_queries=2, classes=range(4), random_state=random_state
        ).fit(self.X, y)

    def teardown(self):
        Moody.failing = None

    def before_step(self):
        self.step = dict(self.labels), set(self.skipped), set(self.audit), set(self.drawn), dict(self.outside)
        self.before_failed = self.has_failed

    def trained(self, function, fails):
        """Call a verb that trains, and let the training fail."""
        Moody.failing = KeyboardInterrupt() if fails else None
        interrupted = None
        try:
            function()
        except KeyboardInterrupt as error:
            interrupted = error
        finally:
            Moody.failing = None
        if interrupted is not None:
            assert fails
            assert "answers are recorded" in interrupted.__notes__[0]

    def free(self):
        return sorted(set(range(len(self.X))) - set(self.labels) - self.skipped - self.drawn)

    @rule(n_queries=st.integers(1, 30), data=st.data())
    def query(self, n_queries, data):
        USED["query"] += 1
        rows = st.sets(st.integers(0, len(self.X) - 1), max_size=4)
        pending, exclude = data.draw(rows), data.draw(rows)
        left = set(self.free()) - pending - exclude
        n_queries = min(n_queries, max(len(left), 1))
        if not left:
            return
        try:
            found = self.learner.query(n_queries=n_queries, pending=sorted(pending), exclude=sorted(exclude))
        except NotFittedError:
            assert self.learner.strategy.requires
            assert sum(n > 0 for n in self.learner.class_counts_.values()) < 2 or self.has_failed
            return
        assert len(set(found.tolist())) == len(found) == n_queries
        assert set(found.tolist()) <= left, "a row was offered that must not be"

    has_failed = False  # a training failed, or was put off, since the classifier could guide last

    @rule(
        data=st.data(), label=st.integers(0, 3), fails=st.booleans(), refit=st.booleans(), audit=st.booleans()
    )
    def teach(self, data, label, fails, refit, audit):
        USED["teach"] += 1
        free = sorted(set(range(len(self.X))) - set(self.labels))
        if not free:
            return
        rows = data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True))
        if not audit and self.drawn & set(rows):
            with pytest.raises(ValueError, match="belong to the audit"):
                self.learner.teach(rows, [label] * len(rows))
            return
        self.before_step()
        self.labels |= dict.fromkeys(rows, label)
        self.skipped -= set(rows)
        self.audit |= set(rows) if audit else set()
        self.has_failed |= fails or not refit
        self.trained(
            lambda: self.learner.teach(rows, [label] * len(rows), refit=refit, audit=audit), fails and refit
        )

    @rule(data=st.data(), label=st.integers(0, 3), overwrite=st.booleans(), fails=st.booleans())
    def correct(self, data, label, overwrite, fails):
        USED["correct"] += 1
        known = sorted(set(self.labels) - self.audit)
        if not known:
            return
        row = data.draw(st.sampled_from(known))
        changes = self.labels[row] != label
        if changes and not overwrite:
            with pytest.raises(ValueError, match="labelled already"):
                self.learner.teach([row], [label])
            return
        self.before_step()
        self.labels[row] = label
        self.has_failed |= fails
        self.trained(lambda: self.learner.teach([row], [label], overwrite=overwrite), fails)

    @rule(n=st.integers(1, 3), active=st.booleans(), data=st.data())
    def draw(self, n, active, data):
        USED["draw"] += 1
        pending = data.draw(st.sets(st.integers(0, len(self.X) - 1), max_size=2))
        left = set(self.free()) - pending
        if len(left) < n:
            return
        known = sum(count > 0 for count in self.learner.class_counts_.values())
        if active and (known < 2 or self.has_failed):
            return
        self.before_step()
        rows = self.learner.audit(n, how="active" if active else "uniform", pending=sorted(pending))
        assert len(set(rows.tolist())) == n
        assert set(rows.tolist()) <= left, "a row was drawn that must not be"
        self.drawn |= set(rows.tolist())

    @rule(data=st.data(), label=st.integers(0, 3))
    def take_out_of_the_audit(self, data, label):
        USED["take_out_of_the_audit"] += 1
        if not self.drawn:
            return
        row = data.draw(st.sampled_from(sorted(self.drawn)))
        self.before_step()
        if row in self.labels or row in self.skipped or label:
            self.labels[row] = label
            self.skipped.discard(row)
            self.learner.teach([row], [label], overwrite=True)
        else:
            self.learner.forget([row])
        self.drawn.discard(row)
        self.audit.discard(row)

    @rule(data=st.data())
    def refuse(self, data):
        USED["refuse"] += 1
        wrong = [([99], [0]), ([0], [7]), ([0, 0], [1, 1]), ([1], ["a"]), ([2], [])]
        with pytest.raises(
            ValueError,
            match=r"out of range|not in classes|more than once|as numbers|one label per row|a minimum of 1",
        ):
            self.learner.teach(*data.draw(st.sampled_from(wrong)), overwrite=True)

    @rule(data=st.data(), fails=st.booleans(), refit=st.booleans())
    def forget(self, data, fails, refit):
        USED["forget"] += 1
        if not self.labels:
            return
        row = data.draw(st.sampled_from(sorted(self.labels)))
        self.before_step()
        del self.labels[row]
        self.audit.discard(row)
        self.has_failed |= fails or not refit
        self.trained(lambda: self.learner.forget([row], refit=refit), fails and refit)

    @rule(data=st.data())
    def skip(self, data):
        USED["skip"] += 1
        free = sorted(set(range(len(self.X))) - set(self.labels) - self.skipped)
        if not free:
            return
        row = data.draw(st.sampled_from(free))
        self.before_step()
        self.skipped.add(row)
        self.learner.skip([row])

    @rule(data=st.data())
    def unskip(self, data):
        USED["unskip"] += 1
        if not self.skipped:
            return
        row = data.draw(st.sampled_from(sorted(self.skipped)))
        self.before_step()
        self.skipped.discard(row)
        self.learner.unskip([row])

    @rule()
    def undo(self):
        USED["undo"] += 1
        if self.step is None:
            with pytest.raises(ValueError, match="no answer to take back"):
                self.learner.undo()
            return
        self.learner.undo()
        self.labels, self.skipped, self.audit, self.drawn, self.outside = self.step
        self.step, self.has_failed = None, self.before_failed  # with the classifier from before the step

    @rule(label=st.integers(0, 3), n_samples=st.integers(1, 2), fails=st.booleans())
    def extend(self, label, n_samples, fails):
        USED["extend"] += 1
        self.before_step()
        known = set(self.outside)
        self.has_failed |= fails
        self.trained(lambda: self.learner.extend(pool_of(n_samples) + 0.5, [label] * n_samples), fails)
        new = [key for key in self.learner.extension_keys_.tolist() if key not in known]
        assert len(new) == n_samples
        self.outside |= dict.fromkeys(new, label)

    @rule(data=st.data(), label=st.integers(0, 3))
    def correct_or_forget_extension(self, data, label):
        USED["correct_or_forget_extension"] += 1
        if not self.outside:
            return
        key = data.draw(st.sampled_from(sorted(self.outside)))
        self.before_step()
        if label == 3:
            del self.outside[key]
            self.learner.forget(extension=[key])
        else:
            self.outside[key] = label
            self.learner.teach(extension=[key], y=[label], overwrite=True)

    @rule(n_new=st.integers(0, 3), label=st.sampled_from([UNLABELED, 0, 1]), fails=st.booleans())
    def grow(self, n_new, label, fails):
        USED["grow"] += 1
        n_new = min(n_new, 40 - len(self.X))
        before, self.X = len(self.X), pool_of(len(self.X) + n_new)
        y = np.full(n_new, UNLABELED)
        y[:1] = label
        if n_new and label != UNLABELED:
            self.labels[before] = label
            self.has_failed |= fails
        self.trained(lambda: self.learner.grow(self.X, y), fails)
        self.step = None

    @rule(spread=st.booleans())
    def use(self, spread):
        USED["use"] += 1
        self.learner.use(CoreSet("input") if spread else clone(self.strategy))

    @rule()
    def pickle(self):
        USED["pickle"] += 1
        self.learner = pickle.loads(pickle.dumps(self.learner))

    @rule()
    def save_and_load(self):
        USED["save_and_load"] += 1
        plan = clone(self.learner)
        with tempfile.TemporaryDirectory() as folder:
            self.learner.save(folder)
            self.learner = ActiveLearner.load(folder, self.X, plan)

    @rule()
    def refit(self):
        USED["refit"] += 1
        self.learner.refit()
        self.has_failed = False

    @invariant()
    def answers_are_kept(self):
        if not hasattr(self, "learner"):
            return
        y = np.full(len(self.X), UNLABELED)
        y[list(self.labels)] = list(self.labels.values())
        np.testing.assert_array_equal(self.learner.labels_, y)
        y[sorted(self.audit)] = UNLABELED
        np.testing.assert_array_equal(self.learner.y_, y)
        assert self.learner.skipped_.tolist() == sorted(self.skipped)
        assert self.learner.audit_.tolist() == sorted(self.audit)
        assert self.learner.audit_pending_.tolist() == sorted(self.drawn - set(self.labels) - self.skipped)
        sample = self.learner.audit_sample_
        assert set(sample["row"][sample["state"] != "withdrawn"].tolist()) == self.drawn
        assert self.learner.extension_keys_.tolist() == list(self.outside)
        states = self.learner.row_states_
        assert set(np.flatnonzero(states == RowState.UNLABELED)) == set(self.free())
        counts = Counter([*y[y >= 0].tolist(), *self.outside.values()])
        assert {label: n for label, n in self.learner.class_counts_.items() if n} == dict(counts)
        training = self.learner._state.training_set(with_unlabeled=False)
        assert Counter(training.y.tolist()) == counts


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_no_answer_is_lost(strategy):
    machine = type(f"CampaignOf{type(strategy).__name__}", (Campaign,), {"strategy": strategy})
    n_sequences = int(os.environ.get("SKAL_SEQUENCES", 50 if THOROUGH else 2))
    run_state_machine_as_test(machine, settings=settings(PACE, max_examples=n_sequences))


def drop_an_answer(monkeypatch):
    original = State.after

    def after(self, action, rows, given=None, keys=None, **changes):
        if action == "label" and len(rows) > 1 and keys is None and "labels" in changes:
            changes["labels"] = changes["labels"].without(rows[1:])
        return original(self, action, rows, given, keys, **changes)

    monkeypatch.setattr(State, "after", after)


def offer_a_pending_row(monkeypatch):
    original = State.query
    monkeypatch.setattr(
        State, "query", lambda self, *args, pending=None, **params: original(self, *args, **params)
    )


def forget_a_skip_in_a_folder(monkeypatch):
    original = saving.write_file

    def write_file(path, tensors, content):
        for node in content["nodes"]:
            for pair in node.get("object", [None, []])[1]:
                if pair[0] == "skipped":
                    pair[1] = next(other[1] for other in node["object"][1] if other[0] == "audit")
        original(path, tensors, content)

    monkeypatch.setattr(saving, "write_file", write_file)


def lose_an_extension_in_a_refit(monkeypatch):
    original = recording.refitted

    def refitted(state, *args, **params):
        return original(replace(state, extensions=state.extensions[:1]), *args, **params)

    monkeypatch.setattr(recording, "refitted", refitted)


def shift_a_label_as_the_pool_grows(monkeypatch):
    original = ActiveLearner.grow

    def grow(self, X, y, **params):
        return original(self, X, np.roll(y, 1), **params)

    monkeypatch.setattr(ActiveLearner, "grow", grow)


def offer_a_drawn_row(monkeypatch):
    original = State.query

    def query(self, *args, **params):
        without = replace(self, draws=type(self.draws)())
        return original(without, *args, **params)

    monkeypatch.setattr(State, "query", query)


def draw_the_same_rows_again(monkeypatch):
    monkeypatch.setattr(State, "awaited", NO_ROWS)


BUGS = [
    offer_a_drawn_row,
    draw_the_same_rows_again,
    drop_an_answer,
    offer_a_pending_row,
    forget_a_skip_in_a_folder,
    lose_an_extension_in_a_refit,
    shift_a_label_as_the_pool_grows,
]


@pytest.mark.parametrize("plant", BUGS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(monkeypatch, plant):
    plant(monkeypatch)
    quick = settings(PACE, max_examples=100, phases=[Phase.generate])
    with pytest.raises((AssertionError, ExceptionGroup)):
        run_state_machine_as_test(Campaign, settings=quick)


def test_every_rule_was_used():
    print(dict(USED))
    if THOROUGH:
        assert min(USED.values()) >= 500
