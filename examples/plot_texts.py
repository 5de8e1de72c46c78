"""
Texts: which package does a sentence come from?
===============================================

The pool is a list of strings and stays one: a ``TfidfVectorizer`` in the classifier's pipeline reads them. The texts
are the first paragraphs of docstrings from four packages that are already installed, without the package's name.
"""

import ast
import importlib.util
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner, SimulatedLearner, simulate
from skal.plotting import LearningCurveDisplay, QueryDisplay
from skal.strategies import BADGE, RandomSampling, UncertaintySampling


def read_texts(package):
    """First paragraphs of the docstrings in the first hundred files of a package."""
    folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
    paragraphs = set()
    for file in sorted(folder.rglob("*.py"))[:100]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8", errors="ignore"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and (doc := ast.get_docstring(node)):
                first = re.sub(package, "", doc.split("\n\n")[0], flags=re.IGNORECASE)
                paragraphs.add(" ".join(first.split()))
    return sorted(paragraph for paragraph in paragraphs if len(paragraph) >= 30)


texts = {package: read_texts(package) for package in ("networkx", "skorch", "email", "asyncio")}
X = [text for of_package in texts.values() for text in of_package]
y = np.repeat(list(texts), [len(of_package) for of_package in texts.values()])
X_pool, X_test, y_pool, y_test = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
print({package: len(of_package) for package, of_package in texts.items()})

# %%
# The pipeline is the learner's classifier, and it is trained on the labelled texts alone. There are more texts of one
# package than of another, so the score is the balanced accuracy.

classifier = make_pipeline(
    TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, class_weight="balanced", max_iter=1000)
)
strategies = {"random": RandomSampling(), "margin": UncertaintySampling("margin"), "BADGE": BADGE()}
learners = {
    name: SimulatedLearner(
        classifier, strategy, n_initial=20, n_queries=20, budget=200, scoring="balanced_accuracy"
    )
    for name, strategy in strategies.items()
}
histories = simulate(learners, X_pool, y_pool, X_val=X_test, y_val=y_test, n_repeats=5, random_state=0)
display = LearningCurveDisplay.from_history(histories, baseline="random")
display.ax_.set(ylabel="Balanced test accuracy", title="Points differ from random (paired t, Holm, 0.05)")
plt.show()

# %%
for name, history in histories.items():
    print(f"{name:6}: {history['score'][:, -1].mean():.1%} with 200 labels")
complete = balanced_accuracy_score(y_test, classifier.fit(X_pool, y_pool).predict(X_test))
print(f"all {len(X_pool)} labels: {complete:.1%}")

# %%
# Margin sampling is ahead of random texts from 140 labels on, and its gain covers most of the distance to the score
# with all labels. Here are the texts of which a classifier trained on 40 texts is least sure, and for which margin
# sampling would ask, each with the classifier's guess:

first = np.random.default_rng(0).choice(len(X_pool), 40, replace=False)
known = np.full(len(X_pool), None, dtype=object)
known[first] = y_pool[first]
learner = ActiveLearner(classifier, UncertaintySampling("margin"), n_queries=6, random_state=0)
learner.fit(X_pool, known)
QueryDisplay.from_learner(learner, learner.query(), predict=True)
plt.show()
