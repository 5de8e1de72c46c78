"""A campaign in a real Label Studio: three rounds of 20 images, and each side is killed once.

The environment variable LABEL_STUDIO names the executable; `.ci/full` installs it.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import httpx2
import numpy as np
import pytest
from PIL import Image

from skal.campaign import Campaign
from tests.campaign.common import said

TOKEN, ANNA, BOB = "d7a54f6f9d0c4d6d8b8f", "anna@example.org", "bob@example.org"
N_IMAGES = 300

pytestmark = pytest.mark.skipif("LABEL_STUDIO" not in os.environ, reason="LABEL_STUDIO names no executable")


class Process:
    """A process that can be killed, with all that it has started, and started again."""

    def __init__(self, command, log, **environment):
        self.command, self.log, self.environment = command, log, environment

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **self.environment},
            )

    def kill(self):
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Person:
    """An annotator, who speaks with Label Studio as its page does."""

    def __init__(self, url, project=None, **params):
        self.http, self.project = (
            httpx2.Client(base_url=url, timeout=120, follow_redirects=True, **params),
            project,
        )

    def sign_up(self, email):
        token = self.http.get("/user/signup/").cookies["csrftoken"]
        data = {"email": email, "password": "a long password", "csrfmiddlewaretoken": token}
        self.http.post(
            "/user/signup/", data=data, headers={"Referer": str(self.http.base_url)}
        ).raise_for_status()

    def say(self, method, path, **given):
        if (token := self.http.cookies.get("csrftoken")) is not None:
            given["headers"] = {"X-CSRFToken": token, "Referer": str(self.http.base_url)}
        answer = self.http.request(method, path, **given)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def next(self):
        """The task that Label Studio's own queue has for this annotator."""
        return self.say("GET", f"/api/projects/{self.project}/next")

    def annotate(self, task, label):
        given = {"result": chosen(label), "lead_time": 1.5, "was_cancelled": label is None}
        return self.say("POST", f"/api/tasks/{task['id']}/annotations/", json=given)["id"]

    def correct(self, annotation, label):
        self.say("PATCH", f"/api/annotations/{annotation}/", json={"result": chosen(label)})

    def delete(self, annotation):
        self.say("DELETE", f"/api/annotations/{annotation}/")


def chosen(label):
    if label is None:
        return []
    return [{"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": [str(label)]}}]


def until(condition, seconds=900.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def digits(mnist, tmp_path_factory):
    """A folder of images of digits, and what they show."""
    images, labels = mnist
    folder = tmp_path_factory.mktemp("digits")
    (folder / "images").mkdir()
    for i, image in enumerate(images[:N_IMAGES]):
        Image.fromarray(image.reshape(28, 28)).save(folder / "images" / f"{i:05d}.png")
    return folder, labels[:N_IMAGES].astype(int)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label-studio")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        os.environ["LABEL_STUDIO"], "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port),
        "--data-dir", str(folder), "--username", ANNA, "--password", "a long password", "--user-token", TOKEN,
        "--enable-legacy-api-token",
    ]  # fmt: skip
    server = Process(command, folder / "log", PYTHONPATH="")
    server.url = f"http://127.0.0.1:{port}"
    server.start()
    try:
        until(lambda: answers(server.url))
        yield server
    finally:
        server.kill()


def answers(url):
    try:
        return httpx2.get(f"{url}/api/version", timeout=10).is_success
    except httpx2.TransportError:
        return False


def test_three_rounds_in_the_order_of_the_strategy_through_kills_of_both_sides(digits, server, tmp_path):
    folder, truth = digits
    side = Process(
        [sys.executable, "-m", "tests.full.label_studio_side", str(folder), server.url, TOKEN], folder / "log"
    )
    anna, bob = Person(server.url, headers={"Authorization": f"Token {TOKEN}"}), Person(server.url)
    bob.sign_up(BOB)
    side.start()
    try:
        projects = until(lambda: anna.say("GET", "/api/projects/")["results"])
        anna.project = bob.project = projects[0]["id"]
        label_three_rounds(folder, truth, server, side, anna, bob)
    finally:
        side.kill()
        for each in (anna, bob):
            each.http.close()


def label_three_rounds(folder, truth, server, side, anna, bob):
    campaign = Campaign.open(folder / "campaign")
    expected, annotations, n_things, n_tasks = {}, {}, 0, 0
    for number in (1, 2, 3):
        until(lambda n=number: len(campaign.progress().by_model) >= n)
        until(lambda n=number: is_ready(anna, f"skal round {n}"))
        wanted, served = campaign.queue()[:20].tolist(), []
        for i in range(20):
            who, name = ((anna, ANNA), (bob, BOB))[i % 2]
            task = who.next()
            row = task["data"]["skal_row"]
            served.append(row)
            if i == 0:
                shown = anna.http.get(task["data"]["item"]).content
                assert shown == (folder / "images" / f"{row:05d}.png").read_bytes()
                guess = campaign.predictions([row])["label"][0]
                assert [each["value"]["choices"] for each in task["predictions"][0]["result"]] == (
                    [] if guess is None else [[str(guess)]]
                )
            label = None if number == 1 and i in (3, 8) else int(truth[row])
            if number == 1 and i in (5, 6):
                label = (label + 1) % 10  # corrected later
            annotations[name, row] = who.annotate(task, label)
            expected[name, row] = label
            n_things += 1
            if (number, i) == (2, 6):
                server.kill()
                server.start()
                until(lambda: answers(server.url))
            if (number, i) == (3, 4):
                side.kill()
            if (number, i) == (3, 9):
                side.start()
        assert served == wanted
        n_tasks += 20
        if number == 1:
            for (name, row), annotation in list(annotations.items())[5:7]:
                (anna if name == ANNA else bob).correct(annotation, int(truth[row]))
                expected[name, row] = int(truth[row])
                n_things += 1
    until(lambda: said(campaign) == expected)
    (name, row), annotation = list(annotations.items())[-1]
    (anna if name == ANNA else bob).delete(annotation)
    del expected[name, row]
    until(lambda: said(campaign) == expected)
    assert row in campaign.queue() or len(campaign.progress().by_model) > 3
    campaign_answers = campaign.answers()
    assert (
        n_things <= len(campaign_answers["row"]) + 2
    )  # a correction may be read together with what it corrects
    assert len(campaign_answers["row"]) <= n_things + 1
    assert set(campaign_answers["annotator"]) == {ANNA, BOB}
    assert set(campaign_answers["seconds"][np.isfinite(campaign_answers["seconds"])]) == {1.5}
    tasks = anna.say("GET", "/api/tasks/", params={"project": anna.project, "page_size": 1000})["tasks"]
    rows = [task["data"]["skal_row"] for task in tasks]
    assert len(set(rows)) == len(rows)
    assert len(anna.say("GET", "/api/projects/")["results"]) == 1
    campaign.close()


def is_ready(person, version):
    state = person.say("GET", f"/api/projects/{person.project}/")
    return state["model_version"] == version
