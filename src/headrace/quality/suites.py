"""Build Great Expectations suites from rules. The library takes seconds to import and is imported on demand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from headrace.quality.rules import Rule, table_rules, training_rules
from headrace.schema import Problem, Table

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite


def suite_for(table: Table, columns: Sequence[str]) -> ExpectationSuite:
    """Return the suite of a batch of a table with these columns."""
    return suite(f"{table.name}_batch", table_rules(table, columns))


def training_suite(problem: Problem, schema: pa.Schema) -> ExpectationSuite:
    """Return the suite of a problem's training set, whose columns are the features and `label`."""
    return suite(f"{problem.name}_training", training_rules(problem, schema))


def suite(name: str, rules: Sequence[Rule]) -> ExpectationSuite:
    """Build a suite whose expectations have their rule's message as a note, for Data Docs."""
    import great_expectations.expectations as expectations
    from great_expectations import ExpectationSuite

    built: list[Any] = [
        getattr(expectations, rule.expectation)(**rule.arguments, meta={"rule": number}, notes=rule.reason)
        for number, rule in enumerate(rules)
    ]
    return ExpectationSuite(name=name, expectations=built)
