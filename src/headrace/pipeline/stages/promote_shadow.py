"""The stage `promote` of a shadow: it was judged in production, on rows after its fit, and is promoted by that.

The comparison of a gate window is not made again: its rows are older than those that the shadow has won on.
"""

from __future__ import annotations

from pathlib import Path

from headrace.core.fingerprint import canonical
from headrace.evaluate.gate import GateDecision
from headrace.monitor.worth.wording import describe
from headrace.monitor.worth.worth import WorthEvidence
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Inputs, Stage
from headrace.pipeline.stages.promote import PROMOTE, PromoteOutput, promote
from headrace.registry.ledger_tables import Record


def promote_shadow(evidence: WorthEvidence, *, champion: str, at_us: int) -> Stage[PromoteOutput]:
    """Build the stage that promotes the shadow of a decision.

    Args:
        evidence: what the shadow has gained.
        champion: the version that it was compared with.
        at_us: when it was decided, on the production clock.
    """

    def gate(context: Context, inputs: Inputs, record: Record | None) -> GateDecision | None:
        """What was measured; None where another version than the one compared is champion now."""
        return _measured(context, evidence) if record is not None and record.version == champion else None

    def run(context: Context, inputs: Inputs, folder: Path) -> PromoteOutput:
        return promote(context, inputs, folder, gate=gate, at_us=at_us)

    return Stage(
        name=PROMOTE.name,
        output=PromoteOutput,
        run=run,
        needs=PROMOTE.needs,
        parameters=lambda context: {"evidence": canonical(evidence.to_json()), "champion": champion, "at_us": at_us},
        effects_exist=PROMOTE.effects_exist,
    )


def _measured(context: Context, evidence: WorthEvidence) -> GateDecision:
    """The evidence as a record of the gate. A loss: less is better, so the gain is the champion's less the shadow's."""
    return GateDecision(
        promote=True,
        reason=describe(evidence),
        change="refresh",
        metric=f"loss of {context.problem.metric}",
        difference=evidence.gain,
        low=evidence.low,
        high=evidence.high,
        challenger=evidence.champion_loss - evidence.gain,
        champion=evidence.champion_loss,
        n_rows=evidence.rows,
        n_days=evidence.days,
        n_groups=evidence.days,
        censored=0,
    )
