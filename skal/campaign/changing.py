"""What can change during a campaign: settings, annotators, classes, and the learner."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Self

from numpy.typing import ArrayLike

from ..learner import ActiveLearner
from . import journal
from .checks import checked_learner, checked_name, checked_settings, plain_classes
from .description import describe
from .journal import Settings
from .opened import Opened


class Changing(Opened):
    """Base of the campaign: what may be changed. Each change is in the journal, and takes effect from then on."""

    def set(self, **changes: Any) -> Self:
        """Change settings from now on.

        Parameters
        ----------
        **changes : dict
            ``n_annotators_per_row``, ``lease_seconds``, ``retrain_every``, ``n_prepared``, ``consensus``,
            ``disagreements_first``, and ``is_closed``: whether only known annotators are accepted. If
            ``n_annotators_per_row`` is raised, rows that are done stay done, except those that are done only because
            the number was lowered before.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If a setting is unknown or invalid.
        """
        names = [each.name for each in fields(Settings)]
        if unknown := sorted(changes.keys() - set(names)):
            raise ValueError(f"{unknown} are no settings; there are {names}.")
        with self._database.writing() as connection:
            new = checked_settings(replace(journal.settings(connection), **changes))
            told = {name: getattr(new, name) for name in changes}
            event = journal.add_event(connection, self._clock(), "settings", **told)
            journal.add_settings(connection, event, new)
        return self

    def add_annotator(self, name: str) -> Self:
        """Add an annotator; adding one who is already known is no error.

        Parameters
        ----------
        name : str

        Returns
        -------
        self : Campaign
        """
        name = checked_name(name)
        with self._database.writing() as connection:
            if name not in journal.annotator_names(connection):
                journal.add_annotator(connection, name)
        return self

    def add_classes(self, classes: ArrayLike) -> Self:
        """Add possible labels; adding labels that exist already is no error.

        A classifier that was given all classes is trained again with the new ones, before the next batch.

        Parameters
        ----------
        classes : array-like of shape (n_new,)

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If they are not of the same kind as the others, numbers or strings, or one is repeated, missing or the
            marker of unlabelled rows.
        OSError
            As in `answer`.
        """
        given = plain_classes(classes, self._marker)
        with self._database.writing() as connection:
            values = journal.class_values(connection)
            new = [value for value in given if value not in values]
            if values and any(isinstance(value, str) != isinstance(values[0], str) for value in new):
                raise ValueError(
                    f"classes={given[:10]} were given, and there are {values[:10]}; give all as numbers or all as "
                    "strings."
                )
            if not new:
                return self
            journal.add_classes(connection, new)
            if self.has_fixed_classes:
                _, words = journal.described_learner(connection)
                words["params"]["classes"] = describe(sorted([*values, *new]))
                journal.add_event(connection, self._clock(), "learner", learner=words, classes=new)
            else:
                journal.add_event(connection, self._clock(), "classes", classes=new)
        self._place.wake()
        return self

    def change_learner(self, learner: ActiveLearner) -> Self:
        """Use another classifier, strategy or parameters from now on; the classifier is trained on all labels at once.

        Rows that are prepared already are offered until the new strategy has chosen others.

        Parameters
        ----------
        learner : ActiveLearner
            Not fitted. It is given the classes of the campaign, and the campaign's seed if ``random_state`` is not an
            integer.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If the campaign was opened without its pool, or the learner does not fit it.
        TypeError
            If the classifier lacks what the strategy requires, or `learner` is not an ActiveLearner.
        OSError
            As in `answer`.

        Notes
        -----
        Other processes that train pick up the change by themselves, unless a part of the learner is your own code: then
        they end with an error that `progress` shows, and have to be started again with the learner.
        """
        if self._X is None:
            raise ValueError("The campaign was opened without its pool; give it: Campaign.open(folder, X).")
        classes = self.classes if self.has_fixed_classes else None
        template = checked_learner(learner, self._X, classes, self._seed)
        if classes is None and template.classes is not None:
            raise ValueError(
                "The campaign takes any label, so that the learner must not have classes; leave them out."
            )
        if describe(template.unlabeled) != self._facts["learner"]["params"]["unlabeled"]:
            raise ValueError(f"unlabeled={template.unlabeled!r} was given; it must stay what it was.")
        with self._database.writing() as connection:
            journal.add_event(connection, self._clock(), "learner", learner=describe(template))
        self._train_with(template)
        self._place.wake()
        return self
