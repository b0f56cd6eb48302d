"""The commands that check production after the fact: `audit-skew`, `trace`, `certify`, `backfill`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.parameters import HomeOption, JsonOption, ProblemArgument

_RawRows = Annotated[int, typer.Option(min=0, help="number of raw rows to show for each aggregation")]


def register(app: typer.Typer) -> None:
    """Add the commands to an application."""
    app.command(name="audit-skew")(audit_skew)
    app.command()(trace)
    app.command()(certify)
    app.command()(backfill)


def audit_skew(
    problem: ProblemArgument = "flights",
    since: Annotated[str | None, typer.Option(help="only predictions made at or after this instant")] = None,
    until: Annotated[str | None, typer.Option(help="only predictions made before this instant")] = None,
    version: Annotated[str | None, typer.Option(help="only predictions of this model version")] = None,
    details: Annotated[int, typer.Option(min=0, help="number of differences to show with their raw rows")] = 20,
    most: _RawRows = 10,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Compare the features of logged predictions with features recomputed from raw history, bit for bit."""
    from headrace.cli.audit import audit_problem

    audit_problem(problem, home, since=since, until=until, version=version, details=details, most=most, as_json=as_json)


def trace(
    problem: ProblemArgument,
    prediction: Annotated[str, typer.Argument(help="id of a prediction, or its first letters")],
    feature: Annotated[str | None, typer.Option(help="only this feature, by its name or column")] = None,
    unfolded: Annotated[int, typer.Option(min=0, help="number of features to show down to the raw rows")] = 3,
    most: _RawRows = 10,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Explain a prediction: its model version, every feature in words, and the raw rows behind them."""
    from headrace.cli.trace import trace_prediction

    trace_prediction(problem, prediction, home, feature=feature, unfolded=unfolded, most=most, as_json=as_json)


def certify(
    problem: ProblemArgument,
    version: Annotated[str, typer.Argument(help="number of a registered model version")],
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Check a model version, and write its certificate: one page, attached to the version in MLflow."""
    from headrace.cli.certify import certify_version

    certify_version(problem, version, home, as_json=as_json)


def backfill(
    problem: ProblemArgument,
    start: Annotated[str, typer.Option("--from", help="first instant, such as 2013-05-01")],
    until: Annotated[str | None, typer.Option("--to", help="end, exclusive (default: the production clock)")] = None,
    every: Annotated[str | None, typer.Option(help="time between two instants, such as 1d (default: one tick)")] = None,
    out: Annotated[Path | None, typer.Option(help="folder (default: backfill/PROBLEM in the state folder)")] = None,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Write the history of the published features as Parquet rows; continue an interrupted backfill."""
    from headrace.cli.backfill import backfill_problem

    backfill_problem(problem, home, start=start, until=until, every=every, out=out, as_json=as_json)
