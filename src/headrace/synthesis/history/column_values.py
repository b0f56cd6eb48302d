"""Values of one definition, one per entry, step or query: numbers, codes of categories, or instants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
class Held:
    """Values [n]. One of number (NaN missing), code (-1 missing; names: sorted categories), instant (NEVER missing)."""

    number: Floats | None = None
    code: Ints | None = None
    instant: Ints | None = None
    names: pa.Array | None = None

    @classmethod
    def of(cls, values: Any, kind: str = "") -> Held:
        """From an Arrow array, by its type, and its kind where int64 may be an instant."""
        if kind == "time":
            return cls(instant=instants(values))
        if is_text(values.type):
            code, names = categories(values)
            return cls(code=code, names=names)
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            return cls(instant=instants(values))
        return cls(number=numbers(values))

    @classmethod
    def joined(cls, parts: Sequence[Held]) -> Held:
        """One after the other. Categories of each part have names of their own."""
        if len(parts) == 1:
            return parts[0]
        if parts[0].code is not None:
            return cls.of(pa.concat_arrays([part.arrow("categorical") for part in parts]))
        if parts[0].instant is not None:
            return cls(instant=np.concatenate([part.instant for part in parts if part.instant is not None]))
        return cls(number=np.concatenate([part.number for part in parts if part.number is not None]))

    def take(self, at: Ints) -> Held:
        """Values at some places, missing where a place is negative."""

        def some(values: npt.NDArray[Any] | None, missing: Any) -> Any:
            if values is None:
                return None
            if not len(values):
                return np.full(len(at), missing, dtype=values.dtype)
            return np.where(at >= 0, values[np.maximum(at, 0)], missing) if (at < 0).any() else values[at]

        return Held(
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
        found = self.code if self.code is not None else self.instant
        if found is None:
            raise TypeError("no values")
        return found

    def entries(self, key: Ints, anchor: Ints) -> Entries:
        """As entries of a window."""
        return Entries(
            key=key,
            anchor=anchor,
            number=self.number,
            code=self.code,
            instant=self.instant,
            categories=0 if self.names is None else len(self.names),
        )

    def arrow(self, kind: str) -> pa.Array:
        """The Arrow form of a kind (see `values`)."""
        if self.code is not None:
            names = self.names if self.names is not None and len(self.names) else pa.nulls(1, pa.string())
            return names.take(pa.array(np.maximum(self.code, 0), mask=self.code < 0)).cast(pa.string())
        return to_arrow(self.number if self.number is not None else self.instant, kind)

    def holds(self, condition: Condition) -> Flags:
        """Where a condition holds [n]; nowhere that a value is missing."""
        compare = OPERATORS[condition.operator]
        if self.code is not None:
            listed = [] if self.names is None else self.names.to_pylist()
            truth = np.array([bool(compare(name, condition.value)) for name in listed] + [False])
            return np.asarray(truth[self.code])
        values = self.number if self.number is not None else self.instant
        missing = np.isnan(self.number) if self.number is not None else values == NEVER
        return np.asarray(compare(values, condition.value) & ~missing)
