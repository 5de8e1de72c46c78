"""Several simulated learners, repeatedly, on shared initial labels, and what their histories tell."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from joblib.parallel import get_active_backend
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.utils.metadata_routing import _routing_enabled, process_routing

from ..utils.checks import check_integer
from ..utils.progress import counted, is_shown
from ..utils.random import draw_seed
from .histories import Histories, History, check_metric, stack
from .learner import SimulatedLearner


def simulate(
    learners: Mapping[str, SimulatedLearner] | Iterable[SimulatedLearner],
    X: Any,
    y: ArrayLike,
    *,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    n_repeats: int = 5,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
    **fit_params: Any,
) -> Histories:
    """Run several simulated learners, repeatedly, on shared initial labels.

    What `fit` of any of them refuses is refused before one of them is trained.

    Parameters
    ----------
    learners : dict of str to SimulatedLearner, or iterable of SimulatedLearner
        The learners of an iterable are named by the class of their strategy. In each repeat, the ``random_state`` of
        every learner is replaced by a seed that all of them share. Initial rows that a learner names are used in every
        repeat.
    X : array-like, sparse matrix or data frame of shape (n_samples, ...)
    y : array-like of shape (n_samples,)
        The oracle.
    X_val, y_val : array-likes, default=None
        Rows on which each round is scored.
    n_repeats : int, default=5
        How often each learner runs, from other initial labels each time.
    n_jobs : int or None, default=None
        Number of parallel runs, as in joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        If above 0, a line is printed after each run; not with joblib's backend "multiprocessing".
    **fit_params : dict
        As in :meth:`SimulatedLearner.fit`. With scikit-learn's metadata routing, each learner gets the parameters that
        it takes: costs go to the strategies that ask for them.

    Returns
    -------
    histories : Histories
        A dict of each learner's ``history_``, with a leading axis of length `n_repeats`. A repeat that `stopping` ended
        early has NaN for its missing rounds, and then ``n_labeled`` and ``class_counts`` are floats. The method
        `to_frame` makes a table.

    Raises
    ------
    TypeError
        If the learners are neither a dict nor an iterable, or one of them is not a SimulatedLearner.
    ValueError
        If several learners have no other name than the same strategy class, or `n_repeats` is invalid.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import SimulatedLearner, simulate
    >>> from skal.strategies import RandomSampling, UncertaintySampling
    >>> X, y = load_iris(return_X_y=True)
    >>> learners = [
    ...     SimulatedLearner(LogisticRegression(max_iter=1000), strategy, budget=30, validation_fraction=0.3)
    ...     for strategy in (RandomSampling(), UncertaintySampling())
    ... ]
    >>> histories = simulate(learners, X, y, n_repeats=2, random_state=0)
    >>> histories["RandomSampling"]["score"].shape
    (2, 3)
    >>> histories.to_frame()[["learner", "repeat", "n_labeled"]].tail(2)
                    learner  repeat  n_labeled
    10  UncertaintySampling       1         20
    11  UncertaintySampling       1         30
    """
    n_repeats = check_integer("n_repeats", n_repeats)
    if isinstance(learners, BaseEstimator) or not isinstance(learners, Iterable):
        raise TypeError(
            f"learners is of class {type(learners).__name__}; give a dict of names to learners, or a list of learners."
        )
    if not isinstance(learners, Mapping):
        learners = list(learners)
        _check_learners(dict(enumerate(learners)))
        names = [type(learner.strategy).__name__ for learner in learners]
        if len(set(names)) < len(names):
            raise ValueError(
                f"Several learners have the same strategy class: {names}. Give a dict with a name for each."
            )
        learners = dict(zip(names, learners, strict=True))
    _check_learners(learners)
    taken = {name: _taken(learner, fit_params) for name, learner in learners.items()}
    untaken = set(fit_params).difference(*taken.values())  # of which `fit` says what is wrong
    seeds = np.random.default_rng(draw_seed(random_state)).integers(np.iinfo(np.int32).max, size=n_repeats)
    runs = [
        (
            clone(learner).set_params(random_state=int(seed)),
            {key: value for key, value in fit_params.items() if key in taken[name] | untaken},
        )
        for name, learner in learners.items()
        for seed in seeds
    ]
    # What the others refuse would cost the runs before theirs.
    for learner, params in runs[n_repeats::n_repeats]:
        other = clone(learner)
        other._validate_params()
        other._opened(X, y, X_val, y_val, params)
    places = [(name, repeat) for name in learners for repeat in range(n_repeats)]
    started, histories = time.perf_counter(), []
    # One by one, so that the progress of other processes is told in this one, where a notebook shows it. Not every
    # backend of joblib can do that.
    one_by_one = (verbose or is_shown()) and get_active_backend()[0].supports_return_generator
    ended = Parallel(n_jobs=n_jobs, return_as="generator" if one_by_one else "list")(
        delayed(_run)(learner, X, y, X_val=X_val, y_val=y_val, **params) for learner, params in runs
    )
    for history in counted(ended, "runs", len(runs)):
        histories.append(history)
        if verbose:
            name, repeat = places[len(histories) - 1]
            seconds = time.perf_counter() - started
            print(
                f"[simulate {len(histories)}/{len(runs)}, {seconds:.1f} s] {name}, repeat {repeat}: {_told(history)}"
            )
    return Histories(
        {
            name: stack(histories[start : start + n_repeats])
            for name, start in zip(learners, range(0, len(runs), n_repeats), strict=True)
        }
    )


def _check_learners(learners: Mapping[Any, Any]) -> None:
    for name, learner in learners.items():
        if not isinstance(learner, SimulatedLearner):
            raise TypeError(
                f"The learner {name!r} is of class {type(learner).__name__}; give SimulatedLearner(classifier, "
                "strategy), which reveals the labels round by round."
            )


def _taken(learner: SimulatedLearner, fit_params: dict[str, Any]) -> set[str]:
    """The names of the parameters that a learner can pass on to its parts."""
    if not _routing_enabled():
        return set(fit_params)
    taken = set()
    for name, value in fit_params.items():
        try:
            process_routing(learner, "fit", **{name: value})
        except TypeError:
            continue
        except UnsetMetadataPassedError:  # known, and for `fit` to refuse
            pass
        taken.add(name)
    return taken


def _run(learner: SimulatedLearner, X: Any, y: Any, **fit_params: Any) -> History:
    return learner.fit(X, y, **fit_params).history_


def _told(history: History) -> str:
    """Where a run has ended: its labels and scores."""
    scores = [f"{key} {values[-1]:.4g}" for key, values in history.items() if key.startswith("score")]
    return ", ".join([f"{history['n_labeled'][-1]} labels", *scores])


def labels_needed(history: History, score: float, *, metric: str = "score") -> NDArray[np.float64]:
    """The number of labels that each repeat needed to reach a score.

    Parameters
    ----------
    history : dict of ndarray
        A ``history_``, or one of the results of :func:`simulate`.
    score : float
        The score to reach.
    metric : str, default="score"
        Which of the history's arrays.

    Returns
    -------
    n_labeled : ndarray of float of shape (n_repeats,)
        The smallest number of labels with at least that score; NaN for a repeat that never reached it.

    Raises
    ------
    ValueError
        If the history has no such metric, or several histories were given.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.simulation import labels_needed
    >>> history = {"n_labeled": np.array([[10, 20], [10, 20]]), "score": np.array([[0.8, 0.9], [0.7, 0.8]])}
    >>> labels_needed(history, 0.9)
    array([20., nan])
    """
    check_metric(history, metric)
    scores, n_labeled = np.atleast_2d(history[metric]), np.atleast_2d(history["n_labeled"])
    reached = scores >= score
    first = reached.argmax(axis=1)[:, None]
    return np.where(reached.any(axis=1), np.take_along_axis(n_labeled, first, axis=1)[:, 0], np.nan)
