"""How an answer is recorded, and then the classifier trained on all recorded answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import _routing_enabled, process_routing
from sklearn.utils.validation import check_array, check_is_fitted, has_fit_parameter

from ..access.wrappers import last_step
from ..pool import Rows, first_flawed
from ..utils.threads import Turns
from .columns import with_columns_as_classes
from .delegation import answer
from .knowledge import Knowledge
from .refit import check_gets_unlabeled, is_prefitted, refitted, searched
from .state import State


class Recording(Knowledge):
    """Base of the learner: one step of recording, and `refit`."""

    random_state: Any
    n_queries: int
    _seed: int
    _changes: Turns

    def refit(self) -> Self:
        """Train the classifier on what is recorded.

        Returns
        -------
        self : ActiveLearner

        Raises
        ------
        ValueError
            If the pool of `fit` was changed in place.
        BaseException
            Whatever training raises, including Ctrl-C: the classifier is then the last one that could be trained.
        """
        check_is_fitted(self)
        with self._changes:
            try:
                self._check_unchanged(self._state.pool, quickly=True)
                self._state = self._refitted(self._state)
            except BaseException as error:
                error.add_note(
                    "The answers are recorded, and the classifier is the last one that could be trained. Call refit() "
                    "to train it on them, or undo() to take them back."
                )
                raise
        return self

    def _unchanged(self) -> State:
        """The state after a step that changed nothing, which is what `undo` takes back all the same."""
        return replace(self._state, before=replace(self._state, before=None))

    def _recorded(self, state: State, refit: bool) -> Self:
        self._check_binary(state, self._state.classes.tolist())  # a third class of before can be corrected
        self._state = state
        return self.refit() if refit and not state.is_trained else self

    def _refitted(self, state: State) -> State:
        check_gets_unlabeled(self.estimator)  # set_params may have changed it
        state = refitted(
            state, self.estimator, self._seed, seeds=self.random_state is not None, n_queries=self.n_queries
        )
        return replace(state, is_trained=state.failure is None, round=state.round + 1)

    def _route(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        if not _routing_enabled():
            return fit_params
        return dict(process_routing(self, "fit", **fit_params).estimator.fit)

    def _completed(self, fit_params: dict[str, Any], n_rows: int, others: dict[str, Any]) -> dict[str, Any]:
        """Fit parameters with those that a strategy's samples come with, `others`, and these rows do not."""
        given = {name: value for name, value in fit_params.items() if value is not None or name not in others}
        return {name: np.full(n_rows, value) for name, value in others.items()} | given

    def _route_to_strategy(self, fit_params: dict[str, Any]) -> dict[str, Any]:
        """What the strategy's `fit` asks for, such as costs."""
        if not _routing_enabled():
            return {}
        return dict(process_routing(self, "fit", **fit_params).strategy.fit)

    def _try_flawed_row(self, state: State) -> None:
        """Let the classifier refuse a row that is not finite now rather than in a query: only itself knows."""
        if not state.can_guide or state.pool.known_flaw is None:
            return
        row = first_flawed(state.pool)
        try:
            answer(state.estimator, "predict", state.pool.read(np.array([row])))
        except Exception as error:
            error.add_note(f"The classifier was tried on row {row} of the pool, which has {state.pool.flaw}.")
            raise

    def _checked_weight(self, weight: Any, n_rows: int) -> NDArray[np.float64]:
        """The weights of answers, where the classifier takes any."""
        checked = check_array(weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
        if checked.shape != (n_rows,) or (checked < 0).any():
            raise ValueError(
                f"sample_weight of shape {checked.shape} was given for {n_rows} answers; give one weight per answer, "
                "none negative."
            )
        if _routing_enabled():
            self._route({"sample_weight": checked})
        elif not has_fit_parameter(searched(self.estimator), "sample_weight"):
            raise ValueError(
                f"{type(self.estimator).__name__}.fit takes no sample_weight. Leave it out, give the learner a "
                "classifier that takes weights, or let scikit-learn's metadata routing pass them on to its parts."
            )
        return checked

    def _check_binary(self, state: State, before: Sequence[Any] = ()) -> None:
        """Refuse a third class where the classifier, by its tags, never learns one."""
        tags = get_tags(self.estimator).classifier_tags
        if tags is None or tags.multi_class:
            return
        classes = {*state.classes.tolist(), *([] if state.known is None else state.known.tolist())}
        new = sorted(classes.difference(before))
        if len(classes) > 2 and new:
            raise ValueError(
                f"Only binary classification is supported by {type(last_step(self.estimator)).__name__}, and with the "
                f"labels {new[:5]} there are the classes {sorted(classes)[:5]}. Correct the labels, or those before "
                "by undo() or overwrite=True; classes=, the two of the learner, refuses all others. For more classes "
                "give another classifier, such as LogisticRegression()."
            )

    def _check_known_classes(self, labels: NDArray[Any], rows: Rows | None = None) -> None:
        """Refuse labels that are not among the classes that were given, or that a pretrained classifier knows."""
        given = set(labels.tolist())
        known = self._state.known
        if known is not None and not given <= set(known.tolist()):
            others = given - set(known.tolist())
            where = [label in others for label in labels.tolist()]
            of_rows = "" if rows is None else f" of {self._told(rows[where])}"
            raise ValueError(
                f"The labels {sorted(others)[:5]}{of_rows} are not in classes={known.tolist()}. Correct "
                "them; where there is a new class, call set_params(classes=...) with it, and refit() afterwards."
            )
        if is_prefitted(self.estimator):
            classes = np.asarray(with_columns_as_classes(self.estimator, self._state.pool).classes_).tolist()
            unknown = sorted(given - set(classes))
            if unknown:
                raise ValueError(
                    f"The labels {unknown[:5]} are unknown to the pretrained classifier, whose classes are "
                    f"{classes}. A FrozenEstimator is never refitted; pass the classifier "
                    "itself to learn new classes."
                )
