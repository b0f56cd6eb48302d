"""`headrace check`: every fault of a problem that can be known before anything runs, each in one line."""

from __future__ import annotations

import sys

from headrace.app.output import print_json
from headrace.pipeline.operations.check import CheckReport, check_problem


def check(reference: str, *, as_json: bool = False) -> None:
    """Print faults, warnings and candidates of a problem; exit code 1 where there is a fault."""
    report = check_problem(reference)
    if as_json:
        print_json(report)
    else:
        show_check(report)
    if report.faults:
        sys.exit(1)


def show_check(report: CheckReport) -> None:
    """Print faults, or tables, warnings and the candidates."""
    for fault in report.faults:
        print(f"fault: {fault}")
    for name, size in report.tables.items():
        print(f"{name}: {size['rows']} rows, {size['columns']} columns")
    for warning in report.warnings:
        print(f"warning: {warning}")
    if not report.faults:
        print(f"{report.problem}: nothing wrong; {report.summary}")
