"""The learners of ASAL's experiments, by the names of their methods.

A name is a method of Table 1, followed by its changes in brackets: another GAN of Table 3; "min-distance" (a hinge
loss, and the distance to the hyperplane in place of the entropy, as in GAAL); "10 components" (Figure 3d); "generate
250", "neighbors 5", or for maximal entropy "subset 250": the rows among which the method searches (Figure 16). "GAAL
(DCGAN, min-distance)" is GAAL as its authors run it. "ADBA (ALI, own objective)" is ADBA as its authors run it: in the
codes of ALI, with 14 images per line, from which the classifier learns the class of the row and the point where the
class changes. "Random (ALI)" and "Maximal Entropy (ALI)" use the same codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _asal_settings import (
    ALI_CODES,
    AUTOENCODER,
    BYTES,
    CLASSIFIER,
    CORE_SET,
    DISCRIMINATOR,
    ENTROPY,
    MIN_DISTANCE,
    OWN_OBJECTIVE,
    PIXELS,
    RANDOM,
    Settings,
)
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skal import SimulatedLearner
from skal.classifiers import BoundarySVC, LinearClassifier, NetClassifier
from skal.nets import Linear
from skal.strategies import ADBA, ASAL, GAAL, CoreSet, RandomSampling, RandomSubset, UncertaintySampling
from skal.strategies.objectives import ObjectiveSampling

NUMBERS = ("components", "generate", "neighbors", "subset")  # words beside which a number stands
FEATURES = {PIXELS: "pixels", DISCRIMINATOR: "discriminator", CLASSIFIER: "classifier"}
SYNTHESIS = {"GAAL": GAAL, "ADBA": ADBA}
BASES = (RANDOM, ENTROPY, CORE_SET, AUTOENCODER, *FEATURES, *SYNTHESIS)


def changes_of(base: str, experiment: Settings) -> set[str]:
    """What can be changed of a method."""
    ali = [ALI_CODES] if experiment.ali else []
    if base == "ADBA":  # its latents are found once, for the GAN of Table 1
        return {OWN_OBJECTIVE, *ali}
    if base == CORE_SET:
        return {MIN_DISTANCE}
    if base == RANDOM:
        return {MIN_DISTANCE, *ali}
    if base == ENTROPY:
        return {MIN_DISTANCE, "subset", *ali}
    own = () if base in SYNTHESIS else ("components", "generate", "neighbors")
    return {MIN_DISTANCE, *experiment.gans, *own}


def parts_of(method: str, experiment: Settings) -> tuple[str, dict[str, Any]]:
    """The method of Table 1, and what is changed: words, and numbers by their word."""
    base, _, rest = method.rstrip(")").partition(" (")
    if base not in BASES:
        raise ValueError(
            f"the method {method!r} is not known; give one of {BASES}, perhaps with changes in brackets"
        )
    changes: dict[str, Any] = {}
    for change in rest.split(", ") if rest else ():
        numbers = [word for word in change.split() if word.isdigit()]
        word = " ".join(word for word in change.split() if not word.isdigit())
        if (word in NUMBERS) != bool(numbers):
            raise ValueError(
                f'"{change}" in the method {method!r} was not understood; numbers stand beside {NUMBERS}'
            )
        changes[word] = int(numbers[0]) if numbers else True
    allowed = changes_of(base, experiment)
    if unknown := changes.keys() - allowed:
        raise ValueError(
            f"the method {method!r} has {sorted(unknown)}; {base} can have {sorted(allowed) or 'no change'}, words of "
            f"{NUMBERS} with their number"
        )
    return base, changes


def is_in_codes(method: str, experiment: Settings) -> bool:
    """Whether the rows of a method are latents."""
    base, changes = parts_of(method, experiment)
    return base == "ADBA" or ALI_CODES in changes


def make_learner(method: str, experiment: Settings, network: Callable[[str], Any]) -> SimulatedLearner:
    """A method's learner, in the terms of Table 1; only the networks that it needs are asked for, by their names."""
    base, changes = parts_of(method, experiment)
    by_distance = MIN_DISTANCE in changes
    objective = "min_distance" if by_distance else "entropy"
    asal: dict[str, Any] = {
        "objective": objective,
        "n_steps": experiment.n_steps,
        "n_components": changes.get("components", 50),
        "n_candidates": changes.get("generate"),
        "n_neighbors": changes.get("neighbors", 1),
    }
    uncertain = ObjectiveSampling(objective) if by_distance else UncertaintySampling(objective)
    annotator = None
    if base == RANDOM:
        strategy: Any = RandomSampling()
    elif base == ENTROPY:
        strategy = RandomSubset(changes["subset"], uncertain) if "subset" in changes else uncertain
    elif base == CORE_SET:
        strategy = CoreSet()
    else:
        others = (*experiment.gans, ALI_CODES)
        gan = FrozenEstimator(network(next((name for name in changes if name in others), "gan")))
        if base in SYNTHESIS:
            strategy, annotator = SYNTHESIS[base](gan), FrozenEstimator(network("oracle"))
            if OWN_OBJECTIVE in changes:
                strategy.set_params(n_points=14, n_candidates=None, answers="boundary")
        else:
            features = FrozenEstimator(network("autoencoder")) if base == AUTOENCODER else FEATURES[base]
            strategy = ASAL(gan, features, **asal)
    classifier: Any = hinge(experiment.classifier) if by_distance else experiment.classifier
    if OWN_OBJECTIVE in changes:
        classifier = BoundarySVC()
    elif is_in_codes(method, experiment):  # which are no bytes
        linear = {} if by_distance else {"module": Linear}
        classifier = clone(classifier).set_params(scale="auto", **linear)
    return experiment.learner(classifier, strategy, annotator=annotator)


def hinge(classifier: NetClassifier) -> LinearClassifier:
    """A linear model trained as another one, with the hinge loss."""
    names = ("lr", "max_epochs", "batch_size")
    params = {name: getattr(classifier, name) for name in names}
    return LinearClassifier(loss="hinge", scale=BYTES, **params)
