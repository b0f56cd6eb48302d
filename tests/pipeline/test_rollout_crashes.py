"""A rollout whose process ends before any of its changes of state: the next reconcile finishes or undoes the step.

The ledger, the outbox and the serving process are real, MLflow is a class in memory. `tests/chaos/test_kill_rollout.py`
does the same with SIGKILL and MLflow's own store.
"""

from __future__ import annotations

import copy
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.production.rollouts import begin_rollout
from headrace.pipeline.rollout.decision import RolloutDecision
from headrace.pipeline.rollout.evaluate import carry_out
from headrace.pipeline.rollout.reconcile import reconcile_rollouts
from headrace.registry.aliases import ALIASES, mirror
from headrace.registry.ledger import Ledger
from headrace.registry.recovery import ledger_tags
from headrace.registry.rollouts import Rollouts
from headrace.serving.rollout.assignment import is_canary
from headrace.synthesis.engines import LocalEngine
from tests.api.served import serving
from tests.crash_points import Changes, Crash
from tests.pipeline.turned import wall_us
from tests.serving_fixtures import NOW, PROBLEM, ROW, write_store

MLFLOW = "https://mlflow.example"
CUSTOMERS = ("c1", "c2", "c3", "c4")


@dataclass
class Registry:
    """MLflow's client as far as the ledger is mirrored in it."""

    aliases: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=lambda: {"1": {}, "2": {}, "3": {}, "4": {}})

    def get_registered_model(self, name: str) -> Any:
        return SimpleNamespace(aliases=dict(self.aliases), tags=dict(self.tags))

    def search_model_versions(self, query: str) -> list[Any]:
        return [SimpleNamespace(version=version, tags=dict(tags)) for version, tags in self.versions.items()]

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        del self.aliases[alias]

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        self.tags[key] = value

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.versions[version][key] = value


@dataclass(frozen=True, kw_only=True)
class World:
    """A home, and the registry beside it."""

    context: Context
    registry: Registry

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.context.root, PROBLEM.name)

    @property
    def rollouts(self) -> Rollouts:
        return Rollouts(self.ledger)

    def reconcile(self) -> Any:
        return reconcile_rollouts(self.context, now_us=wall_us())

    def outcome(self) -> dict[str, Any]:
        """All that a crash must not change, without random ids."""
        return {
            "champions": [(one.action, one.version, one.previous) for one in self.ledger.history()],
            "steps": Counter((one.version, one.champion, one.phase, one.share) for one in self.rollouts.history()),
            "barred": self.ledger.barred(),
            "challenger": self.ledger.challenger(),
            "aliases": self.registry.aliases,
            "versions": self.registry.versions,
            "alerts": sorted(one.decision.reason for one in Outbox(self.context.root, PROBLEM.name).history()),
        }


@pytest.fixture(autouse=True)
def _loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every version passes its test."""
    monkeypatch.setattr("headrace.pipeline.production.rollouts.load_for_serving", lambda context, version: None)


@pytest.fixture
def new_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], World]:
    """Makes worlds with a champion, each in a home of its own; the last one that was made is the one at work."""
    original = tmp_path / "original"
    write_store(original)
    Ledger(original, PROBLEM.name).promote("1", None, "first", {"auc": 0.7}, NOW)
    present = [Registry()]
    monkeypatch.setattr("headrace.registry.aliases.connect", lambda uri: present[-1])
    mirror(original, PROBLEM.name, MLFLOW)
    homes: Iterator[int] = iter(range(10_000))

    def make() -> World:
        root = tmp_path / f"home{next(homes)}"
        shutil.copytree(original, root)
        present.append(copy.deepcopy(present[0]))
        context = Context(problem=PROBLEM, reference="shop", root=root, tracking_uri=MLFLOW, engine=LocalEngine())
        return World(context=context, registry=present[-1])

    return make


# -- the steps of a rollout: what comes before each, and the step


def begin(world: World, version: str = "2") -> None:
    champion = world.ledger.champion()
    assert champion is not None
    begin_rollout(world.context, version, champion=champion.version, reason="passed the gate", at_us=NOW)
    world.reconcile()


def act(action: Any, share: float = 0.0) -> Callable[[World], None]:
    """The step that a decision takes, where it is not taken yet."""

    def step(world: World) -> None:
        current = world.rollouts.current()
        if current is not None and current.version == "2" and (action != "advance" or current.share < share):
            carry_out(world.context, current, RolloutDecision(action=action, reason="decided", share=share))
        world.reconcile()

    return step


def begin_three(world: World) -> None:
    """Three versions pass the gate one after the other; the first is under way."""
    for version in ("2", "3", "4"):
        begin(world, version)


def begin_canary(world: World) -> None:
    begin(world)
    act("advance", 0.5)(world)


STEPS: dict[str, tuple[Callable[[World], None], Callable[[World], None]]] = {
    "begin": (lambda world: None, begin),
    "first share": (begin, act("advance", 0.5)),
    "promotion": (begin_canary, act("promote")),
    "roll back": (begin_canary, act("roll back")),
    "promotion while others wait": (begin_three, act("promote")),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_before_any_change_of_a_step_is_reconciled(step: str, new_world: Callable[[], World]) -> None:
    before, take = STEPS[step]
    undisturbed, changes = new_world(), Changes()
    before(undisturbed)
    with changes.observed(Registry):
        take(undisturbed)
    expected = undisturbed.outcome()
    assert changes.names
    for number, name in enumerate(changes.names):
        world = new_world()
        before(world)
        with Changes(number).observed(Registry), pytest.raises(Crash):
            take(world)
        champion_answers(world)
        world.reconcile()
        require_agreement(world)
        champion_answers(world)
        take(world)  # by whoever evaluates the rollout next; nothing, where the reconcile has finished the step
        assert world.outcome() == expected, (step, number, name)
        assert world.reconcile().nothing


def test_a_version_that_waits_is_not_begun_after_a_newer_one_whose_begin_was_cut_off(
    new_world: Callable[[], World],
) -> None:
    """The reconcile that begins the newest of two ends before it supersedes the older one."""
    world = new_world()
    begin_three(world)
    current = world.rollouts.current()
    assert current is not None
    world.rollouts.advance(current, "cancelled", reason="a person", at_us=NOW)
    with Changes(1).observed(Registry), pytest.raises(Crash):
        world.reconcile()
    world.reconcile()
    assert {one.version: one.phase for one in world.rollouts.history()} == {
        "2": "cancelled", "3": "superseded", "4": "shadow",
    }  # fmt: skip


def champion_answers(world: World) -> None:
    """A serving process answers by the ledger's champion, or by the challenger of a canary; by nothing in between."""
    service, step = serving(world.context.root), world.rollouts.current()
    champion = world.ledger.champion()
    assert champion is not None
    assert service.rollout is not None
    service.follower.refresh()
    service.rollout.refresh()
    try:
        answers = service.predictor.predict([{**ROW, "customer_id": one} for one in CUSTOMERS], now_us=NOW)
    finally:
        service.close()
    for customer, answer in zip(CUSTOMERS, answers, strict=True):
        is_challengers = step is not None and is_canary(step.id, [customer], step.share)
        assert answer.model_version == (step.version if step is not None and is_challengers else champion.version)


def require_agreement(world: World) -> None:
    """MLflow has the ledger's champion, challenger, previous champion and changes; no two rollouts are open."""
    champion = world.ledger.champion()
    assert champion is not None
    targets = zip(ALIASES, (champion.version, world.ledger.challenger(), world.ledger.previous()), strict=True)
    assert world.registry.aliases == {alias: version for alias, version in targets if version is not None}
    assert world.registry.tags == ledger_tags(world.ledger)
    last = {one.id: one for one in world.rollouts.history()}
    assert sum(one.open for one in last.values()) <= 1
