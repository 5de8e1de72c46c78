"""``skal label``: from a folder or file to the page of a campaign."""

from __future__ import annotations

import argparse
import errno
import importlib.util
import socket
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...learner import ActiveLearner
from ...utils.replacing import replacing
from ..background import cloudpickle
from ..campaign import Campaign
from ..database import FILE
from .app import labels_csv, make_app
from .begin import begin
from .items import Items
from .reading import campaign_folder, read_items
from .security import LOOPBACK, names_of_this_machine
from .serving import bound, link, serve, show_code, token_of

_PORT = 8765
_ABOUT = """\
Label images, texts or rows of a table in the browser. Answers are kept in a folder beside them; the same command
continues on another day.

  skal label photos --classes cat dog          a folder of images
  skal label reviews.csv --column text         a column of texts, with whatever labels are given
  skal label notes.txt --classes good bad      a text per line
  skal label houses.csv --kind table --classes cheap dear

--per-item, --retrain-every and --audit are settled when the campaign begins.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what may be said after ``skal label``."""
    parser.description = _ABOUT
    add = parser.add_argument
    add("path", type=Path, metavar="FOLDER_OR_FILE", help="images in a folder; texts or rows in a file")
    add("--classes", nargs="+", metavar="CLASS", help="the possible labels (default: any label is accepted)")
    add("--classes-file", type=Path, metavar="FILE", help="the possible labels, one per line")
    add("--folder", type=Path, help="where the campaign is kept (default: FOLDER_OR_FILE.campaign)")
    add("--column", help="which column of a table has the texts")
    add("--kind", choices=["image", "text", "table"], help="what the items are (default: detected)")
    add("--annotators", nargs="+", metavar="NAME", help="who may label (default: anyone, under any name)")
    number: dict[str, Any] = {"type": int, "metavar": "N"}
    add("--per-item", default=1, help="how many annotators each item goes to (default: 1)", **number)
    add("--retrain-every", default=20, help="labels between two training runs (default: 20)", **number)
    add("--audit", default=0, help="label N items drawn at random first, for an honest score", **number)
    add(
        "--learner",
        metavar="FILE.py:MAKE",
        help="your own learner: MAKE(items) returns an ActiveLearner, or a pair of one and its pool; items are paths, "
        "texts or a data frame",
    )
    add(
        "--host",
        help="open the page to a network, such as 0.0.0.0 for all of it (default: this machine only)",
    )
    add("--port", type=int, default=_PORT, help=f"(default: {_PORT})")
    add("--no-browser", action="store_true", help="do not open a browser")


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, and write the labels then."""
    try:
        return _run(options)
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"skal label: {error}", file=sys.stderr)
        return 1


def _run(options: argparse.Namespace) -> int:
    folder = (options.folder or campaign_folder(options.path.expanduser())).absolute()
    items = read_items(options.path, folder=folder, column=options.column, kind=options.kind)
    host = options.host or "127.0.0.1"
    with _listening(host, options.port) as listening, _campaign(options, folder, items) as campaign:
        port, token = listening.getsockname()[1], token_of(folder)
        hosts = None if host in LOOPBACK else {host, *names_of_this_machine()}
        app = make_app(campaign, items, title=options.path.resolve().name, hosts=hosts, token=token)
        url = link(host, port, token)
        _announce(items, folder, url, is_open=hosts is not None)
        if not options.no_browser and hosts is None:
            webbrowser.open(url)
        serve(app, listening)
        print(campaign.progress())
        with replacing(folder / "labels.csv") as file:
            file.write(labels_csv(campaign, items))
    print(f"The labels are in {folder / 'labels.csv'}")
    return 0


def _campaign(options: argparse.Namespace, folder: Path, items: Items) -> Campaign:
    learner, X = (None, None) if options.learner is None else _own_learner(options.learner, items)
    classes = _classes(options)
    settings: dict[str, Any] = {}
    if not (folder / FILE).exists():
        settings = {
            "annotators": options.annotators,
            "n_annotators_per_row": options.per_item,
            "retrain_every": options.retrain_every,
        }
    campaign = begin(folder, items, classes=classes, learner=learner, X=X, audit=options.audit, **settings)
    for name in options.annotators or ():
        campaign.add_annotator(name)
    if options.annotators and not campaign.settings.is_closed:  # it began open to everybody
        campaign.set(is_closed=True)
    return campaign


def _classes(options: argparse.Namespace) -> Sequence[str] | None:
    if options.classes_file is None:
        return options.classes  # type: ignore[no-any-return]
    lines = options.classes_file.read_text("utf-8-sig").split("\n")  # and not at what may be in a name
    return [*(options.classes or ()), *(line.strip() for line in lines if line.strip())]


def _own_learner(where: str, items: Items) -> tuple[ActiveLearner, Any]:
    """What a function in a file of the user's makes."""
    file, _, name = where.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if not file or spec is None or spec.loader is None or not Path(file).exists():
        raise ValueError(
            f"--learner {where} was given; give a file and a function in it, such as mine.py:make."
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)  # the process that trains cannot import it
    make = getattr(module, name, None)
    if not callable(make):
        raise ValueError(
            f"{file} has no function {name!r}; give a file and a function in it, such as mine.py:make."
        )
    made = make(items.raw())
    learner, X = made if isinstance(made, tuple) else (made, None)
    if not isinstance(learner, ActiveLearner):
        raise TypeError(f"{where} made a {type(learner).__name__}; it must return an ActiveLearner.")
    return learner, X


def _listening(host: str, port: int) -> socket.socket:
    try:
        return bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                f"port {port} is taken, perhaps by another `skal label`; give another one by --port"
            ) from error
        raise


def _announce(items: Items, folder: Path, url: str, *, is_open: bool) -> None:
    note = items.note()
    print(f"{len(items)} {items.noun}s; answers are kept in {folder}" + (f" ({note})" if note else ""))
    if is_open:
        show_code(url)
        print(
            "Whoever has this link may label, and nothing is encrypted on the way: use it in a network you trust."
        )
    print(f"\n    {url}\n\nCtrl-C ends the page and writes the labels.", flush=True)
