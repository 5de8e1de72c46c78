"""A simulated annotator's answers for samples, as codes of the classes of the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..labels import UNLABELED, Labels, read_labels
from ..strategies import SynthesisStrategy
from ..strategies.query import TrainingSet


def annotated(
    strategy: SynthesisStrategy,
    samples: Any,
    annotate: Callable[[Any], Any],
    classes: NDArray[Any],
    oracle: Labels,
) -> TrainingSet:
    """Have samples of a strategy annotated.

    Parameters
    ----------
    strategy : SynthesisStrategy
    samples : ndarray or data frame of shape (n_queries, ...)
    annotate : callable
        Maps samples to labels.
    classes : ndarray of shape (n_classes,)
        Those of the classifier.
    oracle : Labels

    Returns
    -------
    answers : TrainingSet
        Whose y are codes.

    Raises
    ------
    ValueError
        If a label is not among those of the oracle.
    RuntimeError
        If the strategy does not return three parts.
    """
    shown = classes[np.isin(classes, oracle.classes)]  # others were declared, and no row is of them
    answers = strategy.annotate(samples, _coded(annotate, oracle), _codes(shown, oracle))
    if len(answers) != 3:
        raise RuntimeError(
            f"{type(strategy).__name__}.annotate returned {len(answers)} parts; it must return samples, their labels, "
            "and a dict of what they come with, which may be empty."
        )
    return TrainingSet(*answers)


def _coded(annotate: Callable[[Any], Any], oracle: Labels) -> Callable[[Any], NDArray[np.intp]]:
    """The annotator as a function that answers with codes, -1 where it declines: a label may be -1 itself."""

    def answer(samples: Any) -> NDArray[np.intp]:
        labels, known = read_labels(annotate(samples), unlabeled=oracle.unlabeled)
        codes = np.full(len(labels), UNLABELED)
        codes[known] = _codes(labels[known], oracle)
        return codes

    return answer


def _codes(labels: NDArray[Any], oracle: Labels) -> NDArray[np.intp]:
    """The positions of labels among the classes of the oracle."""
    unknown = labels[~np.isin(labels, oracle.classes)]
    if len(unknown):
        raise ValueError(
            f"The annotator answered {unknown.tolist()[0]!r}, and the classes of y are {oracle.classes.tolist()}."
        )
    return np.searchsorted(oracle.classes, labels)
