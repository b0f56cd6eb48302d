"""`headrace trace`: explain one prediction, from its id to the model version, its features and their raw rows."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.audit.trace import Trace, find_prediction, trace
from headrace.audit.versions import Versions
from headrace.cli.tree import json_text, tree_of, value_text
from headrace.lake.store import Lake
from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger


def trace_prediction(
    reference: str,
    prediction: str,
    home: Path | None,
    *,
    feature: str | None,
    unfolded: int,
    most: int,
    as_json: bool,
) -> None:
    """Print the trace of a prediction, or its JSON."""
    context = context_of(reference, home)
    name = context.problem.name
    with PredictionLog(context.root, name) as log:
        logged = find_prediction(log, prediction)
    found = trace(
        context.problem,
        logged,
        Versions(name, context.tracking_uri, context.root),
        Ledger(context.root, name).history(),
        Lake(context.root, name).snapshot(),
        feature=feature,
        unfolded=unfolded,
        most=most,
    )
    if as_json:
        print(json.dumps(found.to_json(), indent=2, default=json_text))
    else:
        _show(found)


def _show(found: Trace) -> None:
    console = Console(highlight=False, soft_wrap=True)
    keys = ", ".join(f"{name}={value_text(value)}" for name, value in found.join_keys.items())
    console.print(f"prediction {found.id}: {value_text(found.value)} for {keys}, cutoff {found.cutoff}")
    version = found.version
    since = f", champion since {version.champion_since}: {version.reason}" if version.champion_since else ""
    console.print(f"version {version.version} ({version.family}), trained until {version.trained_until}{since}")
    console.print(f"bundle sha256 {version.sha256}")
    for view, status in found.statuses.items():
        console.print(f"features of {view}: {status}, refreshed at {found.ticks.get(view, 'no tick')}")
    if found.note:
        console.print(f"not recomputed: {found.note}")
    table = Table("feature", "in words", "served", "contribution", "from history")
    for item in found.features:
        table.add_row(
            item.name,
            item.words,
            value_text(item.served),
            "" if item.contribution is None else f"{item.contribution:+.4f}",
            {True: "equal", False: f"DIFFERS: {item.recomputed!r}", None: ""}[item.same],
        )
    console.print(table, soft_wrap=False)
    for item in found.features:
        if item.tree is not None:
            console.print(tree_of(item.tree), soft_wrap=False)
