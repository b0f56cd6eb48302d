"""Six ways to damage a file."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

#: Damages a file. other: another version of it.
Damage = Callable[[Path, Path], None]

_TEXT = frozenset({".json", ".jsonl", ".txt", ".yaml", ".html"})
_SQLITE_HEADER = 100


def flip(seed: int) -> Damage:
    """One bit of a byte that holds something: in a text of a digit, so that what is read is another number."""

    def damage(path: Path, other: Path) -> None:
        data = bytearray(path.read_bytes())
        if path.suffix in _TEXT:
            places = [at for at, byte in enumerate(data) if chr(byte).isdigit()]
        else:
            places = [at for at, byte in enumerate(data) if byte and at >= _SQLITE_HEADER]
        if not places:
            places = list(range(len(data)))
        if places:
            chosen = random.Random(f"{seed} {path.name}")
            bit = 0 if path.suffix in _TEXT else chosen.randrange(8)
            data[chosen.choice(places)] ^= 1 << bit
        path.write_bytes(bytes(data))

    return damage


def truncate(path: Path, other: Path) -> None:
    """The first half."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def empty(path: Path, other: Path) -> None:
    """No bytes."""
    path.write_bytes(b"")


def braces(path: Path, other: Path) -> None:
    """What a program writes that has nothing to say."""
    path.write_bytes(b"{}")


def remove(path: Path, other: Path) -> None:
    """No file."""
    path.unlink()


def replace(path: Path, other: Path) -> None:
    """Another version's content."""
    shutil.copyfile(other, path)


FLIPS = 3
DAMAGES: Mapping[str, tuple[Damage, ...]] = {
    "flipped bit": tuple(flip(seed) for seed in range(FLIPS)),
    "truncated": (truncate,),
    "empty": (empty,),
    "{}": (braces,),
    "removed": (remove,),
    "other version": (replace,),
}
