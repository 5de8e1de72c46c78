"""One process at a time."""

import pytest

from skal.campaign.turns import is_taken, turn

from .common import begun, label


@pytest.mark.parametrize("content", [b"x", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 2000])
def test_a_damaged_lock_is_one_turn(tmp_path, content):
    (tmp_path / "lock").write_bytes(content)
    assert not is_taken(tmp_path / "lock")
    (tmp_path / "lock").write_bytes(content)
    with turn(tmp_path / "lock") as one, turn(tmp_path / "lock") as other:
        assert (one, other) == (True, False)
        assert is_taken(tmp_path / "lock")


def test_a_campaign_trains_whose_lock_is_damaged(tmp_path):
    (tmp_path / "training.lock").write_bytes(b"garbage" * 1000)
    with begun(tmp_path, retrain_every=2) as campaign:
        label(campaign, 3)
        assert campaign.progress().by_model[-1]["n_labeled"] == 2


def test_a_lock_that_cannot_be_made_is_nobodys_turn(tmp_path):
    (tmp_path / "lock").mkdir()
    with turn(tmp_path / "lock") as is_mine:
        assert not is_mine
