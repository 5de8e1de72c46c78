"""The folder of a learner, whose main file is fuzzed. `tests.fuzzing` calls this by name."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.evaluation import audit_report
from skal.exceptions import ModelFileError
from skal.strategies import DGAL

from ..fuzzing import Case
from .common import X, Y

PLAN = ActiveLearner(
    LogisticRegression(max_iter=200), DGAL(PCA(2), n_candidates=20), n_queries=5, random_state=0
)


def learner():
    """A learner with an encoder, a graph, extensions, skipped rows and an audit, which is loaded and asked."""
    folder = Path(tempfile.mkdtemp())
    fitted = (
        ActiveLearner(**PLAN.get_params(deep=False))
        .fit(X, Y)
        .skip([3])
        .extend(X[:2] + 1, [0, 1], keys=["a", "b"])
    )
    drawn = fitted.audit(4)
    fitted.teach(drawn[:2], Y[:2].clip(0), audit=True).teach(drawn[2:3], [1], overwrite=True)
    fitted.audit(2, how="active")
    fitted.save(folder)

    def attempt(path: Path):
        with tempfile.TemporaryDirectory() as copy:
            file = Path(copy) / "learner.skal"
            shutil.copy(path, file)
            try:
                loaded = ActiveLearner.load(copy, X, PLAN)
            except ModelFileError as error:
                raise ModelFileError(str(error).replace(str(file), str(path))) from error
        # What a forged learner answers is nobody's business, as long as it is an answer or an error.
        with contextlib.suppress(Exception):
            loaded.query()
        with contextlib.suppress(Exception):
            loaded.predict(X)
        with contextlib.suppress(Exception):
            audit_report(loaded, cv=None)
        with contextlib.suppress(Exception):
            loaded.audit(1)

    allowed = [
        (ValueError, "X is not the pool of the learner"),
        (ValueError, "The learner was saved with"),
    ]
    return Case((folder / "learner.skal").read_bytes(), attempt, allowed)
