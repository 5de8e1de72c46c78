"""The documentation site, whose folder ``SITE`` names: its links, and pages in Debian's chromium.

``AXE_CORE`` names axe-core's ``axe.min.js``; ``SCREENSHOTS`` a folder for pictures of the pages.
"""

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from .browsers import chromium

PAGES = [
    "index",
    "five_minutes",
    "which_strategy",
    "guides/tabular",
    "guides/images",
    "auto_examples/index",
    "api",
    "generated/skal.ActiveLearner",
    "papers/asal",
    "reproduction",
    "scale",
    "project/comparison",
]
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.fixture(scope="module")
def site():
    if "SITE" not in os.environ:
        pytest.skip("SITE names no folder with the documentation as HTML")
    return Path(os.environ["SITE"]).resolve()


class Links(HTMLParser):
    """What a page refers to and what can be referred to in it."""

    def __init__(self, page):
        super().__init__()
        self.targets, self.loaded, self.names = [], [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.names.update(attrs[key] for key in ("id", "name") if attrs.get(key))
        if tag == "a" and attrs.get("href"):
            self.targets.append(attrs["href"])
        elif tag == "link" and attrs.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(attrs["href"])
        elif tag in ("img", "script") and attrs.get("src"):
            self.loaded.append(attrs["src"])


def test_each_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    pages = {page: Links(page) for page in site.rglob("*.html") if "_static" not in page.parts}
    assert len(pages) > 200
    wrong = []
    for page, links in pages.items():
        wrong += [
            f"{page.name} loads {each}" for each in links.loaded if urlsplit(each).scheme in ("http", "https")
        ]
        for target in {*links.targets, *links.loaded}:
            path, anchor = urldefrag(target)
            if urlsplit(path).scheme or path.startswith("data:"):
                continue
            file = (page.parent / unquote(urlsplit(path).path)).resolve() if path else page
            if not file.is_file():
                wrong.append(f"{page.name}: {target}")
            elif anchor and file in pages and unquote(anchor) not in pages[file].names:
                wrong.append(f"{page.name}: {target} has no such place")
    assert not sorted(set(wrong))


@pytest.fixture(scope="module", params=SIZES)
def browser(request, tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile"), size=SIZES[request.param]) as page:
        page.name = request.param
        yield page


@pytest.mark.parametrize("name", PAGES)
def test_pages(site, browser, name):
    driver = browser.driver
    driver.get((site / f"{name}.html").as_uri())
    assert driver.title
    width, room = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= room, "the page is wider than the screen"
    loaded = driver.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert all(each.startswith(("file:", "data:")) for each in loaded)
    assert not [each for each in browser.errors() if "SEVERE" in each]
    broken = (
        "return [...document.images].filter((each) => !each.naturalWidth && each.loading != 'lazy').length"
    )
    assert driver.execute_script(broken) == 0
    heights = driver.execute_script(
        "return [...document.querySelectorAll('math')].map((each) => each.getBoundingClientRect().height)"
    )
    assert all(heights)
    if "SCREENSHOTS" in os.environ:
        picture = Path(os.environ["SCREENSHOTS"], f"{browser.name}-{name.replace('/', '-')}.png")
        driver.save_screenshot(str(picture))


@pytest.mark.parametrize("name", PAGES)
def test_pages_can_be_used_by_everybody(site, browser, name):
    if "AXE_CORE" not in os.environ:
        pytest.skip("AXE_CORE names no axe.min.js")
    driver = browser.driver
    driver.get((site / f"{name}.html").as_uri())
    driver.execute_script(Path(os.environ["AXE_CORE"]).read_text(encoding="utf-8"))
    found = driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")["violations"]
    serious = {each["id"]: each["nodes"][0]["html"] for each in found if each["impact"] == "critical"}
    serious.pop("aria-required-children", None)  # docutils' lists of references
    assert not serious
