"""What changes while a campaign is running: settings, annotators, classes, and the learner."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Self

from numpy.typing import ArrayLike

from ..learner import ActiveLearner
from . import journal
from .checks import check_settings, checked_learner, checked_name, plain_classes
from .description import describe
from .journal import Settings
from .opened import Opened


class Changing(Opened):
    """Base of the campaign: what may be changed. Each change is in the journal, and holds from then on."""

    def set(self, **changes: Any) -> Self:
        """Change settings from now on.

        Parameters
        ----------
        **changes : dict
            ``n_annotators_per_row``, ``lease_seconds``, ``retrain_every``, ``n_prepared``, ``consensus``,
            ``disagreements_first``, and ``is_closed``: whether only annotators who are known are welcome. Rows that are
            done stay so where ``n_annotators_per_row`` is raised, except for those that only a lower number made done.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If one is unknown or invalid.
        """
        names = [each.name for each in fields(Settings)]
        if unknown := sorted(changes.keys() - set(names)):
            raise ValueError(f"{unknown} are no settings; there are {names}.")
        with self._database.writing() as connection:
            new = replace(journal.settings(connection), **changes)
            check_settings(new)
            event = journal.add_event(connection, self._clock(), "settings", **changes)
            journal.add_settings(connection, event, new)
        return self

    def add_annotator(self, name: str) -> Self:
        """Welcome an annotator; one who is known is no error.

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
        """Let there be more labels; those that are there already are no error.

        A classifier that was told all classes is trained again with the new ones, before the next batch.

        Parameters
        ----------
        classes : array-like of shape (n_new,)

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If they are not like the others, numbers or strings, or one is repeated, missing or what marks unlabelled
            rows.
        OSError
            As `answer`.
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
        """Go on with another classifier or strategy, or other parameters: it is trained on all labels at once.

        Rows that are prepared are offered until the new strategy has said which ones it wants.

        Parameters
        ----------
        learner : ActiveLearner
            Not fitted. It has the classes of the campaign, and its seed where ``random_state`` is no integer.

        Returns
        -------
        self : Campaign

        Raises
        ------
        ValueError
            If the campaign was opened without its pool, or the learner does not go with it.
        TypeError
            If the classifier lacks what the strategy requires, or `learner` is no ActiveLearner.
        OSError
            As `answer`.

        Notes
        -----
        Other processes that train take the change up by themselves, unless a part is code of one's own: then they end
        with an error that `progress` shows, and have to be started again with the learner.
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
