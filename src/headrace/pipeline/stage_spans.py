"""Spans of the stages of a run; that of the search contains its trials in summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.core.files import read_json
from headrace.pipeline.stage import FinishedStage, StageReport
from headrace.pipeline.stages.search import TRIALS, SearchOutput
from headrace.telemetry.tracing import span

if TYPE_CHECKING:
    from opentelemetry.trace import Span

#: Trials of a search that its span names: the SDK keeps 128 events of a span.
MAX_TRIALS = 100


@contextmanager
def stage_span(problem: str, stage: str) -> Iterator[Span | None]:
    """Record a span around a stage; None where nothing is recorded."""
    with span(f"stage {stage}", {"headrace.problem": problem, "headrace.stage": stage}) as current:
        yield current


def describe_stage(current: Span, finished: FinishedStage[Any], report: StageReport) -> None:
    """Add to a stage's span what is known at its end."""
    current.set_attribute("headrace.stage.state", report.state)
    output = finished.output
    if not isinstance(output, SearchOutput):
        return
    counts = {"trials": output.trials, "stopped": output.stopped, "failed": output.failed, "value": output.value}
    for name, value in counts.items():
        current.set_attribute(f"headrace.search.{name}", value)
    if not report.cached:
        _add_trials(current, read_json(finished.path(TRIALS)))


def _add_trials(current: Span, trials: Sequence[Mapping[str, Any]]) -> None:
    for trial in trials[:MAX_TRIALS]:
        known = {name: trial[name] for name in ("number", "status", "loss", "seconds") if trial[name] is not None}
        current.add_event("trial", {f"headrace.trial.{name}": value for name, value in known.items()})
