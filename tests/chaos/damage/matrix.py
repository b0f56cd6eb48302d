"""The damage matrix: every kind of file x every damage, each case read in a fresh process."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.chaos.damage.case import READERS, Seen, read
from tests.chaos.damage.damages import DAMAGES
from tests.chaos.damage.kinds import Kind, kind_of
from tests.chaos.damage.prepared import Prepared

_PATIENCE_S = 240
#: Imported once, before the processes of the cases are forked.
_PRELOAD = [
    "headrace.cli.run", "headrace.cli.monitor", "headrace.api.app", "headrace.pipeline.runner", "mlflow.tracking",
    "mlflow.store.tracking.sqlalchemy_store", "feast", "headrace.store.repo", "headrace.store.offline", "lightgbm",
    "shap", "starlette.testclient", "tests.chaos.damage.case",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One reader of one case. verdict: unaffected, mended, refused; or a fault: changed, silent, traceback, vague."""

    kind: str
    damage: str
    reader: str
    verdict: str
    detail: str


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
        """All readers of one kind and damage; of several flips the worst is told."""
        for number, work in enumerate(DAMAGES[damage]):
            whole = self.undamaged
            self.prepared.restore()
            for path in self._victims(kind):
                work(self.prepared.home / path, self._other(kind, path))
            seen = self.read()
            for reader, one in seen.items():
                verdict, detail = judge(one, whole[reader])
                yield Cell(kind=kind.name, damage=damage, reader=reader, verdict=verdict, detail=detail)
            if damage == "flipped bit" and number + 1 >= kind.flips:
                return

    def _victims(self, kind: Kind) -> list[str]:
        """The files to be damaged: of a kind's the first, or all where only some are in use."""
        found = [path for path in self.prepared.files() if kind_of(path) is kind]
        return found[-1:] if kind.one else found

    def _other(self, kind: Kind, path: str) -> Path:
        """Another version: the file as it was earlier, else another file of its kind, else its neighbour."""
        own = (self.prepared.whole / path).read_bytes()
        files = [item for item in self.prepared.files() if kind_of(item) is kind and item != path]
        named = [item for item in files if Path(item).name == Path(path).name] or files
        candidates = [self.prepared.earlier / path, *(self.prepared.whole / item for item in named)]
        for other in candidates:
            if other.exists() and other.read_bytes() != own:
                return other
        return self.prepared.whole / path

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
    sender.send(read(problem, home, readers))


_VOLATILE = re.compile(r"\d+\.\d s|\d+\.\d+ +│|\d+\.\d+")


def judge(seen: Seen, whole: Seen) -> tuple[str, str]:
    """A verdict on a reader, and what was seen."""
    if seen.trace:
        return "traceback", seen.trace.strip()[-400:]
    if seen.code:
        return ("refused" if seen.fix else "vague"), seen.error or f"exit code {seen.code}: {seen.said[-300:]}"
    if seen.result != whole.result:
        return "changed", _difference(seen.result, whole.result) + " | said: " + _news(seen, whole)
    news = _news(seen, whole)
    return ("mended", news) if news else ("unaffected", "")


def _news(seen: Seen, whole: Seen) -> str:
    """Lines that the undamaged run did not say."""
    usual = {_VOLATILE.sub("#", line).strip() for line in whole.said.splitlines()}
    lines = [line.strip() for line in seen.said.splitlines()]
    return " / ".join(
        line for line in lines if line and _VOLATILE.sub("#", line) not in usual and "headrace run" not in line
    )[:600]


def _difference(now: Any, then: Any) -> str:
    if isinstance(now, dict) and isinstance(then, dict):
        return "; ".join(
            f"{name}: {_difference(now.get(name), then.get(name))}" for name in then if now.get(name) != then.get(name)
        )
    return f"{str(now)[:150]} <- {str(then)[:150]}"


def prepare_apart(folder: Path) -> Prepared:
    """Prepare a home in a process of its own."""
    subprocess.run(
        [sys.executable, "-m", "tests.chaos.damage.prepared", str(folder)], check=True, stdout=subprocess.DEVNULL
    )
    return Prepared(folder=folder)


def dump(cells: list[Cell], path: Path) -> None:
    """Results for the table."""
    path.write_text(json.dumps([cell.__dict__ for cell in cells], indent=1))
