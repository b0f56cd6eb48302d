"""Compare a promoted champion with its predecessor on the rows since its promotion: whether to roll back.

The predecessor predicts from the features that were logged with the champion's answers, so both saw the same values.
Neither has learnt from these rows. The test is that of the worth of a refresh, with the predecessor in the place of the
shadow and without a cost: it stays valid although every window looks at it.
"""

from __future__ import annotations

from headrace.core.errors import CorruptError, DataError, NotFoundError
from headrace.monitor.worth.worth import WorthEvidence
from headrace.pipeline.context import Context
from headrace.pipeline.monitoring.current_window import current_window
from headrace.pipeline.monitoring.shadow_comparison import compare_losses
from headrace.pipeline.production.champion import version_bundle
from headrace.pipeline.production.shadows import Shadow
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record
from headrace.schema import Policy, Worth

#: Without a worse champion, a roll back is called for at most once in twenty windows of comparison.
_CONFIDENCE = 0.95


def loss_against_predecessor(
    context: Context, champion: Record, *, end_us: int, now_us: int
) -> tuple[str | None, WorthEvidence | None]:
    """Measure what the champion's predecessor would have saved since the champion was promoted.

    Args:
        context: of the problem.
        champion: the present one.
        end_us: end of the monitored window.
        now_us: a label is mature if it was known before this instant.

    Returns:
        The predecessor and the evidence; None where the policy does not roll back, where there is no predecessor, or
        where the two cannot be compared because their features differ or a bundle is lost.
    """
    rules = rollback_rules(context.problem.policy)
    previous = Ledger(context.root, context.problem.name).previous()
    if not context.problem.policy.rollback or previous is None:
        return None, None
    start_us = max(champion.at_us, end_us - rules.window_us)
    try:
        bundle, own = version_bundle(context, previous), version_bundle(context, champion.version)
        if bundle.service != own.service or start_us >= end_us:
            return None, None
        kinds = {item.slug: item.kind for item in bundle.definitions}
        window = current_window(context, champion.version, kinds, start_us, end_us, now_us)
        stand_in = Shadow(version=previous, fitted_us=start_us, rows=0, folder="", digest="")
        return previous, compare_losses(context, [(stand_in, bundle)], window, rules, end_us)
    except (NotFoundError, CorruptError, DataError):
        return None, None


def rollback_rules(policy: Policy) -> Worth:
    """Return the rules of the comparison: the periods of the policy's worth, no cost, and few false alarms."""
    periods = policy.worth or Worth()
    return Worth(every=periods.every, window=periods.window, confidence=_CONFIDENCE, cost=0.0)
