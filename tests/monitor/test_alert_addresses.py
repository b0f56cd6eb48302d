"""Alerts to addresses inside the network: refused with what to set, sent where the operator allows the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.access.outbound import parse_networks
from headrace.monitor.alerts.delivery import deliver, enqueue
from headrace.monitor.outbox.message import decision_alert
from headrace.monitor.outbox.outbox import Outbox
from tests.monitor.test_monitor_alerts import Receiver, receiver, retrain

__all__ = ["receiver"]


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    found = Outbox(tmp_path, "shop")
    enqueue(found, decision_alert(retrain(), {}), now_us=0)
    return found


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_hook_inside_the_network_is_refused_unless_it_is_allowed(
    outbox: Outbox, receiver: Receiver, name: str
) -> None:
    url = f"json://{name}:{receiver.server_port}/hook"
    ((_, error),) = deliver(outbox, [url], now_us=0).failed
    assert error.endswith("an address is not public: HEADRACE_ALERT_NETWORKS allows further networks")
    assert receiver.received == []
    networks = parse_networks("127.0.0.0/8", where="-")
    assert deliver(outbox, [url], now_us=0, networks=networks, at_once=True).failed == ()
    assert len(receiver.received) == 1


def test_a_redirect_into_the_network_is_not_followed(outbox: Outbox, receiver: Receiver) -> None:
    receiver.status, receiver.location = 307, "http://169.254.169.254/latest/meta-data/"
    networks = parse_networks("127.0.0.0/8", where="-")
    assert deliver(outbox, [f"json://{receiver.address}/hook"], now_us=0, networks=networks).failed
    assert len(receiver.received) == 1
