"""The monitoring policy as a user declares it: how much evidence is enough, and how often it may cost a training."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.core.clock import parse_duration
from headrace.core.errors import DeclarationError
from headrace.schema.values import check_duration, check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When drift alerts people, when it retrains, and what holds a retrain back. Durations are on the production clock.

    Args:
        k: windows with drift, among the last `n`, from which drift is confirmed.
        n: windows that are looked back at; one that could not be measured does not count.
        retrain_share: share of the compared features, from which confirmed drift of features alone starts a retrain.
        cooldown: pause after a retrain; it doubles with every retrain in a row that did not help.
        budget: retrains that may begin within one `budget_period`.
        budget_period: the period of the budget.
        escalate_after: retrains in a row without a better model after which people are asked for.
        pause: pause after an escalation.
        repeat: pause before the same alert is sent again.

    Raises:
        DeclarationError: for a value out of its range.
    """

    k: int = 2
    n: int = 3
    retrain_share: float = 0.1
    cooldown: str = "7d"
    budget: int = 3
    budget_period: str = "28d"
    escalate_after: int = 2
    pause: str = "28d"
    repeat: str = "7d"

    def __post_init__(self) -> None:
        for name in ("k", "n", "budget", "escalate_after"):
            check_whole(name, getattr(self, name), where="policy", least=1)
        if self.k > self.n:
            raise DeclarationError(f"k={self.k} of n={self.n} windows", where="policy", fix="choose 1 <= k <= n")
        check_number("retrain_share", self.retrain_share, where="policy", low=0, high=1, ends=True)
        for name in ("cooldown", "budget_period", "pause", "repeat"):
            check_duration(name, getattr(self, name), where="policy")

    @property
    def cooldown_us(self) -> int:
        return parse_duration(self.cooldown)

    @property
    def budget_period_us(self) -> int:
        return parse_duration(self.budget_period)

    @property
    def pause_us(self) -> int:
        return parse_duration(self.pause)

    @property
    def repeat_us(self) -> int:
        return parse_duration(self.repeat)
