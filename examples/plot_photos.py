"""Photos in a folder: files that are decoded when they are asked for.

The pool is a torch dataset of paths. It is known by the names, sizes and times of its files, and never decoded as a
whole: bytes reach the network batch by batch, are scaled to [0, 1] there, and are flipped at random in training.

Without ``--folder`` the photos are patches of the two that scikit-learn has, and the label says of which. One in ten
shows the flower, so the score is the balanced accuracy and the loss weighs the classes. A folder of your own has a
folder of image files for each class.

Run ``python examples/plot_photos.py [--quick] [--folder FOLDER] [--output photos.png]``. It takes about a minute on two
cores.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from sklearn.model_selection import train_test_split
from torch.utils.data import Dataset
from torchvision.transforms import v2

from skal import SimulatedLearner, simulate
from skal.classifiers import CNNClassifier
from skal.plotting import LearningCurveDisplay
from skal.strategies import BADGE, RandomSampling

STRATEGIES = {"random": RandomSampling(), "BADGE": BADGE()}


class Photos(Dataset):
    """Image files, as bytes of 16x16 pixels."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        with Image.open(self.paths[index]) as image:
            return image.convert("RGB").resize((16, 16))


def cut_patches(folder: Path, n_patches: int) -> None:
    """Write patches of two photos to PNG files in a folder for each photo: one in ten is of the flower."""
    rng = np.random.default_rng(0)
    for name, photo, share in zip(("china", "flower"), load_sample_images().images, (0.9, 0.1), strict=True):
        (folder / name).mkdir()
        height, width, _ = photo.shape
        for number in range(int(share * n_patches)):
            row, column = rng.integers(height - 40), rng.integers(width - 40)
            patch = photo[row : row + 40, column : column + 40]
            Image.fromarray(patch).save(folder / name / f"{number}.png")


def run(folder: Path, *, budget: int, n_repeats: int, max_epochs: int, output: str) -> None:
    paths = sorted(folder.glob("*/*.*"))
    labels = np.array([path.parent.name for path in paths])
    pool, test, y_pool, y_test = train_test_split(
        paths, labels, test_size=0.3, stratify=labels, random_state=0
    )
    print(f"{len(pool)} photos to label and {len(test)} to test, of {', '.join(np.unique(labels))}")

    classifier = CNNClassifier(
        "digits",
        module_params={"n_filters": 16},
        augment=v2.RandomHorizontalFlip(),
        class_weight="balanced",
        lr=2e-3,
        batch_size=32,
        max_epochs=max_epochs,
    )
    learners = {
        name: SimulatedLearner(
            classifier, strategy, n_initial=20, n_queries=20, budget=budget, scoring="balanced_accuracy"
        )
        for name, strategy in STRATEGIES.items()
    }
    validation = {"X_val": Photos(test), "y_val": y_test}
    histories = simulate(learners, Photos(pool), y_pool, **validation, n_repeats=n_repeats, random_state=0)
    for name, history in histories.items():
        scores = history["score"][:, -1]
        print(
            f"{budget} labels, {name:6}: balanced accuracy {np.median(scores):.1%}, {min(scores):.1%} to "
            f"{max(scores):.1%} in {n_repeats} runs"
        )

    display = LearningCurveDisplay.from_history(histories)
    display.ax_.set(ylabel="Balanced test accuracy", title="Photos in a folder")
    display.figure_.savefig(output, dpi=100)
    print(f"drawn: {output}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few photos, to see that it runs")
    parser.add_argument("--folder", type=Path, help="a folder of image files for each class")
    parser.add_argument("--output", default="photos.png")
    options = parser.parse_args()
    n_patches, budget, n_repeats, max_epochs = (100, 40, 1, 5) if options.quick else (2000, 160, 3, 40)
    torch.set_num_threads(1)  # so small a network gains nothing from more
    with tempfile.TemporaryDirectory() as folder:
        if options.folder is None:
            cut_patches(Path(folder), n_patches)
        lengths = {"budget": budget, "n_repeats": n_repeats, "max_epochs": max_epochs}
        run(options.folder or Path(folder), **lengths, output=options.output)


if __name__ == "__main__":
    main()
