"""The policy: each outcome with its reason, persistence, cooldown, budget, escalation, and that it repeats nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.core.clock import DAY
from headrace.core.errors import DeclarationError
from headrace.monitor.outbox.message import decision_alert
from headrace.monitor.policy.causes import ranked
from headrace.monitor.policy.decision import Decision, Outcome, PastDecision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide, escalation, manual_retrain
from headrace.monitor.worth.worth import Verdict, WorthEvidence
from headrace.schema import Policy, Worth

AUC = Finding(name="auc", about="quality", effect=0.06)
SLOW = Finding(name="dep_delay", effect=0.3, floor=0.1, p_value=1e-6)
MORE = tuple(Finding(name=f"f{n}", effect=0.3, floor=0.1, p_value=1e-6) for n in range(3))


def window(day: int, *findings: Finding, champion: str | None = "1", **facts: object) -> Window:
    values = {"judged": 20, "rows": 5000, "mature": 4000, **facts}
    return Window(
        problem="flights",
        start_us=(day - 7) * DAY,
        end_us=day * DAY,
        champion=champion,
        findings=findings,
        **values,  # type: ignore[arg-type]
    )


def past(decision: Decision, outcome: Outcome | None = None, reason: str = "") -> PastDecision:
    return PastDecision(decision=decision, outcome=outcome, outcome_reason=reason)


def test_no_drift_is_nothing_and_says_what_was_looked_at() -> None:
    decision = decide(window(7))
    assert decision.kind == "nothing"
    assert decision.reason == "no drift in 20 features and 5,000 predictions"
    assert "no labels have matured yet" in decide(window(7, mature=0)).reason


def test_without_a_champion_or_a_measured_window_nothing_happens() -> None:
    assert decide(window(7, AUC, champion=None)).reason == "there is no champion to watch yet"
    empty = window(7, measured=False, outcome="empty window", notes=("no predictions in this window",))
    decision = decide(empty)
    assert (decision.kind, decision.reason) == ("nothing", "empty window; no predictions in this window")
    assert not decision.measured


def test_a_missing_reference_is_told_once_a_week() -> None:
    blind = [window(day, measured=False, blind=True, outcome="no reference") for day in (7, 8, 15)]
    first = decide(blind[0])
    second = decide(blind[1], [past(first)])
    third = decide(blind[2], [past(first), past(second)])
    assert [one.kind for one in (first, second, third)] == ["alert", "nothing", "alert"]
    assert "Reported already" in second.reason


def test_a_drop_in_quality_retrains_at_once() -> None:
    decision = decide(window(7, AUC, costs={"auc": 0.06, "log_loss": -0.01}))
    assert decision.kind == "retrain"
    assert decision.reason == "auc is worse by 0.06 on matured labels"
    assert decision.cost == 0.06


def gains(verdict: Verdict = "worth it", shadow_us: int | None = 5 * DAY) -> WorthEvidence:
    return WorthEvidence(
        verdict=verdict, gain=0.02, low=0.01, high=float("inf"), required=0.004, champion_loss=0.4, e_value=9.0,
        rows=2000, days=21, horizon_weeks=4.0, shadow_us=shadow_us,
    )  # fmt: skip


def test_a_refresh_that_is_worth_its_cost_promotes_the_shadow_that_showed_it() -> None:
    decision = decide(window(7, worth=gains()))
    assert (decision.kind, decision.shadow_us, decision.topics) == ("retrain", 5 * DAY, ("worth",))
    assert decision.reason == (
        "a refresh is worth it: the shadow of 1970-01-06 loses 5.0% less than the champion (0.38 against 0.4 a row, "
        "at least 2.5% less, on 2,000 labels of 21 days); 1.0% less would pay for a retrain"
    )
    assert decide(window(7, AUC, worth=gains())).shadow_us == 5 * DAY
    assert decide(window(7, AUC, worth=gains("not yet"))).shadow_us is None
    assert Decision.from_json(decision.to_json()) == decision


def test_a_champion_that_is_worse_than_its_predecessor_is_rolled_back_whatever_holds_retrains_back() -> None:
    policy = Policy(rollback=True, budget=1)
    worse = window(9, champion="2", predecessor="1", predecessor_worth=gains())
    promoted = past(decide(window(7, AUC)), "promoted")
    decision = decide(worse, [promoted], policy)
    assert (decision.kind, decision.rollback_to, decision.topics) == ("retrain", "1", ("rollback",))
    assert decision.reason.startswith(
        "version 2 is worse than its predecessor, version 1, which would have lost 5.0% less"
    )
    assert Decision.from_json(decision.to_json()) == decision
    assert decide(worse, [promoted], Policy()).rollback_to is None
    assert decide(worse, [past(decide(window(8, AUC)))], policy).rollback_to is None, "a retrain is pending"
    uncertain = window(9, champion="2", predecessor="1", predecessor_worth=gains("not yet"))
    assert decide(uncertain, [promoted], policy).kind == "nothing"
    alert = decision_alert(decision)
    assert alert is not None
    assert alert.title == "Headrace flights: back to version 1"


def test_a_refit_of_all_rows_known_at_the_decision_is_promoted_where_the_policy_wants_it() -> None:
    refit = Policy(worth=Worth(promote="refit"))
    assert decide(window(7, worth=gains()), policy=refit).shadow_us == 7 * DAY
    assert decide(window(7, AUC), policy=refit).shadow_us is None, "quality retrains as before"


@pytest.mark.parametrize("verdict", ["not yet", "not worth it"])
def test_a_refresh_that_is_not_worth_it_starts_nothing(verdict: Verdict) -> None:
    decision = decide(window(7, worth=gains(verdict)))
    assert (decision.kind, decision.worth) == ("nothing", gains(verdict))
    assert decide(window(7, worth=gains()), policy=Policy(worth=None)).kind == "nothing"


def test_the_worth_of_a_refresh_is_held_back_like_any_other_retrain() -> None:
    first = decide(window(7, worth=gains()))
    pending = decide(window(8, worth=gains()), [past(first)])
    cooling = decide(window(9, worth=gains(), champion="2"), [past(first, "promoted")])
    later = decide(window(15, worth=gains(), champion="2"), [past(first, "promoted")])
    assert [one.kind for one in (pending, cooling, later)] == ["nothing", "alert", "retrain"]
    assert "the cooldown is 7d" in cooling.reason
    assert cooling.shadow_us is None


def test_drift_of_features_has_to_last_and_to_be_wide() -> None:
    first = decide(window(7, SLOW, *MORE))
    assert (first.kind, first.reason) == (
        "nothing",
        "dep_delay, f0, f1 and 1 more drifted, but not in 2 of 3 windows yet",
    )
    between = decide(window(8), [past(first)])
    second = decide(window(9, SLOW, *MORE), [past(between), past(first)])
    assert second.kind == "retrain"
    assert second.reason == "4 of 20 features drifted (2 of 3 windows): dep_delay, f0, f1 and 1 more"
    narrow = decide(window(9, SLOW), [past(first), past(between)])
    assert (narrow.kind, narrow.confirmed) == ("alert", ("feature:dep_delay",))


def test_persistence_looks_at_n_measured_windows_of_this_champion_only() -> None:
    first = decide(window(7, SLOW, *MORE))
    quiet = [past(decide(window(day))) for day in (8, 9)]
    assert decide(window(10, SLOW, *MORE), [past(first), *quiet]).kind == "nothing"
    unmeasured = [past(decide(window(day, measured=False, outcome="empty window"))) for day in (8, 9)]
    assert decide(window(10, SLOW, *MORE), [past(first), *unmeasured]).kind == "retrain"
    assert decide(window(10, SLOW, *MORE, champion="2"), [past(first)]).kind == "nothing"
    assert decide(window(10, SLOW, *MORE), policy=Policy(k=1, n=1)).kind == "retrain"


def test_a_later_look_at_an_earlier_window_does_not_see_the_future() -> None:
    later = decide(window(9, SLOW, *MORE))
    assert decide(window(8, SLOW, *MORE), [past(later)]).kind == "nothing"


def test_a_drift_of_predictions_retrains_when_it_lasts() -> None:
    shifted = Finding(name="_prediction", about="prediction", effect=0.2, floor=0.1)
    first = decide(window(7, shifted))
    second = decide(window(8, shifted), [past(first)])
    assert (first.kind, second.kind) == ("nothing", "retrain")
    assert second.reason == "the distribution of predictions drifted (2 of 3 windows)"


def test_a_broken_column_is_told_at_once_and_never_a_reason_to_retrain() -> None:
    broken = replace(SLOW, broken=True, note="gone from the current window")
    first = decide(window(7, broken, *(replace(one, broken=True, note="gone") for one in MORE)))
    assert first.kind == "alert"
    assert "dep_delay is broken: gone from the current window" in first.reason
    assert decide(window(8, broken), [past(first)]).kind == "nothing"


def test_one_retrain_at_a_time() -> None:
    first = decide(window(7, AUC))
    second = decide(window(8, AUC), [past(first)])
    assert second.kind == "nothing"
    assert second.reason.endswith(f"No retrain: retrain {first.id} of 1970-01-08T00:00:00Z is not finished yet")


def test_cooldown_is_told_and_doubles_with_each_retrain_that_did_not_help() -> None:
    first = decide(window(7, AUC))
    promoted = [past(first, "promoted")]
    assert decide(window(13, AUC, champion="2"), promoted).kind == "alert"
    assert "the cooldown is 7d" in decide(window(13, AUC, champion="2"), promoted).reason
    assert decide(window(14, AUC, champion="2"), promoted).kind == "retrain"
    refused = [past(first, "refused")]
    assert "the cooldown is 14d" in decide(window(20, AUC), refused).reason
    assert decide(window(21, AUC), refused).kind == "retrain"
    assert decide(window(8, AUC), [past(first, "superseded")]).kind == "retrain"


def test_budget() -> None:
    policy = Policy(budget=2, budget_period="28d")
    history = [past(decide(window(day, AUC, champion=str(day))), "promoted") for day in (7, 14)]
    spent = decide(window(21, AUC, champion="14"), history, policy)
    assert spent.kind == "alert"
    assert "the budget of 2 retrains in 28d is spent" in spent.reason
    assert decide(window(35, AUC, champion="14"), history, policy).kind == "retrain"


def test_retrains_that_do_not_help_escalate_and_pause() -> None:
    first, second = decide(window(7, AUC)), decide(window(21, AUC))
    history = [past(first, "refused", "worse by 0.01"), past(second, "refused", "worse by 0.02")]
    assert escalation(first, history[:1]) is None
    told = escalation(second, history)
    assert told is not None
    assert (told.kind, told.escalated, told.measured) == ("alert", True, False)
    assert "2 retrains in a row brought no better model (last: worse by 0.02). Next try after 28d" in told.reason
    assert told.id not in {first.id, second.id}
    assert escalation(second, [*history, past(told)]) == told
    held = decide(window(28, AUC), [*history, past(told)])
    assert (held.kind, held.escalated) == ("alert", True)
    quiet = decide(window(29, AUC), [*history, past(told), past(held)])
    assert quiet.kind == "nothing"
    assert decide(window(49, AUC), [*history, past(told), past(held)]).kind == "retrain"


def test_a_retrain_that_could_not_be_compared_is_no_sign_that_retraining_does_not_help() -> None:
    first = decide(window(7, AUC))
    unknown = [past(first, "not comparable", "fewer than 50 rows")]
    assert "the cooldown is 7d" in decide(window(13, AUC), unknown).reason
    second = decide(window(14, AUC), unknown)
    assert second.kind == "retrain"
    both = [*unknown, past(second, "not comparable", "fewer than 50 rows")]
    assert escalation(second, both, Policy(escalate_after=1)) is None
    assert decide(window(21, AUC), both).kind == "retrain"
    refused = [past(first, "refused"), past(second, "not comparable")]
    assert escalation(second, refused) is None
    assert "the cooldown is 14d" in decide(window(27, AUC), refused).reason


def test_a_promotion_ends_the_row_of_refusals() -> None:
    retrains = [decide(window(day, AUC)) for day in (7, 21, 49)]
    history = [past(retrains[0], "refused"), past(retrains[1], "promoted"), past(retrains[2], "failed")]
    assert escalation(retrains[2], history) is None
    assert escalation(retrains[2], history, Policy(escalate_after=1)) is not None


def test_ids_are_the_windows_and_the_champions() -> None:
    one = decide(window(7, AUC))
    assert one.id == decide(window(7), policy=Policy(k=1, n=1)).id
    others = {
        decide(window(8)).id,
        decide(window(7, champion="2")).id,
        manual_retrain("flights", "1", 7 * DAY, "asked").id,
    }
    assert len({one.id, *others}) == 4
    assert decide(window(7, AUC), [past(one)]) == one, "the window's own decision is no history of it"


def test_a_retrain_by_hand_counts_for_the_cooldown_not_for_persistence() -> None:
    asked = manual_retrain("flights", "1", 8 * DAY, "asked by hand")
    assert asked.kind == "retrain"
    first = decide(window(7, SLOW, *MORE))
    again = decide(window(9, SLOW, *MORE), [past(first), past(asked, "promoted")], Policy(k=2, n=2))
    assert again.kind == "alert"
    assert "cooldown" in again.reason


def test_costliest_first() -> None:
    light, heavy = replace(SLOW, name="light", weight=0.01, effect=0.9), replace(SLOW, name="heavy", weight=0.4)
    assert [one.name for one in ranked([light, heavy, SLOW])] == ["heavy", "light", "dep_delay"]


def test_decisions_survive_json() -> None:
    decision = replace(decide(window(7, AUC, SLOW, costs={"auc": 0.06})), links={"report": "http://x"})
    assert Decision.from_json(decision.to_json()) == decision
    assert Decision.from_json({**decision.to_json(), "a later field": 1}) == decision


@pytest.mark.parametrize("bad", [{"k": 3, "n": 2}, {"k": 0}, {"budget": 0}, {"retrain_share": 1.5}])
def test_policies_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(DeclarationError):
        Policy(**bad)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "auc", "drift"]), st.sampled_from(["promoted", "refused"])), max_size=60)
)
def test_whatever_happens_the_budget_and_the_cooldown_hold(days: list[tuple[str, Outcome]]) -> None:
    policy, history, champion, begun = Policy(), [], 1, []
    for day, (what, outcome) in enumerate(days, start=7):
        findings = {"": (), "auc": (AUC,), "drift": (SLOW, *MORE)}[what]
        decision = decide(window(day, *findings, champion=str(champion)), history, policy)
        retrain = decision.kind == "retrain"
        history.append(past(decision, outcome if retrain else None))
        champion += retrain and outcome == "promoted"
        begun += [day] if retrain else []
    assert all(later - earlier >= 7 for earlier, later in pairwise(begun))
    assert all(sum(day - 28 < other <= day for other in begun) <= policy.budget for day in begun)


def test_a_trigger_that_is_switched_off_alerts_but_does_not_retrain() -> None:
    label = Finding(name="_label", about="label", effect=0.3)
    before = [past(decide(window(day, label, *MORE))) for day in (7, 8)]
    for finding, off in ((AUC, Policy(quality=False)), (label, Policy(drift=False))):
        assert decide(window(9, finding), before).kind == "retrain"
        assert decide(window(9, finding), policy=replace(off, k=1)).kind == "alert"
    assert decide(window(9, *MORE), before, Policy(retrain_share=0.1)).kind == "retrain"
    assert decide(window(30, *MORE), before, Policy(drift=False)).kind == "alert"


def test_age_and_new_rows_retrain_where_the_policy_says_so() -> None:
    old = window(40, age_us=28 * DAY, new_rows=0.4)
    assert decide(old).kind == "nothing"
    assert decide(old, policy=Policy(age="29d", new_rows=0.4)).kind == "nothing"
    assert decide(old, policy=Policy(age="28d")).reason == "the champion's training data end 28d ago"
    assert decide(old, policy=Policy(new_rows=0.3)).reason.endswith("since the champion's training: 40% of its own")
    decision = decide(old, policy=Policy(age="28d", new_rows=0.3))
    assert (decision.kind, decision.topics) == ("retrain", ("age", "new_rows"))
    held = decide(replace(old, end_us=41 * DAY), [past(decision)], Policy(age="28d"))
    assert (held.kind, held.topics) == ("nothing", ())
