"""How a challenger replaces the champion, as a user declares it: compared in production step by step, or at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError
from headrace.schema.values import check_duration, check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A gradual replacement of the champion by a challenger that has passed the gate.

    The challenger first scores every request beside the champion and answers none (shadow). Then it answers a share of
    the entities, always the same ones (canary). It becomes champion once its losses on matured labels are shown to be
    no larger than the champion's by more than `tolerance`, and is rolled back once they are shown to be larger, or its
    errors or latencies are. Durations are on the production clock, except where the text says otherwise.

    Args:
        shadow: least duration of the shadow phase.
        shares: shares of the entities that the challenger answers, step by step; none: it is promoted from shadow.
        hold: least duration of each share.
        by: join keys that make the entities whose share is answered, each always by the same version; none: all join
            keys of the problem.
        least_requests: predictions of the challenger that each step needs at least.
        tolerance: how much larger the challenger's mean loss may be, as a share of the champion's.
        error: probability, at most, of promoting a challenger that is worse than `tolerance`, and of rolling back one
            that is not; both hold at all times at once, however often the comparison is looked at.
        block: predictions whose labels become known within one such period are one observation, because they depend on
            each other.
        errors: largest share of requests that the challenger may fail to score.
        latency: largest ratio of the challenger's 99th percentile of scoring time to the champion's.
        load_limit: time (wall clock) in which the version must load, and `answer_limit` the time in which it must
            answer one stored row (median), before it scores any request.
        answer_limit: see `load_limit`.
        cooldown: time after a failed rollout within which the same version is not tried again.
        deadline: a rollout that is not decided by then ends, and the champion stays.

    Raises:
        DeclarationError: for a value out of its range.
    """

    shadow: str = "1d"
    shares: Sequence[float] = (0.05, 0.25)
    hold: str = "1d"
    by: Sequence[str] = ()
    least_requests: int = 200
    tolerance: float = 0.02
    error: float = 0.05
    block: str = "1h"
    errors: float = 0.01
    latency: float = 2.0
    load_limit: str = "60s"
    answer_limit: str = "250ms"
    cooldown: str = "7d"
    deadline: str = "28d"

    def __post_init__(self) -> None:
        where = "rollout"
        for name in ("shadow", "hold", "block", "load_limit", "answer_limit", "cooldown", "deadline"):
            check_duration(name, getattr(self, name), where=where)
        if isinstance(self.shares, str) or not isinstance(self.shares, Sequence):
            raise DeclarationError(f"shares={self.shares!r}", where=where, fix="give shares such as (0.05, 0.25)")
        object.__setattr__(self, "shares", tuple(self.shares))
        object.__setattr__(self, "by", (self.by,) if isinstance(self.by, str) else tuple(self.by))
        for share in self.shares:
            check_number("a share", share, where=where, low=0, high=1)
        if list(self.shares) != sorted(set(self.shares)):
            raise DeclarationError(f"shares={self.shares!r} do not increase", where=where, fix="sort them")
        check_whole("least_requests", self.least_requests, where=where, least=1)
        check_number("tolerance", self.tolerance, where=where, low=0, ends=True)
        check_number("error", self.error, where=where, low=0, high=0.5)
        check_number("errors", self.errors, where=where, low=0, high=1)
        check_number("latency", self.latency, where=where, low=1)

    @property
    def shadow_us(self) -> int:
        return parse_duration(self.shadow)

    @property
    def hold_us(self) -> int:
        return parse_duration(self.hold)

    @property
    def block_us(self) -> int:
        return parse_duration(self.block)

    @property
    def load_limit_us(self) -> int:
        return parse_duration(self.load_limit)

    @property
    def answer_limit_us(self) -> int:
        return parse_duration(self.answer_limit)

    @property
    def cooldown_us(self) -> int:
        return parse_duration(self.cooldown)

    @property
    def deadline_us(self) -> int:
        return parse_duration(self.deadline)
