"""The cost of computing features, and their order by gain: of two about equal ones the cheaper comes first."""

from __future__ import annotations

from collections.abc import Mapping

from headrace.synthesis.language.definitions import Aggregate, Definition, Direct, Grouped, Transform
from headrace.synthesis.language.inputs import relative, time_varying
from headrace.synthesis.primitives import aggregation, transform

#: Gains of which one is at most so many times the other are about equal.
TIE = 1.25
#: Cost of one more level of stacking, in means (docs/adr, retraction streams).
_STACKED = 2.0


def cost_of(definition: Definition) -> float:
    """What a value costs to compute, in means."""
    if isinstance(definition, Transform):
        return transform(definition.primitive).cost + sum(cost_of(item) for item in definition.inputs)
    if isinstance(definition, Grouped):
        return 1.0
    if not isinstance(definition, Direct | Aggregate):
        return 0.0
    own = aggregation(definition.primitive).cost if isinstance(definition, Aggregate) else 0.2
    return own + sum(cost_of(item) + (_STACKED if time_varying([item]) else 0.0) for item in relative(definition))


def ranked(gains: Mapping[Definition, float]) -> list[Definition]:
    """Return features from the best to the worst: by gain, and among ties by cost.

    A tie is a run of features whose gains are at most TIE times smaller than the best of the run.
    """
    order = sorted(gains, key=lambda item: -gains[item])
    runs: list[list[Definition]] = []
    for item in order:
        if runs and gains[runs[-1][0]] <= TIE * gains[item]:
            runs[-1].append(item)
        else:
            runs.append([item])
    return [item for run in runs for item in sorted(run, key=cost_of)]
