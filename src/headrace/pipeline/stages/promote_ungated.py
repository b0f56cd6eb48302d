"""The stage `promote` of a policy without a gate: a retrained champion recipe is promoted, as by a calendar.

The comparison on the gate window is made and recorded all the same, for people; it decides nothing. A version that was
rolled back stays barred.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from headrace.evaluate.gate import GateDecision
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs
from headrace.pipeline.stages import promote as gated
from headrace.pipeline.stages.evaluate import EVALUATE
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.promote import PROMOTE, PromoteOutput
from headrace.registry.ledger_tables import Record


def _run(context: Context, inputs: Inputs, folder: Path) -> PromoteOutput:
    return gated.promote(context, inputs, folder, gate=_promoted, at_us=inputs[INGEST].output.until_us)


def _promoted(context: Context, inputs: Inputs, champion: Record | None) -> GateDecision | None:
    """The comparison with the champion, turned into a promotion; of a first champion, the gate's own verdict."""
    found = gated.compare_on_gate(context, inputs, champion)
    if champion is None or (found is not None and found.promote):
        return found
    why = "too few rows to compare" if found is None else found.reason
    reason = f"promoted without a gate, by the policy ({why})"
    if found is not None:
        return replace(found, promote=True, reason=reason)
    metric = context.problem.metric
    own = inputs[EVALUATE].output.metrics.get(metric, 0.0)
    return GateDecision(
        promote=True, reason=reason, change="refresh", metric=metric, difference=0.0, low=float("-inf"),
        high=float("inf"), challenger=own, champion=own, n_rows=0, n_days=0, n_groups=0, censored=0,
    )  # fmt: skip


PROMOTE_UNGATED = replace(PROMOTE, run=_run, parameters=lambda context: {"gate": False})
