"""Compare all features of a monitored window together with the champion's reference, for the window's evidence.

Only features that change within a window are used: with a lookback beyond its length, the reference has too few
independent windows to compare with.
"""

from __future__ import annotations

from collections import Counter

from headrace.monitor.evidence.joint import JointResult, joint_evidence
from headrace.pipeline.monitoring.champion_reference import ChampionReference
from headrace.pipeline.monitoring.current_window import CurrentWindow
from headrace.schema import Problem

#: Share of the false-discovery rate that this test may spend.
_SHARE = 0.1


def joint_drift(
    problem: Problem, reference: ChampionReference, current: CurrentWindow, *, seed: int = 0
) -> JointResult | None:
    """Test whether the most important features together can be told from the reference's.

    Args:
        problem: declares the false-discovery rate.
        reference: of the champion.
        current: the window.
        seed: of the test.

    Returns:
        None where there is nothing to compare.
    """
    if reference.table is None or not current.table.num_rows:
        return None
    length_us = reference.spacing_us or current.length_us
    used = [
        name
        for name in reference.kinds
        if name not in reference.excluded and reference.lookback_us.get(name, 0) <= length_us
    ]
    used.sort(key=lambda name: -reference.importance.get(name, 0.0))
    shared = Counter(column for name in used for column in reference.entities.get(name, ()))
    return joint_evidence(
        reference.table,
        current.table,
        used,
        cutoffs_us=current.cutoffs_us,
        length_us=length_us,
        entity=max(shared, key=lambda name: shared[name], default=None),
        lookback_us=max((reference.lookback_us.get(name, 0) for name in used), default=0),
        level=problem.monitoring.false_discovery_rate * _SHARE,
        seed=seed,
    )
