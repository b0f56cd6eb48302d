"""`headrace certify`: check a model version and write its certificate."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.audit.certificate import Certificate
from headrace.pipeline.production.certificate import make_certificate

#: Exit code of a certificate that does not pass.
FAILED = 4


def certify_version(reference: str, version: str, home: Path | None, *, as_json: bool) -> None:
    """Print the certificate, or its JSON; exit with code 4 where it does not pass."""
    made = make_certificate(context_of(reference, home), version)
    if as_json:
        print_json({**made.certificate.to_json(), "files": [made.json, made.html]})
    else:
        _show(made.certificate)
        print(f"certificate: {made.html}")
    if not made.certificate.passed:
        sys.exit(FAILED)


def _show(certificate: Certificate) -> None:
    console = Console(highlight=False)
    verdict = "passed" if certificate.passed else f"failed: {certificate.reason}"
    console.print(f"{certificate.problem}, version {certificate.version}: {verdict}", soft_wrap=True)
    table = Table("check", "result", "values", "differ")
    for item in certificate.checks:
        table.add_row(item.name, item.outcome, f"{item.values:,}", f"{item.different:,}")
    console.print(table)
    if certificate.late is not None:
        late = certificate.late
        console.print(f"late data: {late.changed:,} of {late.rows:,} training rows would have another feature")
    console.print(f"training rows: {certificate.ticks.rows:,} at {certificate.ticks.distinct:,} different ticks")
