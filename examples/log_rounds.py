"""Log the rounds of a simulation to TensorBoard or MLflow, with a callback of scikit-learn (1.9 or newer).

Run ``python examples/log_rounds.py tensorboard`` or ``... mlflow``, with that package installed, and view the curves
with ``tensorboard --logdir runs`` or ``mlflow ui --backend-store-uri sqlite:///runs.db``. ``--quick`` runs fewer
rounds. Copy the class that you need: skal itself does not depend on either program.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skal import SimulatedLearner
from skal.strategies import RandomSampling, UncertaintySampling


class RoundLogger:
    """What both have in common: after each round the labels, the score on the validation rows and the seconds."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a run, which is named after the strategy."""
        self.begin(type(estimator.strategy).__name__)

    def on_fit_task_begin(self, estimator: Any, context: Any, **_: Any) -> None:
        self.began = time.perf_counter()

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        fitted_estimator: Any = None,
        **_: Any,
    ) -> None:
        """Log a round: `X` and `y` are the validation rows, or those labelled so far where there are none."""
        if context.task_name != "round" or fitted_estimator is None:
            return
        n_labeled = sum(fitted_estimator.class_counts_.values())
        seconds = time.perf_counter() - self.began
        values = {"score": fitted_estimator.score(X, y), "seconds": seconds, "labels": n_labeled}
        self.log(values, step=n_labeled)

    def teardown(self, estimator: Any, context: Any) -> None:
        self.end()

    def begin(self, name: str) -> None: ...

    def log(self, values: dict[str, float], step: int) -> None: ...

    def end(self) -> None: ...


class TensorBoardLogger(RoundLogger):
    """A folder of events for each learner."""

    def __init__(self, folder: str = "runs") -> None:
        self.folder = folder

    def begin(self, name: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(f"{self.folder}/{name}")

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def end(self) -> None:
        self.writer.close()


class MLflowLogger(RoundLogger):
    """A run for each learner."""

    def __init__(self, tracking_uri: str = "sqlite:///runs.db") -> None:
        self.tracking_uri = tracking_uri

    def begin(self, name: str) -> None:
        import mlflow

        mlflow.set_tracking_uri(self.tracking_uri)
        mlflow.start_run(run_name=name)

    def log(self, values: dict[str, float], step: int) -> None:
        import mlflow

        mlflow.log_metrics(values, step=step)

    def end(self) -> None:
        import mlflow

        mlflow.end_run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", choices=["tensorboard", "mlflow"])
    parser.add_argument("--to", help="folder of TensorBoard's events, or MLflow's tracking URI")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    kind = TensorBoardLogger if arguments.program == "tensorboard" else MLflowLogger
    logger = kind() if arguments.to is None else kind(arguments.to)
    X, y = load_digits(return_X_y=True)
    for strategy in (RandomSampling(), UncertaintySampling()):
        learner = SimulatedLearner(
            LogisticRegression(max_iter=5000),
            strategy,
            n_initial=20,
            n_queries=20,
            budget=60 if arguments.quick else 300,
            random_state=0,
        )
        learner.set_callbacks(logger).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
        history = learner.history_
        print(
            f"{type(strategy).__name__}: {history['score'][-1]:.3f} after {history['n_labeled'][-1]} labels"
        )


if __name__ == "__main__":
    main()
