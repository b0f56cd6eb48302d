"""An alert channel of a user's own passes the conformance suite; names that cannot be used are refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headrace.core import extensions
from headrace.core.errors import DeclarationError
from headrace.core.extensions import Handed, hand_over
from headrace.monitor.alerts.delivery import check_channel
from headrace.testing.alert_channels import AlertChannelConformance


class Pager:
    """Notes what it sends."""

    name = "pager"

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.broken = False

    def send(self, address: str, *, title: str, body: str, level: str) -> None:
        if self.broken:
            raise ConnectionError(f"{address} does not answer")
        self.sent.append(f"{level}: {title}\n{body}")


class TestPager(AlertChannelConformance):
    @pytest.fixture
    def channel(self) -> Pager:
        self.pager = Pager()
        return self.pager

    @pytest.fixture
    def address(self) -> str:
        return "pager://team?token=secret"

    def received(self, address: str) -> Sequence[str]:
        return self.pager.sent

    def fail(self, address: str) -> None:
        self.pager.broken = True


def test_a_scheme_of_apprise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "_HANDED", {})
    hand_over([Handed(kind="alert_channel", name="slack", value=Pager())])
    with pytest.raises(DeclarationError, match="Apprise itself sends to slack:"):
        check_channel("slack")


def test_an_unknown_channel_names_the_group_of_entry_points() -> None:
    with pytest.raises(DeclarationError, match=r"no alert channel 'pigeon'.*'pigeon' in the group headrace.alert_cha"):
        check_channel("pigeon")
