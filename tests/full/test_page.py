"""The page in Debian's chromium: real images, people, crashes and hostile items.

``AXE_CORE`` names axe-core's ``axe.min.js``, an accessibility checker; ``SCREENSHOTS`` one for pictures of the page.
"""

import csv
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from skal.campaign import Campaign
from skal.datasets import load_mnist

from .browsers import Server, chromium

DIGITS = list("0123456789")
PHONE = (390, 844)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """200 of MNIST's digits as PNG files, and what they are."""
    if "SKAL_DATA" not in os.environ:
        pytest.skip("SKAL_DATA names no folder with MNIST")
    folder = tmp_path_factory.mktemp("digits") / "digits"
    folder.mkdir()
    X, y = load_mnist(split="train", return_X_y=True)
    for row in range(200):
        Image.fromarray(np.asarray(X[row]).squeeze()).save(folder / f"{row:03d}.png")
    return folder, y[:200].astype(str)


@pytest.fixture
def serve(tmp_path):
    """Start a server about items, which ends with the test."""
    servers = []

    def start(path, *options, folder="campaign"):
        options = (*options, "--folder", str(tmp_path / folder))
        servers.append(Server(tmp_path / f"server{len(servers)}.log", path, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def browse(tmp_path):
    """Open a browser of its own for somebody, which ends with the test."""
    opened = []

    def start(server, annotator, **params):
        context = chromium(tmp_path / f"profile{len(opened)}", **params)
        opened.append(context)
        return context.__enter__().visit(server, annotator)

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def said_by(tmp_path, annotator):
    with Campaign.open(tmp_path / "campaign") as campaign:
        said = campaign.answers(annotator)
    holds = said["holds"]
    return dict(zip(said["row"][holds].tolist(), said["label"][holds].tolist(), strict=True))


def keep_picture(page, name):
    if "SCREENSHOTS" in os.environ:
        page.driver.save_screenshot(str(Path(os.environ["SCREENSHOTS"], f"{name}.png")))


def test_thirty_images_by_keyboard(digits, serve, browse, tmp_path):
    """With a skip, an undo, and a reload in the middle."""
    folder, truth = digits
    server = serve(folder, "--classes", *DIGITS, "--audit", "8", "--retrain-every", "10")
    page = browse(server, "anna")
    expected = {}
    for turn in range(30):
        row = page.await_item()
        if turn == 5:
            page.press("s")
            expected[row] = None
        else:
            page.press(truth[row])
            expected[row] = truth[row]
        if turn == 10:
            assert page.await_item(other_than=row) != row
            page.press(Keys.ARROW_LEFT)
            page.await_that(lambda row=row: page.item == row)
            page.press(truth[row])
        if turn == 15:
            page.await_saved()
            page.driver.refresh()
            page.await_item()
            page.press("u")  # of what was said before the page was loaded
            page.await_that(lambda row=row: page.item == row)
            page.press("9")
            expected[row] = "9"
        assert page.await_item(other_than=row) not in expected
    page.await_saved()
    assert said_by(tmp_path, "anna") == expected
    page.await_that(lambda: page.has_text("29 of 200 labelled"))
    page.await_that(lambda: page.driver.find_elements("css selector", "#progress svg circle"), patience=90)
    page.press("p")
    page.await_that(lambda: page.find("#guess").text.startswith("The model "))
    keep_picture(page, "desktop")
    assert page.errors() == []
    assert server.stop() == 0
    lines = list(csv.DictReader((tmp_path / "campaign" / "labels.csv").read_text().splitlines()))
    assert {line["item"]: line["label"] for line in lines} == {
        f"{row:03d}.png": label for row, label in expected.items() if label is not None
    }


def test_two_annotators_at_once(digits, serve, browse, tmp_path):
    folder, truth = digits
    server = serve(folder, "--classes", *DIGITS)
    pages = {name: browse(server, name) for name in ("anna", "bob")}
    for _ in range(8):
        for page in pages.values():
            row = page.await_item()
            page.press(truth[row])
            page.await_item(other_than=row)
    for page in pages.values():
        page.await_saved()
    anna, bob = (said_by(tmp_path, name) for name in pages)
    assert len(anna) == len(bob) == 8
    assert not anna.keys() & bob.keys()
    assert all(label == truth[row] for row, label in (anna | bob).items())


def test_no_answer_is_lost_when_the_server_is_killed(digits, serve, browse, tmp_path):
    folder, truth = digits
    server = serve(folder, "--classes", *DIGITS)
    page = browse(server, "anna")
    expected = {}

    def answer():
        row = page.await_item()
        expected[row] = truth[row]
        page.press(truth[row])
        page.await_that(lambda: page.item != row)

    for _ in range(4):
        answer()
    page.await_saved()
    page.await_that(lambda: len(page.driver.find_elements("css selector", "#stage article[hidden]")) >= 4 + 7)
    server.kill()
    for _ in range(5):
        answer()
    page.await_that(lambda: "kept here" in page.find("#saved").text)
    assert page.n_unsent() == 5
    keep_picture(page, "offline")
    page.driver.execute_script("location.reload()")  # a tab that is closed meanwhile keeps them, too
    server.start()
    page.driver.get(server.url + "&annotator=anna")
    page.await_item()
    page.await_saved()
    assert page.n_unsent() == 0
    assert said_by(tmp_path, "anna") == expected
    for _ in range(3):  # killed right after an answer
        answer()
        server.kill()
        server.start()
    page.await_saved()
    assert said_by(tmp_path, "anna") == expected


def test_somebody_else_was_quicker(digits, serve, browse, tmp_path):
    folder, _ = digits
    server = serve(folder, "--classes", *DIGITS)
    page = browse(server, "anna")
    row = page.await_item()
    with Campaign.open(tmp_path / "campaign") as campaign:
        campaign.answer("bob", row, "3")
    page.driver.execute_script("dispatchEvent(new Event('online'))")
    page.await_that(lambda: page.has_text("bob has answered this one meanwhile"))
    page.press("4")
    page.await_item(other_than=row)
    page.await_saved()
    assert said_by(tmp_path, "anna") == {row: "4"}
    assert said_by(tmp_path, "bob") == {row: "3"}


def test_latency_is_not_felt(digits, serve, browse):
    """From the key to the next item on the screen, while each request takes 200 ms."""
    folder, truth = digits
    server = serve(folder, "--classes", *DIGITS)
    page = browse(server, "anna", latency=200)
    page.await_that(lambda: len(page.driver.find_elements("css selector", "#stage article[hidden]")) >= 7)
    page.driver.execute_script("""
        window.took = [];
        addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
        new MutationObserver(() => {
            const image = document.querySelector("#stage article:not([hidden]) img");
            if (!window.pressed || image === null) return;
            const pressed = window.pressed;
            window.pressed = 0;
            image.decode().then(() => requestAnimationFrame(() => window.took.push(performance.now() - pressed)));
        }).observe(document.getElementById("stage"), {attributes: true, subtree: true, attributeFilter: ["hidden"]});
    """)
    for _ in range(25):
        row = page.await_item()
        time.sleep(0.5)
        page.press(truth[row])
        page.await_item(other_than=row)
    page.await_saved()
    took = page.driver.execute_script("return window.took")
    assert len(took) >= 24
    print(f"from key to item: {statistics.median(took):.0f} ms in the median, {max(took):.0f} ms at most")
    assert statistics.median(took) < 100


def test_texts(serve, browse, tmp_path):
    file = tmp_path / "texts.csv"
    texts = [
        f"The {'good' if row % 2 else 'bad'} film number {row} was watched by many." for row in range(60)
    ]
    file.write_text("text\n" + "\n".join(texts))
    page = browse(serve(file, "--classes", "good", "bad"), "anna")
    for _ in range(25):
        row = page.await_item()
        assert page.has_text(texts[row])
        page.press("1" if row % 2 else "2")
        page.await_item(other_than=row)
    page.await_saved()
    keep_picture(page, "text")
    assert said_by(tmp_path, "anna") == {
        row: "good" if row % 2 else "bad" for row in said_by(tmp_path, "anna")
    }


def test_a_table(serve, browse, tmp_path):
    file = tmp_path / "houses.csv"
    file.write_text(
        "rooms,town,price\n" + "".join(f"{1 + row % 6},t{row % 3},{1000 * row}\n" for row in range(60))
    )
    page = browse(serve(file, "--kind", "table", "--classes", "cheap", "dear"), "anna")
    for _ in range(22):
        row = page.await_item()
        assert page.has_text(str(1000 * row))
        page.press("1" if row < 30 else "2")
        page.await_item(other_than=row)
    page.await_saved()
    keep_picture(page, "table")
    said = said_by(tmp_path, "anna")
    assert len(said) == 22
    assert all((label == "cheap") == (row < 30) for row, label in said.items())


PARTS = "#stage article:not([hidden]) .text span"  # of a text that comes in parts
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def test_hostile_texts(serve, browse, tmp_path):
    file = tmp_path / "texts.jsonl"
    long = f"{HOSTILE} {'lorem ipsum ' * 1_700_000} the end"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in (HOSTILE, long, "", "\u202eabc")))
    name = "<b onclick=x>&'\""
    page = browse(serve(file, "--classes", HOSTILE, name), "anna%3Cimg%20src%3Dx%3E")
    for _ in range(4):
        row = page.await_item()
        assert page.driver.title != "owned"
        if row < 2:
            assert page.has_text("<script>document.title=")
        if row == 1:
            more = page.find("#stage article:not([hidden]) button")
            assert "characters are left" in more.text
            assert len(page.driver.page_source) < 100_000
            more.click()
            page.await_that(lambda: len(page.driver.find_elements("css selector", PARTS)) == 2)
            keep_picture(page, "hostile")
        page.press("1")
        page.await_that(lambda row=row: page.item != row)
    page.await_saved()
    page.await_that(lambda: page.has_text("Nothing is left to label"))
    assert page.driver.title != "owned"
    assert page.driver.find_elements("css selector", "main script, main img[src=x]") == []
    assert set(said_by(tmp_path, "anna<img src=x>").values()) == {HOSTILE}
    assert page.errors() == []


def test_broken_images_and_bad_names(serve, browse, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (40, 30), "red").save(folder / "<img src=x onerror=alert(1)>.png")
    (folder / "broken.png").write_bytes(b"no image")
    page = browse(serve(folder, "--classes", "cat", "dog"), "anna")
    shown = "#stage article:not([hidden])"
    seen = {}
    for _ in range(2):
        row = page.await_item()
        page.await_that(
            lambda: page.driver.find_elements("css selector", f"{shown} .broken, {shown} img.small")
        )
        seen[row] = page.find(shown).text
        page.press("1")
        page.await_that(lambda row=row: page.item != row)
    assert any("This image cannot be shown" in text for text in seen.values())
    assert any("<img src=x onerror=alert(1)>.png" in text for text in seen.values())
    page.await_saved()
    assert page.errors() == []


def test_ten_thousand_classes(digits, serve, browse, tmp_path):
    folder, _ = digits
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(f"species {number:05d}" for number in range(10_000)))
    page = browse(serve(folder, "--classes-file", str(classes)), "anna")
    row = page.await_item()
    begun = time.monotonic()
    page.press("species 04321")
    page.await_that(lambda: len(page.driver.find_elements("css selector", "#choices [role=option]")) == 1)
    assert time.monotonic() - begun < 5
    keep_picture(page, "many")
    page.press(Keys.ENTER)
    second = page.await_item(other_than=row)
    page.press(Keys.ENTER)  # the class that was used last comes first
    third = page.await_item(other_than=second)
    page.press("099", Keys.ARROW_DOWN, Keys.ENTER)
    fourth = page.await_item(other_than=third)
    page.press(Keys.ARROW_RIGHT)
    page.await_item(other_than=fourth)
    page.await_saved()
    assert said_by(tmp_path, "anna") == {
        row: "species 04321", second: "species 04321", third: "species 00990", fourth: None
    }  # fmt: skip


def test_classes_that_are_made_up(digits, serve, browse, tmp_path):
    folder, _ = digits
    page = browse(serve(folder), "anna")
    first = page.await_item()
    page.press("Zebra", Keys.ENTER)
    second = page.await_item(other_than=first)
    page.press("ze", Keys.ENTER)
    page.await_item(other_than=second)
    page.await_saved()
    labels = said_by(tmp_path, "anna")
    assert labels[first] == "Zebra"
    assert labels[second] == "ze" or labels[second] == "Zebra"


def test_an_answer_that_is_refused_is_not_called_saved(serve, browse, tmp_path):
    (tmp_path / "texts.txt").write_text("one\ntwo\n")
    page = browse(serve(tmp_path / "texts.txt"), "anna")
    first = page.await_item()
    page.press("a\u00adb", Keys.ENTER)  # with a hyphen that nobody sees
    page.await_that(lambda: page.has_text("printable characters"))
    page.await_item(other_than=first)
    page.press("cat", Keys.ENTER)
    page.await_that(lambda: page.item == first)  # it comes again
    page.await_that(lambda: page.n_unsent() == 0 and page.find("#saved").text == "1 answer was not recorded.")
    page.press("dog", Keys.ENTER)
    page.await_saved()
    assert said_by(tmp_path, "anna") == {first: "dog", 1 - first: "cat"}


@pytest.mark.parametrize("size", [(1280, 860), PHONE], ids=["desktop", "phone"])
def test_accessibility(digits, serve, browse, tmp_path, size):
    if "AXE_CORE" not in os.environ:
        pytest.skip("AXE_CORE names no axe.min.js")
    source = Path(os.environ["AXE_CORE"]).read_text()
    folder, truth = digits
    server = serve(folder, "--classes", *DIGITS)
    page = browse(server, "anna", size=size)
    for _ in range(3):
        row = page.await_item()
        page.press(truth[row])
        page.await_item(other_than=row)
    page.await_saved()

    def check(name):
        keep_picture(page, f"{name}-{size[0]}")
        page.driver.execute_script(source)
        found = page.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        assert len(found["passes"]) > 5
        faults = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]
                  if each["impact"] in ("serious", "critical")]  # fmt: skip
        assert faults == [], name

    check("label")
    page.driver.execute_script("document.getElementById('side').open = true")
    page.await_that(lambda: page.has_text("Classes"))
    check("progress")
    small = page.driver.execute_script("""
        return [...document.querySelectorAll("button, a, summary, input")]
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().height < 44)
            .map((each) => each.outerHTML);
    """)
    assert small == []
    page.driver.execute_script("document.getElementById('help-open').click()")
    check("help")
    page.driver.get(server.url)
    check("who")
    classes = tmp_path / "classes.txt"
    classes.write_text("\n".join(f"class {number}" for number in range(100)))
    page.visit(serve(folder, "--classes-file", str(classes), folder="many"), "anna")
    check("many")
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    check("dark")
