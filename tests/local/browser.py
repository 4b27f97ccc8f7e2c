"""A console and a browser that looks at it: headless, and with nobody but this machine to talk to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator
from urllib.request import Request, urlopen

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from stack import ROOT, built_binary

QUEUE_SCALER = built_binary().with_name("queue-scaler")

# Debian's, or a runner's own.
CHROMES = ("chromium", "google-chrome", "google-chrome-stable")


def program(names: tuple[str, ...]) -> str:
    """The path of the first of them that is there. In CI there has to be one; elsewhere its tests are passed over."""
    found = next(filter(None, map(shutil.which, names)), None)
    why = f"there is no {' or '.join(names)}: run `make tools` as root, or install it"
    if found is None and not os.environ.get("CI"):
        pytest.skip(why)
    assert found, why
    return found


@dataclass
class Console:
    """One that runs."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        return int(self.address.split(":")[2].split("/")[0])

    @property
    def key(self) -> str:
        return self.address.split("#k=")[1]

    def get(self, path: str) -> str:
        request = Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {self.key}"})
        with urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return self.process.wait(timeout=20)


def console(*arguments: str, **environment: str) -> Console:
    command = [str(QUEUE_SCALER), "console", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )
    assert process.stdout and process.stderr
    line = process.stdout.readline()
    assert line.startswith("http://127.0.0.1:"), f"{line}{process.stderr.read()}"
    return Console(process, line.split()[0])


class Page:
    """A window of the browser."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        self.driver.get("about:blank")  # or only the fragment would change
        self.driver.get(address)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def run(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def rows(self) -> list[str]:
        """The workers that are shown, in their order."""
        names = "return [...document.querySelectorAll('#workers tbody tr')].map((row) => row.dataset.worker)"
        return list(self.run(names))  # type: ignore[call-overload]

    def row(self, worker: str) -> str:
        return self.text(f'#workers tr[data-worker="{worker}"]')

    def until(self, is_so: Callable[[], object], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if is_so():
                return
            time.sleep(0.1)
        raise AssertionError(self.text("body"))

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefers(self, **features: str) -> None:
        given = [{"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": given})

    def picture(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))


def browser(profile: Path) -> Iterator[Page]:
    options = Options()
    options.binary_location = program(CHROMES)
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--force-color-profile=srgb",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(program(("chromedriver",))))
    driver.set_script_timeout(60)
    try:
        page = Page(driver)
        page.size(1280, 900)
        yield page
    finally:
        driver.quit()


__all__ = ["By", "Console", "Keys", "Page", "ROOT", "browser", "console"]
