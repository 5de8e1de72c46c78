"""The name that is asked for, the progress, and the learning curve."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner
from skal.campaign import Campaign
from skal.campaign.page import app
from skal.campaign.page.curve import Curve, curve
from skal.strategies import RandomSampling

from .common import Browser, begun, image_folder, text_file


@pytest.fixture
def browser(tmp_path):
    campaign, items = begun(image_folder(tmp_path, 5))
    yield Browser(campaign, items, title="Photos")
    campaign.close()


def test_a_name_is_asked_for_once(browser):
    asked = browser.get("/").text
    assert "Who are you?" in asked
    assert 'name="annotator"' in asked
    page = browser.get("/", params={"annotator": " anna "}).text
    assert 'data-annotator="anna"' in page
    assert f'data-campaign="{browser.campaign.key}"' in page
    assert "Who are you?" not in page
    assert "printable" in browser.get("/", params={"annotator": "a\nb"}).text


def test_a_closed_campaign_shows_who_may_label(tmp_path):
    campaign, items = begun(image_folder(tmp_path, 2), annotators=["anna", "bob"])
    with campaign:
        browser = Browser(campaign, items)
        asked = browser.get("/", params={"annotator": "eve"}).text
        assert "&#39;eve&#39; is not among the annotators" in asked
        assert 'value="anna"' in asked
        assert 'value="bob"' in asked
        assert "data-annotator" not in asked
        assert 'data-annotator="bob"' in browser.get("/", params={"annotator": "bob"}).text


def test_classes_are_told(browser, tmp_path):
    assert browser.get("/classes").json() == {"classes": ["cat", "dog"], "is_open": False}
    (tmp_path / "more").mkdir()
    campaign, items = begun(text_file(tmp_path / "more", ["a", "b"]), classes=None)
    with campaign:
        free = Browser(campaign, items)
        assert free.get("/classes").json() == {"classes": [], "is_open": True}
        free.sync(free.op("answer", 0, label="new"))
        assert free.get("/classes").json() == {"classes": ["new"], "is_open": True}


def test_numbers_of_the_progress(browser):
    browser.sync(browser.op("answer", 0, label="cat", seconds=2), browser.op("skip", 1))
    text = " ".join(browser.get("/progress", params={"annotator": "anna"}).text.split())
    assert "<strong>1</strong> of 5 labelled" in text
    assert "1 skipped" in text
    assert '<tr class="me"><th scope="row">anna</th><td>1 label, 1 skipped, 2.0 s each</td></tr>' in text
    browser.sync(browser.op("answer", 2, label="cat"))
    assert "<td>2 labels, 1 skipped" in browser.get("/progress").text


def test_a_failed_training_is_shown(tmp_path):
    wrong = make_pipeline(HashingVectorizer(n_features=8), LogisticRegression(C=-1))
    campaign, items = begun(
        text_file(tmp_path, ["a", "b", "c", "d"]),
        learner=ActiveLearner(wrong, RandomSampling(), random_state=0),
        training="foreground",
        retrain_every=2,
    )
    with campaign:
        browser = Browser(campaign, items)
        browser.sync(browser.op("answer", 0, label="cat"), browser.op("answer", 1, label="dog"))
        text = browser.get("/progress").text
        assert "The last training failed." in text
        assert "C&#39; parameter of LogisticRegression" in text
        assert browser.sync(n=1)["rows"]


def test_a_file_of_labels(browser):
    browser.sync(browser.op("answer", 3, label="dog"))
    response = browser.get("/labels.csv")
    assert response.text.splitlines() == ["item,row,label,probability,n_answers", "03.png,3,dog,1.0,1"]
    assert "attachment" in response.headers["content-disposition"]


def test_the_curve_is_drawn_anew_for_a_new_classifier(browser, monkeypatch):
    drawn = []
    monkeypatch.setattr(app, "curve", lambda *_: drawn.append(1) or Curve([], "score"))
    for _ in range(3):
        browser.get("/progress")
    assert len(drawn) == 1
    monkeypatch.setattr(app, "_CURVE_SECONDS", -1.0)
    browser.get("/progress")
    assert len(drawn) == 2
    monkeypatch.setattr(app, "_CURVE_SECONDS", 100.0)
    progress = replace(browser.campaign.progress(), by_model=[{"version": 1, "n_labeled": 0}])
    assert "There is no classifier yet." in str(progress)
    monkeypatch.setattr(Campaign, "progress", lambda _: progress)
    for _ in range(2):
        browser.get("/progress")
    assert len(drawn) == 3


def batch(model, rows, predicted):
    return {"model": model, "rows": np.array(rows), "predicted": np.array(predicted, dtype=object)}


def test_the_curve_counts_guesses_before_the_answers():
    said = {
        "row": np.array([0, 1, 2, 3, 4, 5]),
        "label": np.array(["a", "a", "b", "b", None, "a"], dtype=object),
    }
    campaign = SimpleNamespace(
        consensus=lambda: said,
        batches=lambda: [
            batch(None, [0], [None]),
            batch(1, [1, 2, 3, 4, 5, 9], ["a", "b", "a", "a", "b", "a"]),  # 5 came again, 4 is undecided
            batch(2, [5, 8], ["a", "a"]),  # too few to judge by
        ],
    )
    models = [{"version": 1, "n_labeled": 10}, {"version": 2, "n_labeled": 20}]
    found = curve(campaign, SimpleNamespace(by_model=models))
    assert [(n, score) for _, _, n, score in found.points] == [(10, pytest.approx(2 / 3))]
    assert "hard ones" in found.measure


@pytest.mark.parametrize(
    ("name", "scores"), [("audit", [{"score": 0.25}, {"score": 0.75}]), ("validation", [0.25, 0.75])]
)
def test_the_curve_prefers_honest_scores(name, scores):
    models = [{"version": 0, "n_labeled": 0}]
    models += [{"version": i, "n_labeled": 10 * i, name: score} for i, score in enumerate(scores, start=1)]
    found = curve(None, SimpleNamespace(by_model=models))
    assert found.points == [(150, 82.5, 10, 0.25), (300, 27.5, 20, 0.75)]
    assert found.line == "150.0,82.5 300.0,27.5"
    assert name in found.measure
