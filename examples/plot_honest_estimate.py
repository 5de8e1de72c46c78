"""
How good is the classifier? An honest estimate
==============================================

Labels that were chosen to be hard, and trained on, estimate nothing. An audit does give an estimate: its rows are drawn
at random, labelled like others, kept out of training, and offered by no query.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skal import UNLABELED, ActiveLearner
from skal.evaluation import audit_report
from skal.strategies import UncertaintySampling

X, y = load_digits(return_X_y=True)
X_pool, X_new, truth, y_new = train_test_split(X / 16, y, test_size=600, stratify=y, random_state=0)
learner = ActiveLearner(
    LogisticRegression(max_iter=1000), UncertaintySampling("margin"), n_queries=20, random_state=0
).fit(X_pool, np.where(np.arange(len(X_pool)) < 40, truth, UNLABELED))

# %%
# The audit is drawn before the first query, so that each later classifier is estimated for the whole pool.

audit = learner.audit(100)
learner.teach(audit, truth[audit], audit=True)

# %%
# Six rounds of margin sampling. After each, the report has the score of the audit with its interval, and what
# cross-validation over the labels at hand would have said (``naive``).

n_labels, reports, true_scores = [], [], []
for _ in range(6):
    rows = learner.query()
    learner.teach(rows, truth[rows])
    n_labels.append(learner.y_.size - (learner.y_ == UNLABELED).sum())
    reports.append(audit_report(learner))
    true_scores.append(learner.score(X_new, y_new))
print(reports[-1])

# %%
# The truth is the accuracy on 600 new images; in a real campaign nobody has their labels.

scores, low, high, naive = np.array([[each.score, each.low, each.high, each.naive] for each in reports]).T
figure, ax = plt.subplots(layout="constrained")
ax.errorbar(
    n_labels, scores, [scores - low, high - scores], marker="o", capsize=4, label="audit, 95 % interval"
)
ax.plot(n_labels, true_scores, color="black", label="truth")
ax.plot(n_labels, naive, "s--", label="cross-validation over the labels at hand")
ax.set(xlabel="Number of labels trained on", ylabel="Accuracy")
ax.legend()
plt.show()

# %%
# The truth lies in the interval in each round. Cross-validation is 10 points too low at first and 29 at the end: the
# more margin sampling asks, the more of the labels are of hard rows. The intervals from 100 rows are wide, seven points
# to either side; four times as many rows would halve their width.
