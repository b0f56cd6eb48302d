"""The conformance suite of alert channels: alerts arrive whole, and a failure is known.

class TestPager(AlertChannelConformance):
    @pytest.fixture
    def channel(self):
        return Pager()

    @pytest.fixture
    def address(self, server):
        return f"pager://{server}/team"      # where a receiver of the test's own listens

    def received(self, address):
        return server.messages               # the texts that have arrived there

    def fail(self, address):
        server.stop()                        # from now on nothing arrives
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.access.outbound import parse_networks
from headrace.core import extensions
from headrace.core.extensions import Handed
from headrace.monitor.alerts.channel import AlertChannel
from headrace.monitor.alerts.delivery import check_addresses, deliver, enqueue, queued_alerts
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.outbox import Outbox

#: The receiver of a channel's tests is on this machine: connections to everywhere are allowed.
ANYWHERE = parse_networks("0.0.0.0/0, ::/0", where="conformance suite")
ALERT = Alert(
    id="a1",
    title="shop: 3 features drifted",
    body="amount, items and channel drifted in 2 of 3 windows.\nSee the report: <http://localhost:8000/shop>",
    level="warning",
    at_us=0,
    decision_id="d1",
)


class AlertChannelConformance:
    """What every `headrace.monitor.alerts.channel.AlertChannel` must do. Override the fixtures and both methods."""

    @pytest.fixture
    def channel(self) -> AlertChannel:
        """The channel under test."""
        raise NotImplementedError("give a fixture `channel` that returns your channel")

    @pytest.fixture
    def address(self) -> str:
        """An address of the channel's scheme."""
        raise NotImplementedError("give a fixture `address` that returns an address to send to")

    def received(self, address: str) -> Sequence[str]:
        """The texts that have arrived at the address."""
        raise NotImplementedError

    def fail(self, address: str) -> None:
        """Make whatever is sent to the address from now on fail."""
        raise NotImplementedError

    @pytest.fixture
    def outbox(self, channel: AlertChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outbox:
        """An outbox with one alert, in a process that knows the channel."""
        handed = Handed(kind="alert_channel", name=channel.name, value=channel)
        monkeypatch.setitem(extensions._HANDED, ("alert_channel", channel.name), handed)
        outbox = Outbox(tmp_path, "shop")
        enqueue(outbox, ALERT, now_us=0)
        return outbox

    def test_the_address_is_of_its_scheme_and_no_secret_is_shown(self, outbox: Outbox, address: str) -> None:
        (shown,) = check_addresses([address])
        assert address.partition("://")[0] == shown.partition("://")[0]
        assert "secret" not in shown

    def test_an_alert_arrives_once_and_whole(self, outbox: Outbox, address: str) -> None:
        assert deliver(outbox, [address], now_us=1, networks=ANYWHERE).sent == (ALERT.id,)
        deliver(outbox, [address], now_us=2, networks=ANYWHERE)
        (text,) = self.received(address)
        assert ALERT.title in text
        assert all(line in text for line in ALERT.body.splitlines())

    def test_a_failure_is_known_and_the_alert_stays(self, outbox: Outbox, address: str) -> None:
        self.fail(address)
        done = deliver(outbox, [address], now_us=1, networks=ANYWHERE)
        assert done.sent == ()
        ((alert_id, error),) = done.failed
        assert alert_id == ALERT.id
        assert address not in error
        assert [message.delivered_us for message in queued_alerts(outbox)] == [None]
