"""Find rows that repeat the previous version of their key, in tables larger than memory.

Only rows whose key occurs more than once can be repeats. They are found by 64-bit digests of the keys, which are
distributed to files and compared file by file. Rows with a common digest are then distributed to
files by that digest, and `kept_versions` compares the rows of one file at a time. A chance collision of two digests
makes some more rows be compared, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headrace.lake.streamed.key_digests import Digests, key_digests
from headrace.lake.versions import kept_versions

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

#: Digests that are compared at a time, about; each takes 16 bytes, and 16 more while they are sorted.
_DIGESTS_AT_ONCE = 500_000
#: Files that digests or rows are distributed to, at most; each is open meanwhile.
_MOST_FILES = 200
#: Digests of later rows that are in memory at once, at most.
_MOST_LATER = 4_000_000
_PLACE = "_place"


class OrderedRows(Protocol):
    """Rows in version order that are read a part at a time."""

    rows: int
    schema: pa.Schema

    def parts(self, columns: Sequence[str] | None = None, only: Flags | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield the place of a part's first row, and the part; parts without rows of `only` may be left out."""


def find_repeats(rows: OrderedRows, keys: Sequence[str], folder: Path, *, part_rows: int, first_rows: int = 0) -> Flags:
    """Return whether each row [n] repeats the previous version of its key.

    Args:
        rows: In version order, with `_arrival`.
        keys: Key columns.
        folder: For temporary files.
        part_rows: Rows that are compared at a time, about; all rows of one key are.
        first_rows: So many first rows are known to be no repeats.
    """
    repeats = np.zeros(rows.rows, dtype=np.bool_)
    if not rows.rows or _ascend(rows, keys):
        return repeats
    several = _with_common_digest(rows, keys, folder, first_rows)
    count = int(several.sum())
    if count:
        files = min(max(-(-count // part_rows), 1), _MOST_FILES)
        for path in _distributed(rows, keys, several, folder, files):
            with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
                part = reader.read_all()
                kept = kept_versions(part.drop_columns([_PLACE]), keys)
                repeats[part[_PLACE].to_numpy()[~kept]] = True
                del part
            path.unlink()
    return repeats


def _ascend(rows: OrderedRows, keys: Sequence[str]) -> bool:
    """Whether the key is one column of integers that ascend, so that no two are equal."""
    if len(keys) != 1 or rows.schema.field(keys[0]).type != pa.int64():
        return False
    last: int | None = None
    for _, part in rows.parts(keys):
        column = part[keys[0]]
        if not part.num_rows:
            continue
        if column.null_count:
            return False
        values = column.to_numpy()
        if (last is not None and values[0] <= last) or (values[1:] <= values[:-1]).any():
            return False
        last = int(values[-1])
    return True


def _with_common_digest(rows: OrderedRows, keys: Sequence[str], folder: Path, first_rows: int) -> Flags:
    """Return whether another row has the digest of a row's key [n]; of the first rows, whether a later one has."""
    later = _later_digests(rows, keys, first_rows)
    count = min(-(-rows.rows // _DIGESTS_AT_ONCE), _MOST_FILES)
    paths = [folder / f"digests-{number:03d}" for number in range(count)]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for place, part in rows.parts(keys):
            digests = key_digests(part, keys)
            places = np.arange(place, place + len(digests), dtype=np.uint64)
            if later is not None and place < first_rows:
                among = np.isin(digests, later)
                digests, places = digests[among], places[among]
            pairs = np.column_stack([digests, places])
            number = (digests % np.uint64(count)).astype(np.int64)
            order = np.argsort(number, kind="stable")
            pairs, number = pairs[order], number[order]
            for at in np.unique(number).tolist():
                low, high = np.searchsorted(number, [at, at + 1])
                files[at].write(np.ascontiguousarray(pairs[low:high]).data)
    several = np.zeros(rows.rows, dtype=np.bool_)
    for path in paths:
        digests, places = np.fromfile(path, dtype=np.uint64).reshape(-1, 2).T
        several[places[_common(digests)].astype(np.int64)] = True
        path.unlink()
    return several


def _later_digests(rows: OrderedRows, keys: Sequence[str], first_rows: int) -> Digests | None:
    """The digests of the rows after the first ones; None where there are no first rows, or too many later ones."""
    if not first_rows or rows.rows - first_rows > _MOST_LATER:
        return None
    only = np.arange(rows.rows) >= first_rows
    found = [key_digests(part, keys) for place, part in rows.parts(keys, only) if place >= first_rows]
    return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.uint64)


def _common(digests: Digests) -> Flags:
    """Whether each digest [n] occurs more than once."""
    order = np.argsort(digests, kind="stable")
    same = digests[order][1:] == digests[order][:-1]
    flags = np.zeros(len(digests), dtype=np.bool_)
    flags[order[1:][same]] = True
    flags[order[:-1][same]] = True
    return flags


def _distributed(rows: OrderedRows, keys: Sequence[str], chosen: Flags, folder: Path, count: int) -> list[Path]:
    """Write the chosen rows to files by their key's digest, with their places."""
    paths = [folder / f"rows-{number:03d}.arrows" for number in range(count)]
    schema = rows.schema.append(pa.field(_PLACE, pa.int64()))
    with ExitStack() as stack:
        writers = [stack.enter_context(pa.ipc.new_stream(str(path), schema)) for path in paths]
        for place, part in rows.parts(only=chosen):
            at = np.flatnonzero(chosen[place : place + part.num_rows])
            part = part.take(pa.array(at)).append_column(_PLACE, pa.array(at + place))
            number = (key_digests(part, keys) % np.uint64(count)).astype(np.int64)
            for each in np.unique(number).tolist():
                writers[each].write_table(part.filter(pa.array(number == each)))
    return paths
