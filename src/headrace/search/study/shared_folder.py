"""The folder through which a study and the workers of other machines exchange trials.

    study.json               the study that runs now: its session, and how long a lease lasts
    SESSION/objective        what the workers evaluate (cloudpickle)
    SESSION/open/N-A         trial N, attempt A, to be taken
    SESSION/leased/N-A.W     the same, taken by worker W
    SESSION/results/N-A      its result
    workers/W.json           how many trials worker W runs at a time, and a counter that it raises while it lives

A worker takes a trial by renaming its file: of several workers one succeeds. Where a worker has stopped counting, the
study takes its trials back, and offers each again as the next attempt. It reads only results of the present attempt, so
a worker that was thought dead and comes back changes nothing. Clocks of two machines are never compared.

Files are replaced whole. Whoever can write to the folder can run code on the workers: it must belong to one user.
"""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.core.errors import NotFoundError
from headrace.core.files import read_json, write_bytes, write_json

#: Seconds without a count after which a worker is taken for dead.
LEASE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt at a trial: `N-A` in names of files."""

    number: int
    attempt: int

    @property
    def name(self) -> str:
        return f"{self.number}-{self.attempt}"

    @classmethod
    def of(cls, name: str) -> Attempt:
        number, attempt = name.split("-")
        return cls(number=int(number), attempt=int(attempt))


@dataclass(frozen=True, kw_only=True)
class WorkerState:
    """What a worker says of itself: trials at a time, and its counter."""

    slots: int
    count: int


class SharedFolder:
    """The folder of one study at a time.

    Args:
        path: made where it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "workers").mkdir(parents=True, exist_ok=True)

    def session(self) -> Mapping[str, Any] | None:
        """`{"session": ..., "lease_s": ...}` of the study that runs now; None where there is none."""
        try:
            return dict(read_json(self.path / "study.json"))
        except NotFoundError:
            return None

    def begin(self, session: str, lease_s: float, objective: object) -> SessionFolder:
        """Announce a study; what earlier ones left is removed."""
        import cloudpickle

        for path in self.path.iterdir():
            if path.is_dir() and path.name != "workers":
                shutil.rmtree(path, ignore_errors=True)
        folder = SessionFolder(self.path / session)
        for name in ("open", "leased", "results"):
            (folder.path / name).mkdir(parents=True)
        write_bytes(folder.path / "objective", cloudpickle.dumps(objective))
        write_json(self.path / "study.json", {"session": session, "lease_s": lease_s})
        return folder

    def end(self) -> None:
        """Withdraw the study; workers wait for the next one."""
        (self.path / "study.json").unlink(missing_ok=True)

    def report(self, worker: str, state: WorkerState) -> None:
        """Say that a worker lives."""
        write_json(self.path / "workers" / f"{worker}.json", vars(state))

    def leave(self, worker: str) -> None:
        """Say that a worker ends."""
        (self.path / "workers" / f"{worker}.json").unlink(missing_ok=True)

    def workers(self) -> dict[str, WorkerState]:
        """What each worker said last, dead ones among them."""
        states = {}
        for path in sorted((self.path / "workers").glob("*.json")):
            try:
                states[path.stem] = WorkerState(**read_json(path))
            except NotFoundError:  # it has left meanwhile
                continue
        return states


class SessionFolder:
    """The trials of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def objective(self) -> Any:
        """What is evaluated."""
        return pickle.loads((self.path / "objective").read_bytes())

    def offer(self, attempt: Attempt, task: object) -> None:
        """Offer an attempt to all workers."""
        write_bytes(self.path / "open" / attempt.name, pickle.dumps(task))

    def take(self, worker: str) -> tuple[Attempt, Any] | None:
        """Take the offered attempt of the lowest number; None where there is none."""
        names = sorted((Attempt.of(path.name) for path in self._files("open")), key=lambda item: item.number)
        for attempt in names:
            leased = self._leased(attempt, worker)
            try:
                (self.path / "open" / attempt.name).rename(leased)
                return attempt, pickle.loads(leased.read_bytes())
            except FileNotFoundError:  # another worker was faster, or the study took it back
                continue
        return None

    def give_back(self, attempt: Attempt, worker: str) -> None:
        """Offer a taken attempt again; another worker may take it."""
        try:
            self._leased(attempt, worker).rename(self.path / "open" / attempt.name)
        except FileNotFoundError:
            return

    def withdraw(self, attempt: Attempt) -> None:
        """Take an attempt back, whether it is offered or taken."""
        (self.path / "open" / attempt.name).unlink(missing_ok=True)
        for path in self._files("leased"):
            if path.name.startswith(f"{attempt.name}."):
                path.unlink(missing_ok=True)

    def holders(self) -> dict[Attempt, str]:
        """Which worker has taken which attempt."""
        parts = (path.name.split(".", 1) for path in self._files("leased"))
        return {Attempt.of(name): worker for name, worker in parts}

    def finish(self, attempt: Attempt, worker: str, result: Mapping[str, Any]) -> None:
        """Write the result of a taken attempt, and release it."""
        write_json(self.path / "results" / attempt.name, result)
        self._leased(attempt, worker).unlink(missing_ok=True)

    def result(self, attempt: Attempt) -> Mapping[str, Any] | None:
        """The result of an attempt; None while there is none."""
        try:
            return dict(read_json(self.path / "results" / attempt.name))
        except NotFoundError:
            return None

    def _leased(self, attempt: Attempt, worker: str) -> Path:
        return self.path / "leased" / f"{attempt.name}.{worker}"

    def _files(self, kind: str) -> list[Path]:
        folder = self.path / kind
        return [path for path in folder.iterdir() if path.name[0].isdigit()] if folder.exists() else []
