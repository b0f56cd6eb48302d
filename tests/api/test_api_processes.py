"""Several processes on one port: swaps and shares of a canary in all of them, kills that lose no answer."""

from __future__ import annotations

import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headrace.prediction_log.log import PredictionLog
from headrace.registry.ledger import Ledger
from headrace.registry.rollouts import Rollouts
from headrace.serving.rollout.assignment import is_canary
from tests.api.served import SLOW
from tests.api.several_processes import PATIENCE_S, Answered, loaded, server_of, wait_for_processes
from tests.serving_fixtures import NOW

MEANS = {"c1": 0.03, "c2": 0.05}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The home and the port of a server with two processes, which SIGTERM ends after the tests."""
    root = tmp_path_factory.mktemp("processes")
    with server_of(root) as (parent, port):
        yield root, port
        children = psutil.Process(parent.pid).children(recursive=True)
        assert terminated(parent, children)


def terminated(parent: subprocess.Popen[bytes], children: list[psutil.Process]) -> bool:
    """Send SIGTERM to the parent; whether it and all processes ended, and it without an error."""
    parent.send_signal(signal.SIGTERM)
    ended = parent.wait(PATIENCE_S) == 0
    _, left = psutil.wait_procs(children, timeout=PATIENCE_S)
    return ended and not left


def promote(ledger: Ledger, version: str) -> None:
    champion = ledger.champion()
    assert champion is not None
    ledger.promote(version, champion.version, "a test", {}, NOW)


def versions_by_process(answers: list[list[Answered]]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for batch in answers:
        found[batch[0].process] |= {one.version for one in batch}
    return found


def test_twenty_swaps_under_load_fail_no_request_and_mix_no_versions(served: tuple[Path, int]) -> None:
    root, port = served
    ledger = Ledger(root, "shop")
    with loaded(port) as clients:
        for number in range(20):
            version = str(100 + number)
            promote(ledger, version)
            clients.wait_for(
                lambda answers, new=version: sum(new in seen for seen in versions_by_process(answers).values()) == 2
            )
    assert clients.failures == []
    for batch in clients.answers:
        assert len({(one.version, one.process) for one in batch}) == 1
        for one in batch:
            assert one.value == pytest.approx(float(one.version) / 10 + MEANS.get(one.customer, 0.0))


def test_an_entity_keeps_its_version_in_all_processes_also_in_one_that_is_started_again(
    served: tuple[Path, int],
) -> None:
    root, port = served
    ledger = Ledger(root, "shop")
    promote(ledger, "200")
    rollouts = Rollouts(ledger)
    step = rollouts.begin(SLOW, champion="200", reason="a test", at_us=NOW)
    step = rollouts.advance(step, "canary", reason="a test", at_us=NOW, share=0.5)
    with loaded(port, pause_s=0.02) as clients:
        clients.wait_for(
            lambda answers: sum({"200", SLOW} <= seen for seen in versions_by_process(answers[-40:]).values()) == 2
        )
        start, (first, second) = len(clients.answers), wait_for_processes(port, 2)
        assert clients.failures == []
        psutil.Process(first).send_signal(signal.SIGKILL)
        clients.wait_for(lambda answers: {second} < set(versions_by_process(answers)) - {first})
        clients.wait_for(lambda answers: len(answers) > 40)
    for batch in clients.answers[start:]:
        for one in batch:
            assert one.version == (SLOW if is_canary(step.id, [one.customer], 0.5) else "200")
    rollouts.advance(step, "cancelled", reason="a test", at_us=NOW)
    with PredictionLog(root, "shop") as log:  # the killed process has answered some
        assert clients.ids <= {row.id for row in log.read()}


@pytest.mark.slow
def test_sigterm_under_load_ends_all_processes_and_loses_no_answer(tmp_path: Path) -> None:
    with server_of(tmp_path) as (parent, port):
        children = psutil.Process(parent.pid).children(recursive=True)
        with loaded(port) as clients:
            clients.wait_for(lambda answers: len(answers) > 20)
            assert terminated(parent, children)
        with PredictionLog(tmp_path, "shop") as log:
            assert clients.ids <= {row.id for row in log.read()}


@pytest.mark.slow
def test_processes_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with server_of(tmp_path) as (parent, _):
        children = psutil.Process(parent.pid).children(recursive=True)
        assert len(children) >= 2
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        _, left = psutil.wait_procs(children, timeout=PATIENCE_S)
        assert not left
