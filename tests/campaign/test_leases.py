"""Leases where the clock is set, or their length changed, while rows are on loan."""

import pytest

from .common import begun, label

DAY = 86_400.0


def test_a_clock_that_is_set_back_ends_the_leases_of_its_future(tmp_path):
    """Whoever has a row may still answer, and rows are free for others, who get them after any jump."""
    with begun(tmp_path, retrain_every=5, n_prepared=8) as campaign:
        held = campaign.next("bob", 60)
        campaign._clock.now -= DAY
        assert campaign.next("anna", 60).tolist() == held.tolist()
        assert len(campaign.next("cleo")) == 0
        campaign.answer("bob", held[:1], 1)
        campaign._clock.now += DAY  # no lease begins again
        assert len(campaign.leases()["row"]) == campaign.progress().n_leased == 0
        label(campaign, 5)  # strategies may choose what was on loan
        assert len(campaign.batches()[-1]["rows"]) == 8


@pytest.mark.parametrize(
    "act", [lambda c: c.refill(), lambda c: c.skip("anna", 7), lambda c: c.answer("anna", 7, 1)]
)
def test_whatever_is_written_ends_the_leases_of_a_clock_that_was_set_back(tmp_path, act):
    with begun(tmp_path) as campaign:
        campaign.next("bob", 60)
        campaign._clock.now -= DAY
        act(campaign)
        assert len(campaign.leases()["row"]) == 0


def test_a_clock_that_is_set_right_by_less_than_a_lease_ends_none(tmp_path):
    with begun(tmp_path) as campaign:
        held = campaign.next("bob", 60)
        campaign._clock.now -= 500.0
        assert len(campaign.next("anna")) == 0
        assert campaign.leases()["row"].tolist() == sorted(held.tolist())
        assert campaign.next("bob", 60).tolist() == held.tolist()


@pytest.mark.parametrize("lease_seconds", [1.0, 10 * DAY])
def test_leases_last_as_long_as_when_they_were_given(tmp_path, lease_seconds):
    with begun(tmp_path, retrain_every=None) as campaign:
        held = campaign.next("bob", 60)
        campaign.set(lease_seconds=lease_seconds)
        campaign._clock.now += 599.0
        assert len(campaign.next("anna", 60)) == 0
        campaign.train()
        assert len(campaign.batches()[-1]["rows"]) == 0
        campaign._clock.now += 2.0
        assert len(campaign.next("anna", 60)) == len(held) == 60
