"""Outputs of shadows are deleted once nothing needs them, and whole deletions survive a kill in their middle."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.core.clock import WEEK
from headrace.core.files import read_json, write_json
from headrace.monitor.outbox.announce import announce
from headrace.monitor.outbox.outbox import Outbox
from headrace.monitor.policy.decision import Decision
from headrace.pipeline.operations.shadow_retirement import retire_shadows
from headrace.pipeline.production.shadows import all_shadows, read_shadows
from headrace.schema import Policy, Worth
from tests.pipeline.retiring import NAME, build, context_of, outputs

#: The champion's shadows of the weeks that the last 28 days, and a day before, are compared with.
ROOT = Path(__file__).parents[2]
_NEEDED = {"2": {15, 16, 17, 18, 19, 20}}


def _left(home: Path) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for shadow in all_shadows(context_of(home)):
        found.setdefault(shadow.version, set()).add(shadow.fitted_us // WEEK)
    return found


def _folders(needed: dict[str, set[int]]) -> set[str]:
    weeks = set().union(*needed.values())
    refits = {f"stages/refit/{version}-{week}" for version, own in needed.items() for week in own}
    return refits | {f"stages/synthesise/{week}" for week in weeks}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    build(tmp_path)
    return tmp_path


def _open_retrain(home: Path, week: int) -> Decision:
    decision = Decision(
        id="a" * 16, problem=NAME, kind="retrain", reason="worth", start_us=week * WEEK, end_us=(week + 1) * WEEK,
        champion="1", shadow_us=week * WEEK,
    )  # fmt: skip
    return announce(Outbox(home, NAME), decision, now_us=0).decision


def test_what_evidence_needs_stays_and_the_rest_goes_once(home: Path) -> None:
    first = retire_shadows(context_of(home))
    assert _left(home) == _NEEDED
    assert outputs(home) == _folders(_NEEDED)
    assert (first.shadows, first.folders) == (20, 27)  # the spines of seven weeks are deleted once, not twice
    again = retire_shadows(context_of(home))
    assert (again.shadows, again.folders) == (0, 0)
    assert len(list((home / "shadows" / NAME).glob("[!.]*"))) == 6


def test_a_shadow_that_an_open_retrain_promotes_stays_until_it_is_finished(home: Path) -> None:
    _open_retrain(home, 9)
    retire_shadows(context_of(home))
    assert _left(home) == {**_NEEDED, "1": {9}}
    assert outputs(home) == _folders({**_NEEDED, "1": {9}})
    claim = Outbox(home, NAME).claim("a" * 16, "a test", now_us=0)
    assert claim is not None
    Outbox(home, NAME).finish(claim, "promoted", "", now_us=1)
    retire_shadows(context_of(home))
    assert _left(home) == _NEEDED


def test_a_longer_window_needs_older_shadows_and_without_worth_none_is_needed(home: Path) -> None:
    retire_shadows(context_of(home, Policy(worth=Worth(window="56d"))))
    assert _left(home) == {"2": set(range(11, 21))}
    retire_shadows(context_of(home, Policy(worth=None)))
    assert _left(home) == {}
    assert outputs(home) == set()


@pytest.mark.parametrize("survives", [0, 1, 13])
def test_a_retirement_that_was_killed_is_finished_by_the_next(home: Path, survives: int) -> None:
    command = [sys.executable, "-m", "tests.pipeline.retiring", str(home), str(survives)]
    assert subprocess.run(command, check=False, cwd=ROOT).returncode == -signal.SIGKILL
    assert _left(home) == _NEEDED, "nobody finds a shadow whose outputs are being deleted"
    assert all((home / name / "rows").exists() for name in outputs(home) if "/." not in name), "none is half there"
    retire_shadows(context_of(home))
    assert outputs(home) == _folders(_NEEDED)
    assert not list((home / "shadows" / NAME).glob("*.retired"))


def test_records_of_older_versions_of_headrace_give_their_bundle_back(home: Path) -> None:
    for record in (home / "shadows" / NAME).glob("*.json"):
        facts = read_json(record)
        del facts["outputs"]
        write_json(record, facts)
    assert {one.outputs for one in read_shadows(context_of(home), "2")} == {
        (f"stages/refit/2-{week}",) for week in range(8, 21)
    }
    retire_shadows(context_of(home))
    assert {name for name in outputs(home) if "refit" in name} == {f"stages/refit/2-{week}" for week in _NEEDED["2"]}


def test_a_home_without_shadows_is_left_as_it_is(tmp_path: Path) -> None:
    retired = retire_shadows(context_of(tmp_path))
    assert (retired.shadows, list(tmp_path.iterdir())) == (0, [])
