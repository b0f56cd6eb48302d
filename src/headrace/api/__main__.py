"""`python -m headrace.api --problem flights`: serve a problem until stopped."""

from __future__ import annotations

import argparse
import gc
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.core.home import open_home, owner_only
from headrace.core.redact import print_redacted
from headrace.core.settings import settings
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem
from headrace.telemetry.process import observe_process

#: Seconds in which requests may finish when the server stops.
SHUTDOWN_S = 10
#: Seconds after which a thread that polls the ledger gives way to the event loop, for an answer waits for it.
_SWITCH_INTERVAL_S = 0.0005


def production_clock(root: Path, problem: Problem) -> Callable[[], int]:
    """The problem's clock, in us: as far as its data have come; before anything was loaded, the wall clock's time."""
    lake, feed = Lake(root, problem.name), problem.feed

    def now() -> int:
        clock = lake.clock()
        if clock is not None:
            return clock
        return feed.start_us if feed is not None else time.time_ns() // 1000

    return now


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; 1 with one clear line where that cannot be."""
    owner_only()
    sys.excepthook = print_redacted
    try:
        options = _parse_arguments(arguments)
        problems = [load_problem(name) for name in dict.fromkeys(options.problem or ["flights"])]
        require_free(options.host, options.port)
    except HeadraceError as error:
        print(f"headrace.api: {error}", file=sys.stderr)
        return 1
    _serve(problems, options.host, options.port)
    return 0


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    configuration = settings()
    parser = argparse.ArgumentParser(prog="python -m headrace.api", description="Serve predictions over HTTP.")
    parser.add_argument(
        "--problem", action="append",
        help="a built-in problem's name, or the path of a problem file (default: flights); several may be given",
    )  # fmt: skip
    parser.add_argument("--host", default=configuration.host, help="HEADRACE_HOST")
    parser.add_argument("--port", type=int, default=configuration.api_port, help="HEADRACE_API_PORT")
    return parser.parse_args(arguments)


def _serve(problems: Sequence[Problem], host: str, port: int) -> None:
    import uvicorn

    from headrace.access.changes import record_settings
    from headrace.api.access.control import access_control
    from headrace.api.app import create_app
    from headrace.api.connections import LimitedProtocol
    from headrace.api.metrics import Meters
    from headrace.api.page.links import Links
    from headrace.api.problems import ProblemsApp
    from headrace.core.hosts import allowed_hosts
    from headrace.prediction_log.journal import Sync
    from headrace.prediction_log.journal_drain import draining
    from headrace.serving.answers import Policy

    configuration = settings()
    open_home(configuration.root)
    observe_process("headrace-api", configuration)
    meters = Meters(configuration.metrics_folder)
    hosts = (*allowed_hosts(host), *configuration.hosts)
    access = access_control(configuration, host)
    record_settings(configuration)
    apps = {
        problem.name: create_app(
            configuration.root,
            problem,
            configuration.mlflow_tracking_uri or configuration.mlflow_store,
            production_clock(configuration.root, problem),
            policy=cast(Policy, configuration.stale_policy),
            hosts=hosts,
            links=Links.from_settings(configuration),
            log_sync=None if configuration.log_sync == "database" else cast(Sync, configuration.log_sync),
            access=access,
            meters=meters,
        )
        for problem in problems
    }
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()
    with draining(configuration.root, [problem.name for problem in problems]):
        uvicorn.run(
            ProblemsApp(apps, hosts=hosts, access=access),
            host=host,
            port=port,
            http=LimitedProtocol,
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )


def require_free(host: str, port: int) -> None:
    """Check that a port can be bound; UnavailableError where it cannot."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UnavailableError(
                f"port {port} cannot be used ({error.strerror})",
                where=host,
                fix="set HEADRACE_API_PORT to a free one, or stop what holds it",
            ) from None


if __name__ == "__main__":
    sys.exit(main())
