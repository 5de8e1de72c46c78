"""From a folder of images to a labelled set in ten minutes, as `skal label` does it, with and without a person.

``python examples/label_images.py --page`` writes scikit-learn's handwritten digits to a folder of PNG files and opens
the page to label them, as ``skal label FOLDER --classes 0 1 2 3 4 5 6 7 8 9`` does for any folder.

Without ``--page`` no person is needed: the same campaign is answered with the true labels, and the labelled set is
written. Then the learner of the page is compared with the same classifier on items drawn at random. To use images of
your own, pass ``--folder FOLDER`` with a subfolder of images for each class.

Run ``python examples/label_images.py [--quick] [--page] [--folder FOLDER]``. It takes about a minute on two cores.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal import SimulatedLearner, simulate
from skal.__main__ import main as run_skal
from skal.campaign.page import Items, begin, default_learner, labels_csv, read_items
from skal.simulation import labels_needed
from skal.strategies import RandomSampling


def write_digits(folder: Path, n_images: int) -> None:
    """Write images of 32x32 pixels into a folder for each digit."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images[:n_images], digits.target, strict=False)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        large = np.kron(image * 15.9, np.ones((4, 4))).astype(np.uint8)
        Image.fromarray(large).save(folder / str(label) / f"{number:04d}.png")


def folders_of(items: Items) -> list[str]:
    """The folder of each image, which is its class."""
    return [Path(items.name(row)).parts[0] for row in range(len(items))]


def label(folder: Path, budget: int, output: Path) -> None:
    """Answer a campaign by the names of the folders, as an annotator who is always right would."""
    items = read_items(folder)
    truth = folders_of(items)
    with (
        tempfile.TemporaryDirectory() as place,
        begin(Path(place), items, classes=sorted(set(truth)), training="foreground") as campaign,
    ):
        for _ in range(budget):
            (row,) = campaign.next("oracle")
            campaign.answer("oracle", row, truth[row])
        print(campaign.progress())
        output.write_bytes(labels_csv(campaign, items))
    print(f"written: {output}")


def compare(folder: Path, *, budget: int, n_repeats: int) -> None:
    """Compare the labels that the page's learner and random sampling need for an accuracy on held-out images."""
    items = read_items(folder)
    y = np.array(folders_of(items))
    with tempfile.TemporaryDirectory() as place:
        X = items.pool(Path(place)).dense()
    page = default_learner(items)
    sizes: dict[str, Any] = {"n_initial": 20, "n_queries": 20, "budget": budget}
    learners = {
        "page": SimulatedLearner(page.estimator, page.strategy, initial=page.cold_start, **sizes),
        "random": SimulatedLearner(page.estimator, RandomSampling(), **sizes),
    }
    pool, test, y_pool, y_test = train_test_split(X, y, test_size=0.2, stratify=y, random_state=0)
    histories = simulate(
        learners, pool, y_pool, X_val=test, y_val=y_test, n_repeats=n_repeats, random_state=0
    )
    print(f"{len(pool)} images to label, {len(test)} to test, {n_repeats} repeats")
    for name, history in histories.items():
        scores = ", ".join(
            f"{n}: {100 * score:.1f} %"
            for n, score in zip(history["n_labeled"][0], history["score"].mean(0), strict=True)
            if n % 100 == 0 or n == budget
        )
        needed = "; ".join(
            f"{100 * share:.0f} % after {', '.join(f'{n:.0f}' for n in labels_needed(history, share))} labels"
            for share in (0.9, 0.95)
        )
        print(f"{name:6}: {scores}; {needed}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few images, to check that it runs")
    parser.add_argument("--page", action="store_true", help="open the page to label by hand")
    parser.add_argument("--folder", type=Path, help="your own images, in a subfolder for each class")
    parser.add_argument("--output", type=Path, default=Path("labels.csv"))
    parser.add_argument("--budget", type=int, default=300, help="labels per run")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    n_images, budget, n_repeats = (150, 60, 1) if options.quick else (1797, options.budget, options.repeats)
    with tempfile.TemporaryDirectory() as place:
        folder = options.folder or Path(place, "digits")
        if options.folder is None:
            write_digits(folder, n_images)
        if options.page:
            classes = sorted(each.name for each in folder.iterdir() if each.is_dir())
            run_skal(["label", str(folder), "--classes", *classes])
            return
        label(folder, budget, options.output)
        compare(folder, budget=budget, n_repeats=n_repeats)


if __name__ == "__main__":
    main()
