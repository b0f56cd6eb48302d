"""The damage matrix: every kind of file x every damage, each case read in a fresh process."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.chaos.damage.case import READERS, Seen, outcome, read
from tests.chaos.damage.damages import DAMAGES
from tests.chaos.damage.kinds import Kind
from tests.chaos.damage.prepared import Prepared
from tests.chaos.damage.verdict import Cell, judge

_PATIENCE_S = 240
#: Imported once, before the processes of the cases are forked.
_PRELOAD = [
    "headrace.cli.run", "headrace.cli.status", "headrace.cli.alerts", "headrace.cli.monitor", "headrace.api.app",
    "headrace.pipeline.walker", "headrace.quality.check", "great_expectations", "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store", "feast",
    "headrace.store.repo", "headrace.store.offline", "headrace.store.compute", "headrace.store.embedded", "lightgbm",
    "shap", "starlette.testclient", "tests.chaos.damage.case",
]  # fmt: skip


class Matrix:
    """Cases of a prepared home."""

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)

    @cached_property
    def undamaged(self) -> Mapping[str, Seen]:
        """What the readers come to in a whole home."""
        self.prepared.restore()
        return self.read()

    def cells(self, kind: Kind, damage: str) -> Iterator[Cell]:
        """What all readers make of one damage to a kind."""
        for number, work in enumerate(DAMAGES[damage]):
            whole = self.undamaged
            self.prepared.restore()
            victims = {path: self._other(kind, path) for path in self._victims(kind)}
            if damage == "other version" and not any(victims.values()):
                return  # there is none
            for path, other in victims.items():
                work(self.prepared.home / path, other or self.prepared.whole / path)
            seen = self.read()
            damaged = seen.pop("damaged", Seen(result={}))
            for reader, one in seen.items():
                before = seen["run"] if reader == "advance" and seen["run"].result else damaged
                verdict, detail = judge(one, whole[reader], before, kind.name)
                yield Cell(kind=kind.name, damage=damage, case=number, reader=reader, verdict=verdict, detail=detail)
            if damage == "flipped bit" and number + 1 >= kind.flips:
                return

    def _victims(self, kind: Kind) -> list[str]:
        """The files to be damaged."""
        found = kind.of(self.prepared.files())
        return found[-1:] if kind.last else found

    def _other(self, kind: Kind, path: str) -> Path | None:
        """Another version: the file as it was earlier, else a file of its kind and name, else of its kind."""
        own = (self.prepared.whole / path).read_bytes()
        others = [item for item in kind.of(self.prepared.files()) if item != path]
        named = [item for item in others if Path(item).name == Path(path).name] or others
        candidates = [self.prepared.earlier / path, *(self.prepared.whole / item for item in named)]
        for other in candidates:
            if other.exists() and other.read_bytes() != own:
                return other
        return None

    def read(self, readers: Sequence[str] = READERS) -> dict[str, Seen]:
        """Readers on the home as it is now, in a fresh process."""
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_child, args=(sender, self.prepared.problem, self.prepared.home, readers)
        )
        process.start()
        sender.close()
        try:
            found: dict[str, Seen] = receiver.recv() if receiver.poll(_PATIENCE_S) else {}
        except EOFError:
            found = {}
        if not found:
            process.kill()
        process.join()
        return found or {name: Seen(code=-1, trace=f"the process ended with {process.exitcode}") for name in readers}


def _child(sender: Any, problem: Path, home: Path, readers: Sequence[str]) -> None:
    os.environ.setdefault("HEADRACE_WORKERS", "1")
    damaged = {"damaged": Seen(result=outcome(home))}
    sender.send({**damaged, **read(problem, home, readers)})


def prepare_apart(folder: Path) -> Prepared:
    """Prepare a home in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "tests.chaos.damage.prepared", str(folder)], check=True, stdout=subprocess.DEVNULL
    )
    return Prepared(folder=folder)
