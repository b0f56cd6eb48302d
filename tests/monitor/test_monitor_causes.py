"""Findings of one origin are one cause, told once; what a person acknowledged is not told again until it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.clock import DAY
from headrace.core.errors import ConflictError, NotFoundError
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.message import decision_alert
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.causes import ranked, with_origins
from headrace.monitor.policy.decision import Acknowledgement, Decision, PastDecision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from headrace.schema import Policy

SEEN = Acknowledgement(who="ada", at_us=1)
#: A finding of one window is enough, and features alone are no reason to retrain.
QUICKLY = Policy(k=1, n=1, retrain_share=1.0)
SOURCES = {f"seats{i}": ("planes", "planes.seats") for i in range(4)} | {
    "year": ("planes", "planes.year"),
    **{f"delay{i}": ("flights", "flights.dep_delay") for i in range(6)},
}


def window(day: int, *findings: Finding) -> Window:
    return Window(
        problem="flights",
        start_us=(day - 7) * DAY,
        end_us=day * DAY,
        champion="1",
        findings=findings,
        judged=20,
        rows=5000,
        mature=4000,
    )


def drifted(*names: str, effect: float = 0.3, broken: bool = False) -> tuple[Finding, ...]:
    return tuple(Finding(name=name, effect=effect, floor=0.1, broken=broken, note="no values") for name in names)


def origins(findings: Sequence[Finding]) -> dict[str, str]:
    return {finding.name: finding.origin for finding in with_origins(findings, SOURCES, SOURCES)}


def test_features_of_one_column_have_it_as_their_origin() -> None:
    assert set(origins(drifted("seats0", "seats1", "seats2")).values()) == {"planes.seats"}


def test_a_whole_table_is_the_origin_where_columns_beside_each_other_drift() -> None:
    assert set(origins(drifted("seats0", "seats1", "seats2", "seats3", "year")).values()) == {"planes"}


def test_few_of_many_features_have_no_common_origin() -> None:
    assert set(origins(drifted("delay0", "delay1", "year")).values()) == {""}  # two of six


def test_broken_and_drifted_features_are_apart() -> None:
    found = with_origins([*drifted("seats0", "seats1", broken=True), *drifted("delay0")], SOURCES, SOURCES)
    assert [finding.cause for finding in found] == ["broken:planes.seats"] * 2 + ["feature:delay0"]


@given(st.sets(st.sampled_from(sorted(SOURCES)), max_size=11), st.integers(0, 10))
def test_an_origin_is_used_by_each_of_its_features_and_by_half_that_drifted(names: set[str], turn: int) -> None:
    rotated = sorted(names)[turn:] + sorted(names)[:turn]
    found = with_origins(drifted(*rotated), SOURCES, SOURCES)
    assert {finding.name: finding.origin for finding in found} == origins(drifted(*sorted(names)))
    for origin in {finding.origin for finding in found} - {""}:
        users = {name for name, sources in SOURCES.items() if origin in sources}
        assert len(users & names) >= max(2, len(users) / 2)
        assert {finding.name for finding in found if finding.origin == origin} <= users


def test_forty_features_of_a_broken_column_are_one_cause() -> None:
    names = [f"seats{i}" for i in range(40)]
    sources = dict.fromkeys(names, ("planes.seats",))
    found = with_origins(drifted(*names, broken=True), sources, names)
    decision = decide(window(7, *found))
    assert decision.topics == ("broken:planes.seats",)
    assert "planes.seats is broken: no values in 40 features (seats0, seats1, seats2 and 37 more)" in decision.reason
    later = decide(window(8, *found[:30]), [PastDecision(decision=decision)])
    assert (later.kind, "Reported already" in later.reason) == ("nothing", True)


def reported(day: int, *findings: Finding) -> Decision:
    return decide(window(day, *findings), policy=QUICKLY)


def after(first: Decision, day: int, *findings: Finding, between: Sequence[PastDecision] = ()) -> Decision:
    past = [PastDecision(decision=first, acknowledged=SEEN), *between]
    return decide(window(day, *findings), past, QUICKLY)


def test_an_acknowledged_cause_is_not_told_again_until_it_changes() -> None:
    first = reported(7, *drifted("seats0"))
    assert first.kind == "alert"
    assert decide(window(21, *drifted("seats0")), [PastDecision(decision=first)], QUICKLY).kind == "alert"
    quiet = after(first, 21, *drifted("seats0"))
    assert (quiet.kind, quiet.reason.endswith("Acknowledged")) == ("nothing", True)
    assert after(first, 21, *drifted("seats0", "year")).kind == "alert"  # another cause
    assert after(first, 21, *drifted("seats0", effect=0.7)).kind == "alert"  # more than twice as large
    gone = PastDecision(decision=decide(window(14), policy=QUICKLY))
    assert after(first, 21, *drifted("seats0"), between=[gone]).kind == "alert"  # it ended, and came back


def test_an_acknowledgement_keeps_no_retrain_back() -> None:
    worse = Finding(name="auc", about="quality", effect=0.06)
    first = replace(reported(7, worse), kind="alert")
    assert after(first, 21, worse).kind == "retrain"


def test_the_costliest_comes_first_where_the_cost_is_certain() -> None:
    cheap = Finding(name="cheap", effect=9, floor=1, weight=0.5, cost=0.001, cost_error=0.01)
    costly = Finding(name="costly", effect=2, floor=1, weight=0.1, cost=0.02, cost_error=0.001)
    assert [finding.name for finding in ranked([cheap, costly])] == ["costly", "cheap"]


def test_the_outbox_keeps_who_acknowledged_and_when(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "flights")
    entry = announce(outbox, reported(7, *drifted("seats0")), now_us=0)
    assert entry.acknowledged is None
    for at_us, who in ((5, "ada"), (9, "bob")):
        outbox.acknowledge(entry.decision.id[:6], Acknowledgement(who=who, at_us=at_us, note="known"))
    assert outbox.get(entry.decision.id).acknowledged == Acknowledgement(who="ada", at_us=5, note="known")
    (past,) = outbox.history()
    assert past.acknowledged is not None


def test_an_unknown_or_unclear_id_is_refused(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, "flights")
    for day in (7, 8):
        outbox.add(replace(reported(day, *drifted("seats0")), id=f"abc{day}"), now_us=0)
    with pytest.raises(NotFoundError, match="no decision 'x'"):
        outbox.acknowledge("x", SEEN)
    with pytest.raises(ConflictError, match="several decisions"):
        outbox.acknowledge("abc", SEEN)
    assert outbox.acknowledge("abc7", SEEN).decision.end_us == 7 * DAY


def test_an_alert_lists_causes_not_columns() -> None:
    names = [f"seats{i}" for i in range(4)]
    found = with_origins([*drifted(*names), *drifted("year", effect=0.2)], SOURCES, [*SOURCES, "far"])
    found = (*found, Finding(name="delay0", effect=0.15, floor=0.1))
    alert = decision_alert(replace(reported(7, *found), drifted=found))
    assert alert is not None
    assert "What drifted (6 findings of 2 causes), the costliest first:" in alert.body
    assert "- planes (5 features): seats0:" in alert.body
    assert "; also seats1, seats2, seats3 and 1 more" in alert.body
