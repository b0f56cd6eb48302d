"""The demo's days: the feed moves, windows are looked at, and what the loop makes of them is waited for.

Only the calendar is ours. Days, looks and predictions go through the flows that the schedules run; an event wakes the
retrain in the worker, as everywhere. A retrain takes minutes and a day of the demo seconds, so the next day waits.
"""

from __future__ import annotations

import time
from typing import Any

import httpx
from prefect import flow

from headrace.api.examples import example_row
from headrace.app.context import context_of, wall_us
from headrace.core.clock import DAY
from headrace.core.errors import UnavailableError
from headrace.flows.demo.telling import Telling
from headrace.flows.monitor import monitor, reconcile
from headrace.flows.pipeline import run_as_tasks
from headrace.flows.production import advance
from headrace.lake.store import Lake
from headrace.monitor.outbox.outbox import Entry, Outbox
from headrace.pipeline.catalogue import RETRAIN_STAGES
from headrace.pipeline.context import Context
from headrace.pipeline.operations.retraining import ask_by_hand
from headrace.pipeline.production.feed import feed_step
from headrace.pipeline.walker import PipelineRun
from headrace.registry.ledger import Ledger
from headrace.replay.story import story

#: An event that has woken nobody by then was lost, s; a retrain that is not over by then hangs.
_LOST_S, _PATIENCE_S = 45.0, 1200.0
#: So long into the feed without a retrain, a person asks for one.
_UNASKED_US = 28 * DAY


@flow(name="begin", persist_result=False)
def begin(problem: str) -> None:
    """The main job until its champion is promoted: the days after that are the demo's."""
    run_as_tasks(PipelineRun(context_of(problem, None), RETRAIN_STAGES))


def live(problem: str, api: str, *, until_us: int, every: int, telling: Telling) -> None:
    """From the champion of the feed's start, or from wherever an earlier demo was, to an instant. every: days."""
    context = context_of(problem, None)
    if Ledger(context.root, context.problem.name).champion() is None:
        telling.say("training the first champion on everything before the feed", "bold")
        with telling.stages():
            begin(problem)
    finish_retrains(context, telling)
    while (clock := now(context)) < until_us:
        days = min(every, -(-(until_us - clock) // DAY))
        for _ in range(days - 1):
            feed_step(context)
        scored = advance(problem)
        telling.lived(now(context), scored, _ask(context, api))
        look(context, problem, telling)
        if asks_a_person(context):
            telling.on(now(context), "person", "no window has asked for a retrain so far: one is asked for by hand")
            ask_by_hand(context, "a month without a retrain: asked for by hand", now_us=wall_us())
            reconcile(problem)
        finish_retrains(context, telling)


def asks_a_person(context: Context) -> bool:
    """Whether some weeks have gone by without any retrain: then one is asked for, as anybody may."""
    feed, history = context.problem.feed, Outbox(context.root, context.problem.name).history()
    begun = any(entry.decision.kind == "retrain" for entry in history)
    return feed is not None and now(context) >= feed.start_us + _UNASKED_US and not begun


def now(context: Context) -> int:
    """The production clock."""
    return Lake(context.root, context.problem.name).clock() or 0


def look(context: Context, problem: str, telling: Telling) -> None:
    """Look at the window that ends now, and say what was decided."""
    monitor(problem)
    found = story(context, since_us=now(context) - 14 * DAY)
    looks = [one for one in found.looks if one.at_us == now(context) and one.measured]
    if looks and found.weeks:
        telling.looked(looks[-1], found.weeks[-1], found.metric)
    else:
        telling.on(now(context), "monitor", "nothing could be measured yet", "dim")


def finish_retrains(context: Context, telling: Telling) -> None:
    """Wait for every retrain that is owed or at work. One that nobody took up is started by reconcile."""
    outbox = Outbox(context.root, context.problem.name)
    open_ones = [one for one in outbox.history() if one.decision.kind == "retrain" and one.outcome is None]
    for entry in open_ones:
        ended = _wait(context, outbox, entry, telling)
        telling.ended(entry.decision.end_us, str(ended.outcome), ended.version, ended.outcome_reason)


def _wait(context: Context, outbox: Outbox, entry: Entry, telling: Telling) -> Entry:
    began = woken = time.monotonic()
    with telling.console.status("the retrain's worker is woken by the event") as status:
        while (found := outbox.get(entry.decision.id)).outcome is None:
            passed = time.monotonic() - began
            if passed > _PATIENCE_S:
                raise UnavailableError(
                    "a retrain does not end", where=entry.decision.id, fix=f"see {context.root / 'run' / 'worker.log'}"
                )
            if not found.claimed(wall_us()) and time.monotonic() - woken > _LOST_S:
                telling.on(entry.decision.end_us, "retrain", "nobody is at it: reconcile starts it", "yellow")
                reconcile(context.reference)
                woken = time.monotonic()
            status.update(f"retraining in the worker, {passed:.0f} s: {_stage(context) or 'waiting for it'}")
            time.sleep(0.5)
    return found


def _stage(context: Context) -> str:
    """The stage at work: its folder is there and not committed yet."""
    folders = sorted(context.stages_folder.glob("*/.*.tmp"), key=lambda path: path.name)
    return folders[-1].parent.name if folders else ""


def _ask(context: Context, api: str) -> dict[str, Any] | None:
    """What the API answers for a row of now."""
    row = example_row(context.root, context.problem, now(context))
    if row is None:
        return None
    try:
        answer = httpx.post(f"{api}/predict", json=row, trust_env=False, timeout=30)
    except httpx.HTTPError:
        return None
    found: dict[str, Any] = answer.json()
    return found if answer.status_code == 200 else None
