"""What annotators may do, and what becomes of it."""

import numpy as np
import pytest

from skal.campaign import Campaign, Told
from skal.strategies import UncertaintySampling

from .common import TRUTH, Clock, X, begun, learner


@pytest.fixture
def campaign(tmp_path):
    with begun(tmp_path / "c") as campaign:
        yield campaign


def live(campaign):
    leases = campaign.leases()
    return sorted(zip(leases["row"].tolist(), leases["annotator"].tolist(), strict=True))


def test_rows_come_in_the_order_of_the_strategy(campaign):
    rows = campaign.next("anna", 5)
    assert rows.tolist() == campaign.batches()[0]["rows"][:5].tolist()
    assert campaign.next("bob", 3).tolist() == campaign.batches()[0]["rows"][5:8].tolist()
    campaign.answer("anna", rows[1], 0)
    assert campaign.queue().tolist() == np.delete(campaign.batches()[0]["rows"], 1).tolist()


def test_asking_again_gives_the_same_rows_first(campaign):
    rows = campaign.next("anna", 3).tolist()
    assert campaign.next("anna", 3).tolist() == rows
    assert campaign.next("anna", 2).tolist() == rows[:2]
    assert campaign.next("anna", 5).tolist()[:3] == rows
    campaign.answer("anna", rows[1], 0)
    assert campaign.next("anna", 2).tolist() == [rows[0], rows[2]]


def test_a_lease_ends(campaign):
    rows = campaign.next("anna", 2).tolist()
    campaign._clock.now += 599
    assert not set(campaign.next("bob", 2).tolist()) & set(rows)
    campaign.give_back("bob")
    campaign._clock.now += 2
    assert campaign.next("cleo", 2).tolist() == rows
    assert live(campaign) == sorted((row, "cleo") for row in rows)


def test_a_lease_is_renewed_when_half_of_it_is_over(campaign):
    rows = campaign.next("anna", 2).tolist()
    assert campaign.next("anna", 2).tolist() == rows
    until = campaign.leases()["until"].tolist()
    campaign._clock.now += 299
    assert campaign.next("anna", 2).tolist() == rows
    assert campaign.leases()["until"].tolist() == until
    campaign._clock.now += 2
    assert campaign.next("anna", 2).tolist() == rows
    assert campaign.leases()["until"].tolist() != until
    campaign._clock.now += 599
    assert live(campaign) == sorted((row, "anna") for row in rows)


def test_an_answer_after_the_lease_counts(campaign):
    (row,) = campaign.next("anna")
    campaign._clock.now += 601
    assert campaign.next("bob").tolist() == [row]
    campaign.answer("anna", row, 1).answer("bob", row, 1)
    assert campaign.consensus()["n_answers"].tolist() == [2]


def test_a_row_that_is_answered_late_gets_its_second_annotator(tmp_path):
    with begun(tmp_path, n_annotators_per_row=2, n_prepared=5) as campaign:
        (late,) = campaign.next("anna").tolist()
        campaign._clock.now += 601
        while late in campaign.queue():
            others = np.setdiff1d(np.arange(60), [late, *np.flatnonzero(campaign.labels() >= 0)])[:2]
            campaign.answer("bob", others, [0, 1]).answer("cleo", others, [0, 1]).train()
            campaign._clock.now += 1
        campaign.answer("anna", late, 0)
        assert late in campaign.next("bob", 60)
        campaign.answer("bob", late, 0)
        assert late not in campaign.next("cleo", 60)


def test_a_row_whose_label_was_imported_gets_its_second_annotator(tmp_path):
    (tmp_path / "told.csv").write_text("row,label\n0,0\n1,1\n")
    with begun(tmp_path / "c", n_annotators_per_row=2) as campaign:
        campaign.import_labels(tmp_path / "told.csv", default_annotator="anna")
        assert {0, 1} <= set(campaign.next("bob", 60).tolist())
        assert not {0, 1} & set(campaign.next("anna", 60).tolist())


@pytest.mark.parametrize(("classes", "labels"), [([0.0, 1.0], [0, 1, True]), ([True, False], [1, 0, 1.0])])
def test_an_answer_that_equals_a_class_is_that_class(tmp_path, classes, labels):
    with begun(tmp_path, classes=classes) as campaign:
        for row, label in enumerate(labels):
            campaign.answer("anna", row, label)
        assert [*map(repr, campaign.classes)] == [*map(repr, classes)]
        assert campaign.labels()[:3].tolist() == labels
        with pytest.raises(ValueError, match="not among the classes"):
            campaign.answer("anna", 3, 2)


def test_equal_labels_are_one_class_where_any_is_welcome(tmp_path):
    with begun(tmp_path, classes=None) as campaign:
        campaign.answer("anna", 0, True).answer("anna", [1, 2], [1, 0]).answer("anna", 3, False)
        assert campaign.classes == [True, 0]
        assert campaign.consensus()["label"].tolist() == [1, 1, 0, 0]


def test_an_answer_to_a_row_that_was_not_given_counts(campaign):
    campaign.answer("anna", [7, 9], [1, 0])
    assert campaign.labels()[[7, 9]].tolist() == [1, 0]
    assert not {7, 9} & set(campaign.next("bob", 58).tolist())


def test_as_many_annotators_per_row_as_asked(tmp_path):
    campaign = begun(tmp_path / "c", n_annotators_per_row=2)
    rows = [campaign.next(name, 3).tolist() for name in ("anna", "bob", "cleo")]
    assert rows[0] == rows[1]
    assert not set(rows[2]) & set(rows[0])
    campaign.answer("anna", rows[0], [0, 0, 0])
    assert not set(campaign.next("dora", 60).tolist()) & set(rows[0])
    campaign.give_back("bob")
    assert set(rows[0]) <= set(campaign.next("emil", 60).tolist())
    campaign.close()


def test_the_same_answer_again_changes_nothing(campaign):
    (row,) = campaign.next("anna")
    campaign.answer("anna", row, 1).answer("anna", row, 1)
    assert len(campaign.answers()["row"]) == 1
    with pytest.raises(ValueError, match=rf"rows \[{row}\] have an answer .*\[1\]\. correct\("):
        campaign.answer("anna", row, 0)
    assert campaign.labels()[row] == 1


def test_an_answer_takes_effect_whole_or_not_at_all(campaign):
    campaign.answer("anna", 3, 1)
    with pytest.raises(ValueError, match="have an answer"):
        campaign.answer("anna", [4, 3], [0, 0])
    assert campaign.labels()[4] == -1


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (lambda c: c.answer("anna", 60, 1), "60"),
        (lambda c: c.answer("anna", -1, 1), "-1"),
        (lambda c: c.answer("anna", [1, 1], [1, 1]), "1"),
        (lambda c: c.answer("anna", [1, 2], [1]), "2 rows and 1 labels"),
        (lambda c: c.answer("anna", 1, 2), r"\[2\] are not among the classes \[0, 1\]"),
        (lambda c: c.answer("anna", 1, -1), "unlabelled"),
        (lambda c: c.answer("anna", 1, "cat"), "cat"),
        (lambda c: c.answer("anna", 1, None), "unlabelled"),
        (lambda c: c.answer("anna", 1, 1, seconds=-1), "seconds"),
        (lambda c: c.answer("anna", 1, 1, seconds=[1, 2]), "seconds"),
        (lambda c: c.answer("", 1, 1), "name"),
        (lambda c: c.answer("a\nb", 1, 1), "name"),
        (lambda c: c.answer("a" * 201, 1, 1), "name"),
        (lambda c: c.answer(None, 1, 1), "name"),
        (lambda c: c.next("anna", 0), "n=0"),
        (lambda c: c.next("anna", True), "n=True"),
        (lambda c: c.next(" "), "name"),
        (lambda c: c.correct("anna", 1, 1), r"rows \[1\] have no answer"),
        (lambda c: c.withdraw("anna", 1), r"rows \[1\] have no answer"),
        (lambda c: c.skip("anna", 60), "60"),
        (lambda c: c.set(n_annotators=2), "n_annotators"),
        (lambda c: c.set(consensus="mean"), "consensus='mean'"),
        (lambda c: c.set(retrain_every=0), "retrain_every=0"),
        (lambda c: c.set(lease_seconds=float("nan")), "lease_seconds"),
        (lambda c: c.set(disagreements_first=1), "disagreements_first"),
        (lambda c: c.audit(0), "n=0"),
        (lambda c: c.labels(consensus="dawid-skene"), "consensus='dawid-skene' .* 'dawid_skene'"),
        (lambda c: c.labels(consensus=""), "consensus=''"),
        (lambda c: c.consensus("mean"), "how='mean'"),
    ],
)
def test_refusals(campaign, verb, message):
    with pytest.raises(ValueError, match=message):
        verb(campaign)
    assert len(campaign.answers()["row"]) == 0
    assert campaign.annotators == []


def test_labels_are_the_same_in_whatever_form_they_come(campaign):
    campaign.answer("anna", [0, 1], np.array([1, 0], dtype=np.uint8)).answer("anna", [2, 3], [1.0, 0.0])
    campaign.answer("anna", 4, np.float32(1)).answer("anna", 5, 1).answer("anna", (6, 7), (1, 0))
    assert campaign.labels()[:8].tolist() == [1, 0, 1, 0, 1, 1, 1, 0]
    with pytest.raises(ValueError, match="continuous"):
        campaign.answer("anna", 8, 0.5)


def test_minus_one_may_be_a_class(tmp_path):
    with Campaign(
        tmp_path, learner(unlabeled=-99), X, classes=[-1, 1], retrain_every=4, training="foreground"
    ) as campaign:
        for _ in range(5):
            rows = campaign.next("anna")
            campaign.answer("anna", rows, 2 * TRUTH[rows] - 1)
        with pytest.raises(ValueError, match="unlabelled"):
            campaign.answer("bob", 0, -99)
        assert sorted(set(campaign.labels().tolist())) == [-99, -1, 1]
        assert campaign.learner().classes_.tolist() == [-1, 1]
        assert campaign.progress().failure is None


def test_a_typo_is_pointed_out(tmp_path):
    with Campaign(
        tmp_path, learner(), X, classes=["cat", "dog"], annotators=["anna"], training=None
    ) as campaign:
        with pytest.raises(ValueError, match="do you mean 'cat'"):
            campaign.answer("anna", 1, "cta")
        with pytest.raises(ValueError, match=r"'ana' is unknown .do you mean 'anna'"):
            campaign.answer("ana", 1, "cat")
        campaign.add_annotator("ana").answer("ana", 1, "cat")
        assert campaign.annotators == ["anna", "ana"]
        assert campaign.classes == ["cat", "dog"]
        assert campaign.labels()[1] == "cat"


def test_any_label_is_welcome_where_no_classes_are_given(tmp_path):
    with begun(tmp_path, classes=None) as campaign:
        campaign.answer("anna", [0, 1], ["b", "a"])
        assert campaign.classes == ["b", "a"]
        with pytest.raises(ValueError, match="numbers or all as strings"):
            campaign.answer("anna", 2, 3)
        assert campaign.classes == ["b", "a"]


def test_skips_are_offered_no_more(campaign):
    (row,) = campaign.next("anna")
    campaign.skip("anna", row, seconds=2.5).skip("anna", row)
    assert row not in campaign.next("bob", 60)
    assert campaign.progress().n_skipped == 1
    with pytest.raises(ValueError, match="Withdraw"):
        campaign.answer("anna", 5, 0).skip("anna", 5)
    campaign.answer("anna", row, 1)  # after all
    assert campaign.progress().n_skipped == 0
    assert campaign.labels()[row] == 1


def test_withdrawn_rows_are_offered_again(campaign):
    rows = campaign.next("anna", 60)
    campaign.answer("anna", rows, TRUTH[rows])
    assert len(campaign.next("bob")) == 0
    campaign.withdraw("anna", rows[3])
    assert campaign.labels()[rows[3]] == -1
    assert campaign.next("bob").tolist() == [rows[3]]


def test_undo_goes_back_step_by_step(campaign):
    first, second = campaign.next("anna", 2).tolist()
    campaign.answer("anna", first, 0).answer("anna", second, 1).correct("anna", first, 1).withdraw(
        "anna", second
    )
    assert campaign.undo("anna").tolist() == [second]
    assert campaign.labels()[[first, second]].tolist() == [1, 1]
    assert campaign.undo("anna").tolist() == [first]
    assert campaign.labels()[first] == 0
    campaign.undo("anna")
    assert campaign.labels()[second] == -1
    assert campaign.next("anna").tolist() == [second]
    campaign.undo("anna")
    assert (campaign.labels() == -1).all()
    assert campaign.undo("anna").tolist() == []
    campaign.answer("anna", first, 1)
    assert campaign.undo("anna").tolist() == [first]


def test_undo_takes_no_place_that_somebody_else_has(campaign):
    (row,) = campaign.next("anna")
    campaign._clock.now += 601
    assert campaign.next("bob").tolist() == [row]
    campaign.answer("anna", row, 1).undo("anna")
    assert live(campaign) == [(row, "bob")]


def test_an_undone_row_is_offered_to_others_when_its_lease_ends(campaign):
    (row,) = campaign.next("anna")
    campaign.answer("anna", row, 1).undo("anna")
    campaign._clock.now += 601
    assert row in campaign.next("bob", 60)


def test_undo_is_ones_own(campaign):
    campaign.answer("anna", 1, 1).answer("bob", 2, 1)
    assert campaign.undo("anna").tolist() == [1]
    assert campaign.labels()[2] == 1


def test_undo_leaves_what_another_program_said_since(campaign, tmp_path):
    path = tmp_path / "told.csv"
    path.write_text("row,label,annotator\n3,1,anna\n")
    campaign.answer("anna", 5, 0).answer("anna", [1, 2], [0, 0]).skip("anna", 3)
    campaign.sync("there", [Told(2, "anna", 1, "a")])
    campaign.import_labels(path, overwrite=True)
    assert campaign.undo("anna").tolist() == [1]
    assert campaign.labels()[[1, 2, 3]].tolist() == [-1, 1, 1]
    assert campaign.undo("anna").tolist() == [5]
    campaign.correct("anna", 3, 0).undo("anna")
    assert campaign.labels()[3] == 1


def test_what_is_said_of_a_row_is_taken_back_however_long_ago(campaign):
    campaign.answer("anna", [1, 2], [1, 1]).skip("anna", 3)
    assert campaign.take_back("anna", 3).next("anna").tolist() == [3]
    assert campaign.take_back("anna", 1).take_back("anna", 1).take_back("anna", 3).said(1) == {}
    assert campaign.labels()[[1, 2]].tolist() == [-1, 1]
    assert campaign.answers()["action"].tolist() == ["answer", "answer", "skip", "undo", "withdraw"]


def test_a_request_that_comes_twice_is_recorded_once(campaign):
    def both():
        campaign.answer("anna", 1, 1, request="1").skip("anna", 2, request="2")
        campaign.take_back("anna", 1, request='3"').take_back("anna", 4, request="4")

    both()
    with pytest.raises(ValueError, match="cannot skip"):
        campaign.answer("anna", 4, 1).skip("anna", 4, request="5")
    campaign.answer("anna", 1, 0).correct("anna", 2, 1)
    both()
    assert campaign.answer("bob", 5, 1, request="1").labels()[[1, 2, 4, 5]].tolist() == [0, 1, 1, 1]
    campaign.withdraw("anna", 4).skip("anna", 4, request="5")  # what was refused was not recorded
    assert campaign.said(4) == {"anna": None}


def test_undo_of_one_row_takes_back_no_other(campaign):
    campaign.answer("anna", 1, 1).answer("anna", [2, 3], [1, 1])
    for row in (1, 2):
        assert campaign.undo("anna", only_row=row).tolist() == []
    campaign.answer("anna", 4, 1)
    assert campaign.undo("anna", only_row=4).tolist() == [4]
    assert campaign.undo("anna", only_row=4).tolist() == []
    assert (campaign.labels() >= 0).sum() == 3


def test_answers_are_found_however_the_accents_of_a_name_were_typed(campaign):
    typed, known = "Jose\u0301", "Jos\u00e9"
    campaign.answer(typed, 1, 1)
    for name in (typed, known, f" {known} "):
        assert campaign.answers(name)["row"].tolist() == [1]


def test_annotators_agree_by_name(tmp_path):
    with begun(tmp_path, n_annotators_per_row=2) as campaign:
        campaign.answer("anna", [1, 2], [0, 0]).answer("bob", [1, 2], [1, 0])
        assert campaign.agreement().n_common == {("anna", "bob"): 2}
        assert list(campaign.agreement().cohen) == [("anna", "bob")]


def test_disagreements_first(tmp_path):
    campaign = begun(tmp_path, n_annotators_per_row=2, disagreements_first=True)
    campaign.answer("anna", [1, 2], [0, 0]).answer("bob", [1, 2], [1, 0])
    assert campaign.disputed().tolist() == [1]
    assert campaign.labels()[[1, 2]].tolist() == [-1, 0]
    assert 1 not in campaign.next("anna", 60)
    assert campaign.next("cleo").tolist() == [1]
    assert 1 not in campaign.next("dora", 60)  # one at a time
    campaign.answer("cleo", 1, 1)
    assert campaign.disputed().tolist() == []
    assert campaign.labels()[1] == 1
    campaign.close()


def test_who_said_what_stays_known(campaign):
    campaign.answer("anna", 1, 1, seconds=3).correct("anna", 1, 0)
    campaign._clock.now += 5
    campaign.skip("bob", 2)
    answers = campaign.answers()
    assert answers["action"].tolist() == ["answer", "correct", "skip"]
    assert answers["label"].tolist() == [1, 0, None]
    assert answers["annotator"].tolist() == ["anna", "anna", "bob"]
    assert answers["holds"].tolist() == [False, True, True]
    assert (answers["time"][2] - answers["time"][0]) == np.timedelta64(5, "s")
    np.testing.assert_array_equal(answers["seconds"], [3, np.nan, np.nan])


def test_the_latest_answers_of_somebody(campaign):
    campaign.answer("anna", [1, 2, 3], [1, 0, 1]).answer("bob", 4, 1).undo("anna")
    assert campaign.answers("bob")["row"].tolist() == [4]
    assert campaign.answers("anna", last=2)["row"].tolist() == [2, 3]
    assert campaign.answers("anna", last=2)["action"].tolist() == ["undo", "undo"]
    assert campaign.answers(last=1)["row"].tolist() == [3]
    assert campaign.answers("cleo")["row"].tolist() == []


def test_what_another_program_says_overwrites(campaign):
    campaign.answer("anna", [1, 2], [1, 0]).answer("anna", [1, 2, 3], [0, 0, 1], overwrite=True)
    assert campaign.labels()[[1, 2, 3]].tolist() == [0, 0, 1]
    assert campaign.answers()["row"].tolist() == [1, 2, 1, 3]
    campaign.skip("anna", [1, 2], overwrite=True)
    assert campaign.labels()[[1, 2, 3]].tolist() == [-1, -1, 1]
    assert sorted(campaign.undo("anna")) == [1, 2]
    assert campaign.labels()[[1, 2, 3]].tolist() == [0, 0, 1]


def test_settings_change_from_now_on(campaign):
    rows = campaign.next("anna", 4)
    campaign.set(n_annotators_per_row=2, lease_seconds=5.0)
    assert campaign.next("bob", 4).tolist() == rows.tolist()
    campaign._clock.now += 6
    assert {name for _, name in live(campaign)} == {"anna"}
    assert campaign.settings.n_annotators_per_row == 2


def test_a_pool_without_rows_left(campaign):
    rows = campaign.next("anna", 100)
    assert sorted(rows) == list(range(60))
    assert campaign.next("bob").tolist() == []
    campaign.answer("anna", rows, TRUTH[rows])
    assert campaign.next("bob").tolist() == []


def test_frames_are_named_by_their_index(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, index=[f"r{i}" for i in range(60)])
    with Campaign(tmp_path / "c", learner(), frame, classes=[0, 1], training=None) as campaign:
        campaign.answer("anna", ["r5", "r3"], [1, 0])
        assert campaign.labels()[[5, 3]].tolist() == [1, 0]
    with pytest.raises(ValueError, match="another order"):
        Campaign.open(tmp_path / "c", frame.iloc[::-1])


def test_times_are_those_of_the_clock(tmp_path):
    with Campaign(tmp_path, learner(UncertaintySampling()), X, training=None, clock=Clock(0.0)) as campaign:
        assert campaign.answer("anna", 1, 1).answers()["time"].tolist()[0].year == 1970


def test_random_rows_make_up_what_is_asked_for_where_nothing_is_prepared(tmp_path):
    with begun(tmp_path / "c", training=None) as campaign:
        assert len(campaign.next("anna", 2)) == 2  # nothing is prepared, and nobody is at it
        held = campaign.next("anna", 2).tolist()
        assert campaign.next("anna", 5).tolist() == held
        rows = campaign.next("anna", 5, patience=0.0).tolist()
        assert rows[:2] == held
        assert len(set(rows)) == 5
        assert [len(batch["rows"]) for batch in campaign.batches()] == [2, 3]
        assert len(campaign.next("anna", 100, patience=0.0)) == 60  # all there are
        assert len(campaign.next("bob", 2, patience=0.0)) == 0


def test_a_name_is_the_same_however_its_accents_were_typed(tmp_path):
    with begun(tmp_path) as campaign:
        rows = campaign.next("Jos\u00e9", 2)
        assert campaign.next(" Jose\u0301 ", 2).tolist() == rows.tolist()
        assert campaign.annotators == ["Jos\u00e9"]
