"""A server in a process of its own, and Debian's chromium."""

import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """``python -m skal label``, which may be killed and started again."""

    def __init__(self, log, path, *options, port=None):
        self.log, self.port = log, port or free_port()
        self.command = [
            sys.executable,
            "-m",
            "skal",
            "label",
            str(path),
            "--no-browser",
            "--port",
            str(self.port),
        ]
        self.command += options
        self.start()

    def start(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT)
        self.url = self._await_url()

    def _await_url(self):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            text = self.log.read_text()
            if found := re.search(r"http://\S+", text):
                with socket.socket() as probe:
                    if not probe.connect_ex(("127.0.0.1", self.port)):
                        return found.group()
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended: {text}")
            time.sleep(0.1)
        raise AssertionError(f"the server did not start: {self.log.read_text()}")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """As Ctrl-C does."""
        self.process.send_signal(2)
        return self.process.wait(30)


@contextmanager
def chromium(profile, *, size=(1280, 860), latency=None):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        if size[0] < 600:  # a window is not that narrow
            metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 2, "mobile": True}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        if latency is not None:
            driver.set_network_conditions(latency=latency, download_throughput=2**20, upload_throughput=2**20)
        yield Page(driver)
    finally:
        driver.quit()


class Page:
    """What an annotator does on the page."""

    def __init__(self, driver):
        self.driver = driver

    def visit(self, server, annotator):
        self.driver.get(f"{server.url}&annotator={annotator}")
        self.await_item()
        return self

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def await_that(self, condition, patience=PATIENCE):
        return WebDriverWait(self.driver, patience, poll_frequency=0.02).until(lambda _: condition())

    def press(self, *keys):
        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    @property
    def item(self):
        """The row on the screen, None where there is none."""
        return self.driver.execute_script(
            "const shown = document.querySelector('#stage article:not([hidden])');"
            "return shown === null ? null : Number(shown.dataset.row);"
        )

    def await_item(self, *, other_than=None):
        self.await_that(lambda: self.item is not None and self.item != other_than)
        return self.item

    def await_saved(self):
        self.await_that(lambda: self.n_unsent() == 0 and self.find("#saved").text == "All saved")

    def n_unsent(self):
        return self.driver.execute_script(
            "return Object.keys(localStorage).filter((key) => key.startsWith('skal:')).length"
        )

    def has_text(self, text):
        return text in self.find("body").text

    def errors(self):
        """What the page complained about, such as its policy, beside files that are not there."""
        return [
            each["message"]
            for each in self.driver.get_log("browser")
            if "Failed to load" not in each["message"]
        ]
