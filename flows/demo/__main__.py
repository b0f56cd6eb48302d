"""`python -m headrace.flows.demo` (make drift-demo): months of production in minutes, the whole loop live."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from headrace.app.addresses import prefect_api
from headrace.core.clock import DAY, from_us
from headrace.core.errors import DeclarationError, HeadraceError
from headrace.core.settings import settings
from headrace.flows.demo.console import DemoConsole
from headrace.flows.demo.installation import Installation, installation, running_installation
from headrace.flows.prefect_settings import use_prefect_server
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem
from headrace.schema import Problem

_PROBLEM = Path(__file__).with_name("problem.py")
_DAYS, _QUICK_DAYS = 70, 35


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 130 interrupted (run again, it goes on)."""
    chosen = _parser().parse_args(arguments)
    console = DemoConsole()
    try:
        return _demo(chosen, console)
    except HeadraceError as error:
        print(f"drift-demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("drift-demo: interrupted, its services are stopped. Run it again: it goes on from here.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m headrace.flows.demo", description=__doc__)
    parser.add_argument("problem", nargs="?", default=str(_PROBLEM), help="the path of a problem with a feed")
    parser.add_argument("--home", type=Path, default=Path(".headrace-demo"), help="the demo's own state folder")
    parser.add_argument("--days", type=int, help="of the feed to live through")
    parser.add_argument("--every", type=int, default=7, help="days between two evaluations of the last window")
    parser.add_argument("--quick", action="store_true", help=f"{_QUICK_DAYS} days instead of {_DAYS}")
    parser.add_argument("--fresh", action="store_true", help="begin anew: the demo's folder is removed first")
    return parser


def _demo(chosen: argparse.Namespace, console: DemoConsole) -> int:
    problem = load_problem(chosen.problem)
    if problem.feed is None:
        raise DeclarationError("has no feed to replay", where=problem.name, fix="declare feed=Replay(start=...)")
    began = time.monotonic()
    where = installation(chosen.home, str(Path(chosen.problem).absolute()))
    if chosen.fresh:
        where = _emptied(where)
    until_us = problem.feed.start_us + (chosen.days or (_QUICK_DAYS if chosen.quick else _DAYS)) * DAY
    if (Lake(where.home, problem.name).clock() or 0) < until_us:
        _replay(where, until_us, chosen.every, console)
    else:
        console.line(f"Replayed already; `make drift-demo FRESH=1` starts anew. The results, from {where.home}:")
    _show(where, problem, console)
    console.line(f"{time.monotonic() - began:.0f} s. Everything is stopped; it is all in {where.home}")
    return 0


def _emptied(where: Installation) -> Installation:
    from headrace.services.lifecycle import stop_services

    stop_services(where.home)
    shutil.rmtree(where.home)
    return installation(where.home, where.reference)


def _replay(where: Installation, until_us: int, every: int, console: DemoConsole) -> None:
    console.line(f"starting Prefect, its worker, MLflow, Evidently's pages and the API, in {where.home}", "bold")
    with running_installation(where, console.alert) as receiver:
        for name in ("prefect", "mlflow", "evidently", "api"):
            console.line(f"  {name:<10} {where.url(name)}")
        console.line(f"  {'alerts':<10} {receiver.url}")
        use_prefect_server(settings(), prefect_api(settings()))
        from headrace.flows.demo.days import replay_days

        replay_days(where.reference, where.url("api"), until_us=until_us, every=every, console=console)
        console.line(f"{from_us(until_us):%d %B}: the demo ends, the services are stopped", "bold")


def _show(where: Installation, problem: Problem, console: DemoConsole) -> None:
    from headrace.app.context import context_of
    from headrace.replay.figure import draw_history
    from headrace.replay.history import production_history

    assert problem.feed is not None  # looked at before
    found = production_history(context_of(where.reference, where.home), since_us=problem.feed.start_us)
    console.summary(found)
    console.line(f"picture: {draw_history(found, where.home / 'drift-demo.png')}", "bold")


if __name__ == "__main__":
    sys.exit(main())
