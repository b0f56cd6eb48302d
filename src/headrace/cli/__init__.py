"""The `headrace` command: its subcommands, options and help. A subcommand imports its code when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli import access_commands, audit_commands, production_commands, rollout_commands, service_commands
from headrace.cli.first_commands import register
from headrace.cli.parameters import HomeOption, JsonOption, ProblemArgument

if sys.platform == "win32":  # processes are forked and signalled, files locked and made private, as POSIX has it
    sys.exit("headrace: runs on Linux and macOS only. On Windows, install it inside WSL (wsl --install).")

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="From relational, time-stamped tables to a model in production that stays up to date.",
)


@app.command()
def run(
    problem: ProblemArgument = "flights",
    trials: Annotated[int | None, typer.Option(help="number of trials of the search")] = None,
    seed: Annotated[int | None, typer.Option(help="random seed of the search and the feature selection")] = None,
    max_memory: Annotated[str | None, typer.Option(help="memory limit of the process, such as 2GB")] = None,
    prefect: Annotated[
        bool, typer.Option("--prefect", help="run as a Prefect flow, visible in Prefect's pages")
    ] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Run every stage of the main job, from raw tables to a served model."""
    if prefect:
        from headrace.cli.flows import run_flow

        run_flow(problem, home, trials=trials, seed=seed, max_memory=max_memory, as_json=as_json)
    from headrace.cli.run import run_problem

    run_problem(problem, home, trials=trials, seed=seed, max_memory=max_memory, as_json=as_json)


@app.command()
def check(problem: ProblemArgument = "flights", as_json: JsonOption = False) -> None:
    """Check a problem's declaration and its sources; list every fault before anything runs."""
    from headrace.cli.check import check as check_and_print

    check_and_print(problem, as_json=as_json)


@app.command()
def status(
    problem: ProblemArgument = "flights",
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show the champion, the last run and the production clock."""
    from headrace.cli.status import show_status

    show_status(problem, home, as_json=as_json)


@app.command()
def evaluate(
    problem: Annotated[
        str, typer.Argument(help="built-in problem, path of a problem file, or folder of a RelBench dataset or task")
    ],
    task: Annotated[str | None, typer.Option(help="task of a RelBench folder")] = None,
    out: Annotated[Path | None, typer.Option(help="folder for predictions and report (default: in the home)")] = None,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="time for everything, search included")] = None,
    trials: Annotated[int | None, typer.Option(help="number of trials of the search")] = None,
    seed: Annotated[int | None, typer.Option(help="random seed of the search and the feature selection")] = None,
    max_rows: Annotated[int | None, typer.Option(min=100, help="number of training rows, drawn at random")] = None,
    max_memory: Annotated[str | None, typer.Option(help="memory limit of the process, such as 2GB")] = None,
    frozen_model: Annotated[
        bool,
        typer.Option("--frozen-model/--one-model", help="train a second model, on features as old as frozen ones"),
    ] = True,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Train before the declared test window and measure on it, with fresh and with frozen features."""
    from headrace.cli.evaluate import evaluate_problem

    evaluate_problem(
        problem if task is None else f"{problem}#{task}",
        home,
        out=out, minutes=minutes, trials=trials, seed=seed, max_rows=max_rows, max_memory=max_memory,
        frozen_model=frozen_model, as_json=as_json,
    )  # fmt: skip


@app.command()
def predict(
    problem: ProblemArgument,
    rows: Annotated[Path, typer.Argument(help="CSV or Parquet file of join keys and cutoffs")],
    out: Annotated[Path, typer.Option(help="file to write, .parquet or .csv")] = Path("predictions.parquet"),
    version: Annotated[str | None, typer.Option(help="model version (default: the champion)")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Predict any rows at their own cutoffs, labelled or not."""
    from headrace.cli.predict import predict_file

    predict_file(problem, rows, home, out=out, version=version, as_json=as_json)


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
    as_json: JsonOption = False,
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
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the past training rows that late or corrected data would have changed, and by how much."""
    from headrace.cli.late import show_late

    show_late(problem, home, since=since, grace=grace, out=out, as_json=as_json)


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
        float | None, typer.Option(help="cheapest ensemble that is worse by at most this share, such as 0.01")
    ] = None,
    families: Annotated[
        str | None, typer.Option(help="model families, such as catboost,lightgbm,mlp (networks need headrace[neural])")
    ] = None,
    memory_gb: Annotated[float | None, typer.Option(help="memory limit of the workers")] = None,
    jobs: Annotated[int | None, typer.Option(help="worker processes (default: one a core)")] = None,
    seed: Annotated[int, typer.Option(help="random seed")] = 0,
    explain: Annotated[bool, typer.Option(help="compute Shapley values for the report")] = True,
    mlflow: Annotated[bool, typer.Option(help="log the run to MLflow")] = True,
    register: Annotated[str | None, typer.Option(help="register the model in MLflow under this name")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Search a table for the best ensemble of models within a time limit; write report, model and predictions."""
    from headrace.cli.automl import Request, levels, names, run_automl

    parameters = {
        "metric": metric, "validation": validation, "time": time, "groups": groups, "quantiles": levels(quantiles),
        "cost_tolerance": cost_tolerance, "families": names(families), "memory_gb": memory_gb, "n_jobs": jobs,
        "random_state": seed,
    }  # fmt: skip
    request = Request(
        train=train, target=target, out=out, test=test, task=task, minutes=minutes, explain=explain,
        parameters=parameters, mlflow=mlflow, register=register, home=home,
    )  # fmt: skip
    run_automl(request, as_json=as_json)


production_commands.register(app)
rollout_commands.register(app)
audit_commands.register(app)
service_commands.register(app)
access_commands.register(app)
register(app)


def main() -> None:
    """Entry point: an expected error is one line on standard error and exit code 1 (130 after Ctrl-C)."""
    from headrace.core.entry import run_command

    run_command(app)
