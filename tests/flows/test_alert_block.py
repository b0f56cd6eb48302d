"""The address of alerts, kept in a block of a real Prefect server."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from prefect import flow
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.system import Secret

from headrace.core.settings import Settings
from headrace.flows import alerts as module
from headrace.flows.alerts import receivers, send_alerts
from headrace.flows.blocks import addresses_in
from headrace.flows.demo.receiver import alert_receiver
from headrace.monitor.alerts.delivery import enqueue, queued_alerts
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.synthesis.engines import LocalEngine
from tests.flows.test_deployments import problem

pytestmark = [pytest.mark.server, pytest.mark.timeout(180), pytest.mark.slow]


@pytest.fixture
def name(prefect_server: Settings) -> str:
    """A name that no block has yet."""
    return f"alerts-{uuid4().hex[:8]}"


def save(block: Block, name: str) -> None:
    block.save(name)  # type: ignore[unused-coroutine]


def test_a_secret_holds_addresses(name: str) -> None:
    save(Secret(value="json://127.0.0.1:9/one  jsons://example.com/two"), name)
    assert addresses_in(f"secret/{name}") == ("json://127.0.0.1:9/one", "jsons://example.com/two")
    found = receivers(Settings(alert_url=None, alert_block=f"secret/{name}"))
    assert found == ("json://127.0.0.1:9/one", "jsons://example.com/two")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # Prefect loads all of Apprise
def test_a_notification_block_holds_one(name: str) -> None:
    save(SlackWebhook(url="https://hooks.slack.com/services/T0/B0/secret"), name)
    assert addresses_in(f"slack-webhook/{name}") == ("https://hooks.slack.com/services/T0/B0/secret",)


def test_the_setting_comes_first(name: str) -> None:
    save(Secret(value="json://127.0.0.1:9/block"), name)
    chosen = Settings(alert_url="json://127.0.0.1:9/setting", alert_block=f"secret/{name}")
    assert receivers(chosen) == ("json://127.0.0.1:9/setting",)


def test_without_a_block_nobody_is_told(prefect_server: Settings) -> None:
    assert addresses_in("secret/never-made") == ()
    assert addresses_in("no-such-type/never-made") == ()


def test_a_flow_tells_whom_the_block_names(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(
        problem=problem("orders"), reference="orders", root=tmp_path, tracking_uri="", engine=LocalEngine()
    )
    outbox = Outbox(tmp_path, "orders")
    enqueue(outbox, Alert(id="1", decision_id="d", title="orders: look at this", body="auc is worse"), now_us=0)
    monkeypatch.setattr(module, "settings", lambda: Settings(alert_url=None, alert_block=f"secret/{name}"))
    tell = flow(name="tell", persist_result=False)(lambda: send_alerts(context))
    tell()
    assert [one.state for one in queued_alerts(outbox)] == ["waiting"]
    with alert_receiver() as receiver:
        save(Secret(value=receiver.url), name)
        tell()
    assert receiver.titles() == ["orders: look at this"]
    assert [one.state for one in queued_alerts(outbox)] == ["delivered"]
