"""Classes that are added and learners that are changed while a campaign is running."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skal.campaign import Campaign, Told, journal
from skal.campaign.database import Database
from skal.campaign.schema import MIGRATIONS
from skal.campaign.trainer import Trainer
from skal.exceptions import JournalError
from skal.strategies import CoreSet, RandomSampling, UncertaintySampling

from .common import TRUTH, Clock, X, begun, label, learner


class Own(LogisticRegression):
    """A classifier that the journal has no words for."""


def others(campaign, **params):
    """Another process's campaign."""
    return Campaign.open(campaign.path, X, clock=campaign._clock, **params)


def test_a_new_class_is_welcome_and_known_to_the_next_classifier(tmp_path):
    with begun(tmp_path, retrain_every=5) as campaign:
        label(campaign, 5)
        assert campaign.learner().classes_.tolist() == [0, 1]
        row = campaign.next("anna")
        with pytest.raises(ValueError, match="not among the classes"):
            campaign.answer("anna", row, 7)
        campaign.add_classes([7])
        assert campaign.classes == [0, 1, 7]
        assert campaign.learner().classes_.tolist() == [0, 1, 7]
        assert campaign.learner().predict_proba(X).shape == (60, 3)
        assert len(campaign.progress().by_model) == 3  # the first before any label
        campaign.answer("anna", row, 7)
        campaign.train()
        assert campaign.learner().y_[row] == 7
    with Campaign.open(tmp_path, X, training="foreground", clock=Clock()) as campaign:
        assert campaign.classes == [0, 1, 7]
        assert campaign.learner().classes_.tolist() == [0, 1, 7]
        assert campaign.learner().y_[row] == 7


def test_classes_come_in_the_order_in_which_they_were_added(tmp_path):
    with begun(tmp_path, classes=["b", "a"]) as campaign:
        campaign.add_classes(["z", "a", "c"]).add_classes(["a"])
        assert campaign.classes == ["b", "a", "z", "c"]
        assert campaign._template(None, needed=True).classes == ["a", "b", "c", "z"]
        for wrong, message in (([3], "all as strings"), (["y", "y"], "each once"), ([], "one or more")):
            with pytest.raises(ValueError, match=message):
                campaign.add_classes(wrong)
        assert campaign.classes == ["b", "a", "z", "c"]


def test_without_given_classes_more_of_them_change_no_learner(tmp_path):
    with begun(tmp_path, classes=None, retrain_every=5) as campaign:
        label(campaign, 5)
        n_models = len(campaign.progress().by_model)
        campaign.add_classes([4])
        assert campaign.classes[-1] == 4
        assert len(campaign.classes) == 3
        assert len(campaign.progress().by_model) == n_models


def test_classes_can_be_added_without_the_pool(tmp_path):
    with begun(tmp_path, retrain_every=5) as campaign:
        label(campaign, 5)
        with Campaign.open(tmp_path, clock=Clock()) as silent:
            silent.add_classes([2])
            silent.answer("bob", 50, 2)
        campaign.train()
        assert campaign.learner().classes_.tolist() == [0, 1, 2]
        assert campaign.learner().y_[50] == 2


def test_a_learner_that_takes_over_is_that_of_a_campaign_of_its_own(tmp_path):
    """The batch after the change is what the new learner says by hand."""
    with begun(tmp_path, retrain_every=5, n_prepared=8) as campaign:
        label(campaign, 12)
        new = learner(UncertaintySampling("entropy"), random_state=None).set_params(estimator=GaussianNB())
        campaign.change_learner(new)
        by_hand = learner(UncertaintySampling("entropy")).set_params(estimator=GaussianNB(), classes=[0, 1])
        by_hand.fit(X, campaign.labels())
        assert campaign.learner().random_state == 0
        assert isinstance(campaign.learner().estimator_, GaussianNB)
        assert campaign.queue().tolist() == by_hand.query(n_queries=8).tolist()
        assert campaign.batches()[-1]["strategy"] == "UncertaintySampling"
        assert [each["version"] for each in campaign.progress().by_model] == [1, 2, 3, 4][
            : len(campaign.progress().by_model)
        ]
        queue = campaign.queue().tolist()
    with Campaign.open(tmp_path, X, training="foreground", clock=Clock()) as campaign:
        assert campaign.queue().tolist() == queue
        assert isinstance(campaign.learner().estimator_, GaussianNB)
        label(campaign, 5)
        assert isinstance(campaign.learner().estimator_, GaussianNB)


def test_the_learner_of_before_is_no_longer_the_campaign_s(tmp_path):
    with begun(tmp_path) as campaign:
        campaign.change_learner(learner(CoreSet()))
    with pytest.raises(ValueError, match="other parameters: strategy"):
        Campaign.open(tmp_path, X, learner(RandomSampling()))
    Campaign.open(tmp_path, X, learner(CoreSet()), training=None).close()


def test_a_change_ends_what_was_begun_before(tmp_path, monkeypatch):
    """A training that was cut short is not done again with a learner that has gone."""
    with begun(tmp_path, retrain_every=5) as campaign:
        label(campaign, 4)
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_taught", _killed)
            with pytest.raises(KeyboardInterrupt):
                label(campaign, 1)
        n_models = len(campaign.progress().by_model)
        with others(campaign, training=None) as other:
            other.change_learner(learner(CoreSet()).set_params(estimator=GaussianNB()))
        campaign.work()
        assert len(campaign.progress().by_model) == n_models + 1
        assert isinstance(campaign.learner().estimator_, GaussianNB)
        assert campaign.batches()[-1]["strategy"] == "CoreSet"
        assert not campaign.progress().is_training


def _killed(*_, **__):
    raise KeyboardInterrupt


def test_a_process_that_trains_takes_up_what_another_has_changed(tmp_path):
    with begun(tmp_path, retrain_every=5) as campaign:
        label(campaign, 5)
        with others(campaign, training=None) as other:
            other.change_learner(learner(UncertaintySampling()).set_params(estimator=GaussianNB()))
        label(campaign, 5)
        assert isinstance(campaign.learner().estimator_, GaussianNB)
        assert campaign.batches()[-1]["strategy"] == "UncertaintySampling"


def test_code_of_one_s_own_is_taken_from_who_gives_it(tmp_path):
    own = learner(RandomSampling()).set_params(estimator=Own())
    with begun(tmp_path, retrain_every=5) as campaign:
        label(campaign, 5)
        with others(campaign, training=None) as other:
            other.change_learner(own)
        campaign.work()
        assert "can only be made by yours" in campaign.progress().failure
        label(campaign, 2)  # labels go on
        campaign.change_learner(own)
        assert campaign.progress().failure is None
        assert isinstance(campaign.learner().estimator_, Own)
        campaign.add_classes([2])
        assert campaign.learner().classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="can only be made by yours"):
        Campaign.open(tmp_path, X)
    with Campaign.open(tmp_path, X, own, training="foreground", clock=Clock()) as campaign:
        assert campaign.learner().classes_.tolist() == [0, 1, 2]


def test_background_training_is_that_of_the_new_learner(tmp_path):
    with begun(tmp_path, retrain_every=5, training="background", clock=None) as campaign:
        assert campaign.wait(120)
        campaign.change_learner(learner(RandomSampling()).set_params(estimator=GaussianNB()))
        campaign.add_classes([2])
        assert campaign.wait(120)
        assert campaign.progress().failure is None
        label(campaign, 5)
        assert campaign.wait(120)
        assert isinstance(campaign.learner().estimator_, GaussianNB)
        assert campaign.learner().classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("new", "error", "message"),
    [
        (lambda: LogisticRegression(), TypeError, "LogisticRegression"),
        (lambda: learner().fit(X, TRUTH), ValueError, "fitted already"),
        (lambda: learner(classes=[0, 5]), ValueError, "classes"),
        (lambda: learner(unlabeled=-5), ValueError, "unlabeled=-5"),
        (
            lambda: learner().set_params(estimator=DummyClassifier(), strategy=None),
            ValueError,
            "QueryStrategy",
        ),
    ],
)
def test_learners_that_cannot_take_over(tmp_path, new, error, message):
    with begun(tmp_path) as campaign:
        before = campaign.queue().tolist()
        with pytest.raises(error, match=message):
            campaign.change_learner(new())
        assert campaign.queue().tolist() == before
        with Campaign.open(tmp_path) as silent, pytest.raises(ValueError, match="without its pool"):
            silent.change_learner(learner())
    with (
        begun(tmp_path / "any", classes=None) as campaign,
        pytest.raises(ValueError, match="must not have classes"),
    ):
        campaign.change_learner(learner(classes=[0, 1]))


def test_an_older_skal_does_not_pass_over_what_it_does_not_know(tmp_path):
    begun(tmp_path).close()
    with pytest.raises(JournalError, match="Update skal"):
        Database(tmp_path, migrations=MIGRATIONS[:1])
    with Campaign.open(tmp_path) as campaign:
        campaign.sync("there", [Told(1, "anna", 0, "a")])
        assert np.flatnonzero(campaign.labels() >= 0).tolist() == [1]


def test_done_rows_stay_so_where_more_annotators_are_wanted(tmp_path):
    with begun(tmp_path) as campaign:
        campaign.answer("anna", 1, 1).set(n_annotators_per_row=2).train()
        assert 1 not in campaign.next("bob", 60)


NUMPYS = {
    "n_annotators_per_row": np.int64(2),
    "lease_seconds": np.float32(30),
    "retrain_every": np.int8(100),
    "n_prepared": np.uint16(7),
    "consensus": np.str_("majority"),
    "disagreements_first": np.bool_(True),
}


def test_settings_that_numpy_made_are_those_that_they_equal(tmp_path):
    with begun(tmp_path / "begun", **NUMPYS) as campaign, begun(tmp_path / "set") as other:
        other.set(**NUMPYS, is_closed=np.bool_(False))
        for each in (campaign, other):
            assert vars(each.settings) == vars(journal.Settings(**NUMPYS, is_closed=False))
            types = [type(value) for value in vars(each.settings).values()]
            assert types == [int, float, int, int, str, bool, bool]
            with each._database.glance() as connection:
                row = connection.execute("SELECT * FROM settings ORDER BY event DESC").fetchone()
            assert {type(value) for value in row} == {int, float, str}
    with begun(tmp_path / "more", retrain_every=np.int8(100)) as campaign:
        assert campaign.settings.n_prepared == 500
        campaign.set(n_annotators_per_row=np.int64(1)).answer("anna", 0, 1)
        assert 0 not in campaign.next("bob", 60)
        leases, numbers = (10**400, np.float32(-1), True), (True, 2**63)
        wrong = [("lease_seconds", value) for value in leases] + [("n_prepared", value) for value in numbers]
        for name, value in wrong:
            with pytest.raises(ValueError, match="must be a") as caught:
                campaign.set(**{name: value})
            assert "np." not in str(caught.value)


@pytest.mark.parametrize("name", ["n_annotators_per_row", "lease_seconds", "retrain_every", "n_prepared"])
def test_bytes_of_numpy_in_an_older_journal_are_numbers_again(tmp_path, name):
    with begun(tmp_path) as campaign:
        with campaign._database.writing() as connection:
            event = journal.add_event(connection, 0.0, "settings")
            new = replace(campaign.settings, **{name: NUMPYS[name]})
            journal.add_settings(connection, event, new)
        assert vars(campaign.settings) == vars(new)
        campaign.next("anna")
        assert campaign.answer("anna", 0, 1).set().progress().n_labelled == 1
        with campaign._database.glance() as connection:
            row = connection.execute("SELECT * FROM settings ORDER BY event DESC").fetchone()
        assert bytes not in map(type, row)
