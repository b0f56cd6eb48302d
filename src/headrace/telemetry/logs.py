"""Log lines of a process as text or as JSON, each with the fields of its request or run and without secrets.

A JSON line has `time` (UTC), `level`, `logger`, `message`, the fields of the present request or run (`request_id`,
`problem`, `flow`), `trace_id` and `span_id` where a span is recorded, what the code adds, and `error` with a traceback.
Possible secrets in addresses are masked (`core.redact`).
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

from pythonjsonlogger import json

from headrace.core.redact import redact
from headrace.telemetry.fields import current_fields
from headrace.telemetry.tracing import trace_ids

Format = Literal["text", "json"]

#: Logger of one line for each request; JSON only, because a text line for each is of no use.
ACCESS = "headrace.access"
_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s%(fields)s"
_OWN = ("headrace", "uvicorn", "prefect")


class TextFormatter(logging.Formatter):
    """One line of text; fields stand at its end as `name=value`."""

    def __init__(self) -> None:
        super().__init__(_TEXT)

    def format(self, record: logging.LogRecord) -> str:
        found = {**current_fields(), **trace_ids()}
        record.fields = "".join(f" {name}={value}" for name, value in found.items())
        return redact(super().format(record))


class JsonFormatter(json.JsonFormatter):
    """One JSON object a line, with times in UTC."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        names = {"asctime": "time", "levelname": "level", "name": "logger", "exc_info": "error"}
        super().__init__(["asctime", "levelname", "name", "message"], rename_fields=names)
        self.converter = time.gmtime

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Add the fields of the request or run, and mask secrets in each value: masked as a whole, a line could lose
        the quotation marks that end a value."""
        redacted: dict[str, Any] = _redacted({**log_data, **current_fields(), **trace_ids()})
        return redacted


def configure_logs(form: Format, level: str = "INFO") -> None:
    """Write the log of this process to standard error, in one form. Handlers that are there get the form too.

    Args:
        form: text or json.
        level: Least level of our own lines; those of libraries are at least warnings.
    """
    formatter = JsonFormatter() if form == "json" else TextFormatter()
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(sys.stderr))
        root.setLevel(logging.WARNING)
    loggers = [root, *(one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    for handler in {handler for one in loggers for handler in one.handlers}:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.setFormatter(formatter)
    for name in _OWN:
        logging.getLogger(name).setLevel(level)
    logging.getLogger(ACCESS).setLevel(level if form == "json" else "WARNING")


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {name: _redacted(item) for name, item in value.items()}
    return [_redacted(item) for item in value] if isinstance(value, (list, tuple)) else value
