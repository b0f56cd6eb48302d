"""`python -m headrace.api --problem flights`: serve a problem until stopped."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from headrace.core.errors import HeadraceError, UnavailableError
from headrace.core.home import open_home, owner_only
from headrace.core.redact import print_redacted
from headrace.core.settings import settings
from headrace.problems.catalogue import load_problem
from headrace.telemetry.process import observe_process


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and serve; 1 with one clear line where that cannot be."""
    owner_only()
    sys.excepthook = print_redacted
    try:
        options = _parse_arguments(arguments)
        references = tuple(dict.fromkeys(options.problem or ["flights"]))
        names = [load_problem(reference).name for reference in references]
        require_free(options.host, options.port)
    except HeadraceError as error:
        print(f"headrace.api: {error}", file=sys.stderr)
        return 1
    return 0 if _serve(references, names, options) else 1


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    configuration = settings()
    parser = argparse.ArgumentParser(prog="python -m headrace.api", description="Serve predictions over HTTP.")
    parser.add_argument(
        "--problem", action="append",
        help="a built-in problem's name, or the path of a problem file (default: flights); several may be given",
    )  # fmt: skip
    parser.add_argument("--host", default=configuration.host, help="HEADRACE_HOST")
    parser.add_argument("--port", type=int, default=configuration.api_port, help="HEADRACE_API_PORT")
    parser.add_argument(
        "--processes", type=_at_least_one, default=configuration.api_processes,
        help="processes that answer on the port (HEADRACE_API_PROCESSES)",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return number


def _serve(references: tuple[str, ...], problems: Sequence[str], options: argparse.Namespace) -> bool:
    from headrace.access.changes import record_settings
    from headrace.api.processes import serve_until_stopped, shared_metrics
    from headrace.api.server import ServedProblems
    from headrace.prediction_log.journal_drain import draining

    configuration = settings()
    open_home(configuration.root)
    observe_process("headrace-api", configuration)
    record_settings(configuration)
    sharing = shared_metrics(configuration.root, options.port) if options.processes > 1 else nullcontext()
    with sharing, draining(configuration.root, problems):
        return serve_until_stopped(
            ServedProblems(references=references, host=options.host),
            host=options.host,
            port=options.port,
            processes=options.processes,
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
