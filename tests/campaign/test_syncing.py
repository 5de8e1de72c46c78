"""What annotators say in another program is recorded once, as it is there now."""

import pytest

from skal.campaign import Told, journal

from .common import begun, said


@pytest.fixture
def campaign(tmp_path):
    with begun(tmp_path, retrain_every=4) as campaign:
        yield campaign


def test_each_thing_is_recorded_once(campaign):
    told = [Told(1, "anna", 0, "a", 2.0), Told(2, "anna", None, "b"), Told(1, "bob", 1, "c")]
    report = campaign.sync("there", told)
    assert (report.n_labels, report.n_skips, report.n_withdrawn, report.n_changes) == (2, 1, 0, 3)
    assert campaign.sync("there", told).n_changes == 0
    assert said(campaign) == {("anna", 1): 0, ("anna", 2): None, ("bob", 1): 1}
    assert len(campaign.answers()["row"]) == 3
    assert campaign.answers("anna")["seconds"][0] == 2.0


def test_a_new_version_with_the_same_label_changes_nothing(campaign):
    campaign.sync("there", [Told(1, "anna", 0, "a")])
    assert campaign.sync("there", [Told(1, "anna", 0, "b")]).n_changes == 0
    assert campaign.sync("there", [Told(1, "anna", 1, "c")]).n_labels == 1
    assert len(campaign.answers()["row"]) == 2


def test_a_new_version_of_a_skip_changes_nothing(campaign):
    assert campaign.sync("there", [Told(1, "anna", None, "a")]).n_skips == 1
    assert campaign.sync("there", [Told(1, "anna", None, "b")]).n_changes == 0
    assert len(campaign.answers()["row"]) == 1


def test_what_is_told_no_more_is_withdrawn_in_the_rows_that_were_looked_at(campaign):
    campaign.sync("there", [Told(row, "anna", 0, "a") for row in range(3)])
    assert campaign.sync("there", [], rows=[1]).n_withdrawn == 1
    assert set(said(campaign)) == {("anna", 0), ("anna", 2)}
    assert campaign.sync("there", [], rows=[1]).n_changes == 0
    assert campaign.sync("there", []).n_withdrawn == 2
    assert campaign.sync("there", [Told(1, "anna", 0, "a")]).n_labels == 1  # brought back


def test_sources_do_not_know_of_each_other(campaign):
    campaign.sync("there", [Told(1, "anna", 0, "a")])
    assert campaign.sync("elsewhere", []).n_changes == 0
    campaign.sync("elsewhere", [Told(1, "anna", 1, "a")])
    assert campaign.sync("there", []).n_changes == 0  # somebody else's word stands
    assert said(campaign) == {("anna", 1): 1}


def test_labels_that_are_refused_are_told_and_tried_again(tmp_path):
    with begun(tmp_path, annotators=["anna"]) as campaign:
        told = [
            Told(1, "anna", 5, "a"),
            Told(2, "bob", 0, "b"),
            Told(3, "anna", 1, "c"),
            Told(4, " ", 1, "d"),
        ]
        report = campaign.sync("there", told)
        assert said(campaign) == {("anna", 3): 1}
        assert [each.partition(":")[0] for each in report.refused] == ["row 1", "row 2", "row 4"]
        campaign.add_annotator("bob")
        assert campaign.sync("there", told).n_labels == 1
        assert said(campaign) == {("anna", 3): 1, ("bob", 2): 0}


def test_a_label_of_another_kind_is_refused(tmp_path):
    with begun(tmp_path, classes=None) as campaign:
        campaign.sync("there", [Told(1, "anna", "cat", "a")])
        assert "not like" in campaign.sync("there", [Told(2, "anna", 3, "b")]).refused[0]
        assert campaign.sync("there", [Told(2, "anna", "dog", "b")], rows=[2]).n_labels == 1
        assert campaign.classes == ["cat", "dog"]


def test_names_are_known_by_what_stands_between_their_blanks(campaign):
    campaign.sync("there", [Told(1, " anna ", 0, "a")])
    assert campaign.sync("there", [Told(1, " anna ", 0, "a")]).n_changes == 0
    assert said(campaign) == {("anna", 1): 0}


def test_two_things_of_one_row_and_rows_that_are_none_are_refused(campaign):
    with pytest.raises(ValueError, match="Two things"):
        campaign.sync("there", [Told(1, "anna", 0, "a"), Told(1, "anna ", 1, "b")])
    with pytest.raises(ValueError, match="60"):
        campaign.sync("there", [Told(60, "anna", 0, "a")])
    assert said(campaign) == {}


def test_a_training_that_is_due_takes_place(campaign):
    campaign.sync("there", [Told(row, "anna", row % 2, "a") for row in range(4)])
    assert campaign.progress().by_model[-1]["n_labeled"] == 4


def test_a_transaction_that_fails_leaves_no_annotator_behind(campaign, monkeypatch):
    """Numbers of annotators and classes that were never committed must not be used later."""

    write = journal.add_entries

    def full(connection, event, annotator, *args, **kwargs):
        if annotator == 1:
            raise OSError("no space")
        write(connection, event, annotator, *args, **kwargs)

    campaign.add_annotator("bob")
    told = [Told(1, "anna", 0, "a"), Told(1, "bob", 1, "b")]
    with monkeypatch.context() as patch:
        patch.setattr(journal, "add_entries", full)
        with pytest.raises(OSError, match="no space"):
            campaign.sync("there", told)
    campaign.answer("cleo", 5, 0)
    campaign.sync("there", told)
    assert said(campaign) == {("anna", 1): 0, ("bob", 1): 1, ("cleo", 5): 0}


def test_rows_are_prepared_without_anybody_asking(tmp_path):
    with begun(tmp_path, retrain_every=None, n_prepared=8) as campaign:
        queue = campaign.refill().queue().tolist()
        assert len(queue) == 8
        assert campaign.refill().queue().tolist() == queue
        campaign.answer("anna", queue, [0] * 8)
        assert len(campaign.queue()) == 0
        assert len(campaign.refill().queue()) == 8
        assert not set(campaign.queue()) & set(queue)


def test_a_name_is_the_same_however_its_accents_were_typed(campaign):
    told = [Told(1, "Jose\u0301", 0, "a")]
    campaign.sync("there", told)
    assert [campaign.sync("there", told).n_changes for _ in range(3)] == [0, 0, 0]
    assert said(campaign) == {("Jos\u00e9", 1): 0}
