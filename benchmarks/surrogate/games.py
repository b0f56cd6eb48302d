"""Games: one player, one table, one seed, played once and kept.

A game lies under what it depends on (the code of our searchers or a peer's version, the table's bytes), so nothing that
is still true is played again, and a killed run goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.progress import track

from benchmarks.surrogate.code_version import code_version
from benchmarks.surrogate.players import Game, player_named, version_of
from benchmarks.surrogate.table import FOLDER, load_table
from benchmarks.surrogate.verdict import Marks
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest

GAMES = Path(".headrace") / "bench" / "search"
#: Trials of a game.
BUDGET = 100


class Fixture(NamedTuple):
    """One game to be played."""

    player: str
    table: str
    seed: int

    @property
    def path(self) -> Path:
        folder = f"{self.player.replace(',', '').replace(' ', '_')}-{_version(self.player)}"
        return GAMES / folder / f"{self.table}-{_digest(self.table)}-{self.seed}.json"


@cache
def _version(player: str) -> str:
    return version_of(player)


@cache
def _digest(table: str) -> str:
    return file_digest(FOLDER / f"{table}.parquet")[:8]


def play(fixture: Fixture, path: Path) -> None:
    """Play one game and write it down."""
    game = player_named(fixture.player)(load_table(fixture.table), fixture.seed, BUDGET)
    write_json(path, asdict(game))


def play_all(fixtures: Sequence[Fixture], *, processes: int = 2, seconds: float | None = None) -> int:
    """Play those that have not been played, until the time is up; how many are still missing."""
    # paths are those of the code that is here now, should a file of a searcher be saved meanwhile
    missing = [(one, one.path) for one in fixtures if not one.path.exists()]
    if not missing:
        return 0
    started, played = time.monotonic(), 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=single_threaded) as pool:
        waiting = [pool.submit(play, *one) for one in missing]
        for done in track(as_completed(waiting), f"{len(missing)} games", total=len(missing)):
            done.result()
            played += 1
            if seconds is not None and time.monotonic() - started > seconds:
                pool.shutdown(wait=True, cancel_futures=True)
                break
    return sum(not path.exists() for _, path in missing)


def single_threaded() -> None:
    # only libraries that are loaded are limited, and searchers load SciPy's late
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def marks_of(table: str) -> Marks:
    """What the losses of a table are compared with, worked out once."""
    code = code_version(("benchmarks.surrogate.table", "benchmarks.surrogate.model", "benchmarks.surrogate.space"))
    path = GAMES / f"marks-{code[:12]}" / f"{table}-{_digest(table)}.json"
    if not path.exists():
        surrogate = load_table(table)
        write_json(path, [surrogate.random_at_100, float(np.median(surrogate.losses)), surrogate.best])
    return Marks(*read_json(path))


def read_game(fixture: Fixture) -> Game:
    return Game(**read_json(fixture.path))
