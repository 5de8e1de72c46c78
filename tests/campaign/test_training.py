"""When a classifier is trained, on what, and which rows come next: the same after any crash."""

import shutil
import sqlite3

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skal import UNLABELED, ActiveLearner, RowState
from skal.campaign import Campaign
from skal.classifiers import LinearClassifier
from skal.strategies import BADGE, CoreSet, RandomSampling, UncertaintySampling

from .common import TRUTH, Clock, X, begun, label, learner


class Moody(LogisticRegression):
    """A classifier whose training fails when it is told to."""

    fails = False

    def fit(self, X, y, sample_weight=None):
        if Moody.fails:
            raise RuntimeError("the power is out")
        return super().fit(X, y, sample_weight)


@pytest.fixture(autouse=True)
def _works():
    yield
    Moody.fails = False


def test_batches_are_those_of_a_learner_by_hand(tmp_path):
    with begun(tmp_path, strategy=UncertaintySampling(), retrain_every=5, n_prepared=8) as campaign:
        label(campaign, 20)
        taken = campaign.batches()
        order = campaign.answers()["row"]
    y = np.full(60, UNLABELED)
    hand = learner(UncertaintySampling(), classes=[0, 1]).fit(X, y)
    expected = [hand.query(n_queries=8)]
    for start in range(0, 20, 5):
        rows = order[start : start + 5]
        hand.teach(rows, TRUTH[rows])
        expected.append(hand.query(n_queries=8))
    assert [batch["rows"].tolist() for batch in taken] == [rows.tolist() for rows in expected]
    assert order.tolist() == np.concatenate([rows[:5] for rows in expected[:4]]).tolist()
    assert [batch["model"] for batch in taken] == [1, 2, 3, 4, 5]


def test_what_others_have_counts_as_chosen(tmp_path):
    with begun(tmp_path, strategy=CoreSet(), retrain_every=4, n_prepared=6) as campaign:
        held = campaign.next("bob", 3)
        label(campaign, 4)
        skipped = campaign.next("cleo", 1)
        campaign.skip("cleo", skipped)
        batch = campaign.batches()[-1]
        rows = campaign.answers()["row"][:4]
    assert len(held) == 3
    hand = learner(CoreSet(), classes=[0, 1]).fit(X, np.full(60, UNLABELED)).teach(rows, TRUTH[rows])
    assert batch["rows"].tolist() == hand.query(n_queries=6, pending=held).tolist()


@pytest.mark.parametrize("again", [None, "learner"])
@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        LinearClassifier(max_epochs=3),
        LinearClassifier(max_epochs=3, warm_start=True),
    ],
    ids=["logistic", "pipeline", "net", "warm"],
)
def test_the_next_batch_is_the_same_after_a_restart(tmp_path, estimator, again):
    def run(folder, restarts):
        plan = ActiveLearner(estimator, BADGE(), cold_start=CoreSet(), random_state=3)
        params = {"training": "foreground", "clock": Clock()}
        campaign = Campaign(folder, plan, X, classes=[0, 1], retrain_every=4, n_prepared=10, **params)
        for _ in range(14):
            if restarts:
                campaign.close()
                campaign = Campaign.open(folder, X, plan if again else None, **params)
            label(campaign, 1)
        campaign.close()
        return campaign.batches()

    one, other = run(tmp_path / "a", False), run(tmp_path / "b", True)
    assert len(one) == len(other) == 4
    for then, now in zip(one, other, strict=True):
        assert then["rows"].tolist() == now["rows"].tolist()
        np.testing.assert_array_equal(then["confidence"], now["confidence"])


def test_a_training_that_was_cut_short_is_done_again_with_what_was_known_then(tmp_path, monkeypatch):
    campaign = begun(tmp_path / "a", strategy=UncertaintySampling(), retrain_every=5, n_prepared=8)
    other = begun(tmp_path / "b", strategy=UncertaintySampling(), retrain_every=5, n_prepared=8)
    label(other, 5)
    label(campaign, 4)
    with monkeypatch.context() as patch:

        def interrupted(self):
            raise KeyboardInterrupt

        patch.setattr(ActiveLearner, "refit", interrupted)
        rows = campaign.next("anna")
        with pytest.raises(KeyboardInterrupt):
            campaign.answer("anna", rows, TRUTH[rows])
    campaign.close()
    silent = Campaign.open(tmp_path / "a", training=None)
    silent.answer("bob", [20, 21, 22, 23, 24], TRUTH[20:25])  # and another training is due
    silent.close()
    again = Campaign.open(tmp_path / "a", X, training="foreground", clock=Clock())
    again.next("cleo")
    assert again.progress().n_answers == 10
    second = again.batches()[1]["rows"]
    assert [batch["model"] for batch in again.batches()] == [1, 3]
    assert [model["n_labeled"] for model in again.progress().by_model] == [0, 5, 10]
    assert len(second) == 8
    again.close()
    other.close()


def test_a_crash_between_model_and_batch_changes_nothing(tmp_path, monkeypatch):
    whole = begun(tmp_path / "a", strategy=UncertaintySampling(), retrain_every=5, n_prepared=8)
    label(whole, 5)
    cut = begun(tmp_path / "b", strategy=UncertaintySampling(), retrain_every=5, n_prepared=8)
    label(cut, 4)
    with monkeypatch.context() as patch:

        def interrupted(*_, **__):
            raise KeyboardInterrupt

        patch.setattr(ActiveLearner, "query", interrupted)
        rows = cut.next("anna")
        with pytest.raises(KeyboardInterrupt):
            cut.answer("anna", rows, TRUTH[rows])
    cut.close()
    again = Campaign.open(tmp_path / "b", X, training="foreground", clock=Clock())
    again.next("anna")
    assert again.batches()[-1]["rows"].tolist() == whole.batches()[-1]["rows"].tolist()
    whole.close()
    again.close()


def test_a_failed_training_is_shown_and_labels_go_on(tmp_path):
    plan = ActiveLearner(Moody(), UncertaintySampling(), cold_start=RandomSampling(), random_state=0)
    params = {"classes": [0, 1], "retrain_every": 5, "training": "foreground", "clock": Clock()}
    with Campaign(tmp_path, plan, X, **params) as campaign:
        label(campaign, 10)
        Moody.fails = True
        label(campaign, 7)
        progress = campaign.progress()
        assert progress.n_labelled == 17
        assert progress.failure == "RuntimeError: the power is out"
        assert "labels go on" in str(progress)
        assert progress.by_model[-1]["n_labeled"] == 10
        Moody.fails = False
        assert campaign.train()
        assert campaign.progress().failure is None
        assert campaign.progress().by_model[-1]["n_labeled"] == 17
    with pytest.raises(ValueError, match=r"estimator \(.*Moody\) can only be made by yours"):
        Campaign.open(tmp_path, X)
    Campaign.open(tmp_path, X, plan, training=None).close()
    for params in ({}, {"X": X, "training": None}):
        with Campaign.open(tmp_path, **params) as campaign, pytest.raises(ValueError, match="give both"):
            campaign.learner()


def test_a_first_training_that_fails(tmp_path):
    plan = ActiveLearner(Moody(), UncertaintySampling(), cold_start=RandomSampling(), random_state=0)
    with Campaign(
        tmp_path, plan, X, classes=[0, 1], retrain_every=6, training="foreground", clock=Clock()
    ) as campaign:
        Moody.fails = True
        label(campaign, 15)
        assert campaign.progress().n_labelled == 15
        Moody.fails = False
        campaign.train()
        assert campaign.batches()[-1]["strategy"] == "UncertaintySampling"


def test_a_strategy_that_cannot_be_asked_gives_way_to_chance(tmp_path):
    with begun(tmp_path, strategy=UncertaintySampling(), retrain_every=5) as campaign:
        campaign._trainer._learner.set_params(cold_start=None)
    plan = ActiveLearner(LogisticRegression(), UncertaintySampling(), random_state=0)
    with Campaign(
        tmp_path / "b", plan, X, classes=[0, 1], retrain_every=5, training="foreground"
    ) as campaign:
        label(campaign, 5)
        first, *_, last = campaign.batches()
        assert (first["strategy"], last["strategy"]) == ("RandomSampling", "UncertaintySampling")
        assert "NotFittedError" in first["note"]
        assert last["note"] is None


def test_a_classifier_that_cannot_be_saved_is_trained_again(tmp_path):
    def run(folder, restarts):
        plan = ActiveLearner(Moody(), UncertaintySampling(), cold_start=CoreSet(), random_state=0)
        campaign = Campaign(
            folder,
            plan,
            X,
            classes=[0, 1],
            retrain_every=5,
            n_prepared=8,
            training="foreground",
            clock=Clock(),
        )
        campaign._trainer._models.save = refuse
        for _ in range(12):
            label(campaign, 1)
            if restarts:
                campaign.close()
                campaign = Campaign.open(folder, X, plan, training="foreground", clock=Clock())
                campaign._trainer._models.save = refuse
        assert all("not this one" in model["unsaved"] for model in campaign.progress().by_model)
        campaign.close()
        return [batch["rows"].tolist() for batch in campaign.batches()]

    def refuse(*_):
        raise TypeError("not this one")

    assert run(tmp_path / "a", False) == run(tmp_path / "b", True)


def test_a_model_whose_folder_is_gone_is_trained_again(tmp_path):
    import shutil

    campaign = begun(tmp_path, strategy=UncertaintySampling(), retrain_every=5)
    label(campaign, 12)
    campaign.close()
    shutil.rmtree(tmp_path / "models")
    again = Campaign.open(tmp_path, X, training=None)
    before = campaign.learner().predict_proba(X)
    np.testing.assert_array_equal(again.learner().predict_proba(X), before)
    again.close()
    campaign.close()


def test_what_was_taken_back_is_unlearned_by_the_next_model(tmp_path):
    with begun(tmp_path, retrain_every=None) as campaign:
        label(campaign, 10)
        campaign.skip("bob", campaign.next("bob", 2)).train()
        rows, skipped = campaign.learner().y_ >= 0, campaign.learner().skipped_
        assert (rows.sum(), len(skipped)) == (10, 2)
        gone = np.flatnonzero(rows)[:4]
        campaign.withdraw("anna", gone).withdraw("bob", skipped[:1]).train()
        assert campaign.learner().skipped_.tolist() == [skipped[1]]
        assert np.flatnonzero(campaign.learner().y_ >= 0).tolist() == np.flatnonzero(rows)[4:].tolist()


def test_rows_whose_lease_has_ended_are_not_taken(tmp_path):
    with begun(tmp_path, strategy=CoreSet(), retrain_every=None, n_prepared=6) as campaign:
        campaign.next("bob", 3)
        campaign._clock.now += 601
        held = campaign.next("cleo", 1)
        campaign.train()
        batch = campaign.batches()[-1]["rows"]
    hand = learner(CoreSet(), classes=[0, 1]).fit(X, np.full(60, UNLABELED))
    assert batch.tolist() == hand.query(n_queries=6, pending=held).tolist()


def test_more_rows_are_prepared_when_few_are_left(tmp_path):
    with begun(tmp_path, strategy=CoreSet(), retrain_every=None, n_prepared=6) as campaign:
        rows = campaign.next("anna", 8)
        first, second = (batch["rows"] for batch in campaign.batches())
        assert rows.tolist() == [*first, *second[:2]]
        campaign.answer("anna", rows, TRUTH[rows])
    hand = learner(CoreSet(), classes=[0, 1]).fit(X, np.full(60, UNLABELED))
    assert second.tolist() == hand.query(n_queries=6, pending=first).tolist()


def test_rows_that_were_offered_and_nobody_has_are_not_offered_again(tmp_path):
    with begun(tmp_path, strategy=CoreSet(), retrain_every=None, n_prepared=8) as campaign:
        campaign.next("anna", 7)
        campaign.next("bob", 1)
        batches = [batch["rows"] for batch in campaign.batches()]
        campaign.next("cleo", 3)
        batches = [batch["rows"] for batch in campaign.batches()]
        assert len(np.unique(np.concatenate(batches))) == sum(map(len, batches)) > 8


def test_withdrawn_and_corrected_labels_are_unlearned(tmp_path):
    with begun(tmp_path, retrain_every=None) as campaign:
        label(campaign, 10)
        rows = campaign.answers()["row"]
        campaign.withdraw("anna", rows[0]).correct("anna", rows[1], 1 - TRUTH[rows[1]]).skip(
            "bob", 50 if 50 not in rows else 51
        )
        campaign.train()
        states = campaign.learner().row_states_
        assert states[rows[0]] == RowState.UNLABELED
        assert campaign.learner().y_[rows[1]] == 1 - TRUTH[rows[1]]
        assert (states == RowState.LABELED).sum() == 9
        assert (states == RowState.SKIPPED).sum() == 1
        campaign.answer("bob", campaign.next("bob"), 1).train()
        assert campaign.progress().by_model[-1]["n_labeled"] == 10


def test_an_audit_is_labelled_first_and_never_trained_on(tmp_path):
    with begun(tmp_path, strategy=UncertaintySampling(), retrain_every=5) as campaign:
        campaign.next("bob")  # a batch is prepared already
        drawn = campaign.audit(8)
        assert len(set(drawn.tolist())) == 8
        assert campaign.next("anna", 8).tolist() == drawn.tolist()
        campaign.answer("anna", drawn, TRUTH[drawn])
        label(campaign, 12)
        held_out = campaign.learner()
        assert sorted(held_out.audit_) == sorted(drawn)
        model = campaign.progress().by_model[-1]
        expected = np.mean(held_out.predict(X[drawn]) == TRUTH[drawn])
        assert model["audit"]["score"] == pytest.approx(expected)
        assert model["audit"]["n_labeled"] == 8
        assert not set(drawn) & {
            row for batch in campaign.batches()[1:] for row in batch["rows"] if not batch["is_audit"]
        }
        assert (campaign.labels(audit=False)[drawn] == -1).all()
        assert "audit says" in str(campaign.progress())


def test_one_answer_of_several_annotators_is_the_majority(tmp_path):
    with begun(tmp_path, n_annotators_per_row=3, retrain_every=None) as campaign:
        for name, values in (("anna", [0, 1, 1]), ("bob", [0, 1, 0]), ("cleo", [1, 1, 0]), ("dora", [1])):
            campaign.answer(name, [0, 1, 2][: len(values)], values)
        campaign.train()
        y = campaign.learner().y_
        assert y[[0, 1, 2]].tolist() == [-1, 1, 0]
        assert campaign.progress().n_disputed == 1
        campaign.set(consensus="dawid_skene").train()
        assert campaign.progress().by_model[-1]["n_labeled"] >= 2


def test_a_forest_goes_on_too(tmp_path):
    plan = ActiveLearner(
        RandomForestClassifier(10, random_state=0),
        UncertaintySampling(),
        cold_start=CoreSet(),
        random_state=0,
    )
    with Campaign(tmp_path, plan, X, classes=["a", "b"], retrain_every=5, training="foreground") as campaign:
        for _ in range(6):
            rows = campaign.next("anna")
            campaign.answer("anna", rows, np.array(["a", "b"])[TRUTH[rows]])
    with Campaign.open(tmp_path, X, training="foreground") as campaign:
        assert campaign.learner().predict(X[:3]).dtype.kind == "U"


def test_the_journal_is_only_added_to(tmp_path):
    with begun(tmp_path) as campaign:
        label(campaign, 3)
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    for table in ("events", "entries", "annotators", "classes", "settings", "models", "batches", "offered"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            connection.execute(f"DELETE FROM {table}")
        column = connection.execute(f"SELECT * FROM {table}").description[-1][0]
        with pytest.raises(sqlite3.IntegrityError, match="only added to"):
            connection.execute(f"UPDATE {table} SET {column} = {column}")
    connection.close()


def test_a_training_that_kills_its_process_is_given_up(tmp_path, monkeypatch):
    campaign = begun(tmp_path, retrain_every=5)
    label(campaign, 4)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ActiveLearner, "refit", killed)
        with Campaign.open(tmp_path, training=None, clock=Clock()) as silent:
            label(silent, 1)
        for _ in range(10):
            with pytest.raises(KeyboardInterrupt):
                campaign.work()
        assert campaign.progress().is_training
        campaign.work()
    progress = campaign.progress()
    assert "killed 10 times" in progress.failure
    assert not progress.is_training
    campaign.close()


def test_a_pool_that_changes_after_it_was_opened_is_not_trained_on(tmp_path):
    np.save(tmp_path / "pool.npy", X)
    file = np.load(tmp_path / "pool.npy", mmap_mode="r+")
    with Campaign(
        tmp_path / "c", learner(), file, classes=[0, 1], retrain_every=5, training="foreground"
    ) as c:
        label(c, 10)
    with Campaign.open(tmp_path / "c", file, training="foreground") as c:
        file[:] = X[::-1].copy()  # before the newest learner was loaded
        label(c, 10)
        assert "is not the pool of the learner" in c.progress().failure
        assert c.progress().n_labelled == 20
        with pytest.raises(ValueError, match="is not the pool of the learner"):
            c.learner()
        file[:] = X
        assert c.train()
        assert c.progress().failure is None


def test_a_pool_that_changes_before_any_learner_has_seen_it_is_not_trained_on(tmp_path):
    rows = X.copy()
    with Campaign(tmp_path, learner(), rows, classes=[0, 1], retrain_every=5, training=None) as c:
        rows[:] = X[::-1]
        label(c, 6)
        c.work()
        assert "is not the pool of the campaign" in c.progress().failure
        assert c.progress().n_labelled == 6
        rows[:] = X
        c.train()
        c.work()
        assert c.progress().failure is None


def test_a_pool_that_changes_is_not_trained_on_where_the_models_are_gone(tmp_path):
    rows = X.copy()
    plan = {"classes": [0, 1], "retrain_every": 5, "training": "foreground"}
    with Campaign(tmp_path, learner(), rows, **plan) as c:
        label(c, 5)
    for model in (tmp_path / "models").iterdir():
        shutil.rmtree(model)
    with Campaign.open(tmp_path, rows, training="foreground") as c:
        rows[:] = X[::-1]
        label(c, 6)
        assert "is not the pool of the campaign" in c.progress().failure
        assert c.progress().n_labelled == 11
        rows[:] = X
        assert c.train()
        assert c.progress().failure is None
