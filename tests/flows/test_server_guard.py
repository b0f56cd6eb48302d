"""Prefect's server as we start it: its application, settings and process pool are those of Prefect 3.8.8."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import prefect
import pytest
from prefect.workers.process import ProcessJobConfiguration

from headrace.flows import server
from headrace.flows.register import JOB_TEMPLATE
from tests import asgi


@pytest.fixture(scope="module")
def app() -> Any:
    """The application that `python -m headrace.flows.server` hands to uvicorn."""
    given: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uvicorn.run", lambda app, **options: given.extend([app, options]))
        server.main(["--port", "4321"])
    assert (given[1]["host"], given[1]["port"], given[1]["log_level"]) == ("127.0.0.1", 4321, "warning")
    return given[0]


def test_the_version_that_this_was_tried_with() -> None:
    assert prefect.__version__ == "3.8.8", "try the attacks of `make security` on the new one, then name it here"


def test_a_name_that_is_not_its_own_is_refused(app: Any) -> None:
    assert asgi.status(app, "/api/admin/version") == 200
    assert asgi.status(app, "/api/admin/version", host="evil.test:4321") == 400


@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
def test_no_foreign_page_opens_a_web_socket(app: Any, path: str) -> None:
    """Events come in over one of them, and events start flows."""
    assert asgi.accepts(app, path, subprotocols=("prefect",))
    assert not asgi.accepts(app, path, subprotocols=("prefect",), origin="http://evil.test")


def test_a_run_in_the_work_pool_chooses_nothing() -> None:
    """The default template would make each of these part of what the worker executes."""
    wanted = {"command": "touch attacked", "env": {"PYTHONPATH": "/tmp"}, "working_dir": "/tmp", "env.LD_PRELOAD": "x"}
    made = asyncio.run(ProcessJobConfiguration.from_template_and_values(JOB_TEMPLATE, wanted, client=object()))
    assert (made.command, made.env, made.working_dir) == (None, {}, None)
    assert JOB_TEMPLATE["variables"] == {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_temporary_server_ends_with_the_run_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda *given: ended.append(given))
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    child.communicate(b"\n")
    server._end_after(child.pid)
    assert ended == [(os.getpid(), signal.SIGTERM)]
