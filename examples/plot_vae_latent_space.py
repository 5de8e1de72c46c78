"""
The latent space of a VAE
=========================

A variational autoencoder learns without labels to encode a row as a few numbers, and to generate rows from such
numbers. With two numbers, its latent space can be plotted. Strategies use this space to compare rows.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skal import SimulatedLearner
from skal.generators import VAE
from skal.plotting import QueryMapDisplay
from skal.strategies import CoreSet

X, y = load_digits(return_X_y=True)
X = X.astype(np.float32)

# %%
# No label is used in training.

vae = VAE(n_latent=2, lr=2e-3, max_epochs=80, random_state=0).fit(X)
Z = vae.transform(X)

# %%
# The left plot shows where the digits lie, in the colours of their labels. The right plot shows what the decoder
# generates at the points of a grid over the same square: one digit turns into another.

figure, (plane, drawn) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
points = plane.scatter(*Z.T, c=y, cmap="tab10", vmin=-0.5, vmax=9.5, s=8)
figure.colorbar(points, ax=plane, ticks=range(10), label="Digit")
side = np.linspace(-2, 2, 15)
grid = np.array([[x, y_] for y_ in side[::-1] for x in side], dtype=np.float32)
images = vae.decode(grid).reshape(15, 15, 8, 8)
drawn.imshow(images.transpose(0, 2, 1, 3).reshape(120, 120), cmap="gray_r", extent=(-2, 2, -2, 2))
plane.set(xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), title="Means of the latents")
drawn.set_title("Decoded points of a grid")

# %%
# Core-set sampling in this space uses the trained encoder unchanged. Its first round takes the rows that lie farthest
# out, and the later ones spread over what is left.

learner = SimulatedLearner(
    LogisticRegression(max_iter=5000),
    CoreSet(FrozenEstimator(vae)),
    n_initial=10,
    n_queries=10,
    budget=60,
    random_state=0,
).fit(X, y)
QueryMapDisplay.from_learner(learner, transformer=FrozenEstimator(vae))
plt.show()
