"""A real browser, and web pages of a foreign origin for it to open.

Names below `.test` lead to this machine, as an attacker's name does after DNS rebinding.
"""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)


def start_browser(profile: Path) -> Any:
    """A headless Chromium with a fresh profile; skips, with the reason, where there is none."""
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no chromium with chromedriver on this machine")
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = browser
    for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    started = Chrome(options=options, service=Service(driver))
    started.set_script_timeout(20)
    started.set_page_load_timeout(30)
    return started


def requested_addresses(browser: Any) -> list[str]:
    """Addresses that the browser has asked for since the last call, also those that did not answer."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    asked = ("Network.requestWillBeSent", "Network.webSocketCreated")
    return [
        message["params"].get("url") or message["params"]["request"]["url"]
        for message in messages
        if message["method"] in asked
    ]


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><meta charset=utf-8><title>hostile</title><body>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to standard error for a request."""


@contextmanager
def hostile_site() -> Iterator[int]:
    """The port of a web site whose empty page may be opened at any path, and scripts be run in."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
