"""End a process before its n-th change of state, by an exception or by SIGKILL, wherever that change is made.

A change of state is one transaction of the ledger or the outbox, or one request that changes MLflow's aliases or tags.
The end after a change is the end before the next one. `python -m tests.crash_points N ARGUMENTS...` runs `headrace
ARGUMENTS...` and kills it before its n-th change.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from headrace.database.sealed_file import SealedFile

#: Methods of an MLflow client that change what a rollout decides about.
CLIENT_CHANGES = (
    "set_registered_model_alias",
    "delete_registered_model_alias",
    "set_registered_model_tag",
    "set_model_version_tag",
)


class Crash(BaseException):
    """The process is gone: nothing catches it."""


class Changes:
    """Counts changes of state, and ends the process before one of them.

    Args:
        end_before: Number of the change, from 0; None: no change ends it.
        end: Ends the process.

    Attributes:
        names: Changes so far, in order; the one that was not made is the last.
    """

    def __init__(self, end_before: int | None = None, end: Callable[[], None] | None = None) -> None:
        self.names: list[str] = []
        self._end_before = end_before
        self._end = end or _crash

    def reached(self, name: str) -> None:
        """Note that a change is about to be made, or end the process."""
        self.names.append(name)
        if self._end_before == len(self.names) - 1:
            self._end()

    @contextmanager
    def observed(self, client: type) -> Iterator[None]:
        """Observe all changes while the block runs. client: MLflow's client, or what stands for it."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(SealedFile, "write", self._write(SealedFile.write)))
            for name in CLIENT_CHANGES:
                stack.enter_context(patch.object(client, name, self._call(name, getattr(client, name))))
            yield

    def _write(self, write: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def observed(file: SealedFile) -> Iterator[Any]:
            self.reached(f"write {file.group.name}")
            with write(file) as connection:
                yield connection

        return observed

    def _call(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def observed(client: Any, *arguments: Any, **named: Any) -> Any:
            self.reached(name)
            return method(client, *arguments, **named)

        return observed


def _crash() -> None:
    raise Crash


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from mlflow.tracking import MlflowClient

    number, *arguments = sys.argv[1:]
    sys.argv = ["headrace", *arguments]
    with Changes(int(number), _kill).observed(MlflowClient):
        runpy.run_module("headrace.cli", run_name="__main__")
