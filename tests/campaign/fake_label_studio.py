"""As much of Label Studio as a campaign speaks with, in memory: what version 1.23.2 was seen to do."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs
from xml.etree import ElementTree

import httpx2

TOKEN = "secret"


class FakeLabelStudio:
    """Give `transport` to a client. `broken` is called with the number of a request, before and after it."""

    def __init__(self):
        self.projects, self.tasks, self.annotations, self.predictions = {}, {}, {}, {}
        self.files, self.users, self.n_numbers, self.n_requests = {}, {}, 0, 0
        self.now = datetime(2026, 11, 1, tzinfo=UTC)
        self.broken = lambda number, is_done: None
        self.log = []

    @property
    def transport(self):
        return httpx2.MockTransport(self._handle)

    def _number(self):
        self.n_numbers += 1
        return self.n_numbers

    def _time(self):
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    # What annotators do.

    def next(self, project):
        """The task that is served to somebody who has annotated none of those that are left."""
        wanted = self.projects[project]
        said = {each["task"] for each in self.annotations.values()}
        version = wanted["model_version"]
        ready = [
            (each["score"], each["task"])
            for each in self.predictions.values()
            if each["model_version"] == version and each["project"] == project and each["task"] not in said
        ]
        assert wanted["sampling"] == "Uncertainty sampling"
        return self.tasks[min(ready)[1]] if ready else None

    def annotate(self, task, choice, user="anna@example.org", *, skip=False):
        who = self.users.setdefault(user, len(self.users) + 1)
        number = self._number()
        self.annotations[number] = {
            "id": number, "task": task, "completed_by": who, "was_cancelled": skip, "lead_time": 2.5,
            "result": [] if choice is None else [self._result(task, choice)],
        }  # fmt: skip
        self._touch(number)
        return number

    def _result(self, task, choice):
        ((name, control),) = self.parsed(self.tasks[task]["project"]).items()
        return {
            "from_name": name,
            "to_name": control["to_name"][0],
            "type": "choices",
            "value": {"choices": [choice]},
        }

    def change(self, annotation, choice):
        self.annotations[annotation]["result"] = [self._result(self.annotations[annotation]["task"], choice)]
        self._touch(annotation)

    def delete(self, annotation):
        self._touch(annotation)
        del self.annotations[annotation]

    def delete_task(self, task):
        del self.tasks[task]
        for kept in (self.annotations, self.predictions):
            for number in [number for number, each in kept.items() if each["task"] == task]:
                del kept[number]

    def _touch(self, annotation):
        said = self.annotations[annotation]
        said["updated_at"] = self.tasks[said["task"]]["updated_at"] = self._time()

    # What is served.

    def _handle(self, request):
        self.n_requests += 1
        number = self.n_requests
        self.broken(number, False)
        self.log.append(f"{request.method} {request.url.path}")
        answer = self._answer(request)
        self.broken(number, True)
        return answer

    def _answer(self, request):
        if request.headers.get("Authorization") not in (f"Token {TOKEN}", "Bearer fresh"):
            if request.url.path == "/api/token/refresh/":
                return httpx2.Response(200, json={"access": "fresh"})
            return httpx2.Response(401, json={"detail": "Invalid token."})
        parts = request.url.path.strip("/").split("/")[1:]
        asked = {name: values[0] for name, values in parse_qs(request.url.query.decode()).items()}
        kind = request.headers.get("Content-Type", "")
        given = json.loads(request.content) if "json" in kind else request
        if parts == ["tasks"]:
            return self._tasks(asked)
        if parts == ["projects"]:
            return self._created(given) if request.method == "POST" else self._listed(asked)
        project = int(parts[1])
        if project not in self.projects:
            return httpx2.Response(404, json={"detail": "No Project matches the given query."})
        what = {
            (): self._project,
            ("import",): self._import,
            ("file-uploads",): self._uploads,
            ("import", "predictions"): self._predict,
            ("model-versions",): self._versions,
            ("annotators",): self._annotators,
        }[tuple(parts[2:])]
        return what(request.method, project, asked, given)

    def parsed(self, project):
        view = ElementTree.fromstring(self.projects[project]["label_config"])
        sources = {
            each.get("name"): each.get("value") for each in view.iter() if each.get("value", "")[:1] == "$"
        }
        return {
            each.get("name"): {
                "type": "Choices",
                "to_name": [each.get("toName")],
                "inputs": [{"type": "Image", "value": sources[each.get("toName")][1:]}],
                "labels": [choice.get("value") for choice in each],
            }
            for each in view.iter("Choices")
        }

    def _shown(self, project):
        said = [each for each in self.annotations.values() if self.tasks[each["task"]]["project"] == project]
        return {
            **self.projects[project],
            "parsed_label_config": self.parsed(project),
            "task_number": sum(each["project"] == project for each in self.tasks.values()),
            "total_annotations_number": sum(not each["was_cancelled"] for each in said),
            "skipped_annotations_number": sum(each["was_cancelled"] for each in said),
        }

    def _created(self, given):
        number = self._number()
        self.projects[number] = {"id": number, "created_at": self._time(), "model_version": "", **given}
        return httpx2.Response(201, json=self._shown(number))

    def _listed(self, asked):
        size, page = int(asked["page_size"]), int(asked["page"])
        found = [self._shown(number) for number in self.projects]
        part = found[(page - 1) * size : page * size]
        return httpx2.Response(
            200, json={"results": part, "next": "more" if page * size < len(found) else None}
        )

    def _project(self, method, project, asked, given):
        if method == "PATCH":
            version = given.get("model_version")
            if version and version not in self._counts(project):
                return httpx2.Response(400, json={"detail": "Model version doesn't exist"})
            self.projects[project].update(given)
        return httpx2.Response(200, json=self._shown(project))

    def _tasks(self, asked):
        project, size, page = int(asked["project"]), int(asked["page_size"]), int(asked["page"])
        found = [each for each in self.tasks.values() if each["project"] == project]
        for each in json.loads(asked["query"]).get("filters", {}).get("items", ()):
            assert (each["filter"], each["operator"]) == ("filter:tasks:updated_at", "greater_or_equal")
            datetime.strptime(
                each["value"], "%Y-%m-%dT%H:%M:%S.%fZ"
            )  # any other form is an error of the server
            found = [task for task in found if task["updated_at"] >= each["value"]]
        part = found[(page - 1) * size : page * size]
        if page > 1 and not part:
            return httpx2.Response(404, json={"detail": "Invalid page."})
        said, guessed = self.annotations.values(), self.predictions.values()
        shown = [
            {
                **task,
                "annotations": [each for each in said if each["task"] == task["id"]],
                "predictions": [each for each in guessed if each["task"] == task["id"]],
            }
            for task in part
        ]
        return httpx2.Response(200, json={"tasks": shown, "total": len(found)})

    def _import(self, method, project, asked, given):
        if asked.get("commit_to_project") == "false":
            boundary = given.headers["Content-Type"].partition("boundary=")[2].encode()
            numbers = []
            for part in given.content.split(b"--" + boundary)[1:-1]:
                head, _, body = part.partition(b"\r\n\r\n")
                name = head.decode().partition('filename="')[2].partition('"')[0]
                number = self._number()
                self.files[number] = {"id": number, "file": f"upload/{project}/x-{name}", "body": body[:-2]}
                numbers.append(number)
            return httpx2.Response(201, json={"file_upload_ids": numbers})
        numbers = []
        for each in given:
            number = self._number()
            self.tasks[number] = {
                "id": number,
                "project": project,
                "data": each["data"],
                "updated_at": self._time(),
            }
            numbers.append(number)
        return httpx2.Response(201, json={"task_ids": numbers})

    def _uploads(self, method, project, asked, given):
        wanted = json.loads(asked["ids"])
        found = [
            {"id": number, "file": self.files[number]["file"]} for number in sorted(wanted, reverse=True)
        ]
        return httpx2.Response(200, json=found)

    def _predict(self, method, project, asked, given):
        labels = next(iter(self.parsed(project).values()))["labels"]
        if any(each["task"] not in self.tasks for each in given):
            return httpx2.Response(400, json={"detail": "task ID not found"})
        fine = [
            each
            for each in given
            if 0 <= each["score"] <= 1 and all(r["value"]["choices"][0] in labels for r in each["result"])
        ]  # others are dropped without a word
        for each in fine:
            self.predictions[self._number()] = {**each, "project": project}
        return httpx2.Response(201, json={"created": len(fine)})

    def _counts(self, project):
        found = [each["model_version"] for each in self.predictions.values() if each["project"] == project]
        return {version: found.count(version) for version in found}

    def _versions(self, method, project, asked, given):
        if method == "DELETE":
            for number in [n for n, each in self.predictions.items() if each["project"] == project]:
                if self.predictions[number]["model_version"] == given["model_version"]:
                    del self.predictions[number]
        return httpx2.Response(200, json=self._counts(project))

    def _annotators(self, method, project, asked, given):
        return httpx2.Response(
            200, json=[{"id": number, "email": name} for name, number in self.users.items()]
        )
