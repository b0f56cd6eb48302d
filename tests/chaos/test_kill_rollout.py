"""kill -9 of a rollout before any of its changes of state, while a server answers: finished or undone, and never half.

Version 2 is champion and version 1 its challenger. Each command is run over and over, killed before its first change,
its second one, and so on until it ends by itself. After each kill the server answers by what the ledger says, before
anything is repaired; then one reconcile, as the flow `rollout` does twice a minute, brings MLflow and alerts in line.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from headrace.lake.keys import KeyValue
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.operations.release import roll_back
from headrace.pipeline.operations.retraining import retrain
from headrace.pipeline.rollout.by_hand import begin_by_hand, next_step
from headrace.pipeline.rollout.reconcile import reconcile_rollouts
from headrace.registry.aliases import ALIASES
from headrace.registry.client import connect
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts
from headrace.services.processes import wait_until
from headrace.serving.rollout.assignment import is_canary
from tests.chaos.loop import ROOT, free_ports
from tests.chaos.test_loop import ROW
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of, wall_us

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

CUSTOMERS = [f"c{number:02d}" for number in range(20)]
#: A flow looks twice a minute, so a reconcile that takes less is done within a minute of the kill.
RECONCILE_S = 30.0
PATIENCE_S = 120.0
COMMANDS = {"first share": ("advance", "--now"), "promotion": ("promote",), "roll back": ("rollback",)}


@dataclass(frozen=True, kw_only=True)
class Production:
    """A shop whose champion is version 2, and the address of a server of it."""

    context: Context
    url: str

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.context.root, "shop")

    @property
    def rollouts(self) -> Rollouts:
        return Rollouts(self.ledger)

    def prepare(self, name: str) -> None:
        """Bring the shop before a command: version 1 in shadow, or in the canary for the last two commands."""
        champion = self.ledger.champion()
        assert champion is not None
        if champion.version == "1":
            roll_back(self.context, expected="2")
        current = self.rollouts.current()
        if current is not None and (name == "first share") == (current.phase == "canary"):
            self.rollouts.advance(current, "cancelled", reason="a test", at_us=0)
        if self.rollouts.current() is None:
            begin_by_hand(self.context, "1", "a test", now_us=wall_us(), force=True)
            if name != "first share":
                next_step(self.context, "a test", now_us=wall_us())
                next_step(self.context, "a test", now_us=wall_us())

    def versions(self) -> dict[str, str]:
        """Customer -> version that answers now."""
        rows = [{**ROW, "customer_id": customer} for customer in CUSTOMERS]
        answer = httpx.post(f"{self.url}/predict/batch", json={"rows": rows}, trust_env=False, timeout=60)
        assert answer.status_code == 200, answer.text
        answers = answer.json()["predictions"]
        return {customer: one["model_version"] for customer, one in zip(CUSTOMERS, answers, strict=True)}

    def expected(self) -> dict[str, str]:
        """Customer -> version that answers by the ledger."""
        champion, step = self.ledger.champion(), self.rollouts.current()
        assert champion is not None

        def version(customer: KeyValue) -> str:
            is_challengers = step is not None and is_canary(step.id, [customer], step.share)
            return step.version if step is not None and is_challengers else champion.version

        return {customer: version(customer) for customer in CUSTOMERS}

    def require_agreement(self) -> None:
        """MLflow has the ledger's versions, one rollout at most is open, and each end was announced once."""
        champion = self.ledger.champion()
        assert champion is not None
        targets = (champion.version, self.ledger.challenger(), self.ledger.previous())
        aliases = connect(self.context.tracking_uri).get_registered_model("shop").aliases
        assert {alias: aliases.get(alias) and str(aliases[alias]) for alias in ALIASES} == dict(
            zip(ALIASES, targets, strict=True)
        )
        steps = self.rollouts.history()
        last = {one.id: one for one in steps}
        assert sum(one.open for one in last.values()) <= 1
        ends = sum(one.phase in ("promoted", "rolled back") for one in steps)
        alerts = [one for one in Outbox(self.context.root, "shop").history() if "rollout:" in str(one.decision.topics)]
        assert len(alerts) == ends


@pytest.fixture(scope="module")
def production(owing: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    home = tmp_path_factory.mktemp("rollout") / "home"
    shutil.copytree(owing.home, home)
    context = context_of(Shop(path=owing.path, home=home))
    (owed,) = Outbox(home, "shop").open_retrains(wall_us())
    assert retrain(context, owed.decision.id, holder="a test", now_us=wall_us).version == "2"
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "headrace.api", "--problem", str(owing.path), "--port", str(port)]
    with (home.parent / "server.stderr").open("wb") as said:
        server = subprocess.Popen(command, stderr=said, env={**os.environ, "HEADRACE_HOME": str(home)})
    try:
        assert wait_until(lambda: _answers(f"{url}/readyz"), timeout_s=PATIENCE_S)
        yield Production(context=context, url=url)
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_step_is_finished_or_undone(name: str, production: Production) -> None:
    number, was_killed = 0, True
    while was_killed:
        production.prepare(name)
        before = production.ledger.history(), production.rollouts.history()
        was_killed = _killed(production, number, COMMANDS[name])
        changed = (production.ledger.history(), production.rollouts.history()) != before
        assert changed or was_killed
        # the server follows the ledger alone: what is missing beside it makes no difference to an answer
        assert _settled(production), (number, production.expected(), production.versions())
        started = time.monotonic()
        reconcile_rollouts(production.context, now_us=wall_us())
        assert time.monotonic() - started < RECONCILE_S
        production.require_agreement()
        assert reconcile_rollouts(production.context, now_us=wall_us()).nothing
        assert production.versions() == production.expected()
        number += 1
    assert number > 1, "no change was made"


def _killed(production: Production, number: int, command: tuple[str, ...]) -> bool:
    """Run a command of `headrace rollout` and kill it before a change; False where it ended without making it."""
    context = production.context
    ended = subprocess.run(
        [sys.executable, "-m", "tests.crash_points", str(number), "rollout", command[0], context.reference,
         *command[1:], "--home", str(context.root)],
        cwd=ROOT, capture_output=True, timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr.decode()
    return ended.returncode == -signal.SIGKILL


def _settled(production: Production) -> bool:
    """Wait until the server answers by the ledger, which it polls twice a second."""
    return wait_until(lambda: production.versions() == production.expected(), timeout_s=PATIENCE_S)
