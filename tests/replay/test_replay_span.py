"""Where a replay of a scheduled problem begins: not before its entities, and with no refit between two predictions."""

from __future__ import annotations

import pandas as pd

from headrace.core.clock import DAY, to_us
from headrace.replay.plan import WARM_UP, ReplayOptions, default_every_us
from headrace.replay.run import plan_of
from headrace.replay.span import source_span
from headrace.schema import EntitySet, Problem, Relationship, Table, every

_JOINED = to_us("2010-01-01")


def _patients_with_labs_from_before_they_joined() -> Problem:
    patients = pd.DataFrame({"id": range(40), "joined": pd.Timestamp("2010-01-01", tz="UTC")})
    at = pd.date_range("2000-01-01", "2020-01-01", periods=4_000, tz="UTC")
    labs = pd.DataFrame({"row": range(4_000), "id": [row % 40 for row in range(4_000)], "at": at, "value": 1.0})
    return Problem(
        name="clinic",
        entity_set=EntitySet(
            tables=(
                Table(name="patients", key="id", time="joined", source=patients),
                Table(name="labs", key="row", time="at", source=labs),
            ),
            relationships=(Relationship("patients.id", "labs.id"),),
        ),
        spine=every("90d", "patients", active="labs", within="365d"),
        label='count("labs", horizon="90d") > 3',
        lookbacks=("365d",),
        tick="1d",
    )


def test_a_replay_begins_after_the_first_entities() -> None:
    problem = _patients_with_labs_from_before_they_joined()
    assert source_span(problem).first_us == _JOINED
    plan = plan_of(problem, ReplayOptions())
    assert int(plan.instants_us[0]) >= _JOINED + plan.every_us


def test_no_refit_comes_between_two_predictions() -> None:
    problem = _patients_with_labs_from_before_they_joined()
    plan = plan_of(problem, ReplayOptions())
    assert default_every_us(problem) == plan.every_us == 90 * DAY
    assert plan.start_us >= _JOINED + (WARM_UP + 1) * 90 * DAY
