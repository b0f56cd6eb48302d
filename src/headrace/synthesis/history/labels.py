"""Label values of rows: whether the declared condition holds, or the column's own number."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.schema.expressions import OPERATORS, LabelExpression
from headrace.synthesis.language.values import Floats, as_array


def label_values(problem: Problem, rows: pa.Table) -> Floats:
    """float64 [n]: 1 and 0 for a condition, the number itself for regression; NaN where the column is null.

    Raises DataError for an unknown column, a NaN or infinite number, or a value that cannot be compared.
    """
    expression = problem.label_expression
    assert isinstance(expression, LabelExpression)  # one with a horizon is no column: see `horizon_labels`
    where = f"{problem.spine.table}.{expression.column}"
    if expression.column not in rows.column_names:
        raise DataError(f"no label column {expression.column!r}", where=problem.spine.table, found=rows.column_names)
    column = as_array(rows[expression.column])
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    null = pc.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        odd = ~np.isfinite(column.to_numpy(zero_copy_only=False)) & ~null
        if odd.any():
            raise DataError(
                f"{int(odd.sum())} label values are NaN or infinite",
                where=where,
                fix="leave a label that is not known empty (null), and mend the others",
            )
    if expression.binary:
        return np.where(null, np.nan, _holds(column, expression.operator, expression.value, where))
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise DataError(
            f"a label of type {column.type} is not a number",
            where=where,
            fix="write a condition, as in 'state == \"x\"'",
        )
    column = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    return np.array(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def require_two_values(problem: Problem, known: Floats) -> None:
    """Raise DataError unless a model can be trained on labels [n]: there are some, of both classes for a condition."""
    if not len(known):
        raise DataError(
            "no row has a mature label", where=problem.name, fix="load more history, or check the label's known time"
        )
    classes = np.unique(known)
    if problem.label_expression.binary and len(classes) < 2:
        raise DataError(
            f"the label `{problem.label}` has one class only",
            where=problem.name,
            found=[float(value) for value in classes],
            fix="check the threshold, or load rows of the other class",
        )


def _holds(column: pa.Array, operator: str, value: object, where: str) -> Floats:
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if text != isinstance(value, str) or pa.types.is_temporal(column.type):
        raise DataError(
            f"a column of type {column.type} cannot be compared with {value!r}",
            where=where,
            fix="quote the value of a text column, and only of a text column",
        )
    values = column.to_numpy(zero_copy_only=False)
    if text:
        return np.array([item is not None and OPERATORS[operator](item, value) for item in values], dtype=np.float64)
    numeric = np.asarray([0 if item is None else item for item in values] if values.dtype == object else values)
    return np.asarray(OPERATORS[operator](numeric, value), dtype=np.float64)
