"""The `headrace` command: its subcommands, options and help. A subcommand imports its code when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.default_command import DefaultCommand
from headrace.cli.first_commands import register

if sys.platform == "win32":  # processes are forked and signalled, files locked and made private, as POSIX has it
    sys.exit("headrace: runs on Linux and macOS only. On Windows, install it inside WSL (wsl --install).")

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="From relational, time-stamped tables to a model in production that stays up to date.",
)

ProblemArgument = Annotated[str, typer.Argument(help="name of a built-in problem, or path of a problem file")]
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="state folder (default: HEADRACE_HOME, else .headrace)")
]


@app.command()
def run(
    problem: ProblemArgument = "flights",
    trials: Annotated[int | None, typer.Option(help="number of trials of the search")] = None,
    seed: Annotated[int | None, typer.Option(help="random seed of the search and the feature selection")] = None,
    max_memory: Annotated[str | None, typer.Option(help="memory limit of the synthesis, such as 2GB")] = None,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="run as a Prefect flow, visible in Prefect's pages")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Run every stage of the main job, from raw tables to a served model."""
    if prefect:
        from headrace.cli.flows import run_flow

        run_flow(problem, home, trials=trials, seed=seed, max_memory=max_memory)
    from headrace.cli.run import run_problem

    run_problem(problem, home, trials=trials, seed=seed, max_memory=max_memory)


@app.command()
def check(problem: ProblemArgument = "flights") -> None:
    """Check a problem's declaration and its sources; list every fault before anything runs."""
    from headrace.cli.check import check_problem

    check_problem(problem)


@app.command()
def status(
    problem: ProblemArgument = "flights",
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    home: HomeOption = None,
) -> None:
    """Show the champion, the last run and the production clock."""
    from headrace.cli.status import show_status

    show_status(problem, home, as_json=as_json)


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="number of a registered model version")],
    problem: Annotated[str, typer.Option(help="name of a built-in problem, or path of a problem file")] = "flights",
    reason: Annotated[str, typer.Option(help="reason to record in the ledger")] = "promoted by hand",
    home: HomeOption = None,
) -> None:
    """Make a registered model version the champion."""
    from headrace.cli.release import promote_version

    promote_version(problem, version, reason, home)


@app.command()
def rollback(
    problem: Annotated[str, typer.Option(help="name of a built-in problem, or path of a problem file")] = "flights",
    home: HomeOption = None,
) -> None:
    """Make the previous champion the champion again, and bar the present one from automatic promotion."""
    from headrace.cli.release import roll_back_champion

    roll_back_champion(problem, home)


@app.command()
def advance(
    problem: ProblemArgument = "flights",
    steps: Annotated[int, typer.Option(min=1, help="number of steps of the feed")] = 1,
    home: HomeOption = None,
) -> None:
    """Advance a replayed problem: ingest the next batch, predict the rows that are due, refresh the online store."""
    from headrace.cli.run import advance_problem

    advance_problem(problem, steps, home)


@app.command()
def monitor(problem: ProblemArgument = "flights", home: HomeOption = None) -> None:
    """Evaluate the last window of production: test for drift, measure quality, and decide whether to retrain."""
    from headrace.cli.monitor import monitor_problem

    monitor_problem(problem, home)


@app.command()
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
    home: HomeOption = None,
) -> None:
    """Replay months of production in minutes, and compare policies of when to retrain."""
    from headrace.replay.plan import ReplayOptions

    options = ReplayOptions(start=start, until=until, every=every, shuffle=shuffle)
    if prefect:
        from headrace.cli.flows import replay_flow

        replay_flow(problem, home, options, seed=seed)
    from headrace.cli.replay import replay_problem

    replay_problem(problem, home, options, seed=seed, mlflow=mlflow)


policy_app = typer.Typer(name="policy", no_args_is_help=True, help="Policies of when to retrain.")
app.add_typer(policy_app)


@policy_app.command("explain")
def policy_explain(problem: ProblemArgument = "flights", home: HomeOption = None) -> None:
    """Show what the declared policy would have done for each past window, and why."""
    from headrace.cli.policy import explain

    explain(problem, home)


@app.command()
def shadow(problem: ProblemArgument = "flights", home: HomeOption = None) -> None:
    """Refit the champion's recipe on what is known, where one is due: `monitor` compares it with the champion."""
    from headrace.cli.monitor import refit_shadow_of

    refit_shadow_of(problem, home)


@app.command()
def retrain(
    problem: ProblemArgument = "flights",
    decision: Annotated[
        str | None, typer.Option(help="id of a decision (default: the open decision, else a new one)")
    ] = None,
    reason: Annotated[str, typer.Option(help="reason to record for a new decision")] = "asked for by hand",
    reselect: Annotated[bool, typer.Option("--reselect", help="select features and model family again")] = False,
    home: HomeOption = None,
) -> None:
    """Train the champion's features on the history until now, and promote the new version if the gate accepts it."""
    from headrace.cli.monitor import retrain_problem

    retrain_problem(problem, decision, reason, home, reselect=reselect)


alerts_app = typer.Typer(cls=DefaultCommand, help="Show the decisions and alerts of drift monitoring.")
app.add_typer(alerts_app, name="alerts")


@alerts_app.command(DefaultCommand.default)
def alerts(
    problem: ProblemArgument = "flights",
    retry: Annotated[bool, typer.Option("--retry", help="send undelivered alerts now")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    home: HomeOption = None,
) -> None:
    """Show the decisions of drift monitoring, the alerts sent, and failed deliveries."""
    from headrace.cli.alerts import show_alerts

    show_alerts(problem, home, retry=retry, as_json=as_json)


@alerts_app.command()
def ack(
    decision: Annotated[str, typer.Argument(help="id of a decision, or its first letters, as `headrace alerts` shows")],
    note: Annotated[str, typer.Option(help="remark to record")] = "",
    who: Annotated[str | None, typer.Option(help="name to record (default: the user of this process)")] = None,
    problem: Annotated[str, typer.Option(help="name of a built-in problem, or path of a problem file")] = "flights",
    home: HomeOption = None,
) -> None:
    """Acknowledge the alert of a decision: its causes are not reported again until they change."""
    from headrace.cli.alerts import acknowledge_alert

    acknowledge_alert(problem, decision, note, home, who=who)


@app.command(name="explain-feature")
def explain_feature(
    problem: ProblemArgument,
    feature: Annotated[str, typer.Argument(help="name of a feature, or its column in the training set")],
    given: Annotated[
        list[str] | None, typer.Argument(help="with --at: an entity's key, such as tailnum=N14228")
    ] = None,
    row: Annotated[
        str | None, typer.Option(help="key of a spine row (values of a composite key separated by commas)")
    ] = None,
    at: Annotated[str | None, typer.Option(help="a cutoff such as 2013-05-01T12:00:00Z, instead of a row")] = None,
    most: Annotated[int, typer.Option(min=0, help="number of raw rows to show for each aggregation")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    home: HomeOption = None,
) -> None:
    """Explain a feature's value at one row: its inputs, and the raw rows that were included or excluded."""
    from headrace.cli.explain import explain_feature as explain

    explain(problem, feature, given or (), home, row=row, at=at, most=most, as_json=as_json)


@app.command()
def late(
    problem: ProblemArgument = "flights",
    since: Annotated[str | None, typer.Option(help="only rows that arrived at or after this instant")] = None,
    grace: Annotated[str | None, typer.Option(help="delay that does not count as late, such as 1h")] = None,
    out: Annotated[Path | None, typer.Option(help="new folder to write the changed rows to, as Parquet")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    home: HomeOption = None,
) -> None:
    """List the past training rows that late or corrected data would have changed, and by how much."""
    from headrace.cli.late import show_late

    show_late(problem, home, since=since, grace=grace, out=out, as_json=as_json)


@app.command()
def deploy(
    problems: Annotated[
        list[str] | None, typer.Argument(help="names of built-in problems, or paths of problem files")
    ] = None,
    without_schedules: Annotated[
        bool, typer.Option("--without-schedules", help="register without schedules: runs start by events or by hand")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Register the problems' flows and schedules on the running Prefect server."""
    from headrace.cli.flows import deploy_flows

    deploy_flows(problems or ["flights"], home, without_schedules=without_schedules)


@app.command()
def up(
    problem: ProblemArgument = "flights",
    home: HomeOption = None,
) -> None:
    """Start the Prefect server, MLflow, a worker with schedules, and the prediction API in the background."""
    from headrace.cli.services import up as start

    # A flow runs in a folder of its own: a problem's file is found from there only by its whole path.
    start(str(Path(problem).absolute()) if Path(problem).is_file() else problem, home)


@app.command()
def down(home: HomeOption = None) -> None:
    """Stop the services that `up` started."""
    from headrace.cli.services import down as stop

    stop(home)


@app.command()
def backup(
    file: Annotated[
        Path, typer.Argument(help="archive to write, such as backup.tar.gz; an existing file is not overwritten")
    ],
    without_caches: Annotated[
        bool, typer.Option("--without-caches", help="omit outputs of stages, which a run recomputes")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Write the state folder into one archive; services may keep running."""
    from headrace.cli.backup import back_up

    back_up(file, home, without_caches=without_caches)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="archive that `headrace backup` wrote")],
    home: HomeOption = None,
) -> None:
    """Create a state folder from a backup; a folder that is not empty is refused."""
    from headrace.cli.backup import restore_home

    restore_home(file, home)


@app.command()
def automl(
    train: Annotated[Path, typer.Argument(help="CSV or Parquet file of the rows to learn from")],
    target: Annotated[str, typer.Option(help="column to predict")],
    minutes: Annotated[float, typer.Option(min=0.05, help="time of the search")] = 5.0,
    test: Annotated[Path | None, typer.Option(help="CSV or Parquet file of rows to predict")] = None,
    out: Annotated[Path, typer.Option(help="new folder for report, leaderboard, model and predictions")] = Path(
        "automl"
    ),
    task: Annotated[str, typer.Option(help="classification, regression, or auto")] = "auto",
    metric: Annotated[str | None, typer.Option(help="metric to optimise, such as log_loss, f1, rmsle")] = None,
    quantiles: Annotated[str | None, typer.Option(help="levels to predict, such as 0.1,0.5,0.9")] = None,
    validation: Annotated[str, typer.Option(help="random, group, time, or auto")] = "auto",
    time: Annotated[str | None, typer.Option(help="column of times: validate on later rows")] = None,
    groups: Annotated[str | None, typer.Option(help="column of groups that are never divided")] = None,
    cost_tolerance: Annotated[
        float | None, typer.Option(help="cheapest ensemble within this share of the best, such as 0.01")
    ] = None,
    memory_gb: Annotated[float | None, typer.Option(help="memory limit of the workers")] = None,
    jobs: Annotated[int | None, typer.Option(help="worker processes (default: one a core)")] = None,
    seed: Annotated[int, typer.Option(help="random seed")] = 0,
    explain: Annotated[bool, typer.Option(help="compute Shapley values for the report")] = True,
) -> None:
    """Search a table for the best ensemble of models within a time limit; write report, model and predictions."""
    from headrace.cli.automl import Request, levels, run_automl

    parameters = {
        "metric": metric, "validation": validation, "time": time, "groups": groups, "quantiles": levels(quantiles),
        "cost_tolerance": cost_tolerance, "memory_gb": memory_gb, "n_jobs": jobs, "random_state": seed,
    }  # fmt: skip
    request = Request(
        train=train, target=target, out=out, test=test, task=task, minutes=minutes, explain=explain,
        parameters=parameters,
    )  # fmt: skip
    run_automl(request)


register(app)


def main() -> None:
    """Entry point: an expected error is one line on standard error and exit code 1 (130 after Ctrl-C)."""
    from headrace.core.entry import run_command

    run_command(app)
