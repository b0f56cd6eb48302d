"""Retraining policies replayed on plain tables, with drift and without, and with rows shuffled over time.

    make bench-replay TABLES=folder [ONLY=bike]

TABLES holds electricity.parquet, bike_sharing_hour.parquet and us_census_employment_MA.parquet (OpenML 151, UCI 275 and
NannyML's example; none is part of Headrace). State is kept in .headrace-bench-replay, so a run that is killed resumes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.replay_tables import TABLES, write_problem
from benchmarks.results import Goal, Row, publish, show
from headrace.app.context import context_of
from headrace.replay.plan import ReplayOptions
from headrace.replay.report.publish import write_files
from headrace.replay.result import ReplayResult
from headrace.replay.run import plan_of, replay

COMMAND = "make bench-replay"
#: Policies that are shown beside the recommended one.
_COMPARED = ("worth", "worth, refit", "regret", "regret, cost x 3", "regret, cost x 8")
_NOTE = """\
Weekly decisions; the first fifth of each table is the history. The recommended policy is the one of the least cost
(losses, and .04 weeks of loss for each retrain) among those that production can run, chosen on the same weeks. Gains
are shares of the loss of a model that is never retrained; in brackets their 90 % intervals over weeks.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Replay the tables and publish what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", action="append", choices=sorted(TABLES))
    parser.add_argument("--home", type=Path, default=Path(".headrace-bench-replay"))
    chosen = parser.parse_args(arguments)
    rows: list[Row] = []
    for name in chosen.only or TABLES:
        problem = write_problem(name, chosen.data, chosen.home.resolve() / "problems" / name)
        for shuffle in (False, True):
            result = _replay(problem, chosen.home, shuffle=shuffle)
            rows += _rows(f"{name}, shuffled" if shuffle else name, result, drifts=TABLES[name].drifts and not shuffle)
    if chosen.only:
        show("Retraining policies on plain tables", rows)
    else:
        publish("replay", "Retraining policies on plain tables", rows, _NOTE)


def _replay(problem: Path, home: Path, *, shuffle: bool) -> ReplayResult:
    context = context_of(str(problem), home.resolve())
    result = replay(context, plan_of(context.problem, ReplayOptions(shuffle=shuffle)), say=print)
    write_files(context, result)
    for line in result.conclusions():
        print(line)
    return result


def _rows(name: str, result: ReplayResult, *, drifts: bool) -> list[Row]:
    """The recommended policy first, then the rules of worth, each at its own number of retrains."""
    best = result.recommendation.name
    rows = _policy_rows(name, result, best, note=", recommended", drifts=drifts, judged=True)
    for policy in (one for one in _COMPARED if one != best):
        rows += _policy_rows(name, result, policy, note="", drifts=drifts, judged=False)
    return rows


def _policy_rows(name: str, result: ReplayResult, policy: str, *, note: str, drifts: bool, judged: bool) -> list[Row]:
    one, never = result.outcome(policy), result.outcomes[0].loss
    label = f"{name}: {policy}{note}, {one.retrains} retrains"
    gained = f"{label}: gain ({100 * one.low / never:.0f} to {100 * one.high / never:.0f} %)"
    found = [Row(metric=gained, value=100 * one.gain / never, unit="%", command=COMMAND)]
    if one.hindsight_share is not None and one.refreshed:
        goal = Goal(op=">=", value=80) if judged and not drifts else None
        share = 100 * one.hindsight_share
        found.append(Row(metric=f"{label}: of hindsight", value=share, unit="%", goal=goal, command=COMMAND))
    if one.against_calendar is not None:
        goal = Goal(op=">=", value=0) if judged and drifts else None
        less, low, high = (100 * value / never for value in one.against_calendar)
        metric = f"{label}: less loss than calendars of as many ({low:+.1f} to {high:+.1f} %)"
        found.append(Row(metric=metric, value=less, unit="%", goal=goal, command=COMMAND))
    return found


if __name__ == "__main__":
    main()
