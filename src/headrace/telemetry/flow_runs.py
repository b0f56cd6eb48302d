"""The last run of each flow of a problem, with its outcome, for the metrics: a small file each in the home folder.

Prefect has the history of all runs; this is what remains readable while Prefect is down.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from headrace.core.errors import HeadraceError
from headrace.core.files import read_json, write_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FlowRun:
    """The last run of a flow. Instants are wall clock, microseconds UTC.

    Attributes:
        flow: Name of the flow.
        run_id: Id of the run, in Prefect or our own.
        started_us: Its start.
        ended_us: Its end.
        outcome: completed, failed, or interrupted (a signal or Ctrl-C).
        success_us: End of the last run that completed, this or an earlier one; None: none did.
    """

    flow: str
    run_id: str
    started_us: int
    ended_us: int
    outcome: Literal["completed", "failed", "interrupted"]
    success_us: int | None = None


@contextmanager
def recorded_run(root: Path, problem: str, flow: str, run_id: str, wall_us: Callable[[], int]) -> Iterator[None]:
    """Record the block as the last run of a flow, however it ends.

    Args:
        root: Home folder.
        problem: Name of the problem.
        flow: Name of the flow.
        run_id: Id of the run.
        wall_us: Wall clock, microseconds UTC.
    """
    started_us = wall_us()
    outcome: Literal["completed", "failed", "interrupted"] = "interrupted"
    try:
        yield
        outcome = "completed"
    except Exception:
        outcome = "failed"
        raise
    finally:
        before = last_runs(root, problem).get(flow)
        ended_us = wall_us()
        success_us = ended_us if outcome == "completed" else before.success_us if before else None
        run = FlowRun(
            flow=flow, run_id=run_id, started_us=started_us, ended_us=ended_us, outcome=outcome, success_us=success_us
        )
        _write(root, problem, run)


def last_runs(root: Path, problem: str) -> dict[str, FlowRun]:
    """Return flow -> its last run; a file that cannot be read is left out."""
    runs = {}
    for path in sorted(_folder(root, problem).glob("*.json")):
        try:
            run = FlowRun(**read_json(path))
        except (HeadraceError, OSError, TypeError, ValueError) as error:
            _log.warning("%s cannot be read: %s", path, error)
            continue
        runs[run.flow] = run
    return runs


def _write(root: Path, problem: str, run: FlowRun) -> None:
    """Write the record; a failure is logged, for it must not end a run that did its work."""
    try:
        folder = _folder(root, problem)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{run.flow}.json", asdict(run))
    except OSError as error:
        _log.warning("the run of %s could not be recorded: %s", run.flow, error)


def _folder(root: Path, problem: str) -> Path:
    return root / "runs" / problem / "flows"
