"""The commands of `headrace rollout`: the state of a gradual replacement of the champion, and its steps by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.default_command import DefaultCommand
from headrace.cli.parameters import HomeOption, JsonOption, ProblemArgument


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.add_typer(_rollout, name="rollout")


_rollout = typer.Typer(cls=DefaultCommand, help="Compare a challenger with the champion in production, step by step.")
_Reason = Annotated[str, typer.Option(help="reason to record in the ledger")]


@_rollout.command(DefaultCommand.default)
def rollout(problem: ProblemArgument = "flights", as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show the rollout under way, its comparison, and what would be done now."""
    from headrace.cli.rollout import show_state

    show_state(problem, home, as_json=as_json)


@_rollout.command()
def status(problem: ProblemArgument = "flights", as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show the rollout under way, its comparison, and what would be done now."""
    from headrace.cli.rollout import show_state

    show_state(problem, home, as_json=as_json)


@_rollout.command()
def begin(
    problem: ProblemArgument,
    version: Annotated[str, typer.Argument(help="number of a registered model version")],
    reason: _Reason = "begun by hand",
    force: Annotated[bool, typer.Option("--force", help="also a version that was rolled back")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Begin the rollout of a registered version."""
    from headrace.cli.rollout import begin_rollout_of

    begin_rollout_of(problem, version, reason, home, force=force, as_json=as_json)


@_rollout.command()
def advance(
    problem: ProblemArgument = "flights",
    now: Annotated[bool, typer.Option("--now", help="take the next step whatever the comparison says")] = False,
    reason: _Reason = "advanced by hand",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Compare on the labels that are known, and take the step that follows: what the monitor flow does on schedule."""
    from headrace.cli.rollout import advance_rollout

    advance_rollout(problem, reason, home, now=now, as_json=as_json)


@_rollout.command()
def promote(
    problem: ProblemArgument = "flights",
    reason: _Reason = "promoted by hand",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make the challenger the champion now."""
    from headrace.cli.rollout import promote_challenger

    promote_challenger(problem, reason, home, as_json=as_json)


@_rollout.command()
def rollback(
    problem: ProblemArgument = "flights",
    reason: _Reason = "rolled back by hand",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """End the rollout; the champion stays, and the version is barred from automatic promotion."""
    from headrace.cli.rollout import roll_back_challenger

    roll_back_challenger(problem, reason, home, as_json=as_json)
