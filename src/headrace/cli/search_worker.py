"""`headrace search-worker`: evaluate trials of studies on other machines until stopped."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType

from rich.console import Console

from headrace.app.output import print_json


def work(
    folder: Path,
    *,
    slots: int,
    seconds: float | None,
    memory_mb: float | None,
    idle_s: float | None,
    as_json: bool = False,
) -> None:
    """Run a worker. SIGTERM and Ctrl-C end it; its trials go to other workers.

    Args:
        folder: Shared with the study.
        slots: Trials at a time.
        seconds, memory_mb: Limits of a trial.
        idle_s: Seconds without a trial after which it ends; None: never.
        as_json: Whether its name and the number of its trials are printed at the end.
    """
    from headrace.search.study.budget import Limits
    from headrace.search.study.shared_worker import SharedWorker

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    console = Console(stderr=True)
    worker = SharedWorker(folder.absolute(), slots=slots, limits=Limits(seconds=seconds, memory_mb=memory_mb))
    console.print(f"worker {worker.name}: waits for trials in {folder}")
    try:
        worker.run(idle_s=idle_s)
    except KeyboardInterrupt:
        console.print(f"worker {worker.name}: stopped; its trials go to others")
    console.print(f"worker {worker.name}: {worker.evaluated} trials evaluated")
    if as_json:
        print_json({"worker": worker.name, "evaluated": worker.evaluated})
