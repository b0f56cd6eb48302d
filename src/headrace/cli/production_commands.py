"""The commands of production: who is champion, the clock, monitoring, retraining, and alerts."""

from __future__ import annotations

from typing import Annotated

import typer

from headrace.cli.default_command import DefaultCommand
from headrace.cli.parameters import HomeOption, JsonOption, ProblemArgument


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    for command in (promote, rollback, advance, monitor, replay, shadow, retrain, retention, lake):
        app.command()(command)
    app.add_typer(_policy)
    app.add_typer(_alerts, name="alerts")


def promote(
    problem: ProblemArgument,
    version: Annotated[str, typer.Argument(help="number of a registered model version")],
    reason: Annotated[str, typer.Option(help="reason to record in the ledger")] = "promoted by hand",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make a registered model version the champion."""
    from headrace.cli.release import promote_version

    promote_version(problem, version, reason, home, as_json=as_json)


def rollback(
    problem: ProblemArgument = "flights",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Make the previous champion the champion again, and bar the present one from automatic promotion."""
    from headrace.cli.release import roll_back_champion

    roll_back_champion(problem, home, as_json=as_json)


def advance(
    problem: ProblemArgument = "flights",
    steps: Annotated[int, typer.Option(min=1, help="number of steps of the feed")] = 1,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Advance a replayed problem: ingest the next batch, predict the rows that are due, refresh the online store."""
    from headrace.cli.run import advance_problem

    advance_problem(problem, steps, home, as_json=as_json)


def monitor(problem: ProblemArgument = "flights", as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Evaluate the last window of production: test for drift, measure quality, and decide whether to retrain."""
    from headrace.cli.monitor import monitor_problem

    monitor_problem(problem, home, as_json=as_json)


def replay(
    problem: ProblemArgument = "flights",
    start: Annotated[str | None, typer.Option(help="instant of the first champion, such as 2013-05-01")] = None,
    until: Annotated[str | None, typer.Option(help="instant at which the replay ends")] = None,
    every: Annotated[str | None, typer.Option(help="time between two decisions, such as 7d")] = None,
    shuffle: Annotated[bool, typer.Option("--shuffle", help="shuffle rows over time, so that nothing drifts")] = False,
    seed: Annotated[int | None, typer.Option(help="random seed")] = None,
    mlflow: Annotated[bool, typer.Option("--mlflow/--no-mlflow", help="log a run to MLflow")] = True,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="run as a Prefect flow, visible in Prefect's pages")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Replay months of production in minutes, and compare policies of when to retrain."""
    from headrace.replay.plan import ReplayOptions

    options = ReplayOptions(start=start, until=until, every=every, shuffle=shuffle)
    if prefect:
        from headrace.cli.flows import replay_flow

        replay_flow(problem, home, options, seed=seed, as_json=as_json)
    from headrace.cli.replay import replay_problem

    replay_problem(problem, home, options, seed=seed, mlflow=mlflow, as_json=as_json)


_policy = typer.Typer(name="policy", no_args_is_help=True, help="Policies of when to retrain.")


@_policy.command("explain")
def policy_explain(problem: ProblemArgument = "flights", as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Show what the declared policy would have done for each past window, and why."""
    from headrace.cli.policy import explain

    explain(problem, home, as_json=as_json)


def shadow(problem: ProblemArgument = "flights", as_json: JsonOption = False, home: HomeOption = None) -> None:
    """Refit the champion's recipe on what is known, where one is due: `monitor` compares it with the champion."""
    from headrace.cli.monitor import refit_shadow_of

    refit_shadow_of(problem, home, as_json=as_json)


def retrain(
    problem: ProblemArgument = "flights",
    decision: Annotated[
        str | None, typer.Option(help="id of a decision (default: the open decision, else a new one)")
    ] = None,
    reason: Annotated[str, typer.Option(help="reason to record for a new decision")] = "asked for by hand",
    reselect: Annotated[bool, typer.Option("--reselect", help="select features and model family again")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Train the champion's features on the history until now, and promote the new version if the gate accepts it."""
    from headrace.cli.monitor import retrain_problem

    retrain_problem(problem, decision, reason, home, reselect=reselect, as_json=as_json)


_alerts = typer.Typer(cls=DefaultCommand, help="Show the decisions and alerts of drift monitoring.")


@_alerts.command(DefaultCommand.default)
def alerts(
    problem: ProblemArgument = "flights",
    retry: Annotated[bool, typer.Option("--retry", help="send undelivered alerts now")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show the decisions of drift monitoring, the alerts sent, and failed deliveries."""
    from headrace.cli.alerts import show_alerts

    show_alerts(problem, home, retry=retry, as_json=as_json)


@_alerts.command()
def ack(
    problem: ProblemArgument,
    decision: Annotated[str, typer.Argument(help="id of a decision, or its first letters, as `headrace alerts` shows")],
    note: Annotated[str, typer.Option(help="remark to record")] = "",
    who: Annotated[str | None, typer.Option(help="name to record (default: the user of this process)")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Acknowledge the alert of a decision: its causes are not reported again until they change."""
    from headrace.cli.alerts import acknowledge_alert

    acknowledge_alert(problem, decision, note, home, who=who, as_json=as_json)


def retention(
    problem: ProblemArgument = "flights",
    predictions: Annotated[
        str | None, typer.Option(help="age on the production clock from which predictions are removed, such as 180d")
    ] = None,
    alerts: Annotated[
        str | None, typer.Option(help="age from which delivered alerts are removed, such as 365d")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would be removed")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Remove old predictions and delivered alerts; what monitoring, audits and certificates read stays."""
    from headrace.cli.retention import remove_old

    remove_old(problem, home, predictions=predictions, alerts=alerts, dry_run=dry_run, as_json=as_json)


def lake(
    problem: ProblemArgument = "flights",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Compare the home's copy of a lake on an object store with the store, and give each what it lacks."""
    from headrace.cli.lake import agree_and_print

    agree_and_print(problem, home, as_json=as_json)
