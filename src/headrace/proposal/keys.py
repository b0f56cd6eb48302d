"""Find the key of each raw table, and the relationships between the tables, from values and names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc

from headrace.lake.time_like import time_like
from headrace.proposal.reading import RawTable

#: Share of a column's distinct values that must be among a parent's keys.
_FOUND_SHARE = 0.9
_FOUND_SHARE_UNNAMED = 0.99
#: Columns that a composite key is searched among, and its longest.
_KEY_COLUMNS, _LONGEST_KEY = 10, 4
_ID_NAME = re.compile(r"(?:^|_|[a-z])(?:id|ID|Id|key|Key|code|Code|no|No|nr|uuid|number)$|^id_")

Link = tuple[str, str, str, str]  # parent table, parent column, child table, child column


def find_keys(tables: Sequence[RawTable]) -> dict[str, tuple[str, ...]]:
    """Return the key of each table by its name; a table without one is absent."""
    shared = {
        name: sum(name in other.rows.column_names for other in tables) for t in tables for name in t.rows.column_names
    }
    found = {table.name: _key_of(table, shared) for table in tables}
    return {name: key for name, key in found.items() if key}


def is_key(rows: pa.Table, names: Sequence[str]) -> bool:
    """Whether columns identify a row: no value is missing, and none comes twice."""
    if any(rows[name].null_count for name in names):
        return False
    return bool(rows.select(list(names)).group_by(list(names)).aggregate([]).num_rows == rows.num_rows)


def _key_of(table: RawTable, shared: Mapping[str, int]) -> tuple[str, ...]:
    rows = table.rows
    if table.key and is_key(rows, table.key):
        return table.key
    usable = [name for name in rows.column_names if name.isidentifier() and _can_be_key(rows[name])]
    single = [name for name in usable if is_key(rows, [name])]
    if single:
        order = {name: (-_name_score(table.name, name, shared), usable.index(name)) for name in single}
        return (min(single, key=order.__getitem__),)
    usable = [name for name in usable if _can_be_part(name, rows[name])]
    likely = sorted(usable, key=lambda name: (-_name_score(table.name, name, shared), usable.index(name)))
    for size in range(2, _LONGEST_KEY + 1):
        for names in combinations(likely[:_KEY_COLUMNS], size):
            if is_key(rows, names):
                return tuple(sorted(names, key=rows.column_names.index))
    return ()


def _can_be_key(column: pa.ChunkedArray) -> bool:
    kind = column.type
    plain = pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(column.null_count == 0 and (plain or pa.types.is_timestamp(kind) or pa.types.is_date(kind)))


def _can_be_part(name: str, column: pa.ChunkedArray) -> bool:
    """Whether a column may be part of a composite key: no measured number of many values."""
    if not pa.types.is_integer(column.type) or _ID_NAME.search(name) or time_like(name, column) is not None:
        return True
    return len(pc.unique(column)) <= len(column) / 10


def _name_score(table: str, name: str, shared: Mapping[str, int]) -> int:
    stem = _plain(table).removesuffix("s")
    named_after = _plain(name) in (f"{stem}id", f"{stem}key", f"{stem}code", stem)
    score = 3 * named_after + 2 * bool(_ID_NAME.search(name)) + 3 * (shared.get(name, 1) > 1 and _plain(name) != "id")
    return score + (1 if name.lower() == "id" else 0)


def find_links(tables: Sequence[RawTable], keys: Mapping[str, tuple[str, ...]]) -> list[Link]:
    """Return the relationships that names and values show; at most one for each column, and no circle."""
    parents = [table for table in tables if len(keys.get(table.name, ())) == 1]
    scored: list[tuple[float, Link]] = []
    for child in (table for table in tables if table.name in keys):
        for column in child.rows.column_names:
            if not column.isidentifier() or keys[child.name] == (column,):
                continue
            for parent in parents:
                key = keys[parent.name][0]
                score = _link_score(parent, key, child, column) if parent.name != child.name else 0.0
                if score:
                    scored.append((score, (parent.name, key, child.name, column)))
    links: list[Link] = []
    for _, link in sorted(scored, key=lambda item: (-item[0], item[1])):
        taken = any((link[2], link[3]) == (other[2], other[3]) for other in links)
        if not taken and not _reaches(links, link[2], link[0]):
            links.append(link)
    return links


def _link_score(parent: RawTable, key: str, child: RawTable, column: str) -> float:
    if dict(child.parents).get(column) == (parent.name, key):
        return 10.0
    left, right = parent.rows[key], child.rows[column]
    if left.type != right.type and not {str(left.type), str(right.type)} <= {"string", "large_string"}:
        return 0.0
    if not (pa.types.is_integer(left.type) or pa.types.is_string(left.type) or pa.types.is_large_string(left.type)):
        return 0.0
    named = _named_after(parent.name, key, column)
    if not named and (pa.types.is_integer(left.type) or time_like(column, right) is not None):
        return 0.0
    values = pc.unique(right.cast(left.type)).drop_null()
    if len(values) < (1 if named else 3):
        return 0.0
    share = pc.sum(pc.is_in(values, value_set=left.combine_chunks())).as_py() / len(values)
    if share < (_FOUND_SHARE if named else _FOUND_SHARE_UNNAMED):
        return 0.0
    return float(share) + 2.0 * named


def _named_after(table: str, key: str, column: str) -> bool:
    """Whether a column's name is that of the key, or of the table and the key: `customer_id`, `customer`."""
    stem, wanted, written = _plain(table).removesuffix("s"), _plain(key), _plain(column)
    generic = wanted in ("id", "key", "code", "name", "no", "number")
    return (written == wanted and not generic) or written in (f"{stem}{wanted}", stem, f"{stem}id", f"{stem}s{wanted}")


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _reaches(links: Sequence[Link], start: str, end: str) -> bool:
    """Whether relationships lead from a table down to another."""
    below = {start}
    while True:
        more = below | {child for parent, _, child, _ in links if parent in below}
        if more == below:
            return end in below
        below = more
