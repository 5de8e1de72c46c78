"""The trained learners of a campaign: a folder per version, complete or not there."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from sklearn.base import clone

from ..exceptions import ModelFileError
from ..learner import ActiveLearner

_KEPT = 2  # versions: the newest, and the one before for those who are reading it
_STOPPING = "stopping.skal"
_VERSION = re.compile(r"\d{6}")


class Models:
    """The folders of versions.

    Parameters
    ----------
    folder : Path
        Of the campaign.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "models"

    def save(
        self, learner: ActiveLearner, version: int, stopping: Any = None, base: str | None = None
    ) -> str:
        """Write a version, with the stopping criterion that has looked at it or else at its base, and return its name.

        Its folder appears at once.

        Raises
        ------
        TypeError
            If a part of the learner cannot be restored exactly.
        """
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.glob(".new-*"):  # of processes that were killed; only one trains at a time
            shutil.rmtree(path, ignore_errors=True)
        new = self._folder / f".new-{secrets.token_hex(8)}"
        name = f"{version:06d}"
        try:
            learner.save(new)
            self._save_criterion(new / _STOPPING, stopping, base)
            # Of a training that was killed before it was recorded.
            shutil.rmtree(self._folder / name, ignore_errors=True)
            os.replace(new, self._folder / name)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        _write_through(self._folder)
        return name

    def load(self, name: str | None, X: Any, learner: ActiveLearner) -> ActiveLearner | None:
        """A version, or None where it is not there, or not whole."""
        if name is None or not _VERSION.fullmatch(name):
            return None
        try:
            return ActiveLearner.load(self._folder / name, X, learner)
        except (OSError, ModelFileError):
            return None

    def _save_criterion(self, file: Path, stopping: Any, base: str | None) -> None:
        """Write a criterion, or where this training has none that of its base, for later ones."""
        if stopping is None and base is not None:
            with suppress(FileNotFoundError):
                shutil.copyfile(self._folder / base / _STOPPING, file)
        if stopping is None:
            return
        try:
            stopping.save(file)
        except Exception as error:  # of a class of somebody's; what was learned is saved all the same
            told = f"The stopping criterion begins again after a restart ({error})"
            warnings.warn(told, UserWarning, stacklevel=3)

    def load_criterion(self, name: str | None, stopping: Any) -> Any:
        """The stopping criterion of a version, with the parameters of another; one that begins where there is none."""
        params = stopping.get_params(deep=False)
        if name is not None and _VERSION.fullmatch(name):
            with suppress(OSError, ModelFileError, TypeError, ValueError):
                return type(stopping).load(self._folder / name / _STOPPING, **params)
        return clone(stopping)

    def keep(self, names: list[str]) -> None:
        """Remove all versions but the last ones."""
        with suppress(OSError):
            for path in self._folder.iterdir():
                if _VERSION.fullmatch(path.name) and path.name not in names[-_KEPT:]:
                    shutil.rmtree(path, ignore_errors=True)


def _write_through(folder: Path) -> None:
    """Make sure that a name in a folder is on the disk, where the system can."""
    with suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
