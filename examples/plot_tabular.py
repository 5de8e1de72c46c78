"""A table with missing values and mixed columns: what kind of file is it?

Each row is a file that is installed with Python, skal and its dependencies; its ending is the label. Some columns are
numbers, some are words, and what only a text has is missing for binary files. The pool stays a data frame: imputers
and encoders are steps of the classifier's pipeline, fitted on the labelled rows alone.

Run ``python examples/plot_tabular.py [--quick] [--output tabular.png]``. It takes about half a minute on two cores.
"""

import argparse
import sysconfig
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skal import SimulatedLearner, simulate
from skal.plotting import LearningCurveDisplay
from skal.strategies import BADGE, RandomSampling, UncertaintySampling

ENDINGS = (".c", ".dat", ".h", ".mo", ".po", ".py", ".pyi", ".so", ".txt")
STRATEGIES = {"random": RandomSampling(), "margin": UncertaintySampling("margin"), "BADGE": BADGE()}


def installed_files(n_files: int) -> list[Path]:
    """Up to a number of files of each ending, drawn at random."""
    found = defaultdict(list)
    for place in ("purelib", "stdlib"):
        for path in sorted(Path(sysconfig.get_path(place)).rglob("*.*")):
            found[path.suffix].append(path)
    rng = np.random.default_rng(0)
    endings = [ending for ending in ENDINGS if len(found[ending]) >= 20]
    return [path for ending in endings for path in rng.permutation(found[ending])[:n_files]]


def describe(path: Path) -> dict[str, Any]:
    """What the name and the first 4 kB of a file say."""
    with path.open("rb") as file:
        head = file.read(4096)
    row = {
        "size": path.stat().st_size,
        "name_length": len(path.stem),
        "folder": path.parent.name,
        "first": chr(head[0]) if head else None,
    }
    if not head.isascii() or b"\0" in head:
        return row
    text = head.decode()
    lines = text.splitlines() or [""]
    marks = Counter(c for c in text if not c.isalnum() and not c.isspace())
    return row | {
        "line_length": np.mean([len(line) for line in lines]),
        "blank": np.mean([not line for line in lines]),
        "indented": np.mean([line[:1].isspace() for line in lines]),
        "marks": marks.total() / max(1, len(text)),
        "most_frequent_mark": marks.most_common(1)[0][0] if marks else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few files, to see that it runs")
    parser.add_argument("--output", default="tabular.png")
    options = parser.parse_args()
    n_files, budget, n_repeats = (20, 50, 1) if options.quick else (800, 300, 5)

    paths = installed_files(n_files)
    X, y = pd.DataFrame(map(describe, paths)), np.array([path.suffix for path in paths])
    X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    print(f"{len(X_pool)} files to label and {len(X_test)} to test; missing values:")
    print(X.isna().mean().map("{:.0%}".format).to_string())

    numbers = make_pipeline(
        SimpleImputer(add_indicator=True, keep_empty_features=True),
        FunctionTransformer(np.log1p),
        StandardScaler(),
    )
    words = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (words, make_column_selector(dtype_exclude="number")),
    )
    classifier = make_pipeline(columns, LogisticRegression(max_iter=1000))
    learners = {
        name: SimulatedLearner(classifier, strategy, n_initial=20, n_queries=20, budget=budget)
        for name, strategy in STRATEGIES.items()
    }
    validation = {"X_val": X_test, "y_val": y_test}
    histories = simulate(learners, X_pool, y_pool, **validation, n_repeats=n_repeats, random_state=0)
    for name, history in histories.items():
        scores = history["score"][:, -1]
        print(
            f"{budget} labels, {name:6}: accuracy {np.median(scores):.1%}, {min(scores):.1%} to "
            f"{max(scores):.1%} in {n_repeats} runs"
        )
    print(f"all {len(X_pool)} labels: {classifier.fit(X_pool, y_pool).score(X_test, y_test):.1%}")

    display = LearningCurveDisplay.from_history(histories)
    display.ax_.set(ylabel="Test accuracy", title="Installed files, by ending")
    display.figure_.savefig(options.output, dpi=100)
    print(f"drawn: {options.output}")


if __name__ == "__main__":
    main()
