"""Set a process up to be observed as the settings ask: the form of its log lines, and its traces."""

from __future__ import annotations

from typing import cast

from headrace.core.settings import Settings


def observe_process(service: str, configuration: Settings, *, only_json: bool = False) -> None:
    """Configure logs and traces of this process.

    Args:
        service: Name of the service in traces, such as `headrace-api`.
        configuration: The settings.
        only_json: Leave lines of text as they are, such as those of Prefect and of commands.
    """
    from headrace.telemetry.logs import Format, configure_logs
    from headrace.telemetry.tracing import start_tracing

    if configuration.log_format == "json" or not only_json:
        configure_logs(cast(Format, configuration.log_format), configuration.log_level)
    start_tracing(service, configuration.otlp_endpoint)
