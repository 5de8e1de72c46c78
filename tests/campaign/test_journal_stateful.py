"""A campaign in any interleaving of its verbs, against plain Python: who has what, and what was said."""

import shutil
import sqlite3
import tempfile
from collections import Counter

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from skal import RowState
from skal.campaign import Campaign, Told
from skal.campaign.database import FILE
from skal.strategies import RandomSampling
from tests import THOROUGH

from .common import Clock, learner

N_ROWS, LEASE = 10, 100.0
X = np.random.default_rng(0).normal(size=(N_ROWS, 2))
NAMES = st.sampled_from(["anna", "bob", "cleo"])
ROWS = st.lists(st.integers(0, N_ROWS - 1), min_size=1, max_size=3, unique=True)
LABELS = st.integers(0, 2)


class Journal(RuleBasedStateMachine):
    """`said` and `lent` are what must hold: by annotator and row, a label or "skip", and when a lease ends."""

    @initialize(places=st.integers(1, 3), first=st.booleans(), every=st.sampled_from([None, 3]))
    def begin(self, places, first, every):
        self.folder, self.clock, self.places, self.first = tempfile.mkdtemp(), Clock(), places, first
        self.said, self.lent, self.deeds = {}, {}, {}
        self.there, self.read = (
            {},
            {},
        )  # what another program has: labels with versions, and whose standing is from it
        self.n_versions, self.classes, self.c = 0, [0, 1, 2], 1.0
        plan = learner(RandomSampling())
        self.campaign = Campaign(
            self.folder, plan, X, classes=[0, 1, 2], n_annotators_per_row=places, lease_seconds=LEASE,
            retrain_every=every, n_prepared=4, disagreements_first=first, training="foreground", clock=self.clock,
        )  # fmt: skip

    def teardown(self):
        if hasattr(self, "campaign"):
            self.campaign.close()
            shutil.rmtree(self.folder)

    def votes(self, row):
        return [said for (_, each), said in self.said.items() if each == row and said != "skip"]

    def is_disputed(self, row):
        votes = self.votes(row)
        return bool(votes) and 2 * max(Counter(votes).values()) <= len(votes)

    def live(self, row, without=None):
        return {
            name for (name, each), until in self.lent.items() if each == row and until > self.clock.now
        } - {without}

    def places_taken(self, row, without=None):
        who = {name for (name, each) in self.said if each == row} | self.live(row)
        return len(who - {without})

    @rule(name=NAMES, n=st.integers(1, 4))
    def give(self, name, n):
        mine = [row for (who, row), until in self.lent.items() if who == name and until > self.clock.now]
        given = self.campaign.next(name, n).tolist()
        assert len(set(given)) == len(given) <= n
        assert set(given) <= set(mine) or set(mine) <= set(given)
        for row in set(given) - set(mine):
            assert (name, row) not in self.said
            disputed = self.first and self.is_disputed(row) and not self.live(row)
            assert disputed or self.places_taken(row) < self.places
        if len(given) < n:  # nothing was left that this annotator may have
            for row in set(range(N_ROWS)) - set(given):
                assert (name, row) in self.said or self.places_taken(row) >= self.places
        held = {(who, row): until for (who, row), until in self.lent.items() if who == name}
        is_renewed = any(
            (name, row) not in held or not self.clock.now + LEASE / 2 < held[name, row] for row in given
        )
        for row in given:
            if is_renewed:
                self.lent.pop((name, row), None)
                self.lent[name, row] = self.clock.now + LEASE

    def note(self, name, rows):
        """What to do to take back a step: the former standing of its rows."""
        self.deeds.setdefault(name, []).append([(row, self.said.get((name, row))) for row in rows])

    def refused(self, verb, *args):
        try:
            verb(*args)
        except ValueError:
            return
        raise AssertionError("it was not refused")

    @rule(name=NAMES, rows=ROWS, label=LABELS)
    def answer(self, name, rows, label):
        before = [self.said.get((name, row)) for row in rows]
        if any(said not in (None, "skip", label) for said in before):
            self.refused(self.campaign.answer, name, rows, [label] * len(rows))
            return
        self.campaign.answer(name, rows, [label] * len(rows))
        new = [row for row in rows if self.said.get((name, row)) != label]
        self.say(name, new, label)

    @rule(name=NAMES, n=st.integers(1, 3), label=LABELS)
    def answer_what_was_given(self, name, n, label):
        self.give(name, n)
        mine = [row for (who, row), until in self.lent.items() if who == name and until > self.clock.now]
        if mine:
            self.answer(name, mine[:1], label)

    def say(self, name, rows, what):
        if rows:
            self.note(name, rows)
        for row in rows:
            self.said[name, row] = what
            self.lent.pop((name, row), None)
            self.no_longer_read(name, row)

    def no_longer_read(self, name, row):
        """What was said here is not what was read there."""
        if (name, row) in self.read:
            self.read[name, row] = (False, self.read[name, row][1])

    @rule(name=NAMES, rows=ROWS)
    def skip(self, name, rows):
        if any(self.said.get((name, row)) not in (None, "skip") for row in rows):
            self.refused(self.campaign.skip, name, rows)
            return
        self.campaign.skip(name, rows)
        self.say(name, [row for row in rows if (name, row) not in self.said], "skip")

    @rule(name=NAMES, rows=ROWS, label=LABELS)
    def correct(self, name, rows, label):
        if any((name, row) not in self.said for row in rows):
            self.refused(self.campaign.correct, name, rows, [label] * len(rows))
            return
        self.campaign.correct(name, rows, [label] * len(rows))
        self.say(name, [row for row in rows if self.said[name, row] != label], label)

    @rule(name=NAMES, rows=ROWS)
    def withdraw(self, name, rows):
        if any((name, row) not in self.said for row in rows):
            self.refused(self.campaign.withdraw, name, rows)
            return
        self.campaign.withdraw(name, rows)
        self.note(name, rows)
        for row in rows:
            del self.said[name, row]
            self.no_longer_read(name, row)

    @rule(name=NAMES)
    def undo(self, name):
        undone = self.campaign.undo(name).tolist()
        deeds = self.deeds.get(name, [])
        if not deeds:
            assert undone == []
            return
        step = deeds.pop()
        assert undone == [row for row, _ in step]
        for row, before in step:
            self.said.pop((name, row), None)
            self.lent.pop((name, row), None)
            self.no_longer_read(name, row)
            if before is not None:
                self.said[name, row] = before
            elif self.places_taken(row, without=name) < self.places:
                self.lent[name, row] = self.clock.now + LEASE

    @rule(name=NAMES)
    def give_back(self, name):
        mine = {row for (who, row), until in self.lent.items() if who == name and until > self.clock.now}
        assert set(self.campaign.give_back(name).tolist()) == mine
        self.lent = {key: until for key, until in self.lent.items() if key[0] != name}

    @rule(seconds=st.sampled_from([1.0, 40.0, 60.0, 101.0]))
    def pass_time(self, seconds):
        self.clock.now += seconds

    @rule()
    def train(self):
        self.campaign.train()
        states = self.campaign.learner().row_states_
        for row in range(N_ROWS):
            votes = Counter(self.votes(row)).most_common()
            is_known = bool(votes) and (len(votes) == 1 or votes[0][1] > votes[1][1])
            assert (states[row] == RowState.LABELED) == is_known
            if is_known:
                assert self.campaign.learner().y_[row] == votes[0][0]
            is_skipped = not votes and any(each == row for _, each in self.said)
            assert (states[row] == RowState.SKIPPED) == is_skipped

    @rule(name=NAMES, row=st.integers(0, N_ROWS - 1), what=st.sampled_from([0, 1, 2, "skip", None]))
    def change_there(self, name, row, what):
        """Somebody says something in another program, or takes it back."""
        self.n_versions += 1
        self.there[name, row] = (what, str(self.n_versions))

    @rule()
    def sync(self):
        told = [
            Told(row, name, None if what == "skip" else what, version)
            for (name, row), (what, version) in self.there.items()
            if what is not None
        ]
        self.campaign.sync("there", told)
        for key, (what, version) in self.there.items():
            if self.read.get(key, (None, None))[1] == version:
                continue
            held = self.said.get(key)
            if what is not None:
                if held != what:
                    self.said[key] = what
                    self.lent.pop(key, None)
                    self.not_undone(*key)
                    self.read[key] = (True, version)
                else:
                    self.read[key] = (self.read.get(key, (False,))[0], version)
            elif key in self.read:
                if self.read[key][0] and held is not None:
                    del self.said[key]
                    self.not_undone(*key)
                self.read[key] = (False, version)

    def not_undone(self, name, row):
        """What another program said since stays."""
        steps = [
            [(each, before) for each, before in step if each != row] for step in self.deeds.get(name, [])
        ]
        self.deeds[name] = [step for step in steps if step]

    @rule()
    def add_a_class(self):
        self.classes.append(len(self.classes))
        self.campaign.add_classes([self.classes[-1], 0])
        assert self.campaign.classes == self.classes
        assert self.campaign.learner() is None or self.campaign.learner().classes == self.classes

    @rule(c=st.sampled_from([0.5, 1.0, 2.0]))
    def change_the_learner(self, c):
        self.campaign.change_learner(learner(RandomSampling()).set_params(estimator__C=c))
        assert self.campaign.learner() is None or c == self.campaign.learner().estimator.C

    @rule()
    def open_again(self):
        self.campaign.close()
        self.campaign = Campaign.open(self.folder, X, training="foreground", clock=self.clock)

    @invariant()
    def agrees(self):
        if not hasattr(self, "campaign"):
            return
        leases = self.campaign.leases()
        pairs = list(zip(leases["annotator"].tolist(), leases["row"].tolist(), strict=True))
        assert set(pairs) == {key for key, until in self.lent.items() if until > self.clock.now}
        assert len(set(pairs)) == len(pairs)
        assert max(Counter(row for _, row in pairs).values(), default=0) <= self.places
        answers = self.campaign.answers()
        holds = answers["holds"]
        found = {
            (name, row): "skip" if label is None else label
            for name, row, label in zip(
                answers["annotator"][holds].tolist(),
                answers["row"][holds].tolist(),
                answers["label"][holds].tolist(),
                strict=True,
            )
        }
        assert found == self.said
        assert set(self.campaign.disputed().tolist()) == {
            row for row in range(N_ROWS) if self.is_disputed(row)
        }

    @invariant()
    def derived_tables_follow_from_the_journal(self):
        if not hasattr(self, "campaign"):
            return
        connection = sqlite3.connect(f"{self.folder}/{FILE}")
        last = connection.execute(
            "SELECT row, annotator, state, class, until, max(id) FROM entries GROUP BY row, annotator"
        ).fetchall()
        assert last == connection.execute("SELECT * FROM standings ORDER BY row, annotator").fetchall()
        n_said = Counter(row for row, _, state, *_ in last if state in ("labelled", "skipped"))
        tallies = dict(connection.execute("SELECT row, n_said FROM tallies").fetchall())
        assert {row: n for row, n in tallies.items() if n} == n_said
        queued = {row for (row,) in connection.execute("SELECT row FROM queue")}
        assert not queued & {row for row, n in n_said.items() if n >= self.places}
        assert queued >= {row for row, n in n_said.items() if n < self.places}
        connection.close()


def test_a_campaign_is_what_its_verbs_say():
    pace = settings(
        max_examples=100 if THOROUGH else 12,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Journal, settings=pace)
