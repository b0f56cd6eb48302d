"""The plan of a replay: its period on the production clock and the instants of its refits, from the problem."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headrace.core.clock import format_duration, iso
from headrace.core.errors import DeclarationError
from headrace.schema import Every, Problem, Replay, Worth

#: Share of the history before the replay, in time, where neither the problem nor the caller names its start.
FIRST_SHARE = 0.2
#: Refits before the start: gates of the first champions, and what forecasts of quality begin with.
WARM_UP = 4


@dataclass(frozen=True, kw_only=True)
class ReplayPlan:
    """Months of production to be replayed.

    Attributes:
        start_us: The first champion is trained on what was known before, microseconds UTC.
        end_us: The replay ends here.
        known_us: The feed is ingested until here: late labels of the last rows come after the end.
        every_us: From one refit, and one decision, to the next.
        warm_up: Refits before the start.
        shuffled: Whether rows are shuffled over time, so that nothing drifts.
        seed: Of the shuffle, the selection, the fits and the bootstrap.
    """

    start_us: int
    end_us: int
    known_us: int
    every_us: int
    warm_up: int = WARM_UP
    shuffled: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.end_us - self.start_us < 2 * self.every_us:
            raise DeclarationError(
                f"from {iso(self.start_us)} to {iso(self.end_us)} there are not two periods of "
                f"{format_duration(self.every_us)}",
                where="replay",
                fix="start earlier (--start), or refit more often (--every)",
            )

    @property
    def instants_us(self) -> NDArray[np.int64]:
        """Instants of the refits, and the end last [refits + 1]. The first champion's is number `warm_up`."""
        first = self.start_us - self.warm_up * self.every_us
        return np.array([*range(first, self.end_us, self.every_us), self.end_us], dtype=np.int64)


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """What a user may choose of a replay.

    Attributes:
        start: Instant of the first champion. Where None, the feed's start; without a feed before the end, a fifth of
            the history, but not before the refits of the warm-up have a period of rows to learn from.
        until: Instant of the end; that of the sources where None.
        every: From one refit to the next; that of the policy's worth where None.
        shuffle: Shuffle rows over time, so that nothing drifts.
    """

    start: str | None = None
    until: str | None = None
    every: str | None = None
    shuffle: bool = False


def replayed_problem(problem: Problem, plan: ReplayPlan) -> Problem:
    """Return the problem with a feed that starts where the plan does and brings a batch between two refits."""
    feed = Replay(start=iso(plan.start_us), step=format_duration(plan.every_us), steps=0)
    return replace(problem, feed=feed)


def default_every_us(problem: Problem) -> int:
    """Return how often a shadow is refitted by the problem's policy or the default one; not between two predictions."""
    every_us = (problem.policy.worth or Worth()).every_us
    return max(every_us, problem.spine.step_us) if isinstance(problem.spine, Every) else every_us
