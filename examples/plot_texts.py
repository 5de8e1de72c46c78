"""Raw texts: which package does a sentence of documentation come from?

The texts are the first paragraphs of docstrings in packages that come with torch and Python, without the package's
name. There are many of one package and few of another, as in most real pools, so the score is the balanced accuracy.
The pool stays a list of strings: a `TfidfVectorizer` in the classifier's pipeline reads them.

Run ``python examples/plot_texts.py [--quick] [--output texts.png]``. It takes about half a minute on two cores.
"""

import argparse
import ast
import importlib.util
import re
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skal import SimulatedLearner, simulate
from skal.plotting import LearningCurveDisplay
from skal.strategies import BADGE, RandomSampling, UncertaintySampling

N_TEXTS = {"sympy": 1500, "networkx": 600, "email": 200}  # torch needs the first two, Python has the third
STRATEGIES = {"random": RandomSampling(), "margin": UncertaintySampling("margin"), "BADGE": BADGE()}


def read_texts(package: str, n_texts: int) -> list[str]:
    """First paragraphs of docstrings, in some files of a package."""
    rng = np.random.default_rng(0)
    spec = importlib.util.find_spec(package)
    texts: set[str] = set()
    for file in rng.permutation(sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="ignore"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
                paragraph = re.sub(package, "", doc.split("\n\n")[0], flags=re.IGNORECASE)
                texts.add(" ".join(paragraph.split())[:400])
        if len(texts) > 2 * n_texts:
            break
    return rng.permutation(sorted(text for text in texts if len(text) >= 30))[:n_texts].tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few texts, to see that it runs")
    parser.add_argument("--output", default="texts.png")
    options = parser.parse_args()
    share, budget, n_repeats = (0.1, 60, 1) if options.quick else (1, 400, 5)

    texts = {package: read_texts(package, int(share * n_texts)) for package, n_texts in N_TEXTS.items()}
    X = [text for of_package in texts.values() for text in of_package]
    y = np.repeat(list(texts), [len(of_package) for of_package in texts.values()])
    X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    print(f"{len(X_pool)} texts to label, such as {X_pool[0]!r} ({y_pool[0]}), and {len(X_test)} to test")

    linear = LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
    classifier = make_pipeline(TfidfVectorizer(sublinear_tf=True), linear)
    learners = {
        name: SimulatedLearner(
            classifier, strategy, n_initial=20, n_queries=20, budget=budget, scoring="balanced_accuracy"
        )
        for name, strategy in STRATEGIES.items()
    }
    validation = {"X_val": X_test, "y_val": y_test}
    histories = simulate(learners, X_pool, y_pool, **validation, n_repeats=n_repeats, random_state=0)
    for name, history in histories.items():
        scores = history["score"][:, -1]
        print(
            f"{budget} labels, {name:6}: balanced accuracy {np.median(scores):.1%}, {min(scores):.1%} to "
            f"{max(scores):.1%} in {n_repeats} runs"
        )
    complete = balanced_accuracy_score(y_test, classifier.fit(X_pool, y_pool).predict(X_test))
    print(f"all {len(X_pool)} labels: {complete:.1%}")

    display = LearningCurveDisplay.from_history(histories)
    display.ax_.set(ylabel="Balanced test accuracy", title="Sentences of documentation, by package")
    display.figure_.savefig(options.output, dpi=100)
    print(f"drawn: {options.output}")


if __name__ == "__main__":
    main()
