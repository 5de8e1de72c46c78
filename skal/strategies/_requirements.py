from typing import Any

from ..access import provides
from ..differentiable import check_differentiable


def check_requirements(strategy: Any, requires: Any, estimator: Any) -> None:
    """Check, without fitting anything, that a classifier has what a strategy needs."""
    for need in requires:
        if need == "as_torch":
            try:
                check_differentiable(estimator)
            except TypeError as error:
                raise TypeError(f"{strategy} needs a classifier with a gradient. {error}") from error
            continue
        if not provides(estimator, need):
            raise TypeError(
                f"{strategy} needs a classifier with {_NEEDS.get(need, need)} and {type(estimator).__name__} has none. "
                f"{_REMEDIES.get(need, 'Use a classifier that has it, or another strategy.')}"
            )


_NEEDS = {
    "embed": "penultimate embeddings",
    "labeled_proba": "a discriminator of labelled rows",
    "critic_scores": "a critic of unlabelled rows",
    "dropout_proba": "dropout layers",
    "predicted_loss": "a prediction of its loss",
}
_REMEDIES = {
    "predict_proba": "Wrap it in CalibratedClassifierCV, use a classifier that gives probabilities, or use a strategy "
    "that does without: UncertaintySampling(measure='min_distance') for linear models, RandomSampling() or CoreSet().",
    "decision_function": "Use a linear model or SVM, or UncertaintySampling(measure='margin').",
    "labeled_proba": "Use skal.classifiers.VAALClassifier, which trains one beside its network.",
    "critic_scores": "Use skal.classifiers.WassersteinClassifier, which trains one on its features.",
    "predicted_loss": "Use skal.classifiers.LearningLossClassifier, which learns to predict it.",
    "dropout_proba": "Use a network with torch.nn.Dropout of a positive share, such as CNNClassifier('lenet') or "
    "NetClassifier(module_params={'dropout': 0.5}), or UncertaintySampling(), which does without.",
    "embed": "Use a linear model, an MLPClassifier or a network, or a strategy that works on the rows themselves, such "
    "as CoreSet(embedding='input').",
}
