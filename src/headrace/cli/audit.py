"""`headrace audit-skew`: compare the features of logged predictions with features recomputed from raw history."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.audit.skew import SkewReport
from headrace.cli.parameters import parse_instant
from headrace.cli.tree import json_text, tree_of, value_text
from headrace.pipeline.operations.skew import audit

#: Exit code of an audit that found a difference, or could compare nothing.
DIFFERENT = 4


def audit_problem(
    reference: str,
    home: Path | None,
    *,
    since: str | None,
    until: str | None,
    version: str | None,
    details: int,
    most: int,
    as_json: bool,
) -> None:
    """Print the report, or its JSON; exit with code 4 where a value differs or nothing could be compared."""
    context = context_of(reference, home)
    limits = (parse_instant(since, "--since"), parse_instant(until, "--until"))
    report = audit(context, limits, version=version, details=details, most=most)
    if as_json:
        print(json.dumps(report.to_json(), indent=2, default=json_text))
    else:
        _show(report)
    if not report.clean:
        sys.exit(DIFFERENT)


def _show(report: SkewReport) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{report.problem}: {report.values:,} values of {report.predictions:,} predictions compared with the history, "
        f"{report.different:,} differ"
    )
    for reason, count in report.unchecked.items():
        console.print(f"not compared: {count:,} predictions: {reason}")
    if report.features:
        table = Table("feature", "values that differ")
        for name, count in report.features.items():
            table.add_row(name, f"{count:,}")
        console.print(table, soft_wrap=False)
    for item in report.differences:
        key = ", ".join(f"{name}={value}" for name, value in item.entity.items())
        ticks = ", ".join(dict.fromkeys(item.ticks.values()))
        console.print(
            f"prediction {item.prediction} of version {item.version} at {item.cutoff}: {key}: {item.feature} "
            f"(tick {ticks}): served {_exact(item.served)}, recomputed {_exact(item.recomputed)}"
        )
        if item.tree is not None:
            console.print(tree_of(item.tree), soft_wrap=False)
    if report.different > len(report.differences):
        console.print(f"and {report.different - len(report.differences):,} more: --details shows them")


def _exact(value: float | str | None) -> str:
    """Return a value with all its digits."""
    return repr(value) if isinstance(value, float) else value_text(value)
