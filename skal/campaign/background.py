"""Where training takes place: in a process of its own, in this one, or elsewhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import cloudpickle  # comes with joblib
except ImportError:
    from joblib.externals import cloudpickle  # up to joblib 1.5

from ..utils.threads import Turns
from .trainer import Trainer
from .turns import is_taken

_MOST_STARTS = 4  # of a process that ends by itself, for lack of memory say

# The first thing that the process reads is where to import from.
_START = """
import pickle, sys
try:
    sys.path[:] = pickle.load(sys.stdin.buffer)
    from skal.campaign.worker import main
    main(sys.stdin.buffer)
except EOFError:  # the parent has ended
    pass
"""


class Elsewhere:
    """Some other process trains."""

    def __init__(self, folder: Path) -> None:
        self._turn = folder / "training.lock"

    def wake(self) -> None:
        """Others look by themselves."""

    def is_at_work(self) -> bool:
        """Whether one of them is there."""
        return is_taken(self._turn)

    def close(self) -> None:
        """Nothing was started."""


class Foreground(Elsewhere):
    """This process trains, and whoever waits for a row waits for that."""

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        super().__init__(folder)
        self._trainer = trainer

    def wake(self) -> None:
        """Do what there is to do."""
        self._trainer.work()


class Background(Elsewhere):
    """A process that is started when there is something to do and no other one trains.

    Parameters
    ----------
    folder : Path
    report : callable
        Called with what goes wrong with the process, in words.
    **trainer : dict
        Parameters of `Trainer`.
    """

    def __init__(self, folder: Path, report: Callable[[str], None], **trainer: Any) -> None:
        super().__init__(folder)
        self._orders, self._report = {"folder": str(folder), **trainer}, report
        self._lock = Turns()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Any = None
        self._n_left = _MOST_STARTS

    def wake(self) -> None:
        """Tell the process, or start one."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                with suppress(OSError, ValueError):  # it has ended meanwhile, or still reads its orders
                    if not self._is_sending.is_alive():
                        self._process.stdin.write(b"\n")  # type: ignore[union-attr]
                        self._process.stdin.flush()  # type: ignore[union-attr]
            elif self._n_left and not super().is_at_work():
                self._start()

    def is_at_work(self) -> bool:
        """Whether the process, or one elsewhere, is there."""
        with self._lock:
            is_here = self._process is not None and self._process.poll() is None
        return is_here or super().is_at_work()

    def close(self) -> None:
        """End the process. What it was at is done again by the next one."""
        with self._lock:
            if self._end is not None:
                self._end()
                self._end = self._process = None

    def _start(self) -> None:
        if self._process is not None and self._process.returncode:
            self._n_left -= 1
            last = "" if self._n_left else " It is not started again."
            self._report(f"The process that trains ended with code {self._process.returncode}.{last}")
            if not self._n_left:
                return
        if self._end is not None:
            self._end()
        process = subprocess.Popen(
            [sys.executable, "-c", _START], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self._process = process
        # A pool in memory takes a while to be sent, and nobody waits for that.
        self._is_sending = threading.Thread(target=self._send, args=(process,), daemon=True)
        self._is_sending.start()
        self._end = weakref.finalize(self, _end, process)

    def _send(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            pickle.dump(sys.path, process.stdin)
            cloudpickle.dump(self._orders, process.stdin)
            process.stdin.flush()
        except (BrokenPipeError, ValueError):  # it has ended
            pass
        except Exception as error:
            self._n_left = 0
            process.kill()
            self._report(
                f"The pool or the learner cannot be sent to another process ({type(error).__name__}: {error}); open "
                "the campaign with training='foreground'."
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # the journal is safe at any moment
    process.wait()
    with suppress(OSError):
        process.stdin.close()  # type: ignore[union-attr]


def wait_for(done: Any, timeout: float) -> bool:
    """Look again and again, until something is true or the time is over."""
    end = time.monotonic() + timeout
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
