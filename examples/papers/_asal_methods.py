"""The learners of ASAL's experiments, by the names of their methods.

A name is one of Table 1, and in brackets what is changed: another GAN of Table 3; "min-distance" (a hinge loss, and the
distance to the hyperplane for the entropy, as in GAAL); "10 components" (Figure 3d); "generate 250", "neighbors 5", or
for maximal entropy "subset 250", the rows among which it searches (Figure 16). "GAAL (DCGAN, min-distance)" is what its
authors have.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from _asal_settings import (
    AUTOENCODER,
    BYTES,
    CLASSIFIER,
    CORE_SET,
    DISCRIMINATOR,
    ENTROPY,
    MIN_DISTANCE,
    PIXELS,
    RANDOM,
    Settings,
)
from sklearn.frozen import FrozenEstimator

from skal import SimulatedLearner
from skal.classifiers import LinearClassifier, NetClassifier
from skal.generators import GAN, AutoEncoder, GANInversion
from skal.strategies import ADBA, ASAL, GAAL, CoreSet, RandomSampling, RandomSubset, UncertaintySampling
from skal.strategies.objectives import ObjectiveSampling

NUMBERS = ("components", "generate", "neighbors", "subset")  # words beside which a number stands


@dataclass
class Networks:
    """The networks that all runs share; `gans` has those beside the one of Table 1."""

    gan: GAN
    autoencoder: AutoEncoder
    oracle: NetClassifier
    gans: dict[str, GAN] = field(default_factory=dict)
    inversion: GANInversion | None = None
    codes: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)  # of those that were trained


def parts_of(method: str) -> tuple[str, dict[str, Any]]:
    """The method of Table 1, and what is changed: words, and numbers by their word."""
    base, _, rest = method.rstrip(")").partition(" (")
    changes: dict[str, Any] = {}
    for change in rest.split(", ") if rest else ():
        numbers = [word for word in change.split() if word.isdigit()]
        word = " ".join(word for word in change.split() if not word.isdigit())
        if (word in NUMBERS) != bool(numbers):
            raise ValueError(
                f'"{change}" in the method {method!r} was not understood; numbers stand beside {NUMBERS}'
            )
        changes[word] = int(numbers[0]) if numbers else True
    return base, changes


def gan_names(methods: tuple[str, ...], experiment: Settings) -> list[str]:
    """The GANs of Table 3 that methods name."""
    return [name for name in experiment.gans if any(name in parts_of(method)[1] for method in methods)]


def make_learner(method: str, experiment: Settings, networks: Networks) -> SimulatedLearner:
    """A method's learner, in the terms of Table 1."""
    base, changes = parts_of(method)
    unknown = changes.keys() - {MIN_DISTANCE, *NUMBERS, *networks.gans}
    if unknown:
        raise ValueError(
            f"the method {method!r} has {sorted(unknown)}; give GANs of {[*experiment.gans]}, {MIN_DISTANCE!r}, or "
            f"numbers beside {NUMBERS}"
        )
    others = [networks.gans[name] for name in changes if name in networks.gans]
    gan = FrozenEstimator(others[0] if others else networks.gan)
    by_distance = MIN_DISTANCE in changes
    objective = "min_distance" if by_distance else "entropy"
    params: dict[str, Any] = {"objective": objective, "n_steps": experiment.n_steps}
    asal = params | {
        "n_components": changes.get("components", 50),
        "n_candidates": changes.get("generate"),
        "n_neighbors": changes.get("neighbors", 1),
    }
    uncertain = ObjectiveSampling(objective) if by_distance else UncertaintySampling(objective)
    strategies = {
        RANDOM: RandomSampling(),
        ENTROPY: RandomSubset(changes["subset"], uncertain) if "subset" in changes else uncertain,
        CORE_SET: CoreSet(),
        PIXELS: ASAL(gan, "pixels", **asal),
        AUTOENCODER: ASAL(gan, FrozenEstimator(networks.autoencoder), **asal),
        DISCRIMINATOR: ASAL(gan, "discriminator", **asal),
        CLASSIFIER: ASAL(gan, "classifier", **asal),
        "GAAL": GAAL(gan),
        "ADBA": ADBA(gan),
    }
    annotator = FrozenEstimator(networks.oracle) if base in ("GAAL", "ADBA") else None
    classifier = hinge(experiment.classifier) if by_distance else experiment.classifier
    return experiment.learner(classifier, strategies[base], annotator=annotator)


def hinge(classifier: NetClassifier) -> LinearClassifier:
    """A linear model trained as another one, with the hinge loss."""
    names = ("lr", "max_epochs", "batch_size")
    params = {name: getattr(classifier, name) for name in names}
    return LinearClassifier(loss="hinge", scale=BYTES, **params)
