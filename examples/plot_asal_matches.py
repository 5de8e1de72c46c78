"""
ASAL: uncertain images that a GAN makes up, and their matches
=============================================================

The larger the pool, the longer it takes to scan it for the most uncertain rows. :class:`skal.strategies.ASAL` does not
scan: it searches a generator's latents for an image of which the classifier is most unsure, and asks for the real
images that are nearest to it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.generators import GAN
from skal.plotting import MatchesDisplay
from skal.strategies import ASAL

# %%
# The pool has fives and sevens, ten of them labelled.

X, digits = load_digits(return_X_y=True)
kept = np.isin(digits, (5, 7))
X, truth = X[kept].astype(np.float32), digits[kept]
y = np.where(np.arange(len(X)) < 10, truth, UNLABELED)

# %%
# The generator is trained once on the pool, without labels. Here are some of its images.

gan = GAN(n_latent=16, n_iter=800, batch_size=50, random_state=0).fit(X)
figure, axes = plt.subplots(2, 10, figsize=(9, 2), layout="constrained")
for ax, image in zip(axes.flat, gan.sample(20, random_state=0), strict=True):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.axis("off")

# %%
# A query. The top row has the synthetic images with their entropy in nats (a coin toss has 0.69). Below each are the
# two nearest images of the pool, with their label and row number.

strategy = ASAL(FrozenEstimator(gan), n_neighbors=2)
learner = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=10, random_state=0).fit(X, y)
rows = learner.query()
report = learner.strategy_.query_report_
in_range = report | {"synthetic": report.synthetic.clip(0, 16)}  # no whiter than white
MatchesDisplay.from_report(in_range, X, truth, image_shape=(8, 8))
plt.show()

# %%
# The search leads to images between the two digits; the real rows nearest to them are less uncertain, but still more
# uncertain than most of the pool.


def entropy(rows_of_pool):
    shares = learner.predict_proba(rows_of_pool)
    return -(shares * np.log(shares)).sum(axis=1).mean()


print(
    f"before the search {report.entropy_before.mean():.2f} nats, after it {report.entropy_after.mean():.2f}"
)
print(
    f"rows that are asked for {entropy(X[rows]):.2f}, all rows of the pool {entropy(X[y == UNLABELED]):.2f}"
)
