"""Samples of a WGAN-GP: trained on MNIST's digits 5 and 7, drawn, and judged by a classifier of the real digits.

``python examples/gan_samples.py --checkpoint FILE`` continues from the file if it exists, so that training can be
interrupted. MNIST is read from the folder that SKAL_DATA names; without it, scikit-learn's 8x8 digits take its place.
"""

import argparse
import time

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from skal.classifiers import CNNClassifier
from skal.datasets import load_mnist
from skal.generators import GAN


def load_images(classes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    try:
        return load_mnist(subset=classes, return_X_y=True)
    except FileNotFoundError as error:
        print(f"{error}\nTaking scikit-learn's digits instead.")
    X, y = load_digits(return_X_y=True)
    known = np.isin(y, classes)
    return X[known].reshape(-1, 1, 8, 8).astype(np.float32), y[known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, nargs="+", default=[5, 7])
    parser.add_argument("--steps", type=int, default=3000, help="generator steps")
    parser.add_argument("--checkpoint", help="file that keeps the state of training")
    parser.add_argument("--output", default="gan_samples.png")
    options = parser.parse_args()

    X, y = load_images(options.classes)
    gan = GAN(
        n_iter=options.steps,
        batch_size=50,  # WGAN-GP's, and so ASAL's, for MNIST
        checkpoint=options.checkpoint,
        checkpoint_every=100,
        verbose=1,
        random_state=0,
    )
    started = time.perf_counter()
    gan.fit(X)
    print(
        f"{len(X)} images, {options.steps} generator steps, {time.perf_counter() - started:.0f} s in this run"
    )

    samples = gan.sample(1000, random_state=1)
    classifier = CNNClassifier(max_epochs=5, random_state=0).fit(X / np.float32(X.max()), y)
    probabilities = classifier.predict_proba((samples / X.max()).astype(np.float32))
    confidence = np.median(probabilities.max(axis=1))
    print(f"median confidence of a classifier of real digits in 1000 samples: {confidence:.3f}")
    for label, share in zip(
        classifier.classes_, np.bincount(probabilities.argmax(axis=1)) / 1000, strict=True
    ):
        print(f"  called {label}: {share:.1%}")

    figure, axes = plt.subplots(8, 16, figsize=(8, 4))
    for axis, image in zip(axes.flat, samples, strict=False):
        axis.imshow(image[0], cmap="gray_r")
        axis.axis("off")
    figure.suptitle(f"{options.steps} generator steps")
    figure.savefig(options.output, dpi=100)
    print(f"drawn: {options.output}")


if __name__ == "__main__":
    main()
