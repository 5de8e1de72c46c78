"""The folder of a learner, whose main file is fuzzed. `tests.fuzzing` calls this by name."""

import contextlib
import shutil
import tempfile
from pathlib import Path

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.exceptions import ModelFileError
from skal.strategies import DGAL

from ..fuzzing import Case
from .common import X, Y

PLAN = ActiveLearner(
    LogisticRegression(max_iter=200), DGAL(PCA(2), n_candidates=20), n_queries=5, random_state=0
)


def learner():
    """A learner with an encoder, a graph, extensions and skipped rows, which is loaded and asked."""
    folder = Path(tempfile.mkdtemp())
    fitted = (
        ActiveLearner(**PLAN.get_params(deep=False))
        .fit(X, Y)
        .skip([3])
        .extend(X[:2] + 1, [0, 1], keys=["a", "b"])
    )
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

    allowed = [
        (ValueError, "X is not the pool of the learner"),
        (ValueError, "The learner was saved with"),
    ]
    return Case((folder / "learner.skal").read_bytes(), attempt, allowed)
