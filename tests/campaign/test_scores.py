"""What is said of each model, and the stopping criterion, which is kept with it."""

import json

import numpy as np
import pytest

from skal.campaign import Campaign
from skal.stopping import ExpectedGain, MaximumUtility, StabilizingPredictions

from .common import TRUTH, X, begun, label


def test_scores_and_stopping_are_in_the_progress(tmp_path):
    with begun(
        tmp_path, retrain_every=5, validation=(X, TRUTH), stopping=StabilizingPredictions(random_state=0)
    ) as campaign:
        label(campaign, 15)
        model = campaign.progress().by_model[-1]
        assert model["validation"] == pytest.approx(campaign.learner().score(X, TRUTH))
        assert model["n_new"] == 5
        assert "labels" in model["stopping"]["text"]
        json.dumps(campaign.progress().by_model)


def test_a_criterion_goes_on_after_a_night_and_in_another_process(tmp_path):
    def rounds(campaign):
        return [
            (model["n_labeled"], model["stopping"]["value"])
            for model in campaign.progress().by_model
            if "stopping" in model
        ]

    params = {"retrain_every": 5, "stopping": ExpectedGain(random_state=0)}
    with begun(tmp_path / "a", **params) as campaign:
        label(campaign, 25)
        expected = rounds(campaign)
    with begun(tmp_path / "b", **params) as campaign:
        label(campaign, 10)
    for _ in range(3):
        stopping = ExpectedGain(threshold=1e-3, random_state=0)
        with Campaign.open(tmp_path / "b", X, stopping=stopping, training="foreground") as campaign:
            label(campaign, 5)
            assert campaign.progress().by_model[-1]["stopping"]["threshold"] == 1e-3
    with Campaign.open(tmp_path / "b", X, training="foreground") as campaign:
        np.testing.assert_equal(rounds(campaign), expected)
        assert np.isfinite([value for _, value in expected[2:]]).all()


def test_a_criterion_that_cannot_be_saved_or_measures_something_else_begins_anew(tmp_path):
    class Unsaved(MaximumUtility):
        def save(self, path):
            raise RuntimeError("no file for me")

    def told(**params):
        with Campaign.open(tmp_path, X, training="foreground", **params) as campaign:
            label(campaign, 5)
            model = campaign.progress().by_model[-1]
            return (
                model.get("stopping", {}).get("value"),
                model.get("stopping", {}).get("mean"),
                model["warnings"],
            )

    with begun(tmp_path, retrain_every=5) as campaign:
        label(campaign, 10)
    entropy = MaximumUtility(n_rounds=2)
    assert told(stopping=entropy)[1] is None, "the first round of two"
    assert told() == (None, None, [])
    value, mean, _ = told(stopping=entropy)
    assert None not in (value, mean), "one training without a criterion forgets no round"
    means = MaximumUtility(n_rounds=2, statistic="mean")
    assert told(stopping=means)[1] is None, "means are another measure"
    assert any(
        "begins again after a restart (no file for me)" in each for each in told(stopping=Unsaved())[2]
    )
    with Campaign.open(tmp_path, X, training="foreground") as campaign:
        assert campaign.learner().row_states_.astype(bool).sum() == 35
