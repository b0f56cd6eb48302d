"""Compare two spines of one problem: which rows both have, and where their values differ."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headrace.schema import DUE, Every, Problem
from headrace.synthesis.history.keys import encode_pairs, plain
from headrace.synthesis.language.values import Flags, Ints, as_array


def row_names(problem: Problem) -> list[str]:
    """The columns that identify a row of a spine: its key (of a schedule: entity and instant), and its cutoff."""
    keys = [*problem.join_keys, DUE] if isinstance(problem.spine, Every) else list(problem.spine_table.keys)
    return [*dict.fromkeys(keys), "cutoff"]


def places(problem: Problem, spine: pa.Table, other: pa.Table) -> Ints:
    """The position of each row of a spine in another [rows]; -1 where the other does not have it."""
    names = row_names(problem)
    left, right = encode_pairs([plain(spine[name]) for name in names], [plain(other[name]) for name in names])
    place = np.full(int(left.max(initial=-1)) + 1, -1, dtype=np.int64)
    shared = np.flatnonzero(right >= 0)
    place[right[shared]] = shared
    return np.where(left >= 0, place[left], -1) if len(place) else np.full(len(left), -1, dtype=np.int64)


def differs(left: pa.Array | pa.ChunkedArray, right: pa.Array | pa.ChunkedArray) -> Flags:
    """Where two columns differ [n]; missing equals missing."""
    left, right = as_array(left), as_array(right)
    same = pc.fill_null(pc.equal(left, right), False)
    both = pc.and_(pc.is_null(left), pc.is_null(right))
    return ~np.asarray(pc.or_(same, both).to_numpy(zero_copy_only=False), dtype=np.bool_)
