"""No page that `headrace up` serves asks a host but this machine: Chromium's own log of its requests, page by page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from headrace.services.processes import wait_until
from tests.security.browser import requested_addresses
from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.long, pytest.mark.timeout(300)]  # twenty pages in a browser

#: Service -> its pages, each with a text that shows that it is drawn.
PAGES = {
    "prefect": (("/", "Flow Runs"), ("/runs", "Runs"), ("/deployments", "shop-score"), ("/artifacts", "Artifacts"),
                ("/automations", "Automations"), ("/settings", "Settings")),
    "mlflow": (("/", "MLflow"), ("/#/experiments", "shop"), ("/#/models/shop", "champion"),
               ("/#/settings", "Settings")),
    "evidently": (("/", "shop"),),
    "feast": (("/", "Feast"), ("/p/headrace/feature-view", "shop__customer_id"), ("/p/headrace/entity", "customer_id")),
    "api": (("/", "Answers with version"), ("/docs", "predict"), ("/models/1/report", "Calibration")),
}  # fmt: skip
_HERE = frozenset({"127.0.0.1", "localhost"})
_OVER_A_NETWORK = ("http:", "https:", "ws:", "wss:")


@pytest.mark.parametrize(
    ("service", "path", "text"), [(service, *page) for service, pages in PAGES.items() for page in pages]
)
def test_a_page_asks_this_machine_only(target: Target, browser: Any, service: str, path: str, text: str) -> None:
    requested_addresses(browser)  # those of the page before
    browser.get(target.url(service, path))
    shown = "return document.body.innerText"
    drawn = wait_until(lambda: text.lower() in browser.execute_script(shown).lower(), timeout_s=60)
    assert drawn, browser.execute_script(shown)[:500]
    browser.execute_async_script("setTimeout(arguments[0], 2000)")  # what is asked once the page stands
    asked = [address for address in requested_addresses(browser) if address.startswith(_OVER_A_NETWORK)]
    assert asked
    assert [address for address in asked if urlsplit(address).hostname not in _HERE] == []


def test_a_request_elsewhere_would_be_seen(target: Target, browser: Any) -> None:
    """The log shows what the test above looks for, whether the host can be reached or not."""
    browser.get(target.url("mlflow", "/health"))
    browser.execute_async_script("fetch('https://api2.amplitude.test/2/httpapi').finally(arguments[0])")
    assert any("api2.amplitude.test" in address for address in requested_addresses(browser))


def test_prefects_second_interface_is_not_served(target: Target, browser: Any) -> None:
    """It asks an analytics host whatever the settings say."""
    browser.get(target.url("prefect", "/v2/dashboard"))
    browser.execute_async_script("setTimeout(arguments[0], 2000)")
    assert "ui-v2" not in browser.page_source
    assert [address for address in requested_addresses(browser) if "amplitude" in address] == []
