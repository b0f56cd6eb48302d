"""Alerts that are due, sent on their way by whichever flow comes by."""

from __future__ import annotations

import logging

from prefect import task
from prefect.cache_policies import NO_CACHE

from headrace.cli.paths import wall_us
from headrace.core.settings import settings
from headrace.monitor.alerts import Delivered, deliver
from headrace.monitor.outbox import Outbox
from headrace.pipeline.context import Context

log = logging.getLogger("headrace.flows")


def send_alerts(context: Context) -> None:
    """Deliver what waits to the addresses of HEADRACE_ALERT_URL. A receiver that fails is tried again later."""

    @task(name="alerts", cache_policy=NO_CACHE, persist_result=False)
    def send() -> Delivered:
        return deliver(Outbox(context.root, context.problem.name), settings().alert_urls, now_us=wall_us())

    done = send()
    log.info("alerts: %d sent, %d failed, %d waiting", len(done.sent), len(done.failed), done.waiting)
