"""Values of a column or a definition in numpy, one per row, step or query: numbers, category codes, or instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.core.clock import NEVER
from headrace.schema.expressions import OPERATORS
from headrace.synthesis.language.columns import is_text
from headrace.synthesis.language.definitions import Condition
from headrace.synthesis.language.values import Flags, Floats, Ints, categories, instants, numbers, to_arrow
from headrace.synthesis.primitives.entries import Entries


@dataclass(frozen=True, kw_only=True)
class ColumnValues:
    """Values [n] of a column or a definition; exactly one of number, code and instant is given.

    Attributes:
        number: numbers and truth values, NaN missing.
        code: positions in `names`, -1 missing.
        instant: int64 us, NEVER missing.
        names: the categories, sorted.
    """

    number: Floats | None = None
    code: Ints | None = None
    instant: Ints | None = None
    names: pa.Array | None = None

    @classmethod
    def of(cls, values: Any, kind: str = "") -> ColumnValues:
        """Values of an Arrow array, by its type; kind "time" tells that int64 are instants."""
        if kind == "time":
            return cls(instant=instants(values))
        if is_text(values.type):
            code, names = categories(values)
            return cls(code=code, names=names)
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            return cls(instant=instants(values))
        return cls(number=numbers(values))

    @classmethod
    def concatenate(cls, parts: Sequence[ColumnValues]) -> ColumnValues:
        """The values of several parts, one after the other; the categories of each part may differ."""
        if len(parts) == 1:
            return parts[0]
        if parts[0].code is not None:
            return cls.of(pa.concat_arrays([part.arrow("categorical") for part in parts]))
        if parts[0].instant is not None:
            return cls(instant=np.concatenate([part.instant for part in parts if part.instant is not None]))
        return cls(number=np.concatenate([part.number for part in parts if part.number is not None]))

    def take(self, at: Ints) -> ColumnValues:
        """Values at some positions [m], missing where a position is negative."""

        def some(values: npt.NDArray[Any] | None, missing: Any) -> Any:
            if values is None:
                return None
            if not len(values):
                return np.full(len(at), missing, dtype=values.dtype)
            return np.where(at >= 0, values[np.maximum(at, 0)], missing) if (at < 0).any() else values[at]

        return ColumnValues(
            number=some(self.number, np.nan),
            code=some(self.code, -1),
            instant=some(self.instant, NEVER),
            names=self.names,
        )

    @property
    def identity(self) -> Ints:
        """int64 [n], equal exactly where two values are (missing equals missing)."""
        if self.number is not None:
            return np.where(np.isnan(self.number), np.nan, self.number + 0.0).view(np.int64)
        values = self.code if self.code is not None else self.instant
        if values is None:
            raise TypeError("no values")
        return values

    @property
    def is_missing(self) -> Flags:
        """Where there is no value [n]."""
        if self.number is not None:
            return np.asarray(np.isnan(self.number))
        return np.asarray(self.code < 0 if self.code is not None else self.instant == NEVER)

    def replace_at(self, at: Ints, others: ColumnValues) -> ColumnValues:
        """These values, with those at some positions [m] replaced by others [m] of the same categories."""
        result = replace(self)
        for name in ("number", "code", "instant"):
            values = getattr(self, name)
            if values is not None:
                values = values.copy()
                values[at] = getattr(others, name)
                result = replace(result, **{name: values})
        return result

    def entries(self, key: Ints, anchor: Ints) -> Entries:
        """The values as entries under keys [n], counted from instants [n]."""
        return Entries(
            key=key,
            anchor=anchor,
            number=self.number,
            code=self.code,
            instant=self.instant,
            categories=0 if self.names is None else len(self.names),
        )

    def arrow(self, kind: str) -> pa.Array:
        """The values as an Arrow array of a kind (see `language.values`)."""
        if self.code is not None:
            names = self.names if self.names is not None and len(self.names) else pa.nulls(1, pa.string())
            return names.take(pa.array(np.maximum(self.code, 0), mask=self.code < 0)).cast(pa.string())
        return to_arrow(self.number if self.number is not None else self.instant, kind)

    def meets(self, condition: Condition) -> Flags:
        """Where the values meet a condition [n]; a missing value never does."""
        compare = OPERATORS[condition.operator]
        if self.code is not None:
            listed = [] if self.names is None else self.names.to_pylist()
            truth = np.array([bool(compare(name, condition.value)) for name in listed] + [False])
            return np.asarray(truth[self.code])
        values = self.number if self.number is not None else self.instant
        return np.asarray(compare(values, condition.value) & ~self.is_missing)
