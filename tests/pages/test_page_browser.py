"""The page in Chromium: accessible by axe-core's rules at both widths and in both colours; usable by keyboard."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from headrace.services.processes import wait_until
from headrace.serving.reports import report_file
from tests.evaluate.test_evaluate_report import report
from tests.pages.conftest import Shown
from tests.security.browser import requested_addresses

DESKTOP, PHONE = (1280, 900), (390, 844)
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}


def look(browser: Any, address: str, width: tuple[int, int] = DESKTOP, *, dark: bool = False) -> None:
    """Open an address as a reader with a screen of this width and this taste sees it."""
    scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    view = {"width": width[0], "height": width[1], "deviceScaleFactor": 1, "mobile": width == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
    browser.get(address)


def violations(browser: Any) -> list[tuple[str, str]]:
    """(rule, first element) of what axe-core finds wrong."""
    # The page's policy forbids scripts of its own; those of the driver run all the same.
    browser.execute_script(files("axe_core_python").joinpath("axe.min.js").read_text())
    found = browser.execute_async_script(
        "const done = arguments[1]; axe.run(document, arguments[0]).then(done, error => done(String(error)));", _RULES
    )
    assert isinstance(found, dict), found
    assert len(found["passes"]) > 10  # the rules were run
    return [(item["id"], item["nodes"][0]["html"][:200]) for item in found["violations"]]


def write_report(shown: Shown, **fields: Any) -> None:
    from headrace.evaluate.report.page import render_report

    report_file(shown.root, "shop", "1").write_text(render_report(report(**fields)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_page_is_accessible_and_fits(browser: Any, shown: Shown, width: tuple[int, int], dark: bool) -> None:
    look(browser, f"{shown.address}/", width, dark=dark)
    for details in browser.find_elements("css selector", "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width[0]


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("kind", ["probability", "number"])
def test_the_report_is_accessible_and_fits(browser: Any, shown: Shown, width: tuple[int, int], kind: str) -> None:
    y = np.arange(400.0)
    number = {"label": "amount", "metric": "rmse", "metrics": {"gate_rmse": 12.0}, "y": y, "p": y + 5}
    write_report(shown, **({} if kind == "probability" else number))
    look(browser, f"{shown.address}/models/1/report", width, dark=kind == "number")
    assert "Windows" in browser.find_element("tag name", "body").text
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width[0]


@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_reference_is_accessible_and_fits(browser: Any, shown: Shown, width: tuple[int, int]) -> None:
    look(browser, f"{shown.address}/docs", width)
    assert wait_until(lambda: bool(browser.find_elements("tag name", "details")), timeout_s=30)
    for details in browser.find_elements("css selector", "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width[0]


def shown_text(browser: Any) -> str:
    """What the page says; nothing while the next page takes its place."""
    from selenium.common.exceptions import WebDriverException

    try:
        return str(browser.find_element("tag name", "body").text)
    except WebDriverException:
        return ""


def test_an_alert_is_acknowledged_by_keyboard_without_javascript(browser: Any, shown: Shown) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        look(browser, f"{shown.address}/")
        keyboard = ActionChains(browser)
        keyboard.send_keys(Keys.TAB, Keys.ENTER)  # skip to the content
        keyboard.send_keys(Keys.TAB).send_keys("Ada").send_keys(Keys.TAB).send_keys("seen").send_keys(Keys.ENTER)
        keyboard.perform()
        assert wait_until(lambda: "The alert is acknowledged." in shown_text(browser), timeout_s=60)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    seen = shown.outbox.get("2" * 16).acknowledged
    assert seen is not None
    assert (seen.who, seen.note) == ("Ada", "seen")


def test_a_name_is_required_before_anything_is_sent(browser: Any, shown: Shown) -> None:
    look(browser, f"{shown.address}/", PHONE)
    browser.find_element("css selector", ".alert button").click()
    assert browser.current_url == f"{shown.address}/"
    assert shown.outbox.get("2" * 16).acknowledged is None


def test_a_run_is_started_by_its_button(browser: Any, shown: Shown) -> None:
    look(browser, f"{shown.address}/", PHONE)
    browser.find_element("xpath", "//button[contains(., 'Start pipeline')]").click()
    assert wait_until(lambda: "The run is started." in shown_text(browser), timeout_s=60)
    assert [path for path, _ in shown.prefect.asked].count("/api/deployments/d1/create_flow_run") == 1
    browser.refresh()  # of the answer to the form: nothing is sent again
    assert [path for path, _ in shown.prefect.asked].count("/api/deployments/d1/create_flow_run") == 1


def test_touch_targets_are_large_enough(browser: Any, shown: Shown) -> None:
    look(browser, f"{shown.address}/", PHONE)
    heights = [button.rect["height"] for button in browser.find_elements("tag name", "button")]
    assert heights
    assert min(heights) >= 44  # pixels, as WCAG 2.5.5 asks for


def test_the_page_asks_its_own_server_only_and_logs_no_error(browser: Any, shown: Shown) -> None:
    requested_addresses(browser), browser.get_log("browser")  # of other tests
    look(browser, f"{shown.address}/")
    asked = [address for address in requested_addresses(browser) if address.startswith("http")]
    assert {address.removeprefix(shown.address) for address in asked} <= {"/", "/page.css"}
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
