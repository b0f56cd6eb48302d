"""Answers below a memory limit: entity by entity, in parts by key, laid down on disk and taken up in slabs of rows.

How large a part may be is estimated (`need`) and then learned: what the last part really took corrects the next one.
The tables themselves, what is derived of them once, and one entity's history at a time stay in memory: where they do
not fit, the limit is refused before anything is computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from headrace.core.memory import Watch, give_back, resident_bytes
from headrace.schema import Problem
from headrace.synthesis.engines.local import LocalEngine, asked_of, checked_groups, group_arrays
from headrace.synthesis.engines.memory.estimate import Need, answer_bytes, derived_bytes, entity_need
from headrace.synthesis.engines.memory.parts import Parts, require_room
from headrace.synthesis.engines.memory.spill import Spill
from headrace.synthesis.history.keys import encode_rows
from headrace.synthesis.history.rows import Sources
from headrace.synthesis.language.definitions import Stored
from headrace.synthesis.language.engine import Tables
from headrace.synthesis.language.values import Ints
from headrace.synthesis.planning.plan import Group

#: Bytes that stay free: what a part leaves behind, and what other threads of the process may need meanwhile.
RESERVE = 32_000_000
#: The first part is this much smaller than it is thought it may be; none is ever more than so much larger.
_CAREFUL, _BOLD = 1.6, 0.5
#: A slab of rows takes this many times its answers while it is put in order, finished and written.
SLAB_COPIES = 5.0


class Room:
    """Bytes that may still be taken below a limit, as far as what was estimated so far could be trusted.

    owed: bytes of what is not derived yet, and will then be kept.
    """

    def __init__(self, max_memory: int) -> None:
        self.max_memory = max_memory
        self.owed = 0.0
        self._factor = _CAREFUL

    @property
    def bytes(self) -> float:
        return float(self.max_memory - resident_bytes() - RESERVE - self.owed)

    def __call__(self) -> float:
        give_back()
        return self.bytes / self._factor

    def learn(self, thought: float, took: float) -> None:
        """A part was thought to take some bytes, and took others."""
        self._factor = max(1.3 * took / thought, 0.8 * self._factor, _BOLD)


class OutOfCore:
    """One computation of definitions at keys, in steps: `whole_bytes` says whether it is needed, `lay_down` runs it."""

    def __init__(
        self, engine: LocalEngine, problem: Problem, definitions: Sequence[Stored], keys: pa.Table, snapshot: Tables
    ) -> None:
        self._engine, self._problem, self._threads = engine, problem, engine.threads
        self._held = resident_bytes()
        groups = checked_groups(problem, definitions, keys, snapshot)
        self._groups: dict[tuple[str, ...], list[Group]] = {}
        for group in groups:
            self._groups.setdefault(group.join_keys, []).append(group)
        self._asked: Mapping[str, pa.Array] = asked_of(keys, groups)
        self._ticks = np.asarray(keys["tick"].to_numpy(), dtype=np.int64)
        self._sources = Sources(problem, snapshot)
        self.answer_bytes, self._derived = answer_bytes(groups), derived_bytes(self._sources, groups)
        self._needs = {joins: self._need(joins) for joins in self._groups}

    def _entity(self, joins: tuple[str, ...]) -> Ints:
        return encode_rows([self._asked[name] for name in joins])[0]

    def _need(self, joins: tuple[str, ...]) -> Need:
        asked = {name: self._asked[name] for name in joins}
        return entity_need(self._sources, self._groups[joins], asked, self._entity(joins), self._threads)

    @property
    def whole_bytes(self) -> float:
        """Bytes that all of it takes at once, the answers among them."""
        many = len(self._ticks)
        largest = max(need.table + need.query * many + float(need.history.sum()) for need in self._needs.values())
        return largest * min(len(self._needs), 2) + self.answer_bytes * many + self._derived

    def _least(self) -> float:
        """Bytes of the largest of what is at least to be held at a time."""
        return max(Parts(need, self._entity(joins), self._ticks).least for joins, need in self._needs.items())

    def lay_down(self, spill: Spill, room: Room) -> None:
        """Compute everything into a spill, part by part. Raises DataError where the limit is too low for that."""
        give_back()
        room.owed = owed = max(self._derived - max(resident_bytes() - self._held, 0), 0.0)  # some is there already
        if self._least() > room.bytes and self._threads > 1:  # side by side they need more
            self._threads = 1
            self._needs = {joins: self._need(joins) for joins in self._groups}
        require_room(
            self._least(),
            room.bytes,
            where=self._problem.name,
            held_bytes=resident_bytes(),
            limit_bytes=room.max_memory,
        )
        for joins in self._needs:
            for rows in self._parts(joins, room, owed / len(self._needs)):
                asked = {name: self._asked[name].take(pa.array(rows)) for name in joins}
                arrays = group_arrays(self._sources, self._groups[joins], asked, self._ticks[rows], self._threads)
                spill.put("+".join(joins), rows, arrays)
                del arrays, asked  # before the next part
        spill.close()

    def _parts(self, joins: tuple[str, ...], room: Room, owed: float) -> Iterator[Ints]:
        """Row numbers of one part after the other; what each takes is watched, and the next cut by it.

        owed: bytes that the first of them derives for all.
        """
        parts, done = Parts(self._needs[joins], self._entity(joins), self._ticks), 0
        for rows, thought in parts.cut(room):
            held = resident_bytes()
            with Watch() as watch:
                yield rows
            room.learn(thought + owed, watch.peak - held)
            room.owed, owed = room.owed - owed, 0.0
            done += len(rows)
            if self._engine.told is not None:
                self._engine.told(f"{', '.join(joins)}: {done:,} of {len(parts):,} rows")


def slab_rows(answer_bytes: float, rows: int, room: float) -> int:
    """How many rows are put in order, finished and written at a time."""
    return int(np.clip(room / (SLAB_COPIES * max(answer_bytes, 8.0)), 1_000, max(rows, 1_000)))


def work_folder(path: Path) -> Path:
    """Where a file's parts lie until it is written: beside it."""
    return path.with_name(f".{path.name}.parts")
