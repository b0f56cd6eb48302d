"""Some rows of a table as a table of their own, so that an engine sorts only the rows that its queries can reach."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headrace.synthesis.history.column_values import ColumnValues
from headrace.synthesis.history.keys import KeyCodes
from headrace.synthesis.history.rows import Rows
from headrace.synthesis.language.columns import is_text
from headrace.synthesis.language.definitions import Definition
from headrace.synthesis.language.values import Flags, Ints

#: A subset with more than this share of the rows saves nothing.
_LARGEST_SHARE = 0.7


class RowSubset(Rows):
    """Rows of a table, in its order, with all versions of each of them. Key codes are those of the whole table.

    Args:
        whole: all rows.
        at: row numbers of the subset, ascending.
    """

    def __init__(self, whole: Rows, at: Ints) -> None:
        super().__init__(whole.problem, whole.table.name, whole.data.select([]))
        self.size = len(at)
        self._whole, self._at = whole, at

    def _raw(self, column: str) -> pa.Array:
        return self._whole.raw(column).take(pa.array(self._at))

    def _appended(self) -> Ints:
        return self._whole.order[self._at]

    def _event(self) -> Ints:
        return self._whole.event()[self._at]

    def known(self, clock: tuple[str, ...]) -> Ints:
        return self.cached(("known", clock), lambda: self._whole.known(clock)[self._at])

    def column_values(self, column: str) -> ColumnValues:
        def compute() -> ColumnValues:
            if is_text(self._whole.raw(column).type):  # codes of the whole table's categories
                return self._whole.column_values(column).take(self._at)
            return ColumnValues.of(self.raw(column))

        return self.cached(("values", column), compute)

    def key_codes(self, columns: tuple[str, ...]) -> Ints:
        return self.cached(("key codes", columns), lambda: self._whole.key_codes(columns)[self._at])

    def keys(self, columns: tuple[str, ...]) -> KeyCodes:
        return self._whole.keys(columns)

    def versions(self) -> Ints | None:
        def compute() -> Ints | None:
            versions = self._whole.versions()
            return None if versions is None else versions[self._at]

        return self.cached("versions", compute)

    def constant_values(self, definition: Definition) -> ColumnValues:
        return self.cached(
            ("constant values", definition), lambda: self._whole.constant_values(definition).take(self._at)
        )


def subset_with_versions(rows: Rows, flags: Flags) -> RowSubset | None:
    """The flagged rows [n] and every version of them; None where that is most of the table."""
    versions = rows.versions()
    if versions is not None:
        changed = np.zeros(int(versions.max(initial=-1)) + 1, dtype=np.bool_)
        changed[versions[flags & (versions >= 0)]] = True
        several = np.flatnonzero(versions >= 0)
        flags = flags.copy()
        flags[several] |= changed[versions[several]]
    at = np.flatnonzero(flags)
    return RowSubset(rows, at) if len(at) <= _LARGEST_SHARE * len(flags) else None
