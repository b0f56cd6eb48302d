"""The drawing of the rooms shows every room of the import contracts, and no import that goes up."""

from __future__ import annotations

from pathlib import Path

from infra import drawing
from tests.docs.blocks import ROOT


def test_every_room_and_no_import_that_goes_up(tmp_path: Path) -> None:
    found = drawing.structure(ROOT)
    modules = {room.module for room in found.rooms}
    assert {"headrace.core", "headrace.flows", "headrace.synthesis.language"} <= modules
    assert found.imports["headrace.store", "headrace.core"] > 10
    assert found.upward() == 0
    drawing.draw(found, "Rooms", path := tmp_path / "rooms.svg")
    assert "synthesis.language" in path.read_text()


def test_the_page_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {row.split("|")[1].strip().strip("`"): row for row in text.splitlines() if row.startswith("| `")}
    for module, part in drawing.layers(ROOT):
        room, _, name = module.removeprefix("headrace.").partition(".")
        assert f"`{name}`" in rooms[room] if part else f"`{module}`" in text, module


def test_an_import_that_goes_up_is_counted(tmp_path: Path) -> None:
    rooms = tuple(drawing.Room(module=name, files={name: 1}, part=False) for name in ("a", "b"))
    assert drawing.Structure(rooms=rooms, imports=drawing.Counter({("a", "b"): 2, ("b", "a"): 3})).upward() == 3
