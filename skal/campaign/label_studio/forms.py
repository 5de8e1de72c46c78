"""How rows and classes look in Label Studio."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")  # which Label Studio stores
_TAGS = {"image": "Image", "text": "Text", "table": "Table"}
_MOST_BUTTONS = 30  # of classes; more of them are in a list with a field to search it

_NO_CHOICES = "The labelling interface has no <Choices toName=...> of the classes; add them, or leave it out."


class Form(NamedTuple):
    """The parts of a labelling interface that are filled in, and read.

    Attributes
    ----------
    control, item : str
        The names of the choices and of what is labelled.
    data : str
        The name in the task's data of what is labelled.
    choices : frozenset of str
    """

    control: str
    item: str
    data: str
    choices: frozenset[str]


def config(kind: str, classes: Sequence[Any]) -> str:
    """A labelling interface for items of a kind: the item, and a choice of one class.

    Parameters
    ----------
    kind : {"image", "text", "table"}
    classes : sequence of labels

    Examples
    --------
    >>> from skal.campaign.label_studio.forms import config
    >>> print(config("text", ["<b>", "no"]))  # doctest: +NORMALIZE_WHITESPACE
    <View><Text name="item" value="$item" /><Choices name="label" toName="item" choice="single" required="true"
    showInline="true"><Choice value="&lt;b&gt;" /><Choice value="no" /></Choices></View>
    """
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, _TAGS[kind], {"name": "item", "value": "$item"})
    look = {"layout": "select"} if len(classes) > _MOST_BUTTONS else {"showInline": "true"}
    told = {"name": "label", "toName": "item", "choice": "single", "required": "true", **look}
    choices = ElementTree.SubElement(view, "Choices", told)
    for each in classes:
        ElementTree.SubElement(choices, "Choice", {"value": str(each)})
    return ElementTree.tostring(view, encoding="unicode")


def check_config(text: str) -> None:
    """Refuse a labelling interface of one's own before a project is made with it.

    Raises
    ------
    ValueError
        If it is no XML, or has no choices of one thing.
    """
    try:
        has_choices = any(each.get("toName") for each in ElementTree.fromstring(text).iter("Choices"))
    except ElementTree.ParseError as error:
        raise ValueError(f"config is no XML ({error}).") from error
    if not has_choices:
        raise ValueError(_NO_CHOICES)


def form_of(parsed: Mapping[str, Any]) -> Form:
    """The form of a labelling interface, as Label Studio has read it.

    Raises
    ------
    ValueError
        If it has no choices of one thing.
    """
    for name, control in parsed.items():
        if control.get("type") == "Choices" and control.get("to_name") and control.get("inputs"):
            item, source = control["to_name"][0], control["inputs"][0]["value"]
            return Form(name, item, source, frozenset(map(str, control.get("labels", ()))))
    raise ValueError(_NO_CHOICES)


def kind_of(item: Any) -> str:
    """The kind of an item: an image's path or address, a text, or a row of a table."""
    if isinstance(item, os.PathLike):
        return "image"
    if isinstance(item, str):
        name = item.partition("?")[0].lower() if _is_address(item) else item.lower()
        return "image" if name.endswith(_IMAGES) and "\n" not in item and len(item) < 4096 else "text"
    if isinstance(item, Mapping) or np.ndim(item) == 1:
        return "table"
    raise ValueError(
        f"Items of type {type(item).__name__} cannot be shown in Label Studio; give paths of images, texts, or rows of "
        "a table: LabelStudio(campaign, url, token, items=...)."
    )


def item_at(items: Any, row: int) -> Any:
    """One item of a sequence, or of a data frame or series by position."""
    if hasattr(items, "iloc"):
        found = items.iloc[row]
        return found.to_dict() if hasattr(items, "columns") else found
    if hasattr(items, "row") and hasattr(items, "columns"):  # polars
        return items.row(row, named=True)
    return items[row]


def shown(item: Any, kind: str) -> Any:
    """What is put into a task: JSON."""
    if kind == "text":
        return str(item)
    if kind == "image":
        return os.fspath(item)
    pairs = item.items() if isinstance(item, Mapping) else enumerate(np.asarray(item).tolist())
    return {str(name): _cell(value) for name, value in pairs}


def file_of(item: Any) -> Path | None:
    """The file of an image, which is stored in Label Studio; None for an address, which is shown as it is."""
    text = os.fspath(item)
    return None if _is_address(text) else Path(text)


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://", "s3://", "gs://", "data:", "/data/"))


def _cell(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
