"""Draws the rooms of Headrace and the imports between them, as a matrix: `make drawing` writes docs/images/rooms.svg.

Rows import, columns are imported. Both are in the order of the import contracts in pyproject.toml, highest layer first,
so an import from a higher to a lower layer lies above the diagonal; one in the other direction would lie below it, in
red. A room with several packages in a contract of its own is drawn as its sub-rooms. Beside each row stand its lines
of code and those of its largest file.

    python infra/drawing.py docs/images/rooms.svg
    python infra/drawing.py docs/images/rooms-before.svg --root PATH     (PATH: a checkout of an earlier commit)
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_SEPARATORS = re.compile(r"[\s|:()]+")


@dataclass(frozen=True, kw_only=True)
class Room:
    """A row of the drawing. module: a package or module; files: path -> lines; part: whether it is a sub-room."""

    module: str
    files: dict[str, int]
    part: bool

    @property
    def name(self) -> str:
        """What the drawing calls it."""
        return self.module.removeprefix("headrace.")

    @property
    def lines(self) -> int:
        """Lines of all its files."""
        return sum(self.files.values())


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Rooms in the order of the contracts, and imports: (importing room, imported room) -> pairs of modules."""

    rooms: tuple[Room, ...]
    imports: Counter[tuple[str, str]]

    def upward(self) -> int:
        """Imports from a room to one that stands above it."""
        place = {room.module: number for number, room in enumerate(self.rooms)}
        return sum(count for (one, other), count in self.imports.items() if place[one] > place[other])


def layers(root: Path) -> list[tuple[str, bool]]:
    """(module, whether it is a sub-room) in the order of the contracts of a checkout's pyproject.toml."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    inside = {
        one["containers"][0]: one["layers"] for one in contracts if one["type"] == "layers" and "containers" in one
    }
    found: list[tuple[str, bool]] = []
    for room in _names(inside["headrace"]):
        parts = _names(inside.get(f"headrace.{room}", []))
        if sum((root / "src" / "headrace" / room / part).is_dir() for part in parts) < 2:
            parts = []
        found += [(f"headrace.{room}.{part}", True) for part in parts] or [(f"headrace.{room}", False)]
    return found


def _names(entries: list[str]) -> list[str]:
    return [name for entry in entries for name in _SEPARATORS.split(entry) if name]


def structure(root: Path) -> Structure:
    """Read the rooms of a checkout, and count the imports between them."""
    import grimp

    sys.path.insert(0, str(root / "src"))
    sys.path.insert(0, str(root))
    order = layers(root)
    packages = ["headrace"]
    if (root / "flows").is_dir() and not (root / "src" / "headrace" / "flows").exists():
        packages.append("flows")
        order.insert(0, ("flows", False))
    graph = grimp.build_graph(*packages, cache_dir=None)
    files = {module: files for module, _ in order if (files := _files(root, module))}
    rooms = tuple(Room(module=module, files=files[module], part=part) for module, part in order if module in files)
    names = sorted((room.module for room in rooms), key=len, reverse=True)
    home = {
        module: next((name for name in names if f"{module}.".startswith(f"{name}.")), None) for module in graph.modules
    }
    imports: Counter[tuple[str, str]] = Counter()
    for importer, room in home.items():
        for imported in graph.find_modules_directly_imported_by(importer):
            other = home.get(imported)
            if room and other:
                imports[room, other] += 1
    return Structure(rooms=rooms, imports=imports)


def _files(root: Path, module: str) -> dict[str, int]:
    base = root if module == "flows" else root / "src"
    path = base / module.replace(".", "/")
    found = sorted(path.rglob("*.py")) if path.is_dir() else [one for one in [path.with_suffix(".py")] if one.exists()]
    return {str(file.relative_to(base)): len(file.read_text().splitlines()) for file in found}


def draw(found: Structure, title: str, path: Path) -> None:
    """Write the drawing as SVG. A cell is one unit wide; so are 1,000 lines of code."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "headrace", "font.size": 8})
    from matplotlib import pyplot as plt

    n = len(found.rooms)
    bars = 4.0 + max(room.lines for room in found.rooms) / 1000
    figure, axes = plt.subplots(figsize=(1.7 + 0.19 * (n + bars), 2.2 + 0.19 * n), layout="constrained")
    axes.hlines([one - 0.5 for one in range(n + 1)], -0.5, n - 0.5, colors="#e4e9eb", lw=0.5, zorder=0)
    axes.vlines([one - 0.5 for one in range(n + 1)], -0.5, n - 0.5, colors="#e4e9eb", lw=0.5, zorder=0)
    _cells(axes, found)
    for number, room in enumerate(found.rooms):
        biggest = max(room.files.values())
        axes.barh(number, room.lines / 1000, left=n, height=0.8, color="#80cbc4")
        axes.barh(number, biggest / 1000, left=n, height=0.8, color="#00796b")
        axes.text(n + room.lines / 1000 + 0.3, number, f"{room.lines:,} / {biggest:,}", va="center", fontsize=6)
    names = [room.name for room in found.rooms]
    axes.set(xlim=(-0.5, n + bars), ylim=(n - 0.5, -0.5), aspect="equal", title=f"{title}: {_summary(found)}")
    axes.set_xticks(range(n), names, rotation=90)
    axes.set_yticks(range(n), names)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_xlabel(
        "Rows import columns; a number counts pairs of modules. Bars: lines of a room / of its largest file."
    )
    axes.spines[:].set_visible(False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _cells(axes: Any, found: Structure) -> None:
    place = {room.module: number for number, room in enumerate(found.rooms)}
    for (one, other), count in sorted(found.imports.items()):
        row, column = place[one], place[other]
        colour = "#cfd8dc" if row == column else "#c62828" if row > column else "#00796b"
        strength = 1.0 if row == column else min(1.0, 0.25 + count / 24)
        axes.bar(column, 0.92, width=0.92, bottom=row - 0.46, color=colour, alpha=strength)
        if row != column:
            shade = "white" if strength > 0.6 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=5.5, color=shade)


def _summary(found: Structure) -> str:
    most = max(room.lines for room in found.rooms)
    biggest = max(lines for room in found.rooms for lines in room.files.values())
    return (
        f"{len(found.rooms)} rooms and sub-rooms; largest room {most:,} lines, largest file {biggest:,}; "
        f"{found.upward()} imports that go up"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--title", default="Rooms of Headrace")
    given = parser.parse_args()
    draw(structure(given.root.resolve()), given.title, given.path)
    print(f"{given.path}: drawn")
