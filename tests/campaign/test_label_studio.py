"""A campaign in Label Studio, against a small one in memory; tests/full has the real one."""

import httpx2
import numpy as np
import pytest

from skal.campaign import Campaign
from skal.campaign.label_studio import LabelStudio
from skal.campaign.label_studio.forms import config
from skal.exceptions import LabelStudioError
from skal.strategies import CoreSet, UncertaintySampling

from .common import TRUTH, Clock, X, begun, learner, said
from .fake_label_studio import TOKEN, FakeLabelStudio

URL = "http://labels.example"
TEXTS = [f"text {i}" for i in range(len(X))]
ANNA, BOB = "anna@example.org", "bob@example.org"


@pytest.fixture
def server():
    return FakeLabelStudio()


@pytest.fixture
def campaign(tmp_path):
    with begun(tmp_path / "c", strategy=UncertaintySampling(), items=TEXTS, retrain_every=5) as campaign:
        yield campaign


def joined(campaign, server, **params):
    return LabelStudio(campaign, URL, TOKEN, transport=server.transport, **params)


def rows_of(server):
    return [task["data"]["skal_row"] for task in server.tasks.values()]


def test_rows_are_served_in_the_order_of_the_strategy_round_after_round(campaign, server):
    with joined(campaign, server) as tool:
        for _ in range(4):
            tool.pull()
            assert tool.push() == 5
            wanted = campaign.queue()[:5].tolist()
            served = []
            for _ in range(5):
                task = server.next(tool.project)
                served.append(task["data"]["skal_row"])
                assert task["data"]["item"] == TEXTS[served[-1]]
                server.annotate(task["id"], str(TRUTH[served[-1]]))
            assert served == wanted
        assert tool.pull().n_labels == 5
    assert len(campaign.progress().by_model) == 5
    rows = rows_of(server)
    assert len(set(rows)) == len(rows) == 20
    assert said(campaign) == {(ANNA, row): TRUTH[row] for row in rows}
    assert campaign.answers()["seconds"].tolist() == [2.5] * 20


def test_the_served_version_has_the_model_s_predictions_and_older_ones_are_gone(campaign, server):
    with joined(campaign, server) as tool:
        tool.push()
        assert [each["result"] for each in server.predictions.values()] == [[]] * 5  # no model yet
        for row in campaign.queue()[:5]:
            campaign.answer("cleo", row, TRUTH[row])
        tool.push()
        queue = campaign.queue()[:5]
        guesses = campaign.predictions(queue)["label"]
        assert [each["model_version"] for each in server.predictions.values()] == ["skal round 2"] * 5
        assert server.projects[tool.project]["model_version"] == "skal round 2"
        assert [each["result"][0]["value"]["choices"] for each in server.predictions.values()] == [
            [str(guess)] for guess in guesses
        ]
        assert [
            server.tasks[each["task"]]["data"]["skal_row"] for each in server.predictions.values()
        ] == queue.tolist()


def test_predictions_may_be_hidden(campaign, server):
    with joined(campaign, server, show_predictions=False) as tool:
        for row in campaign.next("cleo", 5):
            campaign.answer("cleo", row, TRUTH[row])
        tool.push()
    assert campaign.progress().by_model
    assert [each["result"] for each in server.predictions.values()] == [[]] * 5


def test_more_rows_follow_before_the_ready_ones_are_done(tmp_path, server):
    with (
        begun(tmp_path / "c", items=TEXTS, retrain_every=None) as campaign,
        joined(campaign, server, n_ahead=6) as tool,
    ):
        order, served = campaign.refill().queue().tolist(), []
        for _ in range(20):
            assert 4 <= tool.push() <= 6
            task = server.next(tool.project)
            served.append(task["data"]["skal_row"])
            server.annotate(task["id"], "0")
            tool.pull()
        assert served == order[:20]
        assert set(server._counts(tool.project)) == {"skal round 1"}


def test_corrections_skips_and_deletions_are_read(campaign, server):
    with joined(campaign, server) as tool:
        tool.push()
        one, two, three, four, _ = server.tasks
        row = {number: task["data"]["skal_row"] for number, task in server.tasks.items()}
        first = server.annotate(one, "0")
        server.annotate(two, None, skip=True)
        third = server.annotate(three, "1", BOB)
        report = tool.pull()
        assert (report.n_labels, report.n_skips, report.n_withdrawn) == (2, 1, 0)
        assert tool.pull().n_changes == 0
        assert said(campaign) == {(ANNA, row[one]): 0, (ANNA, row[two]): None, (BOB, row[three]): 1}
        server.change(first, "1")
        server.delete(third)
        server.annotate(two, "0")  # in place of the skip
        server.annotate(four, None)  # nothing was chosen
        report = tool.pull()
        assert (report.n_labels, report.n_skips, report.n_withdrawn) == (2, 0, 1)
        assert said(campaign) == {(ANNA, row[one]): 1, (ANNA, row[two]): 0}
        server.delete(first)
        assert tool.pull().n_withdrawn == 1
        assert row[one] in campaign.queue()
        actions = campaign.answers()["action"].tolist()
        assert actions == ["sync"] * 7


def test_annotators_whose_accounts_were_removed_are_kept_apart(campaign, server):
    with joined(campaign, server) as tool:
        tool.push()
        task, other = list(server.tasks)[:2]
        row, second = (server.tasks[each]["data"]["skal_row"] for each in (task, other))
        numbers = [server.annotate(task, "1", ANNA), server.annotate(task, "0", BOB)]
        numbers.append(server.annotate(other, "0", BOB))
    for number in numbers:
        server.annotations[number]["completed_by"] = None
    expected = {("unknown", row): 1, ("unknown 2", row): 0, ("unknown", second): 0}
    for n_labels in (3, 0):
        with joined(campaign, server) as tool:
            assert tool.pull().n_labels == n_labels
            assert said(campaign) == expected
    with joined(campaign, server) as tool:
        server.delete(numbers[0])
        tool.pull()
        assert said(campaign) == {("unknown", row): 0, ("unknown", second): 0}


def test_what_was_said_elsewhere_since_is_left_alone(campaign, server):
    with joined(campaign, server) as tool:
        tool.push()
        task, other = list(server.tasks)[:2]
        row, second = (server.tasks[each]["data"]["skal_row"] for each in (task, other))
        number, removed = server.annotate(task, "0"), server.annotate(other, "0")
        tool.pull()
        campaign.correct(ANNA, [row, second], [1, 1])
        server.delete(removed)
        assert tool.pull().n_changes == 0
        assert said(campaign) == {(ANNA, row): 1, (ANNA, second): 1}
        server.change(number, "0")
        assert tool.pull().n_labels == 1
        assert said(campaign) == {(ANNA, row): 0, (ANNA, second): 1}


def test_a_deleted_task_takes_no_label_along_and_is_made_again_when_its_row_comes(campaign, server):
    with joined(campaign, server) as tool:
        tool.push()
        one, two, *_ = server.tasks
        row, other = (server.tasks[number]["data"]["skal_row"] for number in (one, two))
        server.annotate(one, "1")
        tool.pull()
        server.delete_task(one)
        server.delete_task(two)
        assert tool.pull().n_changes == 0
        assert said(campaign) == {(ANNA, row): 1}
        tool.push()
        assert other in rows_of(server)
        assert row not in rows_of(server)


@pytest.mark.parametrize("is_done", [False, True])
@pytest.mark.parametrize("number", range(1, 14))
def test_a_request_that_is_lost_doubles_and_loses_nothing(tmp_path, number, is_done):
    """A request fails, before or after the server has done what it asks; each side starts again each time."""
    server = FakeLabelStudio()
    server.broken = lambda now, done: _cut((now, done) == (number, is_done))
    clock, n_failures, expected = Clock(), 0, {}
    plan = {"items": TEXTS, "retrain_every": 4, "n_prepared": 12, "clock": clock}
    with begun(tmp_path, strategy=UncertaintySampling(), **plan) as campaign:
        wanted = campaign.refill().queue()[:4].tolist()
    for is_labelled in (False, False, True, True, True):
        if is_labelled and not expected:
            assert server.next(1)["data"]["skal_row"] == wanted[0]
            for task in list(server.tasks.values()):
                if (row := task["data"]["skal_row"]) in wanted:
                    server.annotate(task["id"], str(TRUTH[row]))
                    expected[ANNA, row] = TRUTH[row]
        try:
            with (
                Campaign.open(tmp_path, X, items=TEXTS, training="foreground", clock=clock) as campaign,
                joined(campaign, server) as tool,
            ):
                tool.pull()
                tool.push()
        except ConnectionError:
            n_failures += 1
    assert n_failures == 1
    with Campaign.open(tmp_path, X, items=TEXTS, training=None, clock=clock) as campaign:
        assert said(campaign) == expected
        assert len(campaign.answers()["row"]) == len(expected) == 4
        queue = campaign.queue()[:4].tolist()
    rows = rows_of(server)
    assert len(set(rows)) == len(rows)
    assert len(server.projects) == 1
    version = server.projects[1]["model_version"]
    ready = [each for each in server.predictions.values() if each["model_version"] == version]
    ready.sort(key=lambda each: each["score"])
    assert [server.tasks[each["task"]]["data"]["skal_row"] for each in ready] == queue
    assert not set(queue) & set(wanted)


def test_run_goes_on_where_the_server_went_away(campaign, server, monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    with joined(campaign, server) as tool:
        first = server.n_requests
        server.broken = lambda number, done: _cut(number in (first + 4, first + 5, first + 6))
        looks = iter(range(8))
        tool.run(interval=2.0, stop=lambda: next(looks) == 7)
        assert waited == [4.0, 8.0, 16.0, 2.0, 2.0, 2.0, 2.0]
    assert len(server.tasks) == 5


def _cut(is_cut):
    if is_cut:
        raise httpx2.ConnectError("refused")


def test_run_ends_where_the_server_refuses(campaign, server):
    with joined(campaign, server) as tool:
        server.projects.clear()
        with pytest.raises(LabelStudioError, match="404"):
            tool.run()


def test_the_same_project_is_joined_again(campaign, server):
    with joined(campaign, server) as tool:
        project = tool.project
        tool.push()
        n_predictions = len(server.predictions)
    with joined(campaign, server) as tool:
        assert tool.project == project
        tool.push()
    assert (len(server.projects), len(server.tasks), len(server.predictions)) == (1, 5, n_predictions)


def test_each_campaign_has_its_own_project_and_one_process_speaks_for_it(tmp_path, campaign, server):
    with joined(campaign, server) as tool, begun(tmp_path / "other", items=TEXTS) as other:
        with joined(other, server) as another:
            assert another.project != tool.project
        with pytest.raises(RuntimeError, match="takes this campaign"):
            joined(campaign, server)
    with joined(campaign, server):
        pass


def test_a_project_of_one_s_own_is_used_with_its_names(campaign, server):
    choices = '<Choices name="pick" toName="t"><Choice value="0"/><Choice value="1"/></Choices>'
    own = f'<View><Text name="t" value="$words"/>{choices}</View>'
    server.projects[77] = {
        "id": 77, "created_at": "then", "model_version": "", "label_config": own, "description": None,
        "sampling": "Sequential sampling",
    }  # fmt: skip
    server.tasks[78] = {"id": 78, "project": 77, "data": {"words": "mine"}, "updated_at": server._time()}
    server.annotate(78, "1")
    with joined(campaign, server, project=77) as tool:
        tool.push()
        task = server.next(77)
        assert task["data"] == {"skal_row": campaign.queue()[0], "words": TEXTS[campaign.queue()[0]]}
        server.annotate(task["id"], "1")
        assert tool.pull().n_labels == 1
    with pytest.raises(LabelStudioError, match="404"):
        joined(campaign, server, project=5)


def test_each_row_goes_to_as_many_as_the_campaign_asks(tmp_path, server):
    with begun(tmp_path / "c", items=TEXTS, n_annotators_per_row=2) as campaign:
        with joined(campaign, server) as tool:
            tool.push()
            task = server.next(tool.project)
            row = task["data"]["skal_row"]
            server.annotate(task["id"], "0")
            tool.pull()
            assert campaign.queue()[0] == row
            server.annotate(task["id"], "1", BOB)
            tool.pull()
            assert row not in campaign.queue()
        assert server.projects[tool.project]["maximum_annotations"] == 2
        assert campaign.disputed().tolist() == [row]


def test_rows_that_somebody_has_on_another_page_wait(campaign, server):
    mine = campaign.next("cleo", 3).tolist()
    with joined(campaign, server) as tool:
        tool.push()
        assert not set(mine) & set(rows_of(server))
        assert rows_of(server) == campaign.queue()[3:8].tolist()


def test_what_cannot_be_recorded_is_told_and_the_rest_is(campaign, server, monkeypatch):
    campaign.add_annotator(ANNA).set(is_closed=True)
    with joined(campaign, server) as tool:
        tool.push()
        one, two, three, *_ = server.tasks
        server.annotate(one, "0")
        server.annotate(two, "7")
        server.annotate(three, "1", BOB)
        report = tool.pull()
        assert report.n_labels == 1
        assert len(report.refused) == 2
        assert "'7' is not one of the classes" in report.refused[0]
        assert f"add_annotator({BOB!r})" in report.refused[1]
        campaign.add_annotator(BOB)
        assert tool.pull().n_labels == 1
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        looks = iter(range(4))
        with pytest.warns(UserWarning, match="not one of the classes") as caught:
            tool.run(stop=lambda: next(looks) == 3)
        assert len(caught) == 1


def test_many_tasks_are_read_in_pages(tmp_path, server):
    many = np.arange(450.0)[:, None]
    with Campaign(
        tmp_path / "c", learner(), many, classes=[0, 1], training="foreground", n_prepared=430, retrain_every=None,
        clock=Clock(),
    ) as campaign:  # fmt: skip
        with joined(campaign, server, n_ahead=400) as tool:
            assert tool.push() == 400
            for task in list(server.tasks):
                server.annotate(task, "1")
        with joined(campaign, server, n_ahead=400) as tool:
            assert tool.pull().n_labels == 400


def test_a_personal_token_is_exchanged(campaign, server):
    LabelStudio(campaign, URL, "a.b.c", transport=server.transport).close()
    with pytest.raises(LabelStudioError, match="Account & Settings"):
        LabelStudio(campaign, URL, "wrong", transport=server.transport)


def test_a_server_that_fails_can_be_tried_again(campaign):
    with pytest.raises(ConnectionError, match="503"):
        LabelStudio(
            campaign, URL, TOKEN, transport=httpx2.MockTransport(lambda _: httpx2.Response(503, text="busy"))
        )


def test_images_in_files_are_stored_and_addresses_are_shown(tmp_path, server):
    pytest.importorskip("PIL")
    items = [tmp_path / f"{i}.PNG" for i in range(len(X))]
    for i, path in enumerate(items):
        path.write_bytes(b"image\r\n\r\n" + bytes([i]))
    items[7] = "https://example.org/7.jpg"
    with begun(tmp_path / "c", items=items) as campaign, joined(campaign, server, n_ahead=50) as tool:
        tool.push()
        assert "<Image " in server.projects[tool.project]["label_config"]
    stored = {f"/data/{each['file']}": each["body"] for each in server.files.values()}
    for task in server.tasks.values():
        row, item = task["data"]["skal_row"], task["data"]["item"]
        assert item == items[7] if row == 7 else stored[item] == b"image\r\n\r\n" + bytes([row])
    assert len(server.tasks) == 50


def test_classes_are_escaped_and_many_are_a_list(server):
    names = ['<script>"&', "a\nb", " c"]
    server.projects[1] = {"label_config": config("text", names)}
    assert server.parsed(1)["label"]["labels"] == names
    assert 'layout="select"' in config("text", range(31))
    assert "layout" not in config("text", range(30))


def test_new_classes_are_offered(tmp_path, server):
    with begun(tmp_path / "c", items=TEXTS, classes=None) as campaign:
        with pytest.raises(ValueError, match="needs the classes"):
            joined(campaign, server)
        campaign.answer("cleo", [0, 1], ["cat", "dog"])
        with joined(campaign, server) as tool:
            tool.push()
            campaign.answer("cleo", 2, "owl")
            for task in list(server.tasks):
                server.annotate(task, "dog")
            tool.pull()
            tool.push()
            assert server.parsed(tool.project)["label"]["labels"] == ["cat", "dog", "owl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "sound"}, "kind='sound'"),
        ({"n_ahead": 0}, "n_ahead=0"),
        ({"items": ["a"]}, "one item per row"),
        ({"config": "<View/>"}, "no <Choices"),
        ({"config": "<View>"}, "no XML"),
    ],
)
def test_bad_parameters(campaign, server, change, message):
    with pytest.raises(ValueError, match=message):
        joined(campaign, server, **change)
    assert not server.projects
    joined(campaign, server, kind="text").close()  # the turn was given back


def test_a_cold_start_is_pushed_in_its_order(tmp_path, server):
    with begun(tmp_path / "c", strategy=CoreSet(), items=TEXTS) as campaign, joined(campaign, server) as tool:
        tool.push()
        assert rows_of(server) == campaign.queue()[:20].tolist()
