"""Check that the rows of a child table find their parents: by keys of comparable types, and at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.errors import DataError
from headrace.schema import Problem, Relationship
from headrace.synthesis.history.keys import KeyColumn, plain
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.parquet_tables import read_columns, read_in_parts

#: Share of a child's rows without a parent from which `headrace check` mentions it.
MENTIONED_SHARE = 0.01
#: Different orphans that are looked at for a reason, at most.
_SHOWN = 1000


@dataclass(frozen=True, kw_only=True)
class Join:
    """How many rows of a relationship's child table find their parent.

    Attributes:
        relationship: The relationship.
        rows: Child rows with a key.
        orphans: Those of them whose key no parent row has.
        reason: What the two columns hold, side by side, where there are orphans.
    """

    relationship: Relationship
    rows: int
    orphans: int
    reason: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether no row finds its parent."""
        return self.rows > 0 and self.orphans == self.rows

    @property
    def message(self) -> str:
        """One line about the rows without a parent; empty where there are hardly any."""
        if not self.rows or self.orphans < MENTIONED_SHARE * self.rows:
            return ""
        item = self.relationship
        if self.is_fault:
            return f"no row of {item.child_table} finds its row in {item.parent_table}: {self.reason}."
        share = f"{self.orphans / self.rows:.0%} of the rows of {item.child_table} ({self.orphans:,} of {self.rows:,})"
        return f"{share} find no row in {item.parent_table}: {self.reason}."


def check_joins(problem: Problem, tables: Tables, of: Sequence[Relationship] | None = None) -> tuple[Join, ...]:
    """Compare the keys of relationships, all those of the problem where none are given.

    Raises:
        DataError: the types of the two keys cannot be compared.
    """
    return tuple(_join(item, tables) for item in (problem.entity_set.relationships if of is None else of))


def _join(item: Relationship, tables: Tables) -> Join:
    parents = plain(read_columns(tables, item.parent_table, [item.parent_column])[item.parent_column])
    if not len(parents):  # its first load was refused, which is reported elsewhere
        return Join(relationship=item, rows=0, orphans=0)
    key, rows, orphans, shown = KeyColumn(parents), 0, 0, list[pa.Array]()
    for part in read_in_parts(tables, item.child_table, [item.child_column]):
        children = plain(part[item.child_column])
        try:
            codes = key.find(children)
        except DataError:
            raise DataError(
                f"holds {_held(parents)}, and {item.child} holds {_held(children)}: they cannot be compared",
                where=item.parent,
                fix="write both keys alike",
            ) from None
        without = children.filter(pa.array(codes == -2))
        rows, orphans = rows + int(np.sum(codes != -1)), orphans + len(without)
        if sum(map(len, shown)) < _SHOWN:
            shown.append(without)
    reason = _reason(item, parents, pa.concat_arrays(shown)) if orphans else ""
    return Join(relationship=item, rows=rows, orphans=orphans, reason=reason)


def _reason(item: Relationship, parents: pa.Array, orphans: pa.Array) -> str:
    sides = f"{item.child} holds {_held(orphans)}, {item.parent} holds {_held(parents)}"
    known = set(_texts(parents))
    unmatched = list(dict.fromkeys(_texts(orphans)))[:_SHOWN]
    for spelling, change in _SPELLINGS if parents.type == orphans.type else (*_SPELLINGS, _BY_DIGITS):
        alike = {change(text) for text in known}
        if unmatched and sum(change(text) in alike for text in unmatched) > len(unmatched) / 2:
            return f"{sides}; they agree {spelling}. write both alike"
    return f"{sides}. write both keys alike, or bring the missing rows"


def _digits(text: str) -> str:
    return "".join(letter for letter in text if letter.isdigit()).lstrip("0") or text


_SPELLINGS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("without the blanks around them", str.strip),
    ("in lower case", lambda text: text.strip().lower()),
    ("without leading zeros", lambda text: text.strip().lstrip("0")),
    ("as whole numbers", lambda text: text.strip().removesuffix(".0")),
)
_BY_DIGITS = ("in their digits alone", _digits)


def _texts(values: pa.Array) -> list[str]:
    return [str(value) for value in pc.unique(values).to_pylist() if value is not None]


def _held(values: pa.Array) -> str:
    """`texts such as 'c03', 'c04'`: the type in words, and the first values."""
    kind = values.type
    words = "texts" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else f"{kind}s"
    words = "numbers" if pa.types.is_floating(kind) else "whole numbers" if pa.types.is_integer(kind) else words
    words = "times" if pa.types.is_timestamp(kind) or pa.types.is_date(kind) else words
    first = [repr(value) if isinstance(value, str) else str(value) for value in values.drop_null()[:3].to_pylist()]
    return f"{words} ({kind}) such as {', '.join(dict.fromkeys(first))}" if first else f"{words} ({kind})"
