"""The table of questions: what a strategy may ask of a classifier, who answers, and what to do if nobody does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNet

from .class_values import as_probabilities, decision_function, no_probabilities
from .committees import committee
from .differentiable import check_differentiable
from .dropout import dropout_passes
from .embeddings import embedder
from .heads import head
from .raw_nets import net_embed_and_predict_proba, net_predict_proba
from .wrappers import open_pipeline, overrides, own_method

# Maps a block of rows to an array with one entry per row, or to a tuple of such arrays.
Answer = Callable[..., Any]


@dataclass(frozen=True)
class Question:
    """A question that a strategy may ask a classifier about rows; the classifier's method of the same name answers.

    Put your own question into `QUESTIONS` under its name. A name that is not in the table is also a question, which
    only a method answers.

    Parameters
    ----------
    name : str
        The name of the method, which strategies list in `requires`.
    asks_for : str, default=""
        What a classifier needs, for error messages. By default the name.
    remedy : str
        What users of another classifier can do, for error messages.
    shape : tuple of str, default=()
        The shape of the answer, which is checked unless it is empty: ``("n_rows", "n_classes")``. The latter stands for
        a column for each of the classifier's `classes_`.
    answer : callable, default=None
        Maps a classifier to the function of a block of rows that answers for its kind, which takes precedence over the
        method; or to None.
    are_probabilities : bool, default=False
        Whether the answer is probabilities of classes along its last axis, and is checked as such.
    parts : tuple of Question, default=()
        Questions that answer this one together, for a classifier without a method that answers it in one pass, or with
        one that a subclass has made stale: it overrides the method of a part.
    method : str, default=""
        The method that `answer` asks, if it is not `name`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from skal.access import QUESTIONS, Question, ask
    >>> QUESTIONS["margin"] = Question(
    ...     "margin", shape=("n_rows",), answer=lambda classifier: lambda rows: abs(classifier.decision_function(rows))
    ... )
    >>> X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    >>> ask("margin", RidgeClassifier(alpha=0).fit(X, [0, 0, 1, 1]), X, rows=[3, 0]).round(2)
    array([1.2, 1.2])
    """

    name: str
    asks_for: str = ""
    remedy: str = "Use a classifier that has it, or another strategy."
    shape: tuple[str, ...] = ()
    answer: Callable[[Any], Answer | None] | None = None
    are_probabilities: bool = False
    parts: tuple[Question, ...] = ()
    method: str = ""

    def answered_by(self, classifier: Any) -> Answer | None:
        """Return the function of a block of rows that answers, or None.

        Parameters
        ----------
        classifier : classifier
            Fitted or not, without wrappers.

        Returns
        -------
        answer : callable or None
        """
        answer = self.answer(classifier) if self.answer else None
        answer = answer or self._method_of(classifier)
        answers = [part.answered_by(classifier) for part in self.parts]
        if answer is None and answers and None not in answers:
            return lambda block: tuple(answer(block) for answer in answers if answer)
        return answer

    def _method_of(self, classifier: Any) -> Answer | None:
        """Return the classifier's method, or None if its class or a subclass overrides the method of a part."""
        owner = next((kind for kind in type(classifier).__mro__ if self.name in vars(kind)), None)
        is_stale = overrides(classifier, owner, *(part.method or part.name for part in self.parts))
        return None if is_stale else own_method(classifier, self.name)

    def refusal(self, asker: Any, classifier: Any) -> TypeError:
        """Return the error for a classifier that cannot answer.

        Parameters
        ----------
        asker : object
            The strategy or function that asks.
        classifier : classifier

        Returns
        -------
        error : TypeError
            It names the asker, its need, the classifier, and the remedy.
        """
        lacks = next((part for part in self.parts if part.answered_by(classifier) is None), self)
        return TypeError(
            f"{asker} needs a classifier with {lacks.asks_for or lacks.name} and {type(classifier).__name__} has none. "
            f"{lacks.remedy}"
        )

    def check(self, values: Any, classifier: Any, *, keep_integers: bool = False) -> Any:
        """Return the answer for a block of rows as an array of floats, or as a tuple of them, after checking it.

        Parameters
        ----------
        values : array-like, or tuple with one for each of `parts`
        classifier : classifier
            The one that answered.
        keep_integers : bool, default=False
            Whether integers that are not probabilities stay integers.

        Returns
        -------
        values : ndarray or tuple of ndarray

        Raises
        ------
        ValueError
            If the answer is sparse or not numbers, has the wrong shape, or contains NaN or infinity, or if
            probabilities are negative or do not sum to one.
        """
        if self.parts:
            return tuple(
                part.check(value, classifier, keep_integers=keep_integers)
                for part, value in zip(self.parts, values, strict=True)
            )
        returned = f"{type(classifier).__name__}.{self.name} returned"
        if sparse.issparse(values):
            raise ValueError(f"{returned} an array that is sparse; return a dense array.")
        values = np.asarray(values)
        kept = "biuf" if keep_integers and not self.are_probabilities else "f"
        if values.dtype.kind not in kept or values.itemsize > 8:  # SciPy and torch know nothing wider
            try:
                values = values.astype(np.float64)  # differences of others wrap round, or there are none
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{returned} an array of dtype {values.dtype} that holds no numbers ({error}); return floats."
                ) from error
        # A raw net may know fewer classes than it has outputs; its columns are what it predicts.
        classes = None if isinstance(classifier, NeuralNet) else getattr(classifier, "classes_", None)
        sizes = {} if classes is None else {"n_classes": len(classes)}
        wanted = [sizes.get(side, side) for side in self.shape]
        if wanted and (values.ndim != len(wanted) or wanted[-1] not in (self.shape[-1], values.shape[-1])):
            raise ValueError(
                f"{returned} an array of shape {values.shape}; it must be ({', '.join(map(str, wanted))}), with one "
                "entry per row, and where it has columns for classes one for each of classes_."
            )
        if self.are_probabilities and (probabilities := as_probabilities(values)) is not None:
            return probabilities
        if not np.isfinite(values).all():
            raise ValueError(
                f"{returned} NaN or infinity, where only finite values are allowed. Look for NaN in the rows first, "
                "which nobody does for a pool that is not in memory; if all are finite, fit the classifier again with "
                "scaled features, a smaller learning rate or more regularisation."
            )
        if self.are_probabilities:
            raise no_probabilities(values, classifier, returned)
        return values


def _raw_nets(function: Callable[[NeuralNet, Any], Any]) -> Callable[[Any], Answer | None]:
    return lambda classifier: partial(function, classifier) if isinstance(classifier, NeuralNet) else None


_embed_raw_net = _raw_nets(net_embed_and_predict_proba)


def _finite_log(classifier: Any) -> Answer | None:
    probabilities = PREDICT_PROBA.answered_by(classifier)

    def log_proba(block: Any) -> NDArray[np.floating]:
        values = PREDICT_PROBA.check(probabilities(block), classifier)  # type: ignore[misc]
        return np.log(np.maximum(values, np.finfo(values.dtype).tiny))

    return probabilities and log_proba


def _trained_with(name: str, asks_for: str, kind: str) -> Question:
    remedy = f"Use skal.classifiers.{kind}Classifier, which trains one with its network."
    return Question(name, asks_for, remedy, ("n_rows",))


PREDICT_PROBA = Question(
    "predict_proba",
    remedy="Wrap it in CalibratedClassifierCV, use a classifier that gives probabilities, or use a strategy that does "
    "without: UncertaintySampling(measure='min_distance') for linear models, RandomSampling() or CoreSet().",
    shape=("n_rows", "n_classes"),
    answer=_raw_nets(net_predict_proba),
    are_probabilities=True,
)
LOG_PROBA = replace(
    PREDICT_PROBA,
    name="log_proba",
    asks_for="predict_proba",
    answer=_finite_log,
    are_probabilities=False,
    method="predict_proba",
)
EMBED = Question(
    "embed",
    "penultimate embeddings",
    "Use a linear model, an MLPClassifier, a network with a torch.nn.Linear or a classifier with a method embed(X), or "
    "a strategy that works on the rows themselves, such as CoreSet(embedding='input').",
    ("n_rows", "n_embedding"),
    embedder,
)
CRITIC_SCORES = _trained_with("critic_scores", "a critic of unlabelled rows", "Wasserstein")
_TABLE = (
    PREDICT_PROBA,
    LOG_PROBA,
    EMBED,
    CRITIC_SCORES,
    _trained_with("labeled_proba", "a discriminator of labelled rows", "VAAL"),
    _trained_with("predicted_loss", "a prediction of its loss", "LearningLoss"),
    Question(
        "decision_function",
        remedy="Use a linear model or SVM, or UncertaintySampling(measure='margin').",
        answer=decision_function,
    ),
    Question(
        "dropout_proba",
        "dropout layers",
        "Use a network with torch.nn.Dropout at a rate above 0, such as CNNClassifier('lenet') or "
        "NetClassifier(module_params={'dropout': 0.5}), with a method dropout_proba(X, n_passes, seed) if it overrides "
        "predict_proba; or UncertaintySampling(), which does without.",
        ("n_rows", "n_passes", "n_classes"),
        dropout_passes,
        are_probabilities=True,
    ),
    Question(
        "committee_proba",
        "members",
        "Use an ensemble: BaggingClassifier around the classifier, a forest, a VotingClassifier of several, "
        "with a method committee_proba(X) if it overrides predict_proba; or QueryByCommittee(n_members=10), which "
        "trains such members itself.",
        ("n_rows", "n_members", "n_classes"),
        committee,
        are_probabilities=True,
    ),
    Question(
        "posterior_proba",
        "members or dropout layers",
        "Use an ensemble, such as BaggingClassifier around the classifier or a forest; a network with torch.nn.Dropout "
        "at a rate above 0; or BatchBALD(n_members=10), which trains members itself.",
        ("n_rows", "n_members", "n_classes"),
        lambda classifier: committee(classifier) or dropout_passes(classifier),
        are_probabilities=True,
    ),
    Question(
        "linear_head",
        "a last linear layer",
        "Use a linear model, an MLPClassifier, a network that ends in a torch.nn.Linear, or a classifier with a method "
        "linear_head() that returns weights and intercepts; or BADGE(), which needs embeddings and probabilities.",
        answer=head,
    ),
    Question(
        "embed_and_predict_proba",
        answer=lambda classifier: None if own_method(classifier, "embed") else _embed_raw_net(classifier),
        parts=(EMBED, PREDICT_PROBA),
    ),
    Question("critic_scores_and_log_proba", parts=(CRITIC_SCORES, LOG_PROBA)),
)
QUESTIONS: dict[str, Question] = {question.name: question for question in _TABLE}


def provides(estimator: Any, need: str) -> bool:
    """Return whether a classifier, fitted or not, or the one inside a pipeline, has what a strategy needs.

    Parameters
    ----------
    estimator : classifier
    need : str
        The name of a question, or of a method.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access import provides
    >>> provides(LinearSVC(), "embed"), provides(LinearSVC(), "predict_proba")
    (True, False)
    """
    question, classifier = QUESTIONS.get(need, Question(need)), open_pipeline(estimator)[1]
    return (
        question.answered_by(classifier) is not None
        or own_method(estimator, need) is not None
        or question.answered_by(_completed(classifier)) is not None
    )


def _completed(classifier: Any) -> Any:
    """Return a classifier with the final estimators that `StackingClassifier` by default creates only in `fit`."""
    params = classifier.get_params() if isinstance(classifier, BaseEstimator) else {}
    parts = {"": classifier} | {f"{name}__": part for name, part in params.items()}
    frozen = tuple(
        name for name, part in parts.items() if isinstance(part, FrozenEstimator)
    )  # never fitted again
    lacking = {
        f"{name}final_estimator": LogisticRegression()
        for name, part in parts.items()
        if isinstance(part, StackingClassifier)
        and part.final_estimator is None
        and not name.startswith(frozen)
    }
    return clone(classifier).set_params(**lacking) if lacking else classifier


def check_requirements(asker: Any, requires: Iterable[str], estimator: Any) -> None:
    """Check, without fitting anything, that a classifier has what a strategy needs.

    Parameters
    ----------
    asker : object
        The strategy, or its name, for errors.
    requires : iterable of str
        Names of questions, among them ``"as_torch"``, or of methods.
    estimator : classifier
        Fitted or not.

    Raises
    ------
    TypeError
        If the classifier lacks one of them. The error names strategy, need, classifier and remedy.

    Examples
    --------
    >>> from sklearn.svm import LinearSVC
    >>> from skal.access import check_requirements
    >>> check_requirements("BADGE()", ("embed", "predict_proba"), LinearSVC())
    Traceback (most recent call last):
        ...
    TypeError: BADGE() needs a classifier with predict_proba and LinearSVC has none. Wrap it in ...
    """
    for need in requires:
        if need == "as_torch":
            try:
                check_differentiable(estimator)
            except TypeError as error:
                raise TypeError(f"{asker} needs a classifier with a gradient. {error}") from error
        elif not provides(estimator, need):
            raise QUESTIONS.get(need, Question(need)).refusal(asker, open_pipeline(estimator)[1])
