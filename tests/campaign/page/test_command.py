"""``skal label``: what may be said, and what is refused."""

import importlib
import pickle
import re
import stat
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from skal.__main__ import main
from skal.campaign import Campaign
from skal.campaign.background import cloudpickle
from skal.campaign.page import read_items

from .common import image_folder, text_file

command = pytest.importorskip("skal.campaign.page.command")
serving = pytest.importorskip("skal.campaign.page.serving")


@pytest.fixture
def served(monkeypatch):
    """The applications that were served, each of which ended at once."""
    apps = []
    monkeypatch.setattr(command, "serve", lambda app, listening: apps.append((app, listening.getsockname())))
    monkeypatch.setattr(command, "webbrowser", SimpleNamespace(open=lambda url: apps.append(url)))
    return apps


def label(path, *options):
    return main(["label", str(path), "--port", "0", *options])


def test_a_folder_becomes_a_campaign(tmp_path, served, capsys):
    folder = image_folder(tmp_path, 3)
    assert (
        label(folder, "--classes", "cat", "dog", "--per-item", "2", "--retrain-every", "7", "--audit", "1")
        == 0
    )
    printed = capsys.readouterr().out
    url = re.search(r"http://127\.0\.0\.1:\d+/\?token=([\w-]{32})\n", printed)
    token = tmp_path / "photos.campaign" / "token"
    assert url.group(1) == token.read_text()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert served[0] == url.group().strip()  # the browser is opened
    (_, (host, _)) = served[1]
    assert host == "127.0.0.1"
    with Campaign.open(tmp_path / "photos.campaign") as campaign:
        assert campaign.classes == ["cat", "dog"]
        assert campaign.settings.n_annotators_per_row == 2
        assert campaign.settings.retrain_every == 7
        assert len(campaign.queue()) == 1
        campaign.answer("anna", 2, "dog")
    assert label(folder, "--no-browser") == 0  # goes on, and writes the labels at the end
    assert f"token={token.read_text()}" in capsys.readouterr().out
    assert (tmp_path / "photos.campaign" / "labels.csv").read_text().splitlines()[1] == "02.png,2,dog,1.0,1"
    assert len(served) == 3


def test_a_token_is_made_again_where_a_crash_left_an_empty_file(tmp_path):
    path = tmp_path / "token"
    path.touch(0o600)
    token = serving.token_of(tmp_path)
    assert len(token) == 32
    assert serving.token_of(tmp_path) == token == path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_open_page_shows_a_code(tmp_path, served, capsys):
    assert label(text_file(tmp_path, ["a", "b"]), "--host", "0.0.0.0") == 0
    printed = capsys.readouterr().out
    assert "█" in printed or "▀" in printed
    assert "network you trust" in printed
    assert "http://0.0.0.0" not in printed
    assert len(served) == 1  # no browser is opened


def test_classes_come_from_a_file(tmp_path, served):
    classes = tmp_path / "classes.txt"
    classes.write_text("\ufeffb\n\n a \n")
    assert (
        label(text_file(tmp_path, ["one", "two"]), "--classes-file", str(classes), "--annotators", "anna")
        == 0
    )
    with Campaign.open(tmp_path / "texts.txt.campaign") as campaign:
        assert campaign.classes == ["b", "a"]
        assert campaign.annotators == ["anna"]
        assert campaign.settings.is_closed


def test_a_class_of_a_file_is_a_line(tmp_path, served, capsys):
    classes = tmp_path / "classes.txt"
    classes.write_text("a\nb\u2028c\n", "utf-8")  # one class, and none that can be a label
    assert label(text_file(tmp_path, ["one", "two"]), "--classes-file", str(classes)) == 1
    assert r"the label 'b\u2028c' was given" in capsys.readouterr().err


def test_a_campaign_that_began_open_is_closed_by_names(tmp_path, served):
    texts = text_file(tmp_path, ["one", "two"])
    assert label(texts, "--classes", "a", "b") == 0
    assert label(texts, "--annotators", "anna", "bob") == 0
    with Campaign.open(tmp_path / "texts.txt.campaign") as campaign:
        assert campaign.annotators == ["anna", "bob"]
        with pytest.raises(ValueError, match="'eve' is unknown"):
            campaign.answer("eve", 0, "a")


MINE = """
from sklearn.linear_model import LogisticRegression
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import make_pipeline
from skal import ActiveLearner
from skal.strategies import RandomSampling

def make(items):
    assert items == ["one", "two"]
    return ActiveLearner(make_pipeline(CountVectorizer(), LogisticRegression()), RandomSampling(), random_state=7)

def pair(items):
    return ActiveLearner(LogisticRegression(), RandomSampling(), random_state=8), [[float(len(text))] for text in items]

class Mine(LogisticRegression):
    pass

def own(items):
    return ActiveLearner(make_pipeline(CountVectorizer(), Mine()), RandomSampling(), random_state=9)

def wrong(items):
    return LogisticRegression()
"""


def test_a_learner_of_ones_own(tmp_path, served, capsys):
    (tmp_path / "mine.py").write_text(MINE)
    texts = text_file(tmp_path, ["one", "two"])
    for name, seed in (("make", 7), ("pair", 8)):
        options = ("--folder", str(tmp_path / name), "--learner", f"{tmp_path / 'mine.py'}:{name}")
        for _ in range(2):  # begun, and gone on with
            assert label(texts, *options) == 0, capsys.readouterr().err
        with Campaign.open(tmp_path / name) as campaign:
            assert campaign._seed == seed
    learner, X = command._own_learner(f"{tmp_path / 'mine.py'}:own", read_items(texts))
    assert X is None
    sent = cloudpickle.dumps(learner)
    del sys.modules["mine"]  # as in the process that trains
    assert type(pickle.loads(sent).estimator.steps[1][1]).__name__ == "Mine"
    for where, words in (
        ("mine.py:wrong", "must return an ActiveLearner"),
        ("mine.py:none", "has no function 'none'"),
        ("none.py:make", "give a file and a function"),
        ("make", "give a file and a function"),
    ):
        assert label(texts, "--folder", str(tmp_path / "x"), "--learner", f"{tmp_path}/{where}") == 1
        assert words in capsys.readouterr().err
    assert not (tmp_path / "x" / "journal.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--classes", "cat", "cat"), "cat"),
        (("--per-item", "0"), "n_annotators_per_row"),
        (("--annotators", " "), "annotator"),
        (("--host", "203.0.113.7"), "assign"),
        (("--column", "x"), "no columns"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path, served, capsys, options, words):
    assert label(text_file(tmp_path, ["one", "two"]), *options) == 1
    error = capsys.readouterr().err
    assert error.startswith("skal label: ")
    assert words in error
    assert served == []


def test_a_taken_port_is_named(tmp_path, served, capsys):
    with serving.bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["label", str(text_file(tmp_path, ["a", "b"])), "--port", port]) == 1
    assert "give another one by --port" in capsys.readouterr().err


def test_links_have_the_token():
    assert serving.link("127.0.0.1", 80, "a-b_c") == "http://127.0.0.1:80/?token=a-b_c"
    assert serving.link("::1", 80, "t") == "http://[::1]:80/?token=t"


def test_the_command_and_its_files_are_in_the_distribution():
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text())
    module, _, name = project["project"]["scripts"]["skal"].partition(":")
    assert getattr(importlib.import_module(module), name) is main
    patterns = project["tool"]["setuptools"]["package-data"]["skal"]
    packed = {file for pattern in patterns for file in (root / "skal").glob(pattern)}
    page = root / "skal" / "campaign" / "page"
    needed = {file for part in ("static", "templates") for file in (page / part).rglob("*") if file.is_file()}
    assert len(needed) > 12
    assert needed <= packed


def test_help_is_there(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["label", "--help"])
    assert "skal label photos --classes cat dog" in capsys.readouterr().out


def test_an_interrupt_before_the_page_is_there_is_no_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **params):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "read_items", interrupted)
    assert label(tmp_path) == 130
    assert capsys.readouterr().err == "Stopped.\n"
