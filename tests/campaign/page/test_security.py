"""Who may ask for what, and what is never served."""

import hmac
import json
import os
import socket

import pytest

from skal.campaign.page import make_app
from skal.campaign.page.security import names_of_this_machine

from .common import Browser, TestClient, begun, image_folder, save_image, text_file

PAGES = ["/", "/?annotator=anna", "/classes", "/progress", "/last?annotator=anna", "/item/0/image", "/labels.csv",
         "/static/label.js"]  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    campaign, items = begun(image_folder(tmp_path))
    yield campaign, items
    campaign.close()


def client(photos, **params):
    return TestClient(make_app(*photos, **params), base_url="http://localhost:8765", follow_redirects=False)


@pytest.mark.parametrize("path", PAGES)
def test_every_response_has_the_headers(photos, path):
    response = client(photos).get(path)
    assert response.status_code == 200
    policy = dict(
        part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("host", ["localhost", "localhost:8765", "127.0.0.1:1", "[::1]:8765", "LOCALHOST"])
def test_the_loopback_address_is_welcome(photos, host):
    assert client(photos).get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8765",
        "localhost.evil.example",
        "192.168.0.7:8765",
        "",
        "[::1",
        "127.0.0.1@evil.example",
    ],
)
@pytest.mark.parametrize("path", PAGES)
def test_foreign_names_are_refused(photos, host, path):
    """DNS rebinding: the name of another site points to this machine."""
    response = client(photos).get(path, headers={"Host": host})
    assert response.status_code == 403
    assert "address that the terminal shows" in response.text


def test_an_open_page_knows_numbers_and_its_names(photos):
    page = client(photos, hosts=["lab.example"])
    for host in ("192.168.0.7:8765", "[fe80::1]:8765", "lab.example", "localhost:8765"):
        assert page.get("/", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "1.evil.example", "lab.example.evil.example"):
        assert page.get("/", headers={"Host": host}).status_code == 403
    assert {socket.gethostname(), f"{socket.gethostname()}.local"} <= names_of_this_machine()


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://localhost:9999",
        "https://localhost.evil.example",
        "http://[::1",
        "",
    ],
)
def test_foreign_origins_are_refused(photos, origin):
    page = client(photos)
    body = {"campaign": photos[0].key, "annotator": "anna", "ops": [{"id": "a", "kind": "skip", "row": 1}]}
    for path in ("/sync", "/nothing"):
        assert page.post(path, json=body, headers={"Origin": origin}).status_code == 403
    assert page.get("/classes", headers={"Origin": origin}).status_code == 403
    assert len(photos[0].answers()["row"]) == 0
    assert page.post("/sync", json=body, headers={"Origin": "http://localhost:8765"}).status_code == 200


def test_only_visits_come_from_other_sites(photos):
    page = client(photos)
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert page.get("/item/0/image", headers=foreign).status_code == 403
    assert page.get("/item/0/image", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    assert page.get("/", headers=foreign | {"Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert page.post("/sync", headers=foreign | {"Sec-Fetch-Mode": "navigate"}).status_code == 403
    assert page.get("/item/0/image", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_told_without_the_token(photos, path):
    page = client(photos, token="secret")
    for wrong in ("", "secre", "secret1", "geheim\u00e9"):
        page.cookies.clear()
        assert page.get("/", params={"token": wrong}).status_code == 403
        page.cookies.set(f"skal-{photos[0].key[:8]}", wrong.encode("ascii", "replace").decode())
        response = page.get(path)
        assert response.status_code == 403
        assert "by the link" in response.text


def test_the_token_becomes_a_cookie(photos):
    page = client(photos, token="secret")
    first = page.get("/", params={"token": "secret", "annotator": "anna & bob"})
    assert first.status_code == 303
    assert first.headers["location"] == "/?annotator=anna+%26+bob"
    cookie = first.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert page.get("/classes").status_code == 200
    assert page.post("/sync", params={"token": "secret"}, json={}).status_code == 409
    page.cookies.clear()
    assert page.post("/sync", params={"token": "secret"}, json={}).status_code == 403
    elsewhere = page.get("http://localhost:8765//evil.example/", params={"token": "secret"})
    assert elsewhere.headers["location"] == "/evil.example/"


def test_a_token_is_not_empty(photos):
    with pytest.raises(ValueError, match="lets everybody in"):
        client(photos, token="")


def test_the_token_is_compared_in_constant_time(photos, monkeypatch):
    asked = []
    monkeypatch.setattr(hmac, "compare_digest", lambda *pair: asked.append(pair) or False)
    assert client(photos, token="secret").get("/", params={"token": "secret"}).status_code == 403
    assert (b"secret", b"secret") in asked


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_forms_cannot_post(photos, media_type):
    body = json.dumps({"campaign": photos[0].key, "annotator": "anna", "ops": [], "n": 1})
    response = client(photos).post("/sync", content=body, headers={"Content-Type": media_type})
    assert response.status_code == 415


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"[]", 400), (b"[" * 100_000, 400), (b" " * (1 << 20) + b"{}", 413), (b"\xff", 400)],
)
def test_bodies_are_checked(photos, body, status):
    response = client(photos).post("/sync", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/item/12/image", "/item/-1/image", "/item/00.png/image", "/item/../secret.png/image", "/item/1e0/image",
        "/item/%2e%2e%2fsecret.png/image", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py",
        "/static//etc/passwd", "/../campaign/token", "/item/0/text?start=0", f"/item/{10**30}/image", "/static/",
        f"/item/{'9' * 5000}/image", "/item/²/image",
    ],
)  # fmt: skip
def test_nothing_outside_the_pool_is_served(photos, tmp_path, path):
    save_image(tmp_path / "secret.png", 0)
    assert client(photos).get(path).status_code == 404


def test_links_that_lead_out_are_not_listed(tmp_path):
    folder = image_folder(tmp_path, 2)
    save_image(tmp_path / "elsewhere" / "secret.png", 0)
    os.symlink(tmp_path / "elsewhere" / "secret.png", folder / "link.png")
    os.symlink(tmp_path / "elsewhere", folder / "linked")
    os.symlink(folder / "01.png", folder / "within.png")
    os.symlink("loop.png", folder / "loop.png")
    (folder / "drawing.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    )
    (folder / ".hidden.png").write_bytes((folder / "01.png").read_bytes())
    campaign, items = begun(folder)
    with campaign:
        assert items.names == ["00.png", "01.png", "within.png"]


def test_a_file_that_becomes_a_link_is_not_followed(photos, tmp_path):
    page, file = client(photos), tmp_path / "photos" / "03.png"
    assert page.get("/item/3/image").status_code == 200
    save_image(tmp_path / "secret.png", 0)
    file.unlink()
    os.symlink(tmp_path / "secret.png", file)
    assert page.get("/item/3/image").status_code == 404
    assert page.get("/item/4/image").status_code == 200


def test_no_byte_of_a_file_is_served_as_it_is(tmp_path):
    """A document that calls itself an image is none, and what follows an image is cut off."""
    folder = image_folder(tmp_path, 1)
    (folder / "page.png").write_text("<html><script>alert(1)</script></html>")
    (folder / "svg.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / "tail.png").write_bytes((folder / "00.png").read_bytes() + b"<script>alert(1)</script>")
    campaign, items = begun(folder)
    with campaign:
        page = client((campaign, items))
        assert [page.get(f"/item/{row}/image").status_code for row in range(4)] == [200, 404, 404, 200]
        tail = page.get("/item/3/image")
        assert tail.headers["content-type"] == "image/png"
        assert b"alert" not in tail.content


def test_what_items_and_people_are_called_is_escaped(tmp_path):
    bad = "<script>alert('x')</script>\"'`&<img src=x onerror=alert(1)>"
    folder = image_folder(tmp_path, 1)
    save_image(folder / "<script>alert(1)<img src=x>.png", 3)
    save_image(folder / os.fsdecode(b"not \xff utf.png"), 3)
    campaign, items = begun(folder, classes=None)
    with campaign:
        browser = Browser(campaign, items, annotator=bad, title=bad)
        rows = browser.sync(browser.op("answer", 0, label=bad), n=3)["rows"]
        browser.sync(browser.op("answer", 1, label=bad + "1"))
        shown = "".join(each["html"] for each in rows)
        assert "&lt;script&gt;alert(1)" in shown
        assert "not \ufffd utf.png" in shown
        pages = [
            browser.get("/"),
            *(browser.get(path, params={"annotator": bad}) for path in ("/", "/progress")),
        ]
        for text in (shown, *(page.text for page in pages)):
            assert "<script>alert" not in text
            assert "<img src=x" not in text
        assert "&lt;script&gt;alert" in pages[1].text
        assert "&lt;script&gt;alert" in pages[2].text
        assert browser.get("/labels.csv").headers["content-type"].startswith("text/csv")


def test_a_long_text_comes_in_parts(tmp_path):
    text = "<b>" + "x" * 50_000 + "end"
    campaign, items = begun(text_file(tmp_path, [text, "short"]))
    with campaign:
        browser = Browser(campaign, items)
        shown = next(each["html"] for each in browser.sync(n=2)["rows"] if each["row"] == 0)
        assert len(shown) < 21_000
        parts = [shown]
        while "Show more" in parts[-1]:
            start = parts[-1].partition("start=")[2].partition('"')[0]
            parts.append(browser.get("/item/0/text", params={"start": start}).text)
        assert len(parts) == 3
        spans = [part.partition("<span>")[2].partition("</span>")[0] for part in parts]
        assert "".join(spans).replace("&lt;", "<").replace("&gt;", ">") == text
        for start in ("-1", "60000", "x", ""):
            assert browser.get("/item/0/text", params={"start": start}).status_code == 404


def test_huge_images_are_refused(tmp_path, monkeypatch):
    from PIL import Image

    campaign, items = begun(image_folder(tmp_path, 1))
    with campaign:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # of 320
        assert client((campaign, items)).get("/item/0/image").status_code == 404
