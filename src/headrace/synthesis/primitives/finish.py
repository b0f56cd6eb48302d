"""Finish at read: compute features from stored values, the request's own columns and the clock.

The same function runs online, in scoring and in training. An entity without rows has no stored values online, so its
counts are null; a count of nothing is 0, so `finish` gives every aggregate its value for no rows here, once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, RowColumn, Transform
from headrace.synthesis.language.values import Ints, as_array, instants, numbers, texts, to_arrow
from headrace.synthesis.primitives.catalogue import aggregation, transform


def finish(
    definitions: Sequence[Definition],
    stored: Mapping[str, Any],
    row: Mapping[str, Any],
    ticks_us: Ints,
    cutoffs_us: Ints,
) -> pa.Table:
    """Compute the final values of definitions.

    Args:
        definitions: one column each.
        stored: slug -> values [n] of the Direct and Aggregate definitions, as Arrow, numpy or a list.
        row: column -> values [n] of the spine's row, likewise.
        ticks_us: int64 [n].
        cutoffs_us: int64 [n].

    Returns:
        One column per definition, named by slug: string for a category, float64 for the others, null = missing.

    Raises:
        DataError: a column is missing, or has another length.
    """
    n = len(ticks_us)
    if len(cutoffs_us) != n:
        raise DataError(f"{n} ticks but {len(cutoffs_us)} cutoffs", where="finish")
    finisher = _Finisher(stored, row, np.asarray(ticks_us, dtype=np.int64))
    return pa.table({definition.slug: finisher.arrow(definition) for definition in definitions})


#: Kinds that are Arrow strings.
_STRINGS = ("categorical", "text")


def _empty(definition: Definition) -> float | None:
    return aggregation(definition.primitive).empty if isinstance(definition, Aggregate) else None


class _Finisher:
    """Evaluates definitions; each input once."""

    def __init__(self, stored: Mapping[str, Any], row: Mapping[str, Any], ticks_us: Ints) -> None:
        self._stored = stored
        self._row = row
        self._ticks_us = ticks_us
        self._values: dict[Definition, Any] = {}

    def arrow(self, definition: Definition) -> pa.Array:
        if definition.kind in _STRINGS:
            return texts(self._value(definition))
        if isinstance(definition, Direct | Aggregate):
            values = self._input(definition)
            if values.type == pa.float64() and not pc.any(pc.is_nan(values)).as_py():
                empty = _empty(definition)  # as an engine returns it: no copy
                return values if empty is None else pc.fill_null(values, empty)
        return to_arrow(self._value(definition), definition.kind)

    def _value(self, definition: Definition) -> Any:
        if definition not in self._values:
            self._values[definition] = self._compute(definition)
        return self._values[definition]

    def _compute(self, definition: Definition) -> Any:
        """Values in numpy, or Arrow strings of a category or a text [n]."""
        if isinstance(definition, Transform):
            inputs = [self._value(item) for item in definition.inputs]
            return transform(definition.primitive).compute(inputs, self._ticks_us)
        column = self._input(definition)
        if definition.kind in _STRINGS:
            return texts(column)
        values = instants(column) if definition.kind == "time" else numbers(column)
        empty = _empty(definition)
        return values if empty is None else np.where(np.isnan(values), empty, values)

    def _input(self, definition: Definition) -> pa.Array:
        name, source, where = (
            (definition.column, self._row, "request")
            if isinstance(definition, RowColumn)
            else (definition.slug, self._stored, "stored features")
        )
        if name not in source:
            raise DataError(f"no {name!r}", where=where, found=sorted(source), fix=f"{definition.name} is made from it")
        values = as_array(source[name])
        if len(values) != len(self._ticks_us):
            raise DataError(f"{len(values)} values for {len(self._ticks_us)} rows", where=f"{where}: {name}")
        return pc.cast(values, pa.string()) if pa.types.is_dictionary(values.type) else values
