"""The page as an ASGI application: items, answers, progress."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from ..campaign import Campaign
from ..checks import checked_name
from ..exporting import as_csv, plain
from ..progress import Progress
from .curve import Curve, curve
from .items import Items
from .security import Guard
from .talk import Talk

_CURVE_SECONDS = 10.0  # how long a learning curve is shown as it is, unless there is a new classifier
_MOST_BYTES = 1 << 20  # of a request
_STATIC = Path(__file__).parent / "static"


def make_app(
    campaign: Campaign,
    items: Items,
    *,
    title: str = "skal",
    hosts: Iterable[str] | None = None,
    token: str | None = None,
) -> Starlette:
    """The page of a campaign, for uvicorn or any other ASGI server.

    Parameters
    ----------
    campaign : Campaign
    items : Items
        What annotators look at, one item per row of the campaign: see `read_items`.
    title : str, default="skal"
        The title, shown at the top.
    hosts : iterable of str, default=None
        Names under which the page can be reached in a network, in addition to numeric addresses. None refuses every
        address except the loopback address.
    token : str, default=None
        The token that a browser has to send once: ``/?token=...``. None requires no token.

    Returns
    -------
    app : starlette.applications.Starlette

    Raises
    ------
    ValueError
        If there are more or fewer items than rows, or the token is empty.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from starlette.testclient import TestClient
    >>> from skal.campaign.page import begin, make_app, read_items
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = Path(folder.name, "texts.txt").write_text("good <b>\\nbad\\n")
    >>> items = read_items(Path(folder.name, "texts.txt"))
    >>> campaign = begin(Path(folder.name, "campaign"), items, classes=["good", "bad"], training=None)
    >>> page = TestClient(make_app(campaign, items), base_url="http://localhost")
    >>> wanted = {"annotator": "anna", "campaign": campaign.key, "n": 2, "ops": []}
    >>> rows = page.post("/sync", json=wanted).json()["rows"]
    >>> sorted(each["row"] for each in rows), any("good &lt;b&gt;" in each["html"] for each in rows)
    ([0, 1], True)
    >>> campaign.close()
    >>> folder.cleanup()
    """
    if len(items) != len(campaign):
        raise ValueError(
            f"{len(items)} items were given for a campaign of {len(campaign)} rows; give one per row."
        )
    if token == "":  # as is that of a browser without a cookie
        raise ValueError(
            "token='' was given, which lets everybody in; give a random one, or None to ask for nothing."
        )
    page = _Page(campaign, items, title)
    routes = [
        Route("/", page.home),
        Route("/classes", page.classes),
        Route("/sync", page.sync, methods=["POST"]),
        Route("/last", page.last),
        Route("/progress", page.progress),
        Route("/item/{row}/image", page.image),
        Route("/item/{row}/text", page.text),
        Route("/labels.csv", page.labels),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    guard = Middleware(Guard, hosts=hosts, token=token, cookie=f"skal-{campaign.key[:8]}")
    return Starlette(routes=routes, middleware=[guard])


class _Page:
    """What each address answers with."""

    def __init__(self, campaign: Campaign, items: Items, title: str) -> None:
        self._campaign, self._items, self._title = campaign, items, title
        loader = PackageLoader("skal.campaign.page")
        self._templates = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
        self._talk = Talk(campaign, self._fragment)
        self._is_open = not campaign.has_fixed_classes
        self._drawn: tuple[int, float, Curve] | None = None

    def home(self, request: Request) -> Response:
        name = request.query_params.get("annotator", "")
        problem = None
        if name:
            try:
                name = checked_name(name)
                if self._campaign.settings.is_closed and name not in self._campaign.annotators:
                    raise ValueError(f"{name!r} is not among the annotators of this campaign.")
            except ValueError as error:
                name, problem = "", str(error)
        return self._html(
            "label.html" if name else "who.html",
            annotator=name,
            problem=problem,
            annotators=self._campaign.annotators,
            is_closed=self._campaign.settings.is_closed,
            noun=self._items.noun,
        )

    def classes(self, request: Request) -> Response:
        return JSONResponse({"classes": self._campaign.classes, "is_open": self._is_open})

    async def sync(self, request: Request) -> Response:
        said = await _json(request)
        if said.get("campaign") != self._campaign.key:
            return JSONResponse({"error": "Another campaign is at this address now."}, status_code=409)
        try:
            answer = await run_in_threadpool(self._talk.sync, said)
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except OSError as error:
            return JSONResponse({"error": str(error)}, status_code=503)
        return JSONResponse(answer)

    def last(self, request: Request) -> Response:
        return JSONResponse(self._talk.last(request.query_params.get("annotator", "")))

    def progress(self, request: Request) -> Response:
        progress = self._campaign.progress()
        return self._html(
            "progress.html",
            progress=progress,
            curve=self._curve(progress),
            annotator=request.query_params.get("annotator", ""),
            most=max(progress.by_class.values(), default=0) or 1,
        )

    def image(self, request: Request) -> Response:
        found = self._items.image(self._row(request))
        if found is None:
            raise HTTPException(404, "This image cannot be shown.")
        data, media_type = found
        return Response(data, media_type=media_type, headers={"Cache-Control": "private, max-age=3600"})

    def text(self, request: Request) -> Response:
        row, start = self._row(request), request.query_params.get("start", "")
        try:
            part = self._items.text(row, _position(start))
        except LookupError as error:
            raise HTTPException(404, "There is no such text.") from error
        return self._html("items/part.html", **part)

    def labels(self, request: Request) -> Response:
        return Response(
            labels_csv(self._campaign, self._items),
            media_type="text/csv",
            headers={"Content-Disposition": "attachment; filename=labels.csv"},
        )

    def _curve(self, progress: Progress) -> Curve:
        """The learning curve, which takes a while to count where much was answered: not for each look."""
        n_models, now, drawn = len(progress.by_model), time.monotonic(), self._drawn
        if drawn is None or drawn[0] != n_models or now > drawn[1] + _CURVE_SECONDS:
            self._drawn = drawn = n_models, now, curve(self._campaign, progress)
        return drawn[2]

    def _row(self, request: Request) -> int:
        row = _position(request.path_params["row"])
        if not 0 <= row < len(self._items):
            raise HTTPException(404, "There is no such item.")
        return row

    def _fragment(self, row: int) -> str:
        return self._templates.get_template(f"items/{self._items.kind}.html").render(self._items.shown(row))

    def _html(self, template: str, **values: Any) -> Response:
        known = {"title": self._title, "campaign": self._campaign.key}
        return HTMLResponse(self._templates.get_template(template).render(known | values))


def labels_csv(campaign: Campaign, items: Items) -> bytes:
    """The labels as CSV, with the name of each item.

    Parameters
    ----------
    campaign : Campaign
    items : Items

    Returns
    -------
    table : bytes
        Columns as in `Campaign.consensus`, and ``item``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skal.campaign.page import begin, labels_csv, read_items
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = Path(folder.name, "texts.txt").write_text("good\\nbad\\nugly\\n")
    >>> items = read_items(Path(folder.name, "texts.txt"))
    >>> with begin(Path(folder.name, "campaign"), items, classes=["yes", "no"], training=None) as campaign:
    ...     print(labels_csv(campaign.answer("anna", 2, "no"), items).decode())
    item,row,label,probability,n_answers
    ugly,2,no,1.0,1
    <BLANKLINE>
    >>> folder.cleanup()
    """
    table = campaign.consensus()
    columns = {name: plain(column) for name, column in table.items()}
    return as_csv({"item": [items.name(row) for row in columns["row"]], **columns})


def _position(text: str) -> int:
    """The number in an address, -1 where there is none that counts anything."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1


async def _json(request: Request) -> dict[str, Any]:
    """The body of a request, an object in JSON of bounded size; no form of another site can send it."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "Send JSON.")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, "That is too much at once.")
    try:
        said = json.loads(body)
    except (RecursionError, ValueError) as error:
        raise HTTPException(400, "That is no JSON.") from error
    if not isinstance(said, dict):
        raise HTTPException(400, "Send an object.")
    return said
