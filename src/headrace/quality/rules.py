"""Declare the rules of batches and training sets: a Great Expectations expectation and the message of its failure.

Rules are plain values; this module does not import Great Expectations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headrace.lake.conform import ARRIVAL
from headrace.schema import Problem, Table

LABEL = "label"
#: Derived columns of the training set: whether a label is a number where it is not null; the same of a feature.
LABEL_IS_NUMBER = "label_is_a_number"
MIN_ROWS = 50
MAX_NULL_LABELS = 0.5


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule.

    Attributes:
        expectation: Class in great_expectations.expectations.
        arguments: Its arguments.
        reason: Message where it fails.
    """

    expectation: str
    arguments: Mapping[str, Any]
    reason: str

    @property
    def column(self) -> str:
        """The column or columns of the rule; empty for a rule of the whole table."""
        single, several = self.arguments.get("column"), self.arguments.get("column_list")
        return str(single) if single is not None else ", ".join(several or ())


def table_rules(table: Table, columns: Sequence[str]) -> tuple[Rule, ...]:
    """Return the rules of a batch of a table, for the columns that it has."""
    keys = (*table.keys, ARRIVAL) if ARRIVAL in columns else table.keys
    rules = [
        Rule(expectation="ExpectTableRowCountToBeBetween", arguments={"min_value": 1}, reason="the batch has no rows"),
        *(_not_null(key, f"rows without their key {key!r}") for key in keys),
        _unique(keys),
    ]
    time = table.row_known.column if table.row_known is not None else None
    for column in dict.fromkeys(name for name in (table.time, time) if name is not None and name not in table.keys):
        rules.append(_not_null(column, f"rows without their time {column!r}"))
    for column, (low, high) in table.bounds.items():
        if column in columns:
            rules.append(_between(column, low, high))
    for column, role in table.roles.items():
        if role == "boolean" and column in columns:
            rules.append(_in_set(column, (True, False), f"{column!r} holds something else than true and false"))
    return tuple(rules)


def training_rules(problem: Problem, schema: pa.Schema) -> tuple[Rule, ...]:
    """Return the rules of a training set: of features, `label`, and the columns that `frames.training_frame` adds."""
    rules = [
        Rule(
            expectation="ExpectTableRowCountToBeBetween",
            arguments={"min_value": MIN_ROWS},
            reason=f"fewer than {MIN_ROWS} rows to train on",
        ),
        Rule(
            expectation="ExpectColumnValuesToNotBeNull",
            arguments={"column": LABEL, "mostly": MAX_NULL_LABELS},
            reason=f"more than {MAX_NULL_LABELS:.0%} of the labels are missing",
        ),
        _in_set(LABEL_IS_NUMBER, (True,), "labels that are NaN or infinite: correct the label's column"),
    ]
    if problem.label_expression.binary:
        rules.append(_in_set(LABEL, (0.0, 1.0), "labels other than 0 and 1"))
        rules.append(
            Rule(
                expectation="ExpectColumnDistinctValuesToContainSet",
                arguments={"column": LABEL, "value_set": [0.0, 1.0]},
                reason=f"the label {problem.label!r} has one class only: there is nothing to tell apart",
            )
        )
    else:
        rules.append(
            Rule(
                expectation="ExpectColumnUniqueValueCountToBeBetween",
                arguments={"column": LABEL, "min_value": 2},
                reason=f"the label {problem.label!r} is the same in every row",
            )
        )
    for field in schema:
        if field.name != LABEL:
            rules += _feature_rules(field)
    return tuple(rules)


def _feature_rules(field: pa.Field) -> list[Rule]:
    has_values = Rule(
        expectation="ExpectColumnProportionOfNonNullValuesToBeBetween",
        arguments={"column": field.name, "min_value": 0.0, "strict_min": True},
        reason=f"the feature {field.name!r} has no value at all",
    )
    if not pa.types.is_floating(field.type):
        return [has_values]
    limit = 1.797e308  # an infinite value is the only one beyond
    return [has_values, _between(field.name, -limit, limit, f"the feature {field.name!r} has infinite values")]


def _not_null(column: str, reason: str) -> Rule:
    return Rule(expectation="ExpectColumnValuesToNotBeNull", arguments={"column": column}, reason=reason)


def _unique(keys: Sequence[str]) -> Rule:
    reason = f"duplicate keys ({', '.join(keys)})"
    if len(keys) == 1:
        return Rule(expectation="ExpectColumnValuesToBeUnique", arguments={"column": keys[0]}, reason=reason)
    return Rule(expectation="ExpectCompoundColumnsToBeUnique", arguments={"column_list": list(keys)}, reason=reason)


def _between(column: str, low: float | None, high: float | None, reason: str = "") -> Rule:
    return Rule(
        expectation="ExpectColumnValuesToBeBetween",
        arguments={"column": column, "min_value": low, "max_value": high},
        reason=reason or f"{column!r} is out of its bounds [{_bound(low)}, {_bound(high)}]",
    )


def _in_set(column: str, values: Sequence[Any], reason: str) -> Rule:
    return Rule(
        expectation="ExpectColumnValuesToBeInSet",
        arguments={"column": column, "value_set": list(values)},
        reason=reason,
    )


def _bound(value: float | None) -> str:
    return "no limit" if value is None else f"{value:g}"
