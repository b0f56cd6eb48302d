"""The stage `materialise`: fill the online store up to the production clock's last tick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.pipeline.context import Context
from headrace.pipeline.production.feed import current_tick
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.promote import PROMOTE
from headrace.pipeline.stages.publish import PUBLISH
from headrace.pipeline.stages.replay import REPLAY


@dataclass(frozen=True, kw_only=True)
class MaterialiseOutput:
    """tick_us: of the online store. rows: written, by feature view. note: what was mended on the way."""

    tick_us: int
    rows: Mapping[str, int]
    note: str


def _run(context: Context, inputs: Inputs, folder: Path) -> MaterialiseOutput:
    from headrace.store.materialise import materialise, views_ahead_note

    note, tick = views_ahead_note(context.root, context.problem), current_tick(context)
    return MaterialiseOutput(tick_us=tick, rows=materialise(context.root, context.problem, tick), note=note)


def _effects_exist(context: Context, output: MaterialiseOutput) -> bool:
    from headrace.store.materialise import online_is_current

    return online_is_current(context.root, context.problem, current_tick(context))


MATERIALISE = Stage(
    name="materialise",
    output=MaterialiseOutput,
    run=_run,
    needs=(PUBLISH, PROMOTE, REPLAY),
    effects_exist=_effects_exist,
)
