"""The `headrace` command. Only names and help live here; each command loads what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from headrace.core.errors import HeadraceError

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From relational, time-stamped tables to a model in production, kept fresh.",
)

ProblemArgument = Annotated[str, typer.Argument(help="a built-in problem, or the path of a problem file")]
HomeOption = Annotated[Path | None, typer.Option("--home", help="state folder (default .headrace, or HEADRACE_HOME)")]


@app.command()
def run(
    problem: ProblemArgument = "flights",
    trials: Annotated[int | None, typer.Option(help="size of the search")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the search and the selection")] = None,
    max_memory: Annotated[str | None, typer.Option(help="what synthesis may hold of memory, such as 2GB")] = None,
    home: HomeOption = None,
) -> None:
    """Do the whole main job without an orchestrator: ingest to deployed model."""
    from headrace.cli.run import run_problem

    run_problem(problem, home, trials=trials, seed=seed, max_memory=max_memory)


@app.command()
def check(problem: ProblemArgument = "flights") -> None:
    """Say what is wrong with a problem before anything runs."""
    from headrace.cli.check import check_problem

    check_problem(problem)


@app.command()
def status(
    problem: ProblemArgument = "flights",
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    home: HomeOption = None,
) -> None:
    """Show the champion, the last run and the production clock."""
    from headrace.cli.status import show_status

    show_status(problem, home, as_json=as_json)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="a registered model version")],
    problem: Annotated[str, typer.Option(help="the problem's name or file")] = "flights",
    reason: Annotated[str, typer.Option(help="why, for the ledger")] = "promoted by hand",
    home: HomeOption = None,
) -> None:
    """Make a registered version the champion by hand."""
    from headrace.cli.release import promote_version

    promote_version(problem, version, reason, home)


@app.command()
def rollback(
    problem: Annotated[str, typer.Option(help="the problem's name or file")] = "flights",
    home: HomeOption = None,
) -> None:
    """Bring the previous champion back; the present one is barred from returning by itself."""
    from headrace.cli.release import roll_back

    roll_back(problem, home)


@app.command()
def advance(
    problem: ProblemArgument = "flights",
    steps: Annotated[int, typer.Option(min=1, help="how many steps of the feed")] = 1,
    home: HomeOption = None,
) -> None:
    """Move a replayed problem's production clock: ingest, score what fell due, refresh the online store."""
    from headrace.cli.run import advance_problem

    advance_problem(problem, steps, home)


@app.command()
def monitor(problem: ProblemArgument = "flights", home: HomeOption = None) -> None:
    """Look at the last window of production: what drifted, how good it was, and what is to be done."""
    from headrace.cli.monitor import monitor_problem

    monitor_problem(problem, home)


@app.command()
def retrain(
    problem: ProblemArgument = "flights",
    decision: Annotated[
        str | None, typer.Option(help="a decision's id; left out: what is owed, or one by hand")
    ] = None,
    reason: Annotated[str, typer.Option(help="why, where it is by hand")] = "asked for by hand",
    reselect: Annotated[bool, typer.Option("--reselect", help="by hand, with features and family chosen anew")] = False,
    home: HomeOption = None,
) -> None:
    """Train the champion's features on the history until now; promote the challenger unless it is worse."""
    from headrace.cli.monitor import retrain_problem

    retrain_problem(problem, decision, reason, home, reselect=reselect)


@app.command()
def alerts(
    problem: ProblemArgument = "flights",
    retry: Annotated[bool, typer.Option("--retry", help="send what has not arrived yet, now")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    home: HomeOption = None,
) -> None:
    """Show what drift monitoring decided and told, and what did not get through."""
    from headrace.cli.alerts import show_alerts

    show_alerts(problem, home, retry=retry, as_json=as_json)


@app.command(name="explain-feature")
def explain_feature(
    problem: ProblemArgument,
    feature: Annotated[str, typer.Argument(help="a feature's name, or its column in the training set")],
    given: Annotated[list[str] | None, typer.Argument(help="with --at: entity=value, as in tailnum=N14228")] = None,
    row: Annotated[str | None, typer.Option(help="key of the row (columns of a composite key by commas)")] = None,
    at: Annotated[str | None, typer.Option(help="a cutoff, as in 2013-05-01T12:00:00Z, in place of a row")] = None,
    most: Annotated[int, typer.Option(min=0, help="how many raw rows of each aggregate are shown")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    home: HomeOption = None,
) -> None:
    """Unfold a feature at one row: its value, what it is made from, the raw rows and which of them counted."""
    from headrace.cli.explain import explain_feature as explain

    explain(problem, feature, given or (), home, row=row, at=at, most=most, as_json=as_json)


@app.command()
def late(
    problem: ProblemArgument = "flights",
    since: Annotated[str | None, typer.Option(help="only what arrived from this instant on")] = None,
    grace: Annotated[str | None, typer.Option(help="what came no later than this was in time, as in 1h")] = None,
    out: Annotated[Path | None, typer.Option(help="a new folder for the changed rows, as Parquet")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    home: HomeOption = None,
) -> None:
    """Say which past training rows would have been different had late and corrected data been known in time."""
    from headrace.cli.late import show_late

    show_late(problem, home, since=since, grace=grace, out=out, as_json=as_json)


@app.command()
def up(
    problem: ProblemArgument = "flights",
    home: HomeOption = None,
) -> None:
    """Start the Prefect server, MLflow, a worker with live schedules and the prediction API in the background."""
    from headrace.cli.services import up as start

    # Services run in the checkout's folder: a problem's file is found from there only by its whole path.
    start(str(Path(problem).absolute()) if Path(problem).is_file() else problem, home)


@app.command()
def down(home: HomeOption = None) -> None:
    """Stop exactly what `up` started."""
    from headrace.cli.services import down as stop

    stop(home)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="the archive to write, as in backup.tar.gz; none is overwritten")],
    without_caches: Annotated[
        bool, typer.Option("--without-caches", help="leave out what a run makes again: stages' outputs")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Write everything of the home into one file, consistent while services run."""
    from headrace.cli.backup import back_up

    back_up(file, home, without_caches=without_caches)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="an archive that `headrace backup` wrote")],
    home: HomeOption = None,
) -> None:
    """Make a new home from a backup, here or at another path; a home that holds anything is refused."""
    from headrace.cli.backup import restore_home

    restore_home(file, home)


def main() -> None:
    """Entry point: a refusal is one line on standard error and exit code 1 (130 after Ctrl-C), never a traceback.

    So is what the machine refuses: a full disk, a read-only folder.
    """
    from headrace.core.errors import HeadraceError
    from headrace.core.home import owner_only
    from headrace.core.redact import print_redacted

    owner_only()
    sys.excepthook = print_redacted
    try:
        app()
    except HeadraceError as error:
        _end(error)
    except Exception as error:
        from headrace.core.machine import of_the_machine

        refused = of_the_machine(error)
        if refused is None:
            raise
        _end(refused)


def _end(error: HeadraceError) -> NoReturn:
    sys.stderr.write(f"headrace: {error}\n")
    sys.exit(error.exit_code)
