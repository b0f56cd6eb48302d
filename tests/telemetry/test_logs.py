"""Lines of the log: JSON that can be read, fields of the request or run, no secrets."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.telemetry.fields import REQUEST_ID, current_fields, log_fields, request_id_of
from headrace.telemetry.logs import JsonFormatter, TextFormatter


def record(message: str, *args: object, error: BaseException | None = None, **extra: Any) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("headrace.api", logging.WARNING, __file__, 1, message, args, info)
    made.created, made.msecs = 1709294400.25, 250.0
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def test_a_json_line_has_time_level_logger_fields_and_error() -> None:
    with log_fields(problem="shop", flow="monitor"):
        line = JsonFormatter().format(record("%d rows", 3, error=ValueError("wrong"), seconds=0.5))
    parsed = json.loads(line)
    assert "ValueError: wrong" in parsed.pop("error")
    assert parsed == {
        "time": "2024-03-01T12:00:00.250Z", "level": "WARNING", "logger": "headrace.api", "message": "3 rows",
        "problem": "shop", "flow": "monitor", "seconds": 0.5,
    }  # fmt: skip
    assert "\n" not in line


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_no_secret_is_written(formatter: logging.Formatter) -> None:
    error = RuntimeError("postgresql://user:hunter2@host/db")
    line = formatter.format(record("slack://hunter2/hunter2", error=error, url=["https://a:hunter2@b/?token=hunter2"]))
    assert "hunter2" not in line


@given(st.text(max_size=60), st.text(max_size=20))
def test_any_message_is_one_line_of_json(message: str, secret: str) -> None:
    line = JsonFormatter().format(record("%s http://u:p@h/%s", message, secret, extra_field=message))
    assert json.loads(line)["logger"] == "headrace.api"
    assert "\n" not in line


def test_a_text_line_ends_with_its_fields() -> None:
    token = REQUEST_ID.set("r-1")
    try:
        assert TextFormatter().format(record("refused")).endswith("headrace.api: refused request_id=r-1")
    finally:
        REQUEST_ID.reset(token)


def test_fields_are_those_of_the_innermost_block() -> None:
    with log_fields(problem="a", flow="x"):
        with log_fields(problem="b"):
            assert current_fields() == {"problem": "b", "flow": "x"}
        assert current_fields() == {"problem": "a", "flow": "x"}
    assert current_fields() == {}


@given(st.binary(max_size=140))
def test_an_id_is_plain_whatever_a_client_sends(given_id: bytes) -> None:
    chosen = request_id_of(given_id)
    assert chosen.isascii()
    assert 1 <= len(chosen) <= 128
    assert set(chosen) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:-")


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_process_writes_lines_of_all_its_loggers_in_one_form(form: str) -> None:
    code = (
        "import logging\n"
        "own = logging.getLogger('uvicorn'); own.addHandler(logging.StreamHandler()); own.propagate = False\n"
        "from headrace.telemetry.logs import configure_logs\n"
        f"configure_logs({form!r})\n"
        "logging.getLogger('headrace.x').info('ours')\n"
        "logging.getLogger('urllib3').info('a library')\n"
        "logging.getLogger('urllib3').warning('trouble')\n"
        "own.info('server')\n"
        "logging.getLogger('headrace.access').info('request')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    lines = done.stderr.splitlines()
    if form == "json":
        assert [json.loads(line)["message"] for line in lines] == ["ours", "trouble", "server", "request"]
    else:
        assert [line.split(": ")[1] for line in lines] == ["ours", "trouble", "server"]
