"""Real processes: annotators and trainers that are killed, and a trainer beside the annotators."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal.campaign import Campaign
from skal.strategies import RandomSampling, UncertaintySampling
from tests import THOROUGH

from .common import TRUTH, X, learner

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="processes of POSIX"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # of fork
]


def test_nothing_is_lost_when_processes_are_killed():
    from .kills import run

    found = run(100 if THOROUGH else 5, seed=int(time.time()), longest=1.0)
    assert found["acknowledged"] > 0
    assert found["batches"] > 0


def test_a_process_trains_beside_the_annotators(tmp_path):
    params = {"classes": [0, 1], "retrain_every": 5, "n_prepared": 10}
    with Campaign(tmp_path, learner(UncertaintySampling()), X, **params) as campaign:
        assert campaign.wait(60)
        (first,) = campaign.batches()
        assert first["strategy"] == "UncertaintySampling"
        process = campaign._place._process
        for _ in range(6):
            rows = campaign.next("anna")
            campaign.answer("anna", rows, TRUTH[rows])
        assert campaign.wait(60)
        assert [model["n_labeled"] for model in campaign.progress().by_model] == [0, 5]
        with Campaign.open(tmp_path, X) as other:  # one trains for both
            assert other._place._process is None
            if not THOROUGH:  # another process takes seconds to start
                return
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            for _ in range(4):
                rows = other.next("bob")
                other.answer("bob", rows, TRUTH[rows])
            assert other.wait(60)
            assert other._place._process is not None
            assert [model["n_labeled"] for model in other.progress().by_model] == [0, 5, 10]
    assert other._place._process is None
    assert process.returncode == -signal.SIGKILL


def test_a_pool_that_cannot_be_sent_is_reported(tmp_path):
    class Texts(list):
        def __reduce__(self):
            raise TypeError("not this one")

    plan = learner(RandomSampling())
    plan.set_params(
        estimator=make_pipeline(HashingVectorizer(n_features=16), LogisticRegression()), cold_start=None
    )
    with Campaign(tmp_path, plan, Texts(["one", "two", "three", "four"]), classes=[0, 1]) as campaign:
        assert len(campaign.next("anna")) == 1
        assert "training='foreground'" in campaign.progress().failure
        assert campaign.batches()[0]["note"] == "nothing was prepared"


@pytest.mark.skipif(not THOROUGH, reason="it takes seconds to start")
def test_a_trainer_ends_with_its_parent(tmp_path):
    child = os.fork()
    if not child:
        campaign = Campaign(tmp_path, learner(UncertaintySampling()), X, classes=[0, 1])
        with open(tmp_path / "pid", "w") as file:
            file.write(str(campaign._place._process.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    trainer = int((tmp_path / "pid").read_text())
    for _ in range(600):
        try:
            os.kill(trainer, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{trainer}/stat").read_text().split()[2] == "Z":  # nobody is there to wait for it
            return
        time.sleep(0.1)
    raise AssertionError("the trainer still runs")
