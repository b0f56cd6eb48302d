"""Take screenshots of every page of a running installation at desktop and phone width, for `make screenshots`.

    python infra/screenshots.py FOLDER [--dark] [--only page,report]

Each page is opened in headless Chromium at 1280 and at 390 pixels, and captured in full height (at most 4,000 pixels).
"""

from __future__ import annotations

import argparse
import base64
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from headrace.core.settings import settings
from headrace.services.lifecycle import running_services

WIDTHS = {"desktop": (1280, 900, False), "phone": (390, 844, True)}
MAX_HEIGHT = 4_000
#: Seconds until a page counts as drawn although its requests have not ended: some poll.
SETTLE_S = 12.0
#: Page -> what is in the link to it on our own page.
_MARKS = {
    "mlflow-runs": "runs?workflowType",
    "mlflow-version": "/versions/",
    "evidently": "/projects/",
    "feast": "/feature-view",
}
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-proxy-server",
)


def pages(addresses: Mapping[str, str]) -> dict[str, str]:
    """Name -> address of every page to take, of the services that are up."""
    api = addresses["API"]
    found = {"page": f"{api}/", "api": f"{api}/docs"}
    model = httpx.get(f"{api}/model", trust_env=False)
    if model.status_code == httpx.codes.OK:
        found["report"] = f"{api}/models/{model.json()['version']}/report"
    body = httpx.get(f"{api}/", trust_env=False).text
    links = [part.split('"')[0] for part in body.split('href="')[1:]]
    for name, mark in _MARKS.items():
        matching = [link for link in links if mark in link and "/reports/" not in link]
        if matching:
            found[name] = matching[0]
    if "Prefect" in addresses:
        found |= {"prefect": f"{addresses['Prefect']}/dashboard", "prefect-runs": f"{addresses['Prefect']}/runs"}
        found["prefect-artifacts"] = f"{addresses['Prefect']}/artifacts"
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the screenshots; 1 with one line where no installation or no browser is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dark", action="store_true", help="as a reader sees them who prefers dark pages")
    parser.add_argument("--only", default="", help="names of pages, comma-separated")
    options = parser.parse_args(arguments)
    addresses = running_services(settings().root)
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if "API" not in addresses or not browser or not driver:
        print("screenshots need `headrace up`, chromium and chromedriver", file=sys.stderr)
        return 1
    wanted = set(filter(None, options.only.split(",")))
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        chrome = _start(browser, driver, profile)
        try:
            for name, address in pages(addresses).items():
                if not wanted or name in wanted:
                    for width, image in _both_widths(chrome, address, dark=options.dark):
                        path = options.folder / f"{name}-{width}{'-dark' if options.dark else ''}.png"
                        path.write_bytes(image)
                        print(path)
        finally:
            chrome.quit()
    return 0


def _start(browser: str, driver: str, profile: str) -> Any:
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = browser
    for switch in (*_SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    started = Chrome(options=options, service=Service(driver))
    started.set_page_load_timeout(120)
    return started


def _both_widths(chrome: Any, address: str, *, dark: bool) -> list[tuple[str, bytes]]:
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    taken = []
    for name, (width, height, mobile) in WIDTHS.items():
        view = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        chrome.get("about:blank")
        chrome.get(address)
        _settle(chrome)
        size = chrome.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": width, "height": min(size["height"], MAX_HEIGHT), "scale": 1}
        image = chrome.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        taken.append((name, base64.b64decode(image["data"])))
    return taken


def _settle(chrome: Any) -> None:
    """Wait until the page has text that stays the same for a second, or for SETTLE_S."""
    ends, before, since = time.monotonic() + SETTLE_S, "", time.monotonic()
    while time.monotonic() < ends:
        text = chrome.execute_script("return document.body ? document.body.innerText : ''")
        if text != before:
            before, since = text, time.monotonic()
        if len(text) > 20 and time.monotonic() - since > 1.0:
            return
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
