"""Alert channels of users' own: what sends alerts to addresses of one scheme, beside the hundred that Apprise knows.

A channel is an object that a problem hands over (`Monitoring(alert_channels=(...))`) or an entry point of an installed
package. It serves the addresses that begin with its name: a channel `pager` those as `pager://team`. Which addresses
alerts go to stays a setting of the installation (HEADRACE_ALERT_URL).
"""

from __future__ import annotations

from typing import Any, Protocol

from headrace.core.errors import DeclarationError
from headrace.core.extensions import Catalogue


class AlertChannel(Protocol):
    """Sends alerts to addresses of its scheme. `headrace.testing.alert_channels` is its conformance suite."""

    @property
    def name(self) -> str:
        """The scheme of its addresses: lower-case letters and digits."""

    def send(self, address: str, *, title: str, body: str, level: str) -> None:
        """Send one alert; an exception means that it did not arrive, and it is sent again later.

        Args:
            address: the whole address, such as `pager://team`. It may hold secrets: never log it.
            title: one line.
            body: plain text, several lines.
            level: "info", "success", "warning" or "failure".
        """


#: Channels besides those of Apprise.
CHANNELS: Catalogue[AlertChannel] = Catalogue("alert_channel", {})
_ADDED: set[str] = set()


def add_to_apprise(scheme: str, apprise: Any) -> None:
    """Let Apprise send to addresses of a scheme through the channel of that name; nothing where there is none.

    Raises:
        DeclarationError: where Apprise itself has that scheme, or two sources give the channel.
    """
    if scheme not in CHANNELS:
        return
    CHANNELS.named(scheme, where="alert channels")
    if scheme in _ADDED:
        return
    if scheme in apprise.manager_plugins.NotificationManager():
        raise DeclarationError(
            f"Apprise itself sends to {scheme}:// addresses", where=f"alert channel {scheme!r}", fix="choose a new name"
        )

    def send(body: str, title: str, notify_type: str, *args: Any, meta: dict[str, Any], **options: Any) -> None:
        CHANNELS[scheme].send(str(meta["url"]), title=title, body=body, level=str(notify_type))

    apprise.decorators.notify(on=scheme, name=f"alert channel {scheme}")(send)
    _ADDED.add(scheme)
