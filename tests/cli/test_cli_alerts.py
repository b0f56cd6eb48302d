"""`headrace alerts`, as a user types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.clock import DAY
from headrace.core.settings import Settings, settings
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from tests.cli.command import headrace


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An address where nobody listens, with a secret in it."""
    monkeypatch.setenv("HEADRACE_ALERT_URL", "json://user:hunter2@127.0.0.1:9/hook")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    worse = Finding(name="auc", about="quality", effect=0.06)
    window = Window(problem="flights", start_us=0, end_us=7 * DAY, champion="1", findings=(worse,))
    announce(Outbox(tmp_path, "flights"), decide(window), now_us=0)
    return tmp_path


def test_it_lists_what_was_decided_and_told(home: Path) -> None:
    done = headrace("alerts", "--json", home=home)
    assert done.code == 0
    found = json.loads(done.out)
    assert [(one["kind"], one["outcome"]) for one in found["decisions"]] == [("retrain", None)]
    assert [(one["title"], one["state"]) for one in found["alerts"]] == [("Headrace flights: retraining", "waiting")]
    shown = headrace("alerts", home=home).out
    assert "open" in shown
    assert "1 not delivered yet" in shown


def test_a_retry_that_fails_says_why_and_keeps_no_secret(home: Path) -> None:
    done = headrace("alerts", "--retry", home=home)
    assert done.code == 1
    (error,) = done.errors
    assert error.startswith("headrace: flights: 1 alert did not get through. found: JSON: ")
    assert "hunter2" not in done.out + done.err
    assert "failed" in done.out
    (alert,) = json.loads(headrace("alerts", "--json", home=home).out)["alerts"]
    assert alert["attempts"] == 1


def test_without_an_address_it_says_which_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADRACE_ALERT_URL")
    settings.cache_clear()
    assert "1 have no address: set HEADRACE_ALERT_URL" in headrace("alerts", home=home).out
    done = headrace("alerts", "--retry", home=home)
    assert done.code == 1
    assert done.errors == ["headrace: HEADRACE_ALERT_URL: no address to send alerts to. set it as .env.example shows."]


def test_nothing_yet(tmp_path: Path) -> None:
    assert headrace("alerts", home=tmp_path).out == "flights: no alerts. 0 windows were evaluated.\n"


def test_several_addresses_and_no_secret_in_the_settings_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_ALERT_URL", "json://a/x  mailtos://me:hunter2@example.com?to=a@b.c,d@e.f")
    chosen = Settings()
    assert chosen.alert_urls == ("json://a/x", "mailtos://me:hunter2@example.com?to=a@b.c,d@e.f")
    assert "hunter2" not in repr(chosen)


def test_an_alert_is_acknowledged_and_the_list_says_by_whom(home: Path) -> None:
    (decision,) = json.loads(headrace("alerts", "--json", home=home).out)["decisions"]
    done = headrace(
        "alerts", "ack", "flights", decision["id"][:8], "--note", "the feed is mended", "--who", "ada", home=home
    )
    assert done.code == 0
    assert f"ada acknowledged {decision['id']}: quality:auc" in done.out
    (decision,) = json.loads(headrace("alerts", "flights", "--json", home=home).out)["decisions"]
    assert (decision["acknowledged"]["who"], decision["acknowledged"]["note"]) == ("ada", "the feed is mended")
    assert headrace("alerts", "ack", "flights", "ffff", home=home).code == 1
