"""The commands of the first hour: `init`, `list`, `features`, and `--version`; and an example in every help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.parameters import HomeOption, JsonOption, ProblemArgument
from headrace.cli.serve import serve

#: Command -> examples, shown at the end of its help.
EXAMPLES = {
    "init": "headrace init data/ --target orders.refunded",
    "run": "headrace run shop.py --trials 40",
    "evaluate": "headrace evaluate shop.py --minutes 10",
    "predict": "headrace predict shop.py rows.parquet --out predictions.parquet",
    "check": "headrace check shop.py",
    "list": "headrace list",
    "features": "headrace features shop.py --all",
    "status": "headrace status shop.py --json",
    "promote": 'headrace promote shop.py 2 --reason "newer data"',
    "rollback": "headrace rollback shop.py",
    "advance": "headrace advance flights --steps 7",
    "monitor": "headrace monitor shop.py",
    "shadow": "headrace shadow shop.py",
    "retrain": "headrace retrain shop.py --reselect",
    "explain-feature": "headrace explain-feature shop.py amount --row 17",
    "audit-skew": "headrace audit-skew shop.py --since 2024-03-01",
    "backfill": "headrace backfill shop.py --from 2024-03-01 --every 1d",
    "certify": "headrace certify shop.py 2",
    "trace": "headrace trace shop.py 3f2a9c",
    "late": "headrace late shop.py --since 2024-03-01",
    "deploy": "headrace deploy shop.py",
    "policy explain": "headrace policy explain shop.py",
    "alerts ack": 'headrace alerts ack shop.py 3f2a --note "the feed is being repaired"',
    "alerts show": "headrace alerts shop.py --retry",
    "keys create": "headrace keys create web-shop --scopes predict,explain --expires 90d",
    "keys list": "headrace keys list",
    "keys rotate": "headrace keys rotate web-shop --overlap 24h",
    "keys revoke": "headrace keys revoke web-shop",
    "keys signing": "headrace keys signing secrets",
    "audit-log verify": "headrace audit-log verify",
    "up": "headrace up shop.py",
    "down": "headrace down",
    "backup": "headrace backup backup.tar.gz",
    "restore": "headrace restore backup.tar.gz --home .headrace",
    "import-database": "headrace import-database --home .headrace",
    "retention": "headrace retention flights --predictions 180d --dry-run",
    "replay": "headrace replay flights",
    "automl": "headrace automl train.csv --target price --minutes 10",
    "serve": "headrace serve automl",
}


def register(app: typer.Typer) -> None:
    """Add the commands and the option to an application, and examples to the help of all its commands."""
    app.command(name="init")(init)
    app.command(name="serve")(serve)
    app.command(name="list")(list_known)
    app.command(name="features")(features)
    app.callback()(options)
    _add_examples(app)


def _add_examples(app: typer.Typer, *before: str) -> None:
    """Add an example to the help of every command, those of groups (`alerts ack`) included."""
    for command in app.registered_commands:
        name = " ".join((*before, command.name or (command.callback.__name__ if command.callback else "")))
        if command.epilog is None:
            command.epilog = f"Example: {EXAMPLES.get(name, f'headrace {name}')}"
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _add_examples(group.typer_instance, *before, str(group.name or group.typer_instance.info.name))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"headrace {version('headrace')}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """From relational, time-stamped tables to a model in production that stays up to date."""


def init(
    location: Annotated[
        str, typer.Argument(help="folder of CSV or Parquet files, one file, or a database (sqlite:///shop.db)")
    ],
    target: Annotated[
        str | None, typer.Option(help="what to predict: table.column, or a condition such as 'orders.refunded > 0'")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="problem file to write (default: NAME.py in this folder)")] = None,
    name: Annotated[str | None, typer.Option(help="name of the problem (default: from the location)")] = None,
    tz: Annotated[str | None, typer.Option(help="zone of times without one, such as Europe/Zurich")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="ask nothing: the likeliest target, and UTC")] = False,
    force: Annotated[bool, typer.Option("--force", help="overwrite an existing problem file")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at data and write a problem file that `headrace check` passes: keys, relationships, times, a label."""
    from headrace.cli.init import initialise

    initialise(location, target=target, out=out, name=name, tz=tz, yes=yes, force=force, as_json=as_json)


def list_known(
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List the built-in problems and those with data in the state folder."""
    from headrace.cli.listing import list_problems

    list_problems(home, as_json=as_json)


def features(
    problem: ProblemArgument = "flights",
    everything: Annotated[bool, typer.Option("--all", help="list all features, the omitted ones with reasons")] = False,
    as_json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """Show the features of the last selection: the ones that are kept, and why the others are not."""
    from headrace.cli.features import show_features

    show_features(problem, home, everything=everything, as_json=as_json)
