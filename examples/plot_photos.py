"""
Photos in a folder
==================

The pool is a torch dataset of image files, which are decoded when they are asked for. The dataset is identified by the
names, sizes and times of its files. Bytes reach the network batch by batch, are scaled to [0, 1] there, and are flipped
at random in training.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.model_selection import train_test_split
from torch.utils.data import Dataset
from torchvision.transforms import v2

from skal import SimulatedLearner, simulate
from skal.classifiers import CNNClassifier
from skal.plotting import LearningCurveDisplay
from skal.strategies import BADGE, RandomSampling

# %%
# The files
# ---------
# The files are patches of the two photos that scikit-learn has, in a folder for each photo. One patch in ten shows the
# flower. To use your own photos, set ``folder = Path("my_photos")``, with a subfolder for each class.

temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
rng = np.random.default_rng(0)
for name, photo, n_patches in zip(("china", "flower"), load_sample_images().images, (630, 70), strict=True):
    (folder / name).mkdir()
    height, width, _ = photo.shape
    for number in range(n_patches):
        top, left = rng.integers(height - 40), rng.integers(width - 40)
        Image.fromarray(photo[top : top + 40, left : left + 40]).save(folder / name / f"{number}.png")

paths = sorted(folder.glob("*/*.*"))
labels = np.array([path.parent.name for path in paths])

# %%
# The pool
# --------
# The attribute ``paths`` identifies the pool. An item is an image, or a pair of an image and a label, which is ignored.


class Photos(Dataset):
    """Image files, as bytes of 16x16 pixels."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        with Image.open(self.paths[index]) as image:
            return image.convert("RGB").resize((16, 16))


pool, test, y_pool, y_test = train_test_split(paths, labels, test_size=0.3, stratify=labels, random_state=0)
figure, axes = plt.subplots(2, 8, figsize=(9, 2.5), layout="constrained")
for row_of_axes, name in zip(axes, ("china", "flower"), strict=True):
    for ax, index in zip(row_of_axes, np.flatnonzero(np.equal(y_pool, name)), strict=False):
        ax.imshow(Photos(pool)[index])
        ax.axis("off")
    row_of_axes[0].set_title(name, loc="left")

# %%
# Random rows or BADGE?
# ---------------------
# The flower is rare, so the score is the balanced accuracy, and the loss is weighted by class.

network = CNNClassifier(
    "digits",
    module_params={"n_filters": 16},
    augment=v2.RandomHorizontalFlip(),
    class_weight="balanced",
    lr=2e-3,
    batch_size=32,
    max_epochs=15,
)
learners = {
    name: SimulatedLearner(
        network, strategy, n_initial=20, n_queries=20, budget=100, scoring="balanced_accuracy"
    )
    for name, strategy in {"random": RandomSampling(), "BADGE": BADGE()}.items()
}
histories = simulate(
    learners, Photos(pool), y_pool, X_val=Photos(test), y_val=y_test, n_repeats=2, random_state=0
)
display = LearningCurveDisplay.from_history(histories, band="min_max")
display.ax_.set(ylabel="Balanced test accuracy", title="Means and extremes of 2 repeats")
plt.show()

# %%
for name, history in histories.items():
    print(f"{name:6}: {history['score'][:, -1].mean():.1%} with 100 labels")
temporary.cleanup()

# %%
# BADGE gains nothing here: random photos are ahead at the end, and the two runs of each strategy differ by more than
# that lead. Sky and petals are told apart by their colour, so there is little that a query could find, and the 21
# flowers of the test photos are worth more than two points each.
