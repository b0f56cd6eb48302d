"""Turn a target, a column or a condition, into a label; find columns that already tell its value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DeclarationError
from headrace.proposal.reading import RawTable
from headrace.schema.expressions import LabelExpression

_TARGET_NAME = re.compile(
    r"target|label|churn|^is_|return|refund|late|delay|default|fraud|outcome|cancel|status|^y$", re.I
)
#: Correlation with the label from which a column is taken to leak it.
_LEAK_CORRELATION = 0.98
#: Fewest rows without a label, and the share of them in which a column that comes with the label is missing, too.
_FEWEST_MISSING, _MISSING_TOGETHER = 20, 0.5
_MOST_CLASSES = 50


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is predicted.

    Attributes:
        table: Table of the column.
        column: The column.
        label: Text of the label.
        metric: The metric to go by.
        note: Why the label is written so; empty where the user wrote it.
    """

    table: str
    column: str
    label: str
    metric: str
    note: str = ""


def candidates(tables: Sequence[RawTable], timed: Sequence[str]) -> list[str]:
    """Columns that may be meant as target, as table.column, the likeliest first."""
    found = [
        (not _TARGET_NAME.search(name), -table.rows.num_rows, f"{table.name}.{name}")
        for table in tables
        if table.name in timed
        for name in table.rows.column_names
        if name.isidentifier() and _is_measure(table.rows[name])
    ]
    return [name for _, _, name in sorted(found)]


def _is_measure(column: pa.ChunkedArray) -> bool:
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    distinct = len(pc.unique(column.drop_null()))
    return distinct == 2 or (bool(number) and 2 <= distinct < 0.95 * max(len(column), 1))


def read_target(
    text: str, tables: Sequence[RawTable], timed: Sequence[str], taken: Mapping[str, Sequence[str | None]]
) -> Target:
    """Read `table.column`, `column` or a condition such as `orders.refunded > 0`.

    Args:
        text: The target as written.
        tables: The tables.
        timed: Names of those with an event time.
        taken: Table -> its key columns and time, which cannot be predicted.

    Raises:
        DeclarationError: There is no such column, it is a key or time, or its table has no time.
    """
    place, condition = _split(text)
    table, column = _find(place, tables, timed)
    if table.name not in timed:
        raise DeclarationError(
            f"{table.name} has no column that tells when its rows happened",
            where=f"target {text!r}",
            found=candidates(tables, timed)[:10],
            fix="choose a target of a table with times",
        )
    if column in taken[table.name]:
        fix = f"choose another column of {table.name}"
        raise DeclarationError(f"{column} identifies or times its row", where=f"target {text!r}", fix=fix)
    if condition:
        label = f"{column} {condition}"
        LabelExpression.parse(label)
        return Target(table=table.name, column=column, label=label, metric="auc")
    return _of_values(table, column)


def _split(text: str) -> tuple[str, str]:
    match = re.match(r"^\s*([\w.]+)\s*((?:>=|<=|==|!=|>|<).*)?$", text)
    if match is None:
        fix = "write table.column, or a condition as in 'orders.refunded > 0'"
        raise DeclarationError(f"{text!r} is not a target", fix=fix)
    return match.group(1), (match.group(2) or "").strip()


def _find(place: str, tables: Sequence[RawTable], timed: Sequence[str]) -> tuple[RawTable, str]:
    name, _, column = place.rpartition(".")
    fits = [table for table in tables if name in ("", table.name) and column in table.rows.column_names]
    fits = sorted(fits, key=lambda table: (table.name not in timed, -table.rows.num_rows))
    if not fits or not column.isidentifier():
        known = [f"{table.name}.{item}" for table in tables for item in table.rows.column_names]
        close = difflib.get_close_matches(place, known, n=5, cutoff=0.4)
        raise DeclarationError(f"no column {place!r} to predict", found=close or known, fix="name table.column")
    return fits[0], column


def _of_values(table: RawTable, column: str) -> Target:
    values = table.rows[column]
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    counts = pc.value_counts(values.drop_null()).to_pylist()
    counts.sort(key=lambda item: (-item["counts"], str(item["values"])))
    made = {"table": table.name, "column": column, "metric": "auc"}
    if pa.types.is_boolean(kind):
        return Target(**made, label=f"{column} == true")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        distinct = sorted(item["values"] for item in counts)
        if len(distinct) == 2:
            return Target(**made, label=f"{column} == {distinct[1]:g}", note="it has two values")
        note = "a number; a condition such as '>= 15' predicts a probability instead"
        return Target(table=table.name, column=column, label=column, metric="rmse", note=note)
    if len(counts) < 2 or len(counts) > _MOST_CLASSES:
        raise DeclarationError(
            f"{table.name}.{column} has {len(counts)} different texts",
            fix=f"write a condition, as in --target \"{table.name}.{column} == 'x'\"",
        )
    rarer = counts[1]["values"]
    note = f"its values are {', '.join(str(item['values']) for item in counts[:6])}; one of them is predicted"
    return Target(**made, label=f"{column} == {str(rarer)!r}", note=note)


def leaking_columns(table: RawTable, target: Target) -> dict[str, str]:
    """Find the columns of the target's table that would leak the label: they are known no earlier than it.

    Returns:
        Column -> why: its value in the row almost determines the label, or it is missing where the label is missing.
    """
    rows = table.rows
    label, absent = _label_values(rows, target), _missing(rows[target.column])
    found = {}
    for name in rows.column_names:
        if name == target.column or not name.isidentifier():
            continue
        if label is not None and _determines(rows[name], label, target):
            found[name] = "almost determines the label"
        elif _comes_with(_missing(rows[name]), absent):
            found[name] = "is missing where the label is"
    return found


def _missing(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_null(column, nan_is_null=True).to_numpy(), dtype=bool)


def _comes_with(missing: np.ndarray, label_missing: np.ndarray) -> bool:
    """Whether a column has no value mostly in the rows whose label never came, and almost always one elsewhere."""
    if label_missing.sum() < _FEWEST_MISSING or label_missing.all():
        return False
    without, elsewhere = missing[label_missing].mean(), missing[~label_missing].mean()
    return bool(without >= _MISSING_TOGETHER and elsewhere <= without / 10)


def _label_values(rows: pa.Table, target: Target) -> np.ndarray | None:
    column = rows[target.column]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if not pa.types.is_string(column.type):
        return None
    expression = LabelExpression.parse(target.label)
    return np.asarray(pc.equal(column, str(expression.value)).cast(pa.int8()).cast(pa.float64()).to_numpy())


def _determines(column: pa.ChunkedArray, label: np.ndarray, target: Target) -> bool:
    kind = column.type
    if pa.types.is_boolean(kind):
        column, kind = column.cast(pa.int8()), pa.int8()
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return False
    values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    both = np.isfinite(values) & np.isfinite(label)
    if both.sum() < 20 or np.ptp(values[both]) == 0 or np.ptp(label[both]) == 0:
        return False
    return bool(abs(np.corrcoef(values[both], label[both])[0, 1]) >= _LEAK_CORRELATION)
