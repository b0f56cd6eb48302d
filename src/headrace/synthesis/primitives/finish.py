"""Finish at read: stored values, the request's own columns and the clock make the model's input.

The same function runs online, in scoring and in training. An entity that was never seen has no stored row online, and
its counts are null; a count of nothing is 0, so `finish` gives every primitive its value for "nothing" here, once.
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
    """One column per definition, named by slug: string for a category, float64 for the rest, null = missing.

    stored: slug -> values [n] of the Direct and Aggregate definitions; row: column -> values [n] of the spine's row;
    each Arrow, numpy or a list. ticks_us, cutoffs_us: int64 [n]. Raises DataError naming what is not there.
    """
    n = len(ticks_us)
    if len(cutoffs_us) != n:
        raise DataError(f"{n} ticks but {len(cutoffs_us)} cutoffs", where="finish")
    finisher = _Finisher(stored, row, np.asarray(ticks_us, dtype=np.int64))
    return pa.table({definition.slug: finisher.arrow(definition) for definition in definitions})


#: Kinds that are held as Arrow strings.
_WORDS = ("categorical", "text")


def _empty(definition: Definition) -> float | None:
    return aggregation(definition.primitive).empty if isinstance(definition, Aggregate) else None


class _Finisher:
    """Evaluates definitions, each input once."""

    def __init__(self, stored: Mapping[str, Any], row: Mapping[str, Any], ticks_us: Ints) -> None:
        self._stored = stored
        self._row = row
        self._ticks_us = ticks_us
        self._known: dict[Definition, Any] = {}

    def arrow(self, definition: Definition) -> pa.Array:
        if definition.kind in _WORDS:
            return texts(self._value(definition))
        if isinstance(definition, Direct | Aggregate):
            given = self._given(definition)
            if given.type == pa.float64() and not pc.any(pc.is_nan(given)).as_py():
                empty = _empty(definition)  # as the engine made it: no copy
                return given if empty is None else pc.fill_null(given, empty)
        return to_arrow(self._value(definition), definition.kind)

    def _value(self, definition: Definition) -> Any:
        if definition not in self._known:
            self._known[definition] = self._compute(definition)
        return self._known[definition]

    def _compute(self, definition: Definition) -> Any:
        """numpy, or Arrow strings of a category or a text."""
        if isinstance(definition, Transform):
            inputs = [self._value(item) for item in definition.inputs]
            return transform(definition.primitive).compute(inputs, self._ticks_us)
        given = self._given(definition)
        if definition.kind in _WORDS:
            return texts(given)
        values = instants(given) if definition.kind == "time" else numbers(given)
        empty = _empty(definition)
        return values if empty is None else np.where(np.isnan(values), empty, values)

    def _given(self, definition: Definition) -> pa.Array:
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
