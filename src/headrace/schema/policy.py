"""The monitoring policy as a user declares it: which evidence starts a retrain, and what holds a retrain back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from headrace.core.clock import DAY, WEEK, parse_duration
from headrace.core.errors import DeclarationError
from headrace.schema.values import check_duration, check_number, check_whole


@dataclass(frozen=True, kw_only=True)
class Worth:
    """How the worth of a refresh is measured: the gain of the champion's recipe, refitted on newer rows.

    A *shadow* is that refit. It predicts the rows that the champion predicts, and is compared with it on their labels.

    Args:
        every: a new shadow is fitted on whole multiples of it.
        window: the newest part of the comparison counts: this long.
        confidence: in a world without change, a refresh is called worth it at most once in `window` / (1 - this).
        cost: what a retrain costs, in weeks of the champion's loss: the errors of so many weeks cost as much.
        horizon: how long a refresh is expected to last; its gain over this time must exceed `cost`.
        rule: "evidence": a refresh is worth it where its gain exceeds the cost at `confidence`. "regret": where the
            champion has lost more against its shadows, within `window`, than a retrain costs; `confidence` is not used.
        promote: "judged" promotes the newest shadow that was compared. "refit" fits it once more, on all rows known
            at the decision: newer rows, in a model that has answered nothing yet.

    Raises:
        DeclarationError: for a value out of its range.
    """

    every: str = "7d"
    window: str = "28d"
    confidence: float = 0.8
    cost: float = 0.04
    horizon: str = "28d"
    rule: Literal["evidence", "regret"] = "evidence"
    promote: Literal["judged", "refit"] = "judged"

    def __post_init__(self) -> None:
        for name, allowed in (("rule", ("evidence", "regret")), ("promote", ("judged", "refit"))):
            if getattr(self, name) not in allowed:
                fix = f"give {' or '.join(map(repr, allowed))}"
                raise DeclarationError(f"{name}={getattr(self, name)!r}", where="policy.worth", fix=fix)
        for name in ("every", "window", "horizon"):
            check_duration(name, getattr(self, name), where="policy.worth")
        for name in ("every", "window"):
            if parse_duration(getattr(self, name)) % DAY:
                raise DeclarationError(
                    f"{name}={getattr(self, name)!r} is not of whole days", where="policy.worth", fix="write it as '7d'"
                )
        if self.window_us < self.every_us:
            raise DeclarationError(
                f"window={self.window!r} is shorter than every={self.every!r}",
                where="policy.worth",
                fix="choose a window of one refit or more",
            )
        check_number("confidence", self.confidence, where="policy.worth", low=0, high=1)
        check_number("cost", self.cost, where="policy.worth", low=0, ends=True)

    @property
    def every_us(self) -> int:
        return parse_duration(self.every)

    @property
    def window_us(self) -> int:
        return parse_duration(self.window)

    @property
    def horizon_us(self) -> int:
        return parse_duration(self.horizon)

    @property
    def required_share(self) -> float:
        """The smallest gain that pays for a retrain, as a share of the champion's loss."""
        return self.cost * WEEK / self.horizon_us


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When drift alerts people, what retrains, and what holds a retrain back. Durations are on the production clock.

    The triggers `worth`, `quality`, `drift`, `estimates`, `age` and `new_rows` are independent: any of them starts a
    retrain.

    Args:
        quality: whether a significant drop of quality on matured labels starts a retrain.
        drift: whether confirmed drift of predictions, labels or features does.
        worth: how the worth of a refresh is measured, which starts a retrain where it exceeds its cost. None: it is
            not measured.
        estimates: whether a confirmed drop of the metric that is only estimated, before its labels come, does.
        age: a retrain starts when the champion's training data end this long ago. None: age starts none.
        new_rows: a retrain starts when the rows with a label since the champion's training exceed this share of those
            that it was trained on. None: they start none.
        gate: whether a retrained model must pass the gate to become champion. False: it is promoted without, as by a
            calendar. A retrain that selects features and family anew always passes the gate.
        rollback: whether a champion that loses significantly more than its predecessor, on labels since its promotion,
            is replaced by it. The two must have the same features.
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

    quality: bool = True
    drift: bool = True
    worth: Worth | None = field(default_factory=Worth)
    estimates: bool = False
    age: str | None = None
    new_rows: float | None = None
    gate: bool = True
    rollback: bool = False
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
        self._check_triggers()
        for name in ("k", "n", "budget", "escalate_after"):
            check_whole(name, getattr(self, name), where="policy", least=1)
        if self.k > self.n:
            raise DeclarationError(f"k={self.k} of n={self.n} windows", where="policy", fix="choose 1 <= k <= n")
        check_number("retrain_share", self.retrain_share, where="policy", low=0, high=1, ends=True)
        for name in ("cooldown", "budget_period", "pause", "repeat"):
            check_duration(name, getattr(self, name), where="policy")

    def _check_triggers(self) -> None:
        for name in ("quality", "drift", "estimates", "gate", "rollback"):
            if not isinstance(getattr(self, name), bool):
                raise DeclarationError(f"{name}={getattr(self, name)!r}", where="policy", fix="give True or False")
        if self.worth is not None and not isinstance(self.worth, Worth):
            raise DeclarationError(f"worth={self.worth!r}", where="policy", fix='give Worth(window="28d"), or None')
        if self.age is not None:
            check_duration("age", self.age, where="policy")
        if self.new_rows is not None:
            check_number("new_rows", self.new_rows, where="policy", low=0)

    @property
    def age_us(self) -> int | None:
        return None if self.age is None else parse_duration(self.age)

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
