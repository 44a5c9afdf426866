"""Headless Chromium for tests, over the WebDriver protocol: no more of it than opening, asking and waiting."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow_server import await_answer, free_port

SWITCHES = """headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking
disable-component-update disable-sync window-size=1700,1000""".split()


class Browser:
    """A page in a browser."""

    def __init__(self, session: str) -> None:
        self.session = session

    def open(self, address: str) -> None:
        """Load a page."""
        requests.post(f"{self.session}/url", json={"url": address}, timeout=60).raise_for_status()

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script in the page returns."""
        body = {"script": script, "args": list(arguments)}
        answer = requests.post(f"{self.session}/execute/sync", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()["value"]

    def wait_for(self, script: str, *arguments: Any, seconds: float = 45) -> Any:
        """What `script` returns, once it is true; the page's text if it never is."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if value := self.run(script, *arguments):
                return value
            time.sleep(0.2)
        raise AssertionError(f"never true: {script}\n{self.run('return document.body.innerText')[:2000]}")


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in `folder`; the test is skipped where there is none."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: apt install chromium chromium-driver)")
    port = free_port()
    log = (folder / "chromedriver.log").open("w")
    process = subprocess.Popen([driver, f"--port={port}"], stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        await_answer(f"{base}/status", process, folder / "chromedriver.log")
        switches = [f"--{switch}" for switch in (*SWITCHES, f"user-data-dir={folder / 'profile'}")]
        options = {"goog:chromeOptions": {"args": switches, "binary": program}}
        answer = requests.post(f"{base}/session", json={"capabilities": {"alwaysMatch": options}}, timeout=60)
        session = f"{base}/session/{answer.json()['value']['sessionId']}"
        try:
            yield Browser(session)
        finally:  # it ends the browser, which outlives its driver
            requests.delete(session, timeout=30)
    finally:
        process.terminate()
        process.wait(timeout=20)
        log.close()
