"""The process that trains beside the annotators: it reads its orders from its parent, and ends with it.

Started as ``python -c`` by `Background`, which sends paths to import from, and then what `Trainer` wants.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

_PAUSE = 0.25  # seconds between two looks at what other processes ask for
_BETWEEN_COPIES = 5.0  # seconds between two copies of the journal's log into its file


def main(orders: BinaryIO) -> None:
    """Work until the parent closes the pipe, or is no more.

    Parameters
    ----------
    orders : binary file
        A pickle of the parameters of `Trainer`, and then a line whenever there is something to do.
    """
    from .database import Database
    from .trainer import Trainer
    from .turns import turn

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    trainer: dict[str, Any] = pickle.load(orders)  # of the parent, whose code this is
    folder = Path(trainer.pop("folder"))
    called = threading.Event()
    threading.Thread(target=_listen, args=(orders, called), daemon=True).start()
    with suppress(OSError, AttributeError):
        os.nice(10)  # annotators first
    database = Database(folder)
    copied = time.monotonic()
    mine = Trainer(database, folder, **trainer)
    while True:
        with turn(folder / "training.lock") as is_mine:
            while is_mine:
                mine.work_in_turn()
                if time.monotonic() > copied + _BETWEEN_COPIES:
                    database.checkpoint()
                    copied = time.monotonic()
                called.wait(_PAUSE)
                called.clear()
        called.wait(4 * _PAUSE)  # somebody else trains


def _listen(orders: BinaryIO, called: threading.Event) -> None:
    while orders.readline():
        called.set()
    os._exit(0)  # in the middle of a training: the next one does it again
