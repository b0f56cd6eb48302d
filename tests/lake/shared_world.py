"""Actions in two homes that share a lake, with kills and races, and the local lake that theirs must equal."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq

from headrace.lake.object_store.changes import data_name
from headrace.lake.object_store.log import Log
from headrace.lake.object_store.objects import open_objects
from headrace.lake.store import Lake
from tests.lake.shared_lakes import PARTS, THINGS, Killed, killed_at, lake_at, state, things

TABLES = {table.name: table for table in (THINGS, PARTS)}


@dataclass(frozen=True, kw_only=True)
class Append:
    """One home appends; before a step of it the process is killed, or the other home appends too."""

    home: int
    table: str
    rows: dict[int, float | None]
    arrival_us: int
    killed: int | None = None
    other: dict[int, float | None] | None = None


@dataclass(frozen=True, kw_only=True)
class Advance:
    """One home moves the clock."""

    home: int
    to_us: int
    killed: int | None = None


rows = st.dictionaries(st.integers(0, 3), st.one_of(st.none(), st.sampled_from([0.0, 1.0])), min_size=1)
steps = st.one_of(st.none(), st.integers(0, 14))
actions = st.one_of(
    st.builds(Append, home=st.integers(0, 1), table=st.sampled_from(sorted(TABLES)), rows=rows,
              arrival_us=st.integers(0, 9), killed=steps, other=st.one_of(st.none(), rows)),
    st.builds(Advance, home=st.integers(0, 1), to_us=st.integers(1, 20), killed=steps),
)  # fmt: skip


#: Fewer steps would mean that the steps of a commit are no longer found.
_LEAST_STEPS = 10


@dataclass
class World:
    """Two homes, and what was acknowledged to those who used them. reached: whether every step at which a kill or
    another append was planned was made."""

    folder: Path
    address: str
    batches: set[tuple[str, str]] = field(default_factory=set)
    clock: int = 0
    reached: bool = True

    def lake(self, home: int) -> Lake:
        """Open a home's lake in a new process."""
        return lake_at(self.folder / str(home), self.address)

    def do(self, action: Append | Advance) -> None:
        """Act; whatever returns is acknowledged."""
        lake, then = self.lake(action.home), None
        if isinstance(action, Append) and (other := action.other) is not None:
            then = partial(self.append, 1 - action.home, action.table, other, action.arrival_us)
        with killed_at(action.killed, then) as steps:
            try:
                if isinstance(action, Append):
                    self.append(action.home, action.table, action.rows, action.arrival_us, lake)
                else:
                    self.clock = max(self.clock, lake.advance_clock(action.to_us))
            finally:
                self.reached &= action.killed is None or len(steps) > action.killed

    def append(self, home: int, table: str, rows: dict[int, float | None], at: int, lake: Lake | None = None) -> None:
        """Append rows in a home."""
        batch = (lake or self.lake(home)).append(TABLES[table], things(rows), arrival_us=at)
        self.batches.add((table, batch.id))

    def check_clock(self, home: int) -> None:
        """Check, without asking the store, that a home has all batches that were committed before its clock."""
        local = Lake(self.folder / str(home), "p", store="")
        clock, committed = local.clock(), set()
        for entry in Log(open_objects(self.address), "p").after(-1):
            for change in entry.changes:
                if change["kind"] == "batch":
                    committed.add((change["table"], change["name"]))
                elif clock is not None and change["now_us"] == clock:
                    assert committed <= {(name, one.id) for name in local.tables() for one in local.batches(name)}

    def twin(self) -> dict[str, Any]:
        """The state of a local lake to which the same rows are appended in the order of the log."""
        objects, local = open_objects(self.address), Lake(self.folder / "twin", "p", store="")
        for entry in Log(objects, "p").after(-1):
            for change in entry.changes:
                if change["kind"] == "clock":
                    local.advance_clock(change["now_us"])
                    continue
                facts = change["documents"]["batch.json"]
                data = objects.read(data_name("p", change["files"]["rows.parquet"]))
                assert data is not None
                given_rows: pa.Table = pq.read_table(io.BytesIO(data))
                batch = local.append(TABLES[change["table"]], given_rows, arrival_us=facts["arrival_us"])
                assert (batch.id, batch.new) == (change["name"], True)
        return state(local)


def check(store: str, folder: Path, todo: list[Append | Advance]) -> bool:
    """Act in two homes, and compare what they read in the end with each other and with the twin.

    Args:
        store: Address of a store.
        folder: Of this example, empty; its name is that of its folder in the store.
        todo: What is done.

    Returns:
        Whether every step at which a kill or another append was planned was made.
    """
    if store.startswith("file:"):
        (folder / "store").mkdir()
    world = World(folder=folder, address=f"{store}/{'store' if store.startswith('file:') else folder.name}")
    for action in todo:
        with suppress(Killed):
            world.do(action)
        for home in (0, 1):
            world.check_clock(home)
        assert (world.lake(action.home).clock() or 0) >= world.clock
    first, second = state(world.lake(0)), state(world.lake(1))
    assert first == second == world.twin()
    assert world.batches <= {(name, one["id"]) for name, found in first["batches"].items() for one in found}
    return world.reached


def check_every_step(store: str, new_folder: Callable[[], Path], todo: Callable[[int], list[Append | Advance]]) -> None:
    """Check actions with a kill or another append at their first step, at their second one, and so on to the last.

    Args:
        store: Address of a store; empty: a folder of each example.
        new_folder: Makes the folder of an example.
        todo: Returns what is done, from the number of the step.
    """
    for step in count():
        folder = new_folder()
        if not check(store or f"file://{folder}", folder, todo(step)):
            assert step > _LEAST_STEPS
            return


def killed_append(step: int) -> list[Append | Advance]:
    """Appends of two homes, of which the middle one is killed before a step."""
    return _appends(Append(home=0, table="things", rows={9: 1.0}, arrival_us=5, killed=step))


def raced_append(step: int) -> list[Append | Advance]:
    """Appends of two homes; before a step of the middle one, the other home appends."""
    return _appends(Append(home=0, table="things", rows={9: 1.0}, arrival_us=5, killed=step, other={7: 0.0}))


def killed_catching_up(step: int) -> list[Append | Advance]:
    """One home appends and moves the clock; the other, which has none of it, is killed before a step of its append."""
    first = [Append(home=0, table=name, rows={key: 1.0}, arrival_us=1) for key, name in enumerate(sorted(TABLES))]
    then = Append(home=1, table="things", rows={9: 1.0}, arrival_us=5, killed=step)
    return [*first, Advance(home=0, to_us=4), then, Advance(home=1, to_us=9)]


def _appends(middle: Append) -> list[Append | Advance]:
    before = [Append(home=home, table="things", rows={home: 1.0}, arrival_us=home) for home in (0, 1)]
    after = [Append(home=home, table="things", rows={9: 1.0}, arrival_us=6 + home) for home in (1, 0)]
    return [*before, middle, *after]


#: What is done, by the number of the step at which it is disturbed.
DISTURBED = (killed_append, raced_append, killed_catching_up)
