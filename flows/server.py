"""Serve Prefect's application behind `headrace.core.guard`, for `headrace up` and for temporary servers.

`prefect server start` serves the same application without a check of the Host header, and any web page may open its
WebSockets, which accept events that start flows.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
from collections.abc import Sequence

import prefect
import psutil
import uvicorn
from prefect.server.api.server import create_app
from prefect.settings import get_current_settings

from headrace.core.guard import guarded
from headrace.core.settings import settings


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    options = _parse(arguments)
    if options.parent is not None:
        threading.Thread(target=_end_after, args=(options.parent,), daemon=True).start()
    # Its second interface asks an analytics host whatever the settings say: what is not there is not served.
    prefect.__ui_v2_static_path__ = prefect.__module_path__ / "not-served"
    chosen = get_current_settings().server
    uvicorn.run(
        guarded(create_app(ephemeral=options.parent is not None, final=True), settings().hosts),
        host=options.host,
        port=options.port,
        timeout_keep_alive=chosen.api.keepalive_timeout,
        ws_ping_interval=chosen.api.websocket_ping_interval,
        ws_ping_timeout=chosen.api.websocket_ping_timeout,
        log_level=chosen.logging_level.lower(),
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    chosen = settings()
    parser = argparse.ArgumentParser(prog="python -m headrace.flows.server", description=main.__doc__)
    parser.add_argument("--host", default=chosen.host, help="HEADRACE_HOST")
    parser.add_argument("--port", type=int, default=chosen.prefect_port, help="HEADRACE_PREFECT_PORT")
    parser.add_argument("--parent", type=int, help="a temporary server without pages, which ends with this process")
    return parser.parse_args(arguments)


def _end_after(parent: int) -> None:
    """End this process after another one has ended, in whatever way."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
