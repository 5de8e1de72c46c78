"""The curves that the loggers write, read back by the programs that they are for, where these are installed."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skal import SimulatedLearner
from skal.strategies import UncertaintySampling

pytest.importorskip("sklearn.callback")
LOGGERS = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "log_rounds.py"))


def simulated(logger):
    X, y = load_iris(return_X_y=True)
    learner = SimulatedLearner(
        LogisticRegression(max_iter=1000),
        UncertaintySampling(),
        n_initial=5,
        n_queries=5,
        budget=20,
        random_state=0,
    )
    learner.set_callbacks(logger).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    return learner.history_


def check(history, steps, scores, seconds):
    assert steps == history["n_labeled"].tolist()
    np.testing.assert_allclose(scores, history["score"], rtol=1e-6)
    assert min(seconds) > 0


def test_any_program_gets_a_value_per_round():
    class ListLogger(LOGGERS["RoundLogger"]):
        def __init__(self):
            self.said = []

        def begin(self, name):
            self.said.append(name)

        def log(self, values, step):
            self.said.append((step, values))

        def end(self):
            self.said.append("end")

    logger = ListLogger()
    history = simulated(logger)
    first, *rounds, last = logger.said
    assert (first, last) == ("UncertaintySampling", "end")
    steps, values = zip(*rounds, strict=True)
    check(history, list(steps), [each["score"] for each in values], [each["seconds"] for each in values])


def test_tensorboard_has_the_curves(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = simulated(LOGGERS["TensorBoardLogger"](str(tmp_path)))
    events = accumulator.EventAccumulator(str(tmp_path / "UncertaintySampling"))
    events.Reload()
    scores, seconds = events.Scalars("score"), events.Scalars("seconds")
    check(
        history,
        [each.step for each in scores],
        [each.value for each in scores],
        [each.value for each in seconds],
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of how MLflow uses its database
def test_mlflow_has_the_curves(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path}/runs.db"
    history = simulated(LOGGERS["MLflowLogger"](uri))
    client = mlflow.MlflowClient(uri)
    (run,) = client.search_runs(["0"])
    assert run.info.run_name == "UncertaintySampling"
    scores, seconds = (client.get_metric_history(run.info.run_id, name) for name in ("score", "seconds"))
    check(
        history,
        [each.step for each in scores],
        [each.value for each in scores],
        [each.value for each in seconds],
    )
