"""
Several annotators who do not agree
===================================

People make mistakes, each in their own way. A :class:`skal.campaign.Campaign` gives a row to several annotators, keeps
all their answers, and derives one label from them: that of the majority, or the label that explains the answers best.
"""

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.campaign import Campaign, dawid_skene
from skal.strategies import UncertaintySampling

X, truth = load_digits(n_class=5, return_X_y=True)
X = X / 16

# %%
# Three annotators
# ----------------
# Anna is careful, Bob takes every second three for a two, and Cleo guesses one time in three.

rng = np.random.default_rng(0)


def says(annotator, row):
    label = truth[row]
    if annotator == "anna":
        return label if rng.random() < 0.97 else rng.integers(5)
    if annotator == "bob":
        return 2 if label == 3 and rng.random() < 0.5 else label
    return label if rng.random() < 0.67 else rng.integers(5)


# %%
# The campaign
# ------------
# Each row goes to three people, and never twice to the same person. ``next`` gives somebody the rows that the strategy
# wants, and ``answer`` writes to disk before it returns. The classifier is trained again after every 20 labels.

learner = ActiveLearner(LogisticRegression(max_iter=1000), UncertaintySampling("margin"), random_state=0)
folder = tempfile.TemporaryDirectory()
campaign = Campaign(
    folder.name, learner, X, classes=range(5), n_annotators_per_row=3, retrain_every=20, training="foreground"
)
for _ in range(150):
    for annotator in ("anna", "bob", "cleo"):
        (row,) = campaign.next(annotator)
        campaign.answer(annotator, row, says(annotator, row))

# %%
# Do they agree?
# --------------
# Kappa is 1 for perfect agreement and 0 for chance. Between two annotators it does not show which of the two made the
# errors.

names = campaign.annotators
found = campaign.agreement()
print(f"{found.n_items} rows with two answers or more, {found.n_disputed} of them without a majority")
print(
    f"Fleiss' kappa {found.fleiss:.2f}; "
    + ", ".join(f"{one} and {other} {kappa:.2f}" for (one, other), kappa in found.cohen.items())
)

# %%
# Who errs in what?
# -----------------
# ``dawid_skene`` estimates the labels and the habits of the annotators together, without the truth. Each row of a
# matrix is a class, and its columns show which labels the annotator gives to that class.

answers = campaign.answers()
consensus = dawid_skene(
    answers["row"],
    np.array([names.index(name) for name in answers["annotator"]]),
    answers["label"].astype(int),
    n_items=len(X),
    n_annotators=3,
    n_classes=5,
)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained", sharey=True)
for ax, name, confusion in zip(axes, names, np.asarray(consensus.confusions), strict=True):
    image = ax.imshow(confusion, cmap="Blues", vmin=0, vmax=1)
    for (true, said), share in np.ndenumerate(confusion):
        if share > 0.02:
            ax.text(
                said,
                true,
                f"{share:.2f}",
                ha="center",
                va="center",
                color="white" if share > 0.5 else "black",
            )
    ax.set(title=name, xlabel="Answer", xticks=range(5), yticks=range(5))
axes[0].set_ylabel("Digit, by the consensus")
figure.colorbar(image, ax=axes, label="Share of the answers")
plt.show()

# %%
# How right are they?
# -------------------

for name in names:
    own = answers["annotator"] == name
    right = np.mean(answers["label"][own].astype(int) == truth[answers["row"][own]])
    print(f"{name}: {right:.1%} of the answers right")
for how in ("majority", "dawid_skene"):
    labels = campaign.labels(consensus=how)
    has_label = labels != UNLABELED
    print(f"{how}: {has_label.sum()} labels, {np.mean(labels == truth, where=has_label):.1%} right")
campaign.close()
folder.cleanup()

# %%
# The consensus detects Bob's habit and Cleo's guesses, and trusts Anna and Bob when Cleo says something else. It has a
# label for each row, while the majority has none where three people give three different answers.
