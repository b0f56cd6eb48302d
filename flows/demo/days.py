"""Replay days of the feed for the demo: predict, evaluate windows, and wait for retrains.

The demo replaces only the schedule. Days, windows and predictions use the flows that the schedules run, and an event
starts the retrain in the worker. A retrain takes minutes and a day of the demo takes seconds, so the next day waits.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
from prefect import flow

from headrace.api.examples import example_row
from headrace.app.context import context_of, wall_us
from headrace.app.progress import RunDisplay
from headrace.core.clock import DAY
from headrace.core.errors import UnavailableError
from headrace.flows.demo.console import DemoConsole
from headrace.flows.monitor import monitor, reconcile
from headrace.flows.pipeline import as_task
from headrace.flows.production import advance
from headrace.flows.shadow import shadow
from headrace.lake.store import Lake
from headrace.monitor.outbox.outbox import Entry, Outbox
from headrace.pipeline.catalogue import RETRAIN_STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.walker import PipelineRun
from headrace.registry.ledger import Ledger
from headrace.replay.history import production_history

#: An event that has started no retrain by then is lost, s.
_EVENT_TIMEOUT_S = 45.0
#: How long a retrain may take, s.
_RETRAIN_TIMEOUT_S = 1200.0


@flow(name="begin", persist_result=False)
def begin(problem: str) -> None:
    """Run the main job up to the promotion of its champion; the demo itself replays the days after that."""
    PipelineRun(context_of(problem, progress=RunDisplay()), RETRAIN_STAGES).walk(as_task)


def replay_days(problem: str, api: str, *, until_us: int, every: int, console: DemoConsole) -> None:
    """Replay the feed from where an earlier demo ended, or from its start, up to an instant.

    Args:
        problem: Path of the problem file.
        api: Address of the prediction API.
        until_us: Where to end, us since the epoch.
        every: Days between two evaluations of the last window.
        console: Where to print.
    """
    context = context_of(problem, None)
    if Ledger(context.root, context.problem.name).champion() is None:
        console.line("training the first champion on the history before the feed", "bold")
        with console.log_stages():
            begin(problem)
    finish_retrains(context, console)
    while (clock := now(context)) < until_us:
        days = min(every, -(-(until_us - clock) // DAY))
        for _ in range(days - 1):
            feed_step(context)
        scored = advance(problem)
        console.day(now(context), scored, _predict_example(context, api))
        with console.log_stages():
            shadow(problem)
        evaluate_window(context, problem, console)
        finish_retrains(context, console)


def now(context: Context) -> int:
    """The production clock."""
    return Lake(context.root, context.problem.name).clock() or 0


def evaluate_window(context: Context, problem: str, console: DemoConsole) -> None:
    """Evaluate the window that ends now, and print the decision."""
    monitor(problem)
    found = production_history(context, since_us=now(context) - 14 * DAY)
    decisions = [one for one in found.decisions if one.at_us == now(context) and one.measured]
    if decisions and found.weeks:
        console.window(decisions[-1], found.weeks[-1], found.metric)
    else:
        console.event(now(context), "monitor", "nothing could be measured yet", "dim")


def finish_retrains(context: Context, console: DemoConsole) -> None:
    """Wait for every pending or active retrain; reconcile starts one whose event was lost."""
    outbox = Outbox(context.root, context.problem.name)
    unfinished = [one for one in outbox.history() if one.decision.kind == "retrain" and one.outcome is None]
    for entry in unfinished:
        ended = _wait(context, outbox, entry, console)
        console.retrain(entry.decision.end_us, str(ended.outcome), ended.version, ended.outcome_reason)


def _wait(context: Context, outbox: Outbox, entry: Entry, console: DemoConsole) -> Entry:
    began = last_start = time.monotonic()
    with console.rich.status("the event starts the retrain in the worker") as status:
        while (found := outbox.get(entry.decision.id)).outcome is None:
            passed = time.monotonic() - began
            if passed > _RETRAIN_TIMEOUT_S:
                raise UnavailableError(
                    "a retrain does not end", where=entry.decision.id, fix=f"see {context.root / 'run' / 'worker.log'}"
                )
            if not found.claimed(wall_us()) and time.monotonic() - last_start > _EVENT_TIMEOUT_S:
                console.event(entry.decision.end_us, "retrain", "its event was lost: reconcile starts it", "yellow")
                reconcile(context.reference)
                last_start = time.monotonic()
            status.update(f"retraining in the worker, {passed:.0f} s: {_stage(context) or 'waiting'}")
            time.sleep(0.5)
    return found


def _stage(context: Context) -> str:
    """Name of the stage that runs: its folder exists and is not committed yet."""
    folders = sorted(context.stages_folder.glob("*/.*.tmp"), key=lambda path: path.name)
    return folders[-1].parent.name if folders else ""


def _predict_example(context: Context, api: str) -> dict[str, Any] | None:
    """Get the API's prediction for an example row; None if there is none."""
    row = example_row(context.root, context.problem, now(context))
    if row is None:
        return None
    try:
        response = httpx.post(f"{api}/predict", json=row, trust_env=False, timeout=30)
    except httpx.HTTPError:
        return None
    prediction: dict[str, Any] = response.json()
    return prediction if response.status_code == 200 else None
