"""Answers go in, each once and in order, and rows come back."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from skal.campaign import Campaign
from skal.exceptions import JournalError

from .common import Browser, begun, image_folder, text_file


@pytest.fixture
def texts(tmp_path):
    campaign, items = begun(text_file(tmp_path, [f"text {i}" for i in range(12)]))
    yield campaign, items
    campaign.close()


@pytest.fixture
def browser(texts):
    return Browser(*texts)


def rows_of(told):
    return [each["row"] for each in told["rows"]]


def test_rows_come_with_what_is_shown(browser):
    told = browser.sync(n=3)
    rows = rows_of(told)
    assert rows == browser.campaign.next("anna", 3).tolist()
    assert f"<span>text {rows[0]}</span>" in told["rows"][0]["html"]
    assert told["done"] == told["refused"] == told["others"] == []
    assert told["trouble"] is None


def test_answers_skips_and_seconds_are_recorded(browser):
    browser.sync(browser.op("answer", 3, label="dog", seconds=1.5), browser.op("skip", 4, seconds=2))
    said = browser.campaign.answers()
    assert said["row"].tolist() == [3, 4]
    assert said["label"].tolist() == ["dog", None]
    assert said["action"].tolist() == ["answer", "skip"]
    assert said["seconds"].tolist() == [1.5, 2]
    assert set(said["annotator"]) == {"anna"}


def test_answered_rows_do_not_come_back(browser):
    first, second = rows_of(browser.sync(n=2))
    told = browser.sync(browser.op("answer", first, label="cat"), n=2)
    assert first not in rows_of(told)
    assert rows_of(told)[0] == second


def test_what_is_sent_again_is_recorded_once(browser):
    answer = browser.op("answer", 3, label="dog")
    assert browser.sync(answer)["done"] == browser.sync(answer)["done"] == [answer["id"]]
    browser.sync(browser.op("undo", 3), browser.op("answer", 3, label="cat"))
    browser.sync(answer)  # a late copy
    assert browser.campaign.said(3) == {"anna": "cat"}
    assert browser.campaign.answers()["action"].tolist() == ["answer", "undo", "answer"]


@pytest.mark.parametrize("n_lost", range(4))
def test_after_a_restart_the_last_word_holds(texts, n_lost):
    """The server was killed: the page has no receipt for the last operations, and sends them again."""
    before = Browser(*texts)
    ops = [
        before.op("answer", 3, label="dog"),
        before.op("undo", 3),
        before.op("answer", 3, label="cat"),
        before.op("skip", 5),
    ]
    before.sync(*ops)
    after = Browser(*texts)
    assert after.sync(*ops[n_lost:])["done"] == [op["id"] for op in ops[n_lost:]]
    assert after.campaign.said(3) == {"anna": "cat"}
    assert after.campaign.said(5) == {"anna": None}
    undo = {"id": "again", "kind": "undo", "row": 3}
    for _ in range(2):  # the second time there is nothing to take back
        assert Browser(*texts).sync(undo)["refused"] == []
        assert after.campaign.said(3) == {}


def test_after_a_restart_nothing_is_recorded_again(texts):
    """Two tabs have no receipt: neither takes back, or overwrites, what the other has said."""
    before = Browser(*texts)
    first, second = before.op("answer", 3, label="dog"), before.op("answer", 3, label="cat")
    nothing, undo = before.op("undo", 3), before.op("undo", 3)
    same = before.op("answer", 3, label="dog")
    before.sync(nothing, first, second, undo, same)
    assert before.campaign.said(3) == {"anna": "dog"}
    for op in (undo, first, second, nothing, same):
        assert Browser(*texts).sync(op)["done"] == [op["id"]]
        assert before.campaign.said(3) == {"anna": "dog"}
    assert before.campaign.answers()["action"].tolist() == ["answer", "answer", "undo"]
    bob = Browser(*texts, annotator="bob")
    bob.sync({**first, "label": "cat"})  # an id of anna's
    assert bob.campaign.said(3) == {"anna": "dog", "bob": "cat"}


def test_an_undone_row_stays_with_its_annotator(texts):
    anna, bob = Browser(*texts), Browser(*texts, annotator="bob")
    row = rows_of(anna.sync(n=1))[0]
    anna.sync(anna.op("answer", row, label="dog"))
    anna.sync(anna.op("undo", row))
    assert anna.campaign.said(row) == {}
    assert row not in rows_of(bob.sync(n=8))
    assert row in rows_of(anna.sync(n=8))


def test_an_older_answer_is_taken_back(browser):
    browser.sync(
        browser.op("answer", 3, label="dog"), browser.op("answer", 4, label="cat"), browser.op("undo", 3)
    )
    assert browser.campaign.said(3) == {}
    assert browser.campaign.said(4) == {"anna": "cat"}


def test_an_undo_that_is_sent_twice_at_once_takes_back_one_answer(browser, monkeypatch):
    browser.sync(browser.op("answer", 3, label="dog"))
    browser.sync(browser.op("answer", 4, label="cat"), browser.op("answer", 4, label="dog"))
    undo, campaign, both = browser.op("undo", 4), browser.campaign, threading.Barrier(2)
    take_back = campaign.take_back

    def slow(*args, **kwargs):
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # until the other one is about to, too, where it may
        return take_back(*args, **kwargs)

    monkeypatch.setattr(campaign, "take_back", slow)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda _: browser.sync(undo), range(2)))
    assert [each["done"] for each in told] == [[undo["id"]]] * 2
    monkeypatch.undo()
    assert (campaign.said(3), campaign.said(4)) == ({"anna": "dog"}, {"anna": "cat"})


def test_an_undo_takes_back_no_other_answer(texts):
    """Somebody undoes the same answer elsewhere, just before."""
    browser = Browser(*texts)
    browser.sync(browser.op("answer", 3, label="dog"), browser.op("answer", 4, label="cat"))
    campaign = browser.campaign
    campaign.undo("anna")
    browser.sync(browser.op("undo", 4))
    assert (campaign.said(3), campaign.said(4)) == ({"anna": "dog"}, {})


def test_a_name_is_the_same_however_its_accents_were_typed(texts):
    browser = Browser(*texts, annotator="Jose\u0301")
    browser.sync(browser.op("answer", 3, label="dog"), browser.op("answer", 4, label="cat"))
    assert browser.get("/last", params={"annotator": browser.annotator}).json()["row"] == 4
    assert browser.sync(current=4)["others"] == []
    browser.sync(browser.op("undo", 4))
    assert browser.campaign.said(4) == {}


def test_the_last_answer_that_holds_is_told(browser):
    last = lambda: browser.get("/last", params={"annotator": "anna"}).json()  # noqa: E731
    assert last() is None
    browser.sync(browser.op("answer", 3, label="dog"), browser.op("answer", 4, label="cat"))
    assert (last()["row"], last()["label"]) == (4, "cat")
    assert "text 4" in last()["html"]
    browser.sync(browser.op("undo", 4))
    assert (last()["row"], last()["label"]) == (3, "dog")
    assert browser.get("/last", params={"annotator": "bob"}).json() is None


def test_the_same_id_of_another_annotator_is_another_operation(browser):
    browser.sync({"id": "x", "kind": "answer", "row": 3, "label": "cat"})
    told = browser.sync(
        {"id": "x", "kind": "answer", "row": 4, "label": "dog"}, annotator="bob", current=10**30
    )
    assert told["done"] == ["x"]
    assert browser.campaign.said(4) == {"bob": "dog"}


@pytest.mark.parametrize("label", ["\ud800", "", " ", "a\0b", "\u202ecat", "x" * 1001])
def test_labels_that_no_page_could_show_are_refused(tmp_path, label):
    campaign, items = begun(text_file(tmp_path, ["one", "two"]), classes=None)
    with campaign:
        browser = Browser(campaign, items)
        body = json.dumps(
            {
                "campaign": campaign.key,
                "annotator": "anna",
                "ops": [browser.op("answer", 0, label=label), browser.op("answer", 1, label="x" * 1000)],
            }
        )
        told = browser.client.post("/sync", content=body, headers={"Content-Type": "application/json"}).json()
        assert [each["id"] for each in told["refused"]] == ["anna1"]
        assert browser.get("/classes").json()["classes"] == ["x" * 1000]


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        ({"kind": "answer", "row": 3, "label": "bird"}, "not among the classes"),
        ({"kind": "answer", "row": 99, "label": "cat"}, "99"),
        ({"kind": "answer", "row": "3", "label": "cat"}, "position"),
        ({"kind": "answer", "row": True, "label": "cat"}, "position"),
        ({"kind": "answer", "row": -(10**23), "label": "cat"}, "position"),
        ({"kind": "undo", "row": 10**23}, "position"),
        ({"kind": "answer", "row": 3, "label": None}, "a text or a number"),
        ({"kind": "answer", "row": 3, "label": ["cat"]}, "a text or a number"),
        ({"kind": "forget", "row": 3}, "no operation"),
    ],
)
def test_what_can_never_be_recorded_is_given_back(browser, op, reason):
    told = browser.sync({"id": "x", **op}, browser.op("answer", 4, label="cat"))
    assert told["done"] == ["x", "anna1"]
    ((refused,),) = ([each] for each in told["refused"])
    assert refused["id"] == "x"
    assert reason in refused["reason"]
    assert browser.campaign.answers()["row"].tolist() == [4]


@pytest.mark.parametrize("error", [OSError("no space is left"), JournalError("damaged")])
def test_what_may_be_recorded_later_stays_in_the_page(browser, monkeypatch, error):
    ops = [browser.op("answer", row, label="cat") for row in (3, 4, 5)]
    answer = Campaign.answer

    def fails(campaign, annotator, row, *args, **kwargs):
        if row == 4:
            raise error
        return answer(campaign, annotator, row, *args, **kwargs)

    with monkeypatch.context() as broken:
        broken.setattr(Campaign, "answer", fails)
        told = browser.sync(*ops)
    assert told["done"] == [ops[0]["id"]]
    assert told["trouble"] == str(error)
    assert told["rows"] == told["refused"] == []
    assert browser.sync(*ops)["done"] == [op["id"] for op in ops]
    assert browser.campaign.answers()["row"].tolist() == [3, 4, 5]


def test_who_else_has_answered_is_told(texts):
    anna, bob = Browser(*texts), Browser(*texts, annotator="bob")
    row = rows_of(anna.sync(n=1))[0]
    assert anna.sync(n=1, current=row)["others"] == []
    bob.sync(bob.op("answer", row, label="dog"))
    assert anna.sync(n=1, current=row)["others"] == ["bob"]
    anna.sync(anna.op("answer", row, label="cat"))
    assert anna.campaign.said(row) == {"anna": "cat", "bob": "dog"}


def test_where_several_are_asked_nobody_is_told_of_the_others(tmp_path):
    campaign, items = begun(text_file(tmp_path, ["a", "b", "c"]), n_annotators_per_row=2)
    with campaign:
        anna, bob = Browser(campaign, items), Browser(campaign, items, "bob")
        bob.sync(bob.op("answer", 1, label="dog"))
        assert anna.sync(n=1, current=1)["others"] == []


def test_two_annotators_have_different_rows(texts):
    anna, bob = Browser(*texts), Browser(*texts, annotator="bob")
    assert not set(rows_of(anna.sync(n=4))) & set(rows_of(bob.sync(n=4)))


def test_guesses_come_when_they_are_wanted(tmp_path):
    campaign, items = begun(
        text_file(tmp_path, [f"{'good fine' if i % 2 else 'bad ugly'} {i}" for i in range(30)]),
        training="foreground",
        retrain_every=6,
    )
    with campaign:
        browser = Browser(campaign, items)
        browser.sync(*(browser.op("answer", i, label=["cat", "dog"][i % 2]) for i in range(6)))
        assert {each["guess"] for each in browser.sync(n=3)["rows"]} == {None}
        for each in browser.sync(n=3, guesses=True)["rows"]:
            assert each["guess"]["label"] == ["cat", "dog"][each["row"] % 2]
            assert 0.5 < each["guess"]["confidence"] < 1


@pytest.mark.parametrize("name", ["\ud800", "a\0", "a\n", 3, None])
def test_ids_that_cannot_be_sent_back_are_refused_before_anything_is_recorded(browser, name):
    ops = [browser.op("answer", 3, label="dog"), {**browser.op("answer", 4, label="dog"), "id": name}]
    body = json.dumps({"campaign": browser.campaign.key, "annotator": "anna", "ops": ops})
    for _ in range(2):
        told = browser.client.post("/sync", content=body, headers={"Content-Type": "application/json"})
        assert told.status_code == 400
        assert "an id of printable characters" in told.json()["error"]
    assert len(browser.campaign.answers()["row"]) == 0


WRONG = ["\ud800", "\0", 10**400, float("nan"), [], {}, None]


@pytest.mark.parametrize("wrong", WRONG, ids=map(str, range(len(WRONG))))
@pytest.mark.parametrize("kind", ["answer", "skip", "undo"])
def test_whatever_a_request_has_is_answered(browser, kind, wrong):
    op = {"id": "x", "kind": kind, "row": 3, "label": "dog", "seconds": 1}
    said = {"annotator": "anna", "campaign": browser.campaign.key, "ops": [op], "n": 1, "current": 3}
    requests = [
        *({**said, name: wrong} for name in said),
        *({**said, "ops": [{**op, name: wrong}]} for name in op),
    ]
    for request in requests:
        told = browser.client.post(
            "/sync", content=json.dumps(request), headers={"Content-Type": "application/json"}
        )
        assert told.status_code in (200, 400, 409)
        assert told.json()


def test_pages_ask_for_no_more_than_fifty_rows(tmp_path):
    campaign, items = begun(text_file(tmp_path, [f"text {i}" for i in range(80)]))
    with campaign:
        assert len(rows_of(Browser(campaign, items).sync(n=10_000))) == 50


def test_another_campaign_takes_no_answers(browser):
    body = {"campaign": "0" * 16, "annotator": "anna", "ops": [browser.op("answer", 3, label="cat")], "n": 1}
    response = browser.client.post("/sync", json=body)
    assert response.status_code == 409
    assert len(browser.campaign.answers()["row"]) == 0


@pytest.mark.parametrize(
    "body", [{"ops": 3}, {"annotator": 3}, {"ops": [3]}, {"ops": [{"id": 3}]}, {"annotator": " "}]
)
def test_a_body_that_is_no_talk_is_refused(browser, body):
    assert browser.post(**{"n": 1, **body}).status_code == 400


def test_closed_campaigns_know_their_annotators(tmp_path):
    campaign, items = begun(image_folder(tmp_path, 3), annotators=["anna"])
    with campaign:
        assert Browser(campaign, items).post().status_code == 200
        told = Browser(campaign, items, "bob").post()
        assert told.status_code == 400
        assert "bob" in told.json()["error"]


@pytest.mark.parametrize(("classes", "sent"), [([0.0, 1.0], 0), ([True, False], True)])
def test_classes_that_are_numbers_or_booleans_are_answered(tmp_path, classes, sent):
    """JavaScript has one kind of numbers: it sends 0 for 0.0."""
    campaign, items = begun(text_file(tmp_path, [f"text {i}" for i in range(5)]), classes=classes)
    with campaign:
        browser = Browser(campaign, items)
        assert browser.sync(browser.op("answer", 3, label=sent))["refused"] == []
        assert campaign.said(3) == {"anna": sent}
