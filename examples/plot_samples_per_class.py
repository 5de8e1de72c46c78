"""
Images of a class that you name: ACGAN and ALCG
===============================================

:class:`skal.classifiers.ACGANClassifier` learns from labelled rows to predict classes and to generate rows of given
classes. The strategy :class:`skal.strategies.ALCG` chooses labels for such a generator: it asks for the rows that the
classifier is most certain of, because clean examples teach a generator most.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.svm import SVC

from skal import SimulatedLearner
from skal.classifiers import ACGANClassifier
from skal.strategies import ALCG, ClassBalanced, RandomSampling

X, y = load_digits(n_class=5, return_X_y=True)
X = (X / 16).astype(np.float32)

# %%
# There are 40 labels drawn at random, and 80 more that the strategy asks for. Certain rows may all be of the easiest
# digit, so ALCG asks within each predicted class.

strategies = {"random": RandomSampling(), "ALCG": ClassBalanced(ALCG("large_margin"))}
learners = {
    name: SimulatedLearner(
        ACGANClassifier(n_iter=400, batch_size=32),
        strategy,
        n_initial=40,
        n_queries=80,
        budget=120,
        random_state=0,
    ).fit(X, y)
    for name, strategy in strategies.items()
}

# %%
# Eight images of each digit from the classifiers with 120 labels. A support vector machine that was trained on all real
# images counts how many of 100 images per class it takes for the digit that was asked for.

judge = SVC().fit(X, y)
figure = plt.figure(figsize=(9, 3.4), layout="constrained")
for part, (name, learner) in zip(figure.subfigures(1, 2, squeeze=False).flat, learners.items(), strict=True):
    wanted = np.repeat(np.arange(5), 100)
    images = learner.estimator_.sample(wanted, random_state=0)
    right = np.mean(judge.predict(images) == wanted)
    axes = part.subplots(5, 8)
    for (digit, column), ax in np.ndenumerate(axes):
        ax.imshow(images[100 * digit + column].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        ax.axis("off")
    part.suptitle(f"{name}: {right:.1%} taken for their digit")
plt.show()

# %%
# Nearly all images are taken for their digit, with random rows as with certain ones: five digits and 120 labels are too
# easy to tell the two apart. The images of a digit look much alike in both. The reproduction of the paper shows what
# ALCG gains on real images.
