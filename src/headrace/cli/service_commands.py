"""The commands of a local installation: services up and down, deployments, backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.parameters import HomeOption, JsonOption, ProblemArgument


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    for command in (deploy, up, down, backup, restore):
        app.command()(command)
    app.command(name="import-database")(import_database)
    app.command(name="search-worker")(search_worker)


def deploy(
    problems: Annotated[
        list[str] | None, typer.Argument(help="names of built-in problems, or paths of problem files")
    ] = None,
    without_schedules: Annotated[
        bool, typer.Option("--without-schedules", help="register without schedules: runs start by events or by hand")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Register the problems' flows and schedules on the running Prefect server."""
    from headrace.cli.flows import deploy_flows

    deploy_flows(problems or ["flights"], home, without_schedules=without_schedules, as_json=as_json)


def up(
    problem: ProblemArgument = "flights",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Start the Prefect server, MLflow, a worker with schedules, and the prediction API in the background."""
    from headrace.cli.services import up as start

    # A flow runs in a folder of its own: a problem's file is found from there only by its whole path.
    start(str(Path(problem).absolute()) if Path(problem).is_file() else problem, home, as_json=as_json)


def down(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Stop the services that `up` started."""
    from headrace.cli.services import down as stop

    stop(home, as_json=as_json)


def backup(
    file: Annotated[
        Path, typer.Argument(help="archive to write, such as backup.tar.gz; an existing file is not overwritten")
    ],
    without_caches: Annotated[
        bool, typer.Option("--without-caches", help="omit outputs of stages, which a run recomputes")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write the state folder into one archive; services may keep running."""
    from headrace.cli.backup import back_up

    back_up(file, home, without_caches=without_caches, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="archive that `headrace backup` wrote")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Create a state folder from a backup; a folder that is not empty is refused."""
    from headrace.cli.backup import restore_home

    restore_home(file, home, as_json=as_json)


def search_worker(
    folder: Annotated[Path, typer.Argument(help="folder of the study: HEADRACE_SEARCH_FOLDER and the problem's name")],
    slots: Annotated[int, typer.Option(min=1, help="trials at a time")] = 1,
    trial_seconds: Annotated[float | None, typer.Option(help="time limit of a trial")] = None,
    trial_memory_mb: Annotated[float | None, typer.Option(help="memory limit of a trial, in MB")] = None,
    idle_seconds: Annotated[
        float | None, typer.Option(help="end after so long without a trial (default: never)")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate trials of a search that runs on another machine; workers may come and go while it runs."""
    from headrace.cli.search_worker import work

    work(folder, slots=slots, seconds=trial_seconds, memory_mb=trial_memory_mb, idle_s=idle_seconds, as_json=as_json)


def import_database(as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Copy ledger, outbox and prediction log from the state folder to the PostgreSQL of HEADRACE_DATABASE_URL."""
    from headrace.cli.backup import import_database as copy

    copy(home, as_json=as_json)
