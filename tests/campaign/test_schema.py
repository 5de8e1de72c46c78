"""The queue, which triggers keep, whatever happens while a classifier is trained and a strategy asked."""

import numpy as np
import pytest

from skal.campaign import Campaign
from skal.campaign.database import Database
from skal.campaign.journal import rows_of
from skal.campaign.schema import MIGRATIONS
from skal.campaign.trainer import Trainer

from .common import TRUTH, X, begun, label

LEASE = 600.0


def held(campaign):
    return campaign.next("bob", 2)


def answered(campaign):
    rows = campaign.next("bob", 2)
    campaign.answer("bob", rows, TRUTH[rows])
    return rows


def skipped(campaign):
    rows = campaign.next("bob", 2)
    campaign.skip("bob", rows)
    return rows


def undo(other, rows):
    other.undo("bob")
    other.give_back("bob")


def undo_and_wait(other, rows):
    other.undo("bob")
    other._clock.now += LEASE + 1.0


def wait(other, rows):
    other._clock.now += LEASE + 1.0


BACK = [
    (held, lambda other, rows: other.give_back("bob")),
    (held, wait),
    (answered, lambda other, rows: other.withdraw("bob", rows)),
    (answered, undo),
    (answered, undo_and_wait),
    (skipped, lambda other, rows: other.withdraw("bob", rows)),
    (skipped, undo),
]


@pytest.mark.parametrize("during", ["_taught", "_chosen"])
@pytest.mark.parametrize("n_prepared", [8, 100])
@pytest.mark.parametrize(("take", "bring_back"), BACK)
def test_what_comes_back_during_a_training_is_offered(
    tmp_path, monkeypatch, take, bring_back, n_prepared, during
):
    """Also at the end of a pool, with no training to come."""
    with begun(tmp_path, n_prepared=n_prepared, retrain_every=None, lease_seconds=LEASE) as campaign:
        label(campaign, 5)
        rows = take(campaign)
        done = getattr(Trainer, during)
        with Campaign.open(tmp_path, clock=campaign._clock) as other, monkeypatch.context() as patch:

            def meanwhile(trainer, *args, **kwargs):
                found = done(trainer, *args, **kwargs)
                patch.undo()
                bring_back(other, rows)
                return found

            patch.setattr(Trainer, during, meanwhile)
            campaign.train()
        seen = set(campaign.answers("anna")["row"].tolist())
        while len(row := campaign.next("anna")):
            seen.update(row.tolist())
            campaign.skip("anna", row)
        assert seen == set(range(60))


def test_a_row_that_somebody_had_once_gives_way_to_a_new_batch(tmp_path):
    """What came back before the training waits for no one: the strategy may choose it."""
    with begun(tmp_path, n_prepared=8, retrain_every=None) as campaign:
        label(campaign, 5)
        rows = campaign.next("bob", 4)
        campaign.answer("bob", rows[:2], [0, 0]).withdraw("bob", rows[:2]).give_back("bob")
        campaign.train()
        assert campaign.queue().tolist() == campaign.batches()[-1]["rows"].tolist()


def test_rows_are_done_when_fewer_annotators_are_wanted(tmp_path):
    with begun(tmp_path, n_annotators_per_row=3, n_prepared=10, retrain_every=None) as campaign:
        rows = campaign.next("anna", 6)
        campaign.answer("anna", rows[:4], [0] * 4).answer("bob", rows[:2], [0, 0]).skip("bob", rows[2])
        assert len(campaign.queue()) == 10
        assert not set(rows[:3]) & set(campaign.set(n_annotators_per_row=2).queue())
        assert campaign.queue().tolist()[:1] == [rows[3]]
        campaign.set(n_annotators_per_row=1)
        assert not set(rows[:4]) & set(campaign.queue())
        n_free = len(campaign.queue())
        given = campaign.next("cleo", n_free + 3)  # more are prepared at once
        assert len(given) == n_free + 3
        assert [each["note"] for each in campaign.batches()] == [None] * len(campaign.batches())


def test_half_done_rows_come_back_when_more_annotators_are_wanted_again(tmp_path):
    """Not those that an answer made done under the lower number."""
    with begun(tmp_path, n_annotators_per_row=3, n_prepared=10, retrain_every=None) as campaign:
        rows = campaign.next("anna", 4).tolist()
        before = campaign.queue().tolist()
        assert before[:4] == rows
        campaign.answer("anna", rows, [0] * 4).answer("bob", rows[:1], [0]).set(n_annotators_per_row=1)
        assert campaign.queue().tolist() == before[4:]
        assert campaign.next("cleo", 2).tolist() == before[4:6]
        campaign.answer("cleo", before[4:6], [0, 0]).set(n_annotators_per_row=3)
        assert campaign.queue().tolist() == before[:4] + before[6:]
        assert campaign.next("bob", 4).tolist() == [*rows[1:], before[6]]
        assert campaign.next("dora", 1).tolist() == rows[:1]


def test_rows_that_a_lower_number_made_done_are_not_counted_as_prepared(tmp_path):
    with begun(tmp_path, n_annotators_per_row=2, n_prepared=8, retrain_every=None) as campaign:
        rows = campaign.queue()
        campaign.answer("anna", rows, TRUTH[rows]).set(n_annotators_per_row=1)
        assert len(campaign.queue()) == 0
        assert len(campaign.refill().queue()) == 8
        assert not set(rows) & set(campaign.queue())


def test_an_older_journal_keeps_no_row_that_is_done(tmp_path, monkeypatch):
    monkeypatch.setattr(Database.__init__, "__kwdefaults__", {"create": False, "migrations": MIGRATIONS[:3]})
    with begun(tmp_path, n_annotators_per_row=2, training=None) as campaign:
        campaign.answer("anna", [1, 2], [1, 1]).set(n_annotators_per_row=1)
        queued = campaign._database.asked(rows_of, "SELECT row FROM queue ORDER BY position")
        assert queued.tolist() == [1, 2]
    monkeypatch.undo()
    with Campaign.open(tmp_path, X, training=None) as campaign:
        assert campaign.queue().tolist() == []
        assert np.flatnonzero(campaign.labels() >= 0).tolist() == [1, 2]
