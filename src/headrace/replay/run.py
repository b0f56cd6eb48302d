"""Replay months of production for a problem and compare retraining policies on them: what `headrace replay` does.

Everything is below `replays/<problem>/<key>`; the key names the data, the declaration and the plan. A replay that was
killed continues: the rows and each fitted candidate are written in one step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from headrace.core.clock import DAY, parse_duration, to_us
from headrace.core.files import write_json
from headrace.core.fingerprint import fingerprint
from headrace.pipeline.context import Context
from headrace.pipeline.stage import OPTIONS
from headrace.replay.cause import find_cause
from headrace.replay.evidence import Evidence
from headrace.replay.feed_rows import feed_rows
from headrace.replay.fits import Candidates, fit_candidates
from headrace.replay.hindsight import Optimum, hindsight
from headrace.replay.outcome import monthly_metric, summarise
from headrace.replay.plan import FIRST_SHARE, WARM_UP, ReplayOptions, ReplayPlan, default_every_us
from headrace.replay.policies import NEVER, all_calendars, production_policies, walk_all, worth_rules
from headrace.replay.recipe import fixed_recipe
from headrace.replay.result import HindsightPoint, ReplayResult, result_path
from headrace.replay.rows import shuffled
from headrace.replay.span import source_span
from headrace.replay.table import LossTable
from headrace.replay.walk import chosen, walk_rule
from headrace.schema import Problem

#: The hindsight optimum is shown for up to so many retrains.
_MOST_SHOWN = 12


def plan_of(problem: Problem, options: ReplayOptions, *, seed: int = 0) -> ReplayPlan:
    """Return the plan of a replay, from what the sources hold; periods are whole.

    Args:
        problem: what is replayed.
        options: of the user.
        seed: of the replay.
    """
    span = source_span(problem)
    every_us = parse_duration(options.every) if options.every else default_every_us(problem)
    end = min(to_us(options.until), span.last_us) if options.until else span.last_us
    if options.start is not None:
        start = to_us(options.start)
    elif problem.feed is not None and problem.feed.start_us < end:
        start = problem.feed.start_us
    else:
        history_us = max(round(FIRST_SHARE * (end - span.first_us)), (WARM_UP + 1) * every_us)
        start = -(-(span.first_us + history_us) // DAY) * DAY
    periods = (end - start) // every_us
    return ReplayPlan(
        start_us=start,
        end_us=start + periods * every_us,
        known_us=min(span.known_us, to_us(options.until)) if options.until else span.known_us,
        every_us=every_us,
        shuffled=options.shuffle,
        seed=seed,
    )


def replay_folder(context: Context, plan: ReplayPlan) -> Path:
    """Return the folder of a replay. Equal data, declarations and plans share their files, whatever their policies."""
    problem = context.problem
    declared = {
        one.name: getattr(problem, one.name)
        for one in fields(problem)
        if one.compare and one.name not in OPTIONS and one.name != "policy"
    }
    chosen = [problem.families, problem.max_features, problem.tune_share, problem.gate_share]
    period = [plan.start_us, plan.end_us, plan.known_us, plan.every_us, plan.warm_up, plan.seed]
    return context.root / "replays" / problem.name / fingerprint([declared, chosen, period])[:16]


def replay(context: Context, plan: ReplayPlan, *, say: Callable[[str], None] = lambda text: None) -> ReplayResult:
    """Replay the months and compare all policies.

    Args:
        context: of the problem.
        plan: the period.
        say: receives how far it is, for people.

    Raises:
        DataError: the history before the start is too short.
    """
    started, cpu = time.perf_counter(), time.process_time()
    folder, problem, threads = replay_folder(context, plan), context.problem, context.workers
    rows = feed_rows(context, plan, folder, say)
    fits = folder / ("fits-shuffled" if plan.shuffled else "fits")
    if plan.shuffled:
        rows = shuffled(rows, plan.seed)
    recipe = fixed_recipe(problem, rows, seed=plan.seed, threads=threads)
    candidates = fit_candidates(problem, plan, rows, recipe, fits, threads=threads, say=say)
    cause = find_cause(problem, rows, recipe, candidates, fits, seed=plan.seed, threads=threads, say=say)
    say("policies")
    evidence = Evidence(problem=problem, plan=plan, rows=rows, candidates=candidates)
    table = candidates.table
    walks = walk_all(evidence, seed=plan.seed, say=say)
    optima = hindsight(table.loss, table.first, len(table.periods) - 1)
    outcomes, recommendation = summarise(
        table,
        walks,
        all_calendars(table),
        optima,
        cost_weeks=worth_rules(problem, plan.every_us).cost,
        production=(NEVER, *production_policies(problem, plan.every_us)),
        seed=plan.seed,
    )
    result = ReplayResult(
        problem=problem.name,
        metric=problem.metric,
        plan=plan,
        recipe=recipe.to_json(),
        outcomes=outcomes,
        recommendation=recommendation,
        hindsight=_points(candidates, optima[: _MOST_SHOWN + 1]),
        cause=cause,
        walks=walks,
        weekly=_weekly(table),
        seconds=time.perf_counter() - started,
        cpu_s=time.process_time() - cpu,
        folder=folder,
    )
    write_json(result_path(context.root, problem.name, plan), result.to_json())
    return result


def _points(candidates: Candidates, optima: tuple[Optimum, ...]) -> tuple[HindsightPoint, ...]:
    """The optima on losses, each with its metric."""
    table = candidates.table
    rows = float(table.rows[table.first :].sum())
    return tuple(
        HindsightPoint(
            retrains=count,
            loss=one.loss / rows,
            metric=monthly_metric(table, walk_rule("hindsight", chosen(one.retrains), table).champions),
            periods=one.retrains,
        )
        for count, one in enumerate(optima)
    )


def _weekly(table: LossTable) -> tuple[tuple[float, ...], ...]:
    """Mean loss of each model in each replayed period, for the report; NaN before its fit."""
    mean = table.loss / table.rows.clip(min=1.0)
    return tuple(tuple(float(value) for value in row[table.first :]) for row in mean[table.first :])
