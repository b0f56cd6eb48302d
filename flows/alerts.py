"""Deliver pending alerts from within a flow, as a task of its own."""

from __future__ import annotations

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from headrace.access.opened import alert_networks
from headrace.app.context import wall_us
from headrace.core.settings import Settings, settings
from headrace.flows.blocks import addresses_in
from headrace.monitor.alerts.delivery import DeliveryRound, deliver
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context

log = logging.getLogger("headrace.flows")


def receivers(chosen: Settings) -> tuple[str, ...]:
    """Get the addresses that alerts go to: those of HEADRACE_ALERT_URL, else those in the Prefect block. Secrets."""
    return chosen.alert_urls or addresses_in(chosen.alert_block)


def send_alerts(context: Context) -> None:
    """Deliver the pending alerts of a problem; a delivery that fails is tried again by a later flow."""

    @task(name="alerts", cache_policy=NO_CACHE, persist_result=False)
    def send() -> DeliveryRound:
        chosen, outbox = settings(), Outbox(context.root, context.problem.name)
        return deliver(outbox, receivers(chosen), now_us=wall_us(), networks=alert_networks(chosen))

    done = send()
    log.info("alerts: %d sent, %d failed, %d waiting", len(done.sent), len(done.failed), done.waiting)
