"""Several learners against a baseline: paired tests over repeats, corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..simulation.histories import History, by_repeat
from ..utils.frames import Table
from .curves import check_baseline, scores_at, shared_numbers
from .measures import Measure, measured
from .significance import differences_of, holm, paired_test


@dataclass(frozen=True, eq=False)
class PairedTests(Table):
    """Paired tests of several learners against a baseline; as a table, one row per learner.

    Parameters
    ----------
    baseline : str
    names : tuple of str
        The learners that were tested.
    differences : ndarray of shape (n_learners,)
        Mean over the pairs of the learner's value minus the baseline's.
    n_pairs : ndarray of int of shape (n_learners,)
        Repeats in which both have a value.
    p_values : ndarray of shape (n_learners,)
        Two-sided; NaN where fewer than two pairs are left.
    adjusted : ndarray of shape (n_learners,)
        The p-values after Holm's correction for the number of learners.
    test : {"t", "wilcoxon"}

    See Also
    --------
    paired_tests : Makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import PairedTests
    >>> PairedTests("random", ("margin",), np.array([0.1]), np.array([5]), np.array([0.01]), np.array([0.01]), "t")
    PairedTests(baseline='random', names=('margin',), ... test='t')
    """

    baseline: Any
    names: tuple[Any, ...]
    differences: NDArray[np.float64]
    n_pairs: NDArray[np.intp]
    p_values: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    test: str

    def _columns(self) -> dict[str, Any]:
        return {
            "learner": list(self.names),
            "difference": self.differences,
            "n_pairs": self.n_pairs,
            "p_value": self.p_values,
            "adjusted": self.adjusted,
        }


class PairedTestsByLabels(Table, dict[int, PairedTests]):
    """Paired tests at each number of labels: a dict, and a table with one row per learner and number of labels.

    Parameters
    ----------
    tests : dict of int to PairedTests

    See Also
    --------
    paired_tests_by_labels : Makes them.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import PairedTests, PairedTestsByLabels
    >>> p_values = np.array([0.01])
    >>> tests = PairedTests("random", ("margin",), np.array([0.1]), np.array([5]), p_values, p_values, "t")
    >>> PairedTestsByLabels({20: tests}).to_frame()
       n_labeled learner  difference  n_pairs  p_value  adjusted
    0         20  margin         0.1        5     0.01      0.01
    """

    def __init__(self, tests: Mapping[int, PairedTests]) -> None:
        super().__init__(tests)

    def _columns(self) -> dict[str, Any]:
        n_labeled = [number for number, tests in self.items() for _ in tests.names]
        parts = [tests._columns() for tests in self.values()]
        return {"n_labeled": n_labeled} | {
            key: [each for part in parts for each in part[key]] for key in (parts[0] if parts else ())
        }


def paired_tests(
    histories: Mapping[Any, History],
    *,
    baseline: Any,
    measure: Measure = "area",
    test: str = "t",
    metric: str = "score",
) -> PairedTests:
    """Test over the repeats whether learners differ from a baseline.

    The repeats of :func:`skal.simulate` share their initial labels, so they are pairs, and a paired test detects
    smaller differences than an unpaired one.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        The result of :func:`skal.simulate`.
    baseline : str
        Name of the learner that the others are tested against.
    measure : {"area", "final"} or callable, default="area"
        What is compared: the area under the learning curve, the last score, or a function of a history that returns a
        number for each repeat, such as ``partial(area_under_curve, between=(10, 100))``.
    test : {"t", "wilcoxon"}, default="t"
        As in :func:`paired_test`.
    metric : str, default="score"
        Which of the history's arrays has the scores.

    Returns
    -------
    tests : PairedTests

    Raises
    ------
    ValueError
        If there are fewer than two repeats, or not equally many, if there is no such baseline, a history lacks the
        metric, a measure returns no number for each repeat, or no repeat has one for the baseline and any other
        learner.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import paired_tests
    >>> n_labeled = np.array([[10, 20]] * 3)
    >>> histories = {
    ...     "random": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.6], [0.4, 0.6], [0.6, 0.8]])},
    ...     "margin": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.8], [0.4, 0.7], [0.6, 0.9]])},
    ... }
    >>> paired_tests(histories, baseline="random").to_frame().round(4)
      learner  difference  n_pairs  p_value  adjusted
    0  margin      0.0667        3   0.0572    0.0572
    """
    others = check_baseline(histories, baseline)
    values = {name: measured(history, measure, metric) for name, history in others.items()}
    tests = _tests(values, baseline, measured(histories[baseline], measure, metric), test)
    if not tests.n_pairs.any():
        ends = {name: _ends(history) for name, history in histories.items()}
        raise ValueError(
            f"There is nothing to compare: in each repeat the measure of {baseline!r} or of the other is NaN, as an "
            "area is of a curve that has one round only, or does not go from one end of between to the other. The "
            f"first and last numbers of labels are {ends}."
        )
    return tests


def paired_tests_by_labels(
    histories: Mapping[Any, History], *, baseline: Any, test: str = "t", metric: str = "score"
) -> PairedTestsByLabels:
    """Test at each number of labels whether the scores of learners differ from those of a baseline.

    Parameters
    ----------
    histories : dict of str to dict of ndarray
        The result of :func:`skal.simulate`.
    baseline : str
        Name of the learner that the others are tested against.
    test : {"t", "wilcoxon"}, default="t"
        As in :func:`paired_test`.
    metric : str, default="score"
        Which of the history's arrays has the scores.

    Returns
    -------
    tests : PairedTestsByLabels
        A dict of int to PairedTests, for the numbers of labels at which all learners have a score. Holm's correction is
        for the number of learners at each number of labels, not for the number of rounds: at 0.05, a curve of 20 rounds
        is expected to have one mark by chance.

    Raises
    ------
    ValueError
        As in :func:`paired_tests`, or if there is no such number of labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.evaluation import paired_tests_by_labels
    >>> n_labeled = np.array([[10, 20]] * 3)
    >>> histories = {
    ...     "random": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.6], [0.4, 0.6], [0.6, 0.8]])},
    ...     "margin": {"n_labeled": n_labeled, "score": np.array([[0.5, 0.8], [0.4, 0.7], [0.6, 0.9]])},
    ... }
    >>> tests = paired_tests_by_labels(histories, baseline="random")
    >>> {n: tests[n].adjusted.round(4).tolist() for n in tests}
    {10: [1.0], 20: [0.0572]}
    """
    others = check_baseline(histories, baseline)
    numbers = shared_numbers(histories, metric)
    if not len(numbers):
        ends = {name: _ends(history) for name, history in histories.items()}
        raise ValueError(
            f"There is no number of labels at which all learners have a {metric!r}; the first and last are {ends}. "
            "Give all the same n_initial and n_queries, leave a learner out, or compare areas with paired_tests."
        )
    base = scores_at(histories[baseline], metric, numbers).T
    scores = {name: scores_at(history, metric, numbers).T for name, history in others.items()}
    return PairedTestsByLabels(
        {
            int(number): _tests({name: values[i] for name, values in scores.items()}, baseline, base[i], test)
            for i, number in enumerate(numbers)
        }
    )


def _ends(history: History) -> tuple[int, int]:
    numbers = by_repeat(history)["n_labeled"]
    return int(np.nanmin(numbers)), int(np.nanmax(numbers))


def _tests(
    values: Mapping[Any, NDArray[np.float64]], baseline: Any, base: NDArray[np.float64], test: str
) -> PairedTests:
    p_values = np.array([paired_test(one, base, test=test) for one in values.values()])
    differences = [differences_of(one, base) for one in values.values()]
    n_pairs = np.array([np.count_nonzero(~np.isnan(pairs)) for pairs in differences])
    means = [np.nansum(pairs) / n if n else np.nan for pairs, n in zip(differences, n_pairs, strict=True)]
    return PairedTests(baseline, tuple(values), np.array(means), n_pairs, p_values, holm(p_values), test)
