"""What is asked of a server of Label Studio, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from ...exceptions import LabelStudioError

_PAGE = 200  # tasks that are read at once
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # the only form that filters know


class Client:
    """A server of Label Studio, and who asks it.

    Parameters
    ----------
    url : str
    token : str
        A personal access token, or a legacy one.
    timeout : float
        Seconds that an answer may take.
    transport : httpx2.BaseTransport, default=None
        What sends requests, for tests.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 60.0, transport: Any = None) -> None:
        try:
            import httpx2
        except ImportError as error:
            raise ImportError(
                "Label Studio is asked with httpx2: pip install 'skal-learn[label-studio]'."
            ) from error
        self.url, self._token, self._failures = url.rstrip("/"), token, httpx2.TransportError
        self._http = httpx2.Client(base_url=self.url, timeout=timeout, transport=transport)
        self._is_personal = token.count(".") == 2  # a JSON web token, with which one asks for others
        if not self._is_personal:
            self._http.headers["Authorization"] = f"Token {token}"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """What the server says.

        Raises
        ------
        ConnectionError
            If it does not answer, or not now.
        LabelStudioError
            If it refuses.
        """
        answer = self._answer(method, path, **given)
        if answer.status_code == 401 and self._is_personal:  # a token lasts for some minutes
            fresh = self._answer("POST", "/api/token/refresh/", json={"refresh": self._token})
            if fresh.is_success:
                self._http.headers["Authorization"] = f"Bearer {fresh.json()['access']}"
                answer = self._answer(method, path, **given)
        if answer.status_code == 401:
            raise LabelStudioError(
                f"{self.url} does not know the token; copy one from the page 'Account & Settings' of Label Studio."
            )
        if answer.is_error:
            raise LabelStudioError(
                f"{self.url} refuses {method} {path} ({answer.status_code}): {answer.text[:1000]}"
            )
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, **given: Any) -> Any:
        try:
            answer = self._http.request(method, path, **given)
        except self._failures as error:
            raise ConnectionError(f"{self.url} does not answer ({type(error).__name__}: {error}).") from error
        if answer.status_code == 429 or answer.status_code >= 500:
            raise ConnectionError(f"{self.url} cannot answer now ({answer.status_code}): {answer.text[:200]}")
        return answer

    def projects(self) -> Iterator[dict[str, Any]]:
        """All projects that may be seen."""
        for page in count(1):
            found = self.ask("GET", "/api/projects/", params={"page": page, "page_size": 100})
            yield from found["results"]
            if not found["next"]:
                return

    def tasks(self, project: int, since: datetime | None = None) -> Iterator[dict[str, Any]]:
        """The tasks of a project that have changed since some time, with all annotations and predictions."""
        query: dict[str, Any] = {"ordering": ["tasks:id"]}
        if since is not None:
            changed = {
                "filter": "filter:tasks:updated_at",
                "operator": "greater_or_equal",
                "type": "Datetime",
            }
            query["filters"] = {"conjunction": "and", "items": [{**changed, "value": since.strftime(_TIME)}]}
        n_read = 0
        for page in count(1):
            found = self.ask(
                "GET",
                "/api/tasks/",
                params={
                    "project": project,
                    "page": page,
                    "page_size": _PAGE,
                    "fields": "all",
                    "resolve_uri": "false",
                    "query": json.dumps(query),
                },
            )
            yield from found["tasks"]
            n_read += len(found["tasks"])
            if not found["tasks"] or n_read >= found["total"]:
                return

    def add_tasks(self, project: int, data: Sequence[dict[str, Any]]) -> list[int]:
        """Add tasks, and return their numbers."""
        said = self.ask(
            "POST",
            f"/api/projects/{project}/import",
            params={"return_task_ids": "true"},
            json=[{"data": each} for each in data],
        )
        return [int(number) for number in said["task_ids"]]

    def upload(self, project: int, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """Store files with names, and return where Label Studio serves them."""
        parts = {f"{i:06d}": file for i, file in enumerate(files)}
        said = self.ask(
            "POST", f"/api/projects/{project}/import", params={"commit_to_project": "false"}, files=parts
        )
        numbers = said["file_upload_ids"]
        found = self.ask("GET", f"/api/projects/{project}/file-uploads", params={"ids": json.dumps(numbers)})
        paths = {each["id"]: each["file"] for each in found}
        return [f"/data/{paths[number]}" for number in numbers]

    def add_predictions(self, project: int, predictions: Sequence[dict[str, Any]]) -> None:
        """Add predictions to tasks."""
        said = self.ask("POST", f"/api/projects/{project}/import/predictions", json=list(predictions))
        if said["created"] != len(predictions):  # others were dropped without a word
            raise LabelStudioError(f"{self.url} took {said['created']} of {len(predictions)} predictions.")

    def versions(self, project: int) -> list[str]:
        """The versions of the predictions that there are."""
        return list(self.ask("GET", f"/api/projects/{project}/model-versions/"))

    def remove_version(self, project: int, version: str) -> None:
        """Remove the predictions of a version."""
        self.ask("DELETE", f"/api/projects/{project}/model-versions/", json={"model_version": version})

    def emails(self, project: int) -> dict[int | None, str]:
        """The addresses of those who have annotated something, by number."""
        found = self.ask("GET", f"/api/projects/{project}/annotators/")
        return {each["id"]: each["email"] for each in found}
