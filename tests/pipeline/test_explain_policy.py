"""`explain_policy`: recorded windows decided again, by the same policy and by others; the policy in a sentence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from headrace.core.clock import DAY
from headrace.core.files import write_json
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import PastDecision, Window
from headrace.monitor.policy.finding import Finding
from headrace.monitor.policy.policy import decide
from headrace.pipeline.context import Context
from headrace.pipeline.operations.explain_policy import explain_policy
from headrace.pipeline.production.policy_summary import describe_policy, policy_summary
from headrace.schema import Policy, Worth


def test_policy_explain_decides_recorded_windows_again(tmp_path: Path) -> None:
    outbox, auc = Outbox(tmp_path, "shop"), Finding(name="auc", about="quality", effect=0.1)
    for day, findings in ((7, ()), (14, (auc,)), (21, ()), (28, (auc,))):
        window = Window(
            problem="shop", start_us=(day - 7) * DAY, end_us=day * DAY, champion="1", findings=findings, judged=9,
            rows=100, mature=90, age_us=day * DAY,
        )  # fmt: skip
        history = [PastDecision(decision=entry.decision, outcome="promoted") for entry in outbox.history()]
        announce(outbox, decide(window, history, Policy(quality=False, worth=None)), now_us=0)
    context = SimpleNamespace(root=tmp_path, problem=SimpleNamespace(name="shop", policy=Policy(worth=None)))
    then = explain_policy(cast(Context, context), Policy(quality=False, worth=None))
    assert [one.decision for one in then] == [one.recorded for one in then]
    assert [one.decision.kind for one in explain_policy(cast(Context, context))] == [
        "nothing", "retrain", "nothing", "retrain",
    ]  # fmt: skip
    by_age = explain_policy(cast(Context, context), Policy(quality=False, worth=None, age="21d"))
    assert [one.decision.kind for one in by_age] == ["nothing", "alert", "retrain", "retrain"]
    assert "the champion's training data end 21d ago" in by_age[2].decision.reason


def test_the_policy_and_its_replay_are_described(tmp_path: Path) -> None:
    policy = Policy(worth=Worth(cost=0.08), drift=False, age="56d", new_rows=0.5)
    text = describe_policy(policy)
    assert text.startswith("retrains are started by worth (a gain of 2.0% of the loss over 28d), quality, age 56d, new")
    assert describe_policy(Policy(quality=False, drift=False, worth=None)).startswith("retrains are started by people")
    problem = SimpleNamespace(name="shop", policy=policy, feed=SimpleNamespace(start_us=31 * DAY))
    context = cast(Context, SimpleNamespace(root=tmp_path, reference="shop.py", problem=problem))
    assert policy_summary(context)[1] == "not replayed yet: headrace replay shop.py --until 1970-02-01"
    found = {"plan": {"start_us": 0, "end_us": 28 * DAY}, "conclusions": ["Recommended: worth.", "It is.", "more"]}
    write_json(tmp_path / "replays" / "shop" / "result.json", found)
    assert policy_summary(context)[1] == "replay of 1970-01-01 to 1970-01-29: Recommended: worth. It is."
