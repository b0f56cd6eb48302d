"""The stage `materialise`: fill the online store up to the production clock's last tick."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headrace.pipeline.context import Context
from headrace.pipeline.production.feed import current_tick
from headrace.pipeline.stage import Needs, Stage


def _materialise(context: Context, needs: Needs, folder: Path) -> Mapping[str, Any]:
    from headrace.store.materialise import materialise, views_ahead_note

    note, tick = views_ahead_note(context.root, context.problem), current_tick(context)
    return {"tick_us": tick, "rows": materialise(context.root, context.problem, tick), "note": note}


def _materialised(context: Context, facts: Mapping[str, Any]) -> bool:
    from headrace.store.materialise import online_is_current

    return online_is_current(context.root, context.problem, current_tick(context))


MATERIALISE = Stage(
    name="materialise",
    run=_materialise,
    needs=("publish", "promote", "replay"),
    code=("headrace.store",),
    standing=_materialised,
)
