"""Deliver alerts from the outbox through Apprise: Slack, e-mail, webhooks, and about a hundred other services.

Addresses are set by the operator (HEADRACE_ALERT_URL, or a Prefect block), never by a problem file, a client or an
alert. Connections go to public addresses, and to networks that the operator allows (HEADRACE_ALERT_NETWORKS); they are
checked as they are made (`access.outbound`). Redirects are not followed, and the record of an attempt contains no
address.

A failed delivery stays in the outbox and is repeated after pauses that double from one minute to six hours.
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from filelock import FileLock, Timeout

from headrace.access.outbound import Network, guarded_connections
from headrace.core.errors import DeclarationError
from headrace.monitor.alerts.channel import CHANNELS, add_to_apprise
from headrace.monitor.outbox import deliveries
from headrace.monitor.outbox.deliveries import Queued
from headrace.monitor.outbox.message import Alert
from headrace.monitor.outbox.outbox import Outbox


@dataclass(frozen=True, kw_only=True)
class DeliveryRound:
    """The result of one round of deliveries.

    Attributes:
        sent: Ids of alerts that every address has now.
        failed: (id, error) of alerts that an address did not accept.
        waiting: Number of alerts that are not due yet, or have no address.
    """

    sent: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    waiting: int = 0


def enqueue(outbox: Outbox, alert: Alert, *, now_us: int) -> None:
    """Queue an alert for delivery. Idempotent by its id."""
    with outbox.write() as connection:
        deliveries.add(connection, alert, now_us)


def queued_alerts(outbox: Outbox) -> tuple[Queued, ...]:
    """Return all alerts with their delivery state, oldest first."""
    with outbox.read() as connection:
        return deliveries.messages(connection)


def deliver(
    outbox: Outbox, urls: Sequence[str], *, now_us: int, networks: Sequence[Network] = (), at_once: bool = False
) -> DeliveryRound:
    """Send the alerts that are due to every address that has not received them. A failing receiver does not raise.

    One process delivers at a time; a second one returns without sending.

    Args:
        outbox: The outbox of a problem.
        urls: Addresses of the receivers; without any, all alerts wait.
        now_us: Wall clock, microseconds UTC.
        networks: Networks that alerts may be sent to beside public addresses.
        at_once: Whether to send alerts before their next attempt is due.

    Raises:
        DeclarationError: Apprise does not know an address.
    """
    undelivered = [message for message in queued_alerts(outbox) if message.delivered_us is None]
    if not undelivered or not urls:
        return DeliveryRound(waiting=len(undelivered))
    receivers = {_digest(url): _receiver(url) for url in urls}
    sent, failed, waiting = [], [], 0
    with _delivery_lock(outbox) as has_lock:
        for message in queued_alerts(outbox) if has_lock else ():
            if message.delivered_us is not None:
                continue
            if not message.due(now_us) and not at_once:
                waiting += 1
                continue
            error = _send(outbox, message.alert, receivers, networks, now_us)
            with outbox.write() as connection:
                deliveries.record_attempt(connection, message.alert.id, error, now_us)
            if error is None:
                sent.append(message.alert.id)
            else:
                failed.append((message.alert.id, error))
    return DeliveryRound(sent=tuple(sent), failed=tuple(failed), waiting=waiting)


def check_channel(name: str) -> None:
    """Raise DeclarationError unless a channel can be had by this name, and Apprise can send through it."""
    CHANNELS.named(name, where="alert channels")
    add_to_apprise(name, _apprise())


def check_addresses(urls: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses with secrets masked; DeclarationError for one that Apprise does not know."""
    return tuple(_receiver(url)[0].url(privacy=True) for url in urls)


def _send(
    outbox: Outbox, alert: Alert, receivers: dict[str, Any], networks: Sequence[Network], now_us: int
) -> str | None:
    """What went wrong, None where every receiver has the message now."""
    errors = []
    for receiver, channel in receivers.items():
        with outbox.read() as connection:
            if deliveries.was_received(connection, alert.id, receiver):
                continue
        with guarded_connections(networks) as guard:
            error = _notify(channel, alert)
        if error is not None and guard.refused:
            error = f"{error}; an address is not public: HEADRACE_ALERT_NETWORKS allows further networks"
        if error is None:
            with outbox.write() as connection:
                deliveries.mark_received(connection, alert.id, receiver, now_us)
        else:
            errors.append(error)
    return "; ".join(errors) or None


def _notify(channel: Any, alert: Alert) -> str | None:
    apprise = _apprise()
    service = str(channel[0].service_name)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as captured:
        try:
            accepted = channel.notify(
                body=alert.body,
                title=alert.title,
                notify_type=apprise.NotifyType(alert.level),
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:
            # Whatever a channel of a hundred does, the message stays ours to try again.
            return f"{service}: {type(error).__name__}"
        log = str(captured.getvalue())
    # First line only, and short: what a server answers is no text of ours.
    first_line = next(iter(log.strip().splitlines()), "not taken, no reason told")
    return None if accepted else f"{service}: {first_line[:200]}"


@cache
def _apprise() -> Any:
    with warnings.catch_warnings():
        # Its e-mail plugin asks for a module that Python is about to drop. Plugins are loaded by the first address.
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise.decorators
        import apprise.manager_plugins

        apprise.Apprise().add("json://localhost")
    return apprise


def _receiver(url: str) -> Any:
    apprise = _apprise()
    add_to_apprise(url.partition("://")[0].lower(), apprise)
    channel = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Headrace", http_redirects=False))
    if not channel.add(url):
        scheme = url.partition("://")[0] if "://" in url else ""
        raise DeclarationError(
            "an alert address is not one that Apprise knows" + (f" (it begins with {scheme}://)" if scheme else ""),
            where="HEADRACE_ALERT_URL",
            fix="write it as in https://appriseit.com/services: slack://..., mailtos://..., jsons://host/path",
        )
    return channel


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


@contextmanager
def _delivery_lock(outbox: Outbox) -> Iterator[bool]:
    lock = FileLock(outbox.path.with_suffix(".deliver.lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
