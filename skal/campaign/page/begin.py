"""A campaign over items: a new one that suits the kind of the items, or an existing one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...learner import ActiveLearner
from ..campaign import Campaign
from ..database import FILE
from .defaults import default_learner
from .images import Images
from .items import Items


def begin(
    folder: str | os.PathLike[str],
    items: Items,
    *,
    classes: Sequence[Any] | None = None,
    learner: ActiveLearner | None = None,
    X: Any = None,
    training: str | None = "background",
    audit: int = 0,
    **settings: Any,
) -> Campaign:
    """Begin a campaign over items, or continue the one in the folder.

    Parameters
    ----------
    folder : str or path-like
        The folder of the campaign.
    items : Items
    classes : sequence of str, default=None
        The possible labels; None accepts any label.
    learner : ActiveLearner, default=None
        By default a learner that suits the kind of the items.
    X : container of n_rows rows, default=None
        The pool that the learner is trained on; by default features of images, the texts, or the columns of the table.
    training : {"background", "foreground"}, default="background"
        As in `Campaign`.
    audit : int, default=0
        Number of rows that are drawn at random first, for an honest estimate, in a new campaign.
    **settings : dict
        Other parameters of `Campaign`, for a new campaign.

    Returns
    -------
    campaign : Campaign

    Raises
    ------
    ValueError
        If the items, the learner or the classes are not those that the campaign began with.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.campaign.page import begin, read_items
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = Path(folder.name, "texts.txt").write_text("good\\nbad\\nugly\\n")
    >>> items = read_items(Path(folder.name, "texts.txt"))
    >>> with begin(Path(folder.name, "campaign"), items, classes=["yes", "no"], training=None) as campaign:
    ...     campaign.answer("anna", 2, "no").said(2)
    {'anna': 'no'}
    >>> with begin(Path(folder.name, "campaign"), items, training=None) as campaign:  # on another day
    ...     campaign.classes, campaign.said(2)
    (['yes', 'no'], {'anna': 'no'})
    >>> folder.cleanup()
    """
    folder = Path(folder).absolute()
    pool = items.pool(folder) if X is None else X
    if (folder / FILE).exists():
        campaign = Campaign.open(folder, pool, learner, training=training)
        if classes is not None and sorted(map(str, classes)) != sorted(map(str, campaign.classes)):
            known = campaign.classes
            campaign.close()
            raise ValueError(
                f"{folder} holds a campaign with the classes {known[:10]}; begin another one in "
                "another folder, add those that are new by Campaign.add_classes, or go on without classes."
            )
        return campaign
    chosen = default_learner(items) if learner is None else learner
    if isinstance(items, Images):  # before there is a journal, which needs it
        folder.mkdir(parents=True, exist_ok=True)
        items.keep(folder)
    campaign = Campaign(folder, chosen, pool, classes=classes, training=training, **settings)
    if audit:
        campaign.audit(audit)
    return campaign
