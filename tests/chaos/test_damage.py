"""Every kind of file of a home, damaged in every way: mended and said, or one clear line; no silent change."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.damage import table
from tests.chaos.damage.damages import DAMAGES
from tests.chaos.damage.kinds import KINDS, Kind, kinds_of
from tests.chaos.damage.matrix import Matrix
from tests.chaos.damage.verdict import Cell

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def cells() -> Iterator[list[Cell]]:
    """All that was seen. Where it is everything, it becomes the table of docs/reliability.md."""
    found: list[Cell] = []
    yield found
    if {cell.kind for cell in found} >= {kind.name for kind in KINDS}:
        table.write(found)


def test_every_file_of_a_home_is_of_one_kind(matrix: Matrix) -> None:
    odd = {path: [kind.name for kind in kinds_of(path)] for path in matrix.prepared.files()}
    assert {path: kinds for path, kinds in odd.items() if len(kinds) != 1} == {}


def test_the_whole_home_is_read_without_a_fault(matrix: Matrix) -> None:
    for seen in matrix.undamaged.values():
        assert not seen.trace
        assert not seen.code, seen


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_damage_is_mended_and_said_or_is_one_clear_line(matrix: Matrix, cells: list[Cell], kind: Kind) -> None:
    found = [cell for damage in DAMAGES for cell in matrix.cells(kind, damage)]
    cells += found
    assert found
    assert not [f"{cell.damage}, {cell.reader}: {cell.verdict}: {cell.detail}" for cell in found if cell.faulty]
