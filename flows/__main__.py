"""`python -m headrace.flows run [PROBLEM]` and `python -m headrace.flows deploy [PROBLEM ...]`.

`run` reports to the Prefect server that answers: the one that PREFECT_API_URL names, or the one of `make up`. Without
one it starts a server for the length of the run (`headrace.flows.temporary`).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from headrace.app.addresses import prefect_api
from headrace.core.errors import HeadraceError, UnavailableError
from headrace.core.home import open_home, owner_only
from headrace.core.machine import of_the_machine
from headrace.core.redact import print_redacted
from headrace.core.settings import Settings, settings
from headrace.flows.deployments import for_references, triggers_for
from headrace.flows.temporary import temporary_server
from headrace.problems.catalogue import load_problem
from headrace.services.lifecycle import answers, project_folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 refused or failed, 3 done but a batch was quarantined on the way, 130 interrupted."""
    owner_only()
    sys.excepthook = print_redacted
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "deploy":
            return _deploy(chosen.problems, scheduled=not chosen.without_schedules)
        return _run(chosen)
    except HeadraceError as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("headrace: interrupted. Run it again: finished stages are kept.", file=sys.stderr)
        return 130
    except Exception as error:
        refused = of_the_machine(error)
        if refused is None:
            raise
        print(f"headrace: {refused}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m headrace.flows", description="Headrace's flows, run by Prefect.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the main job now")
    run.add_argument("problem", nargs="?", default="flights", help="a built-in problem, or the path of a problem file")
    run.add_argument("--trials", type=int, help="size of the search")
    run.add_argument("--seed", type=int, help="seed of the search and the selection")
    deploy = commands.add_parser("deploy", help="register the deployments on the server that is up")
    deploy.add_argument("problems", nargs="*", default=["flights"])
    deploy.add_argument(
        "--without-schedules", action="store_true", help="nothing starts by the clock, only by events and by hand"
    )
    return parser


def point_prefect(chosen: Settings, api: str | None) -> None:
    """Set what Prefect reads when it is imported: it must not have been before. api: of the server to report to."""
    if api is None:
        raise UnavailableError("no Prefect server is up", fix="start one with `make up`, or set PREFECT_API_URL")
    if not answers(f"{api}/health"):
        raise UnavailableError(
            "the Prefect server does not answer", where=api, fix="start it, or unset PREFECT_API_URL"
        )
    open_home(chosen.root)
    home = chosen.root / "prefect"
    home.mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and then its server never comes up
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_LOGGING_EXTRA_LOGGERS"] = "headrace"
    # Prefect's own pages keep every line; here a failure is one line, not its engine's tracebacks.
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "CRITICAL"
    os.environ["PREFECT_API_URL"] = api


def _run(chosen: argparse.Namespace) -> int:
    load_problem(chosen.problem)  # what is wrong with it is said before a server is started
    point_prefect(settings(), prefect_api(settings()) or temporary_server(settings()))
    from headrace.cli.run import show_report
    from headrace.flows.pipeline import pipeline

    _print_progress()
    report = pipeline(problem=chosen.problem, trials=chosen.trials, seed=chosen.seed)
    show_report(report)
    return 3 if report.quarantined else 0


def _deploy(problems: Sequence[str], *, scheduled: bool) -> int:
    deployments = for_references(problems)
    if not scheduled:
        deployments = tuple(replace(one, cron=None, interval_s=None) for one in deployments)
    triggers = [trigger for problem in problems for trigger in triggers_for(load_problem(problem))]
    point_prefect(settings(), prefect_api(settings()))
    from headrace.flows.automations import ensure
    from headrace.flows.register import register

    register(deployments, project_folder())
    ensure(triggers)
    for deployment in deployments:
        print(f"{deployment.flow_name}/{deployment.name}: {deployment.cron or 'no schedule'}")
    for trigger in triggers:
        print(f"{trigger.name}: {trigger.event} starts {trigger.deployment}")
    return 0


def _print_progress() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("headrace.flows")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
