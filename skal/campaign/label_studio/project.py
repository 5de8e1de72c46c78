"""A project of Label Studio: how it is found or made, what annotators choose from, and its served predictions."""

from __future__ import annotations

from typing import Any

from ...utils.checks import check_integer
from ..campaign import Campaign
from . import forms
from .client import Client


class Project:
    """The project of a campaign: the one of a number, else the one that was made for it before, else a new one.

    Parameters
    ----------
    client : Client
    campaign : Campaign
    kind : {"image", "text", "table"}
        What the items are.
    number : int, default=None
    title : str, default=None
        Of a project that is made.
    config : str, default=None
        The labelling interface of a project that is made.

    Attributes
    ----------
    number : int
    source : str
        What the journal calls it, with the time of its creation: a server that is set up again counts from 1 again.
    form : Form
        Its labelling interface.
    """

    def __init__(
        self,
        client: Client,
        campaign: Campaign,
        kind: str,
        *,
        number: int | None = None,
        title: str | None = None,
        config: str | None = None,
    ) -> None:
        self._client, self._campaign, self._kind = client, campaign, kind
        self._is_own = number is None and config is None
        if number is not None:
            self.number = check_integer("project", number)
            there = self.read()
        else:
            there = self._made_before() or self._made(title or f"skal: {campaign.path.name}", config)
            self.number = int(there["id"])
        self.source = f"Label Studio {self.number} of {there['created_at']}"
        if changes := {name: value for name, value in self._order().items() if there.get(name) != value}:
            self.change(**changes)
        self.form = forms.form_of(there["parsed_label_config"])

    @property
    def url(self) -> str:
        """Where it is, for a browser."""
        return f"{self._client.url}/projects/{self.number}"

    def read(self) -> dict[str, Any]:
        """What the server says of it."""
        return dict(self._client.ask("GET", f"/api/projects/{self.number}/"))

    def change(self, **settings: Any) -> dict[str, Any]:
        """Change its settings, and return what the server says of it then."""
        return dict(self._client.ask("PATCH", f"/api/projects/{self.number}/", json=settings))

    def version(self) -> str | None:
        """The version of predictions that is served."""
        found = self.read()["model_version"]
        return None if found is None else str(found)

    def offer_classes(self) -> None:
        """Offer classes that have come since, where the labelling interface is ours."""
        classes = self._campaign.classes
        if self._is_own and not {str(each) for each in classes} <= self.form.choices:
            changed = self.change(label_config=forms.config(self._kind, classes))
            self.form = forms.form_of(changed["parsed_label_config"])

    def _order(self) -> dict[str, Any]:
        """What it needs to serve rows in the order of the strategy, each to as many as the campaign asks."""
        return {
            "sampling": "Uncertainty sampling",
            "skip_queue": "IGNORE_SKIPPED",
            "maximum_annotations": self._campaign.settings.n_annotators_per_row,
            "show_collab_predictions": True,
        }

    def _made_before(self) -> dict[str, Any] | None:
        own = (each for each in self._client.projects() if self._mark in (each["description"] or ""))
        return next(own, None)

    def _made(self, title: str, config: str | None) -> dict[str, Any]:
        about = f"Rows come from a labelling campaign of skal, in the order of its strategy. {self._mark}"
        given = {
            "title": title,
            "description": about,
            "label_config": config or forms.config(self._kind, self._campaign.classes),
        }
        return dict(self._client.ask("POST", "/api/projects/", json=given | self._order()))

    @property
    def _mark(self) -> str:
        return f"[skal {self._campaign.key}]"
