"""The study: propose configs, evaluate them in parallel workers, journal every result, until the budget ends.

Workers do not wait for each other: whenever one is idle, the searcher proposes a config from all results so far and
the configs that are being evaluated. With one worker, a study is a function of (space, searcher, objective, seed, warm
start, racing): trial n is proposed with default_rng([seed, n]) from exactly the trials below n. A killed study, run
again, proposes the same configs and evaluates only those that its journal lacks. With several workers, the order in
which trials finish depends on the machine, and so do the proposals.

Ctrl-C ends a study: running trials are dropped, the journal stays complete, and the best trial so far is returned.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.core.fingerprint import fingerprint
from headrace.schema import Racing
from headrace.search.searchers.protocol import Searcher
from headrace.search.space import Config, Space, config_errors, require_searchable
from headrace.search.study.budget import Budget, Limits
from headrace.search.study.evaluation import OUT_OF_TIME, Objective, Task
from headrace.search.study.interrupts import Interrupts
from headrace.search.study.journal import Journal
from headrace.search.study.racing import Bounds, racing_bounds
from headrace.search.study.workers import Pool, make_pool
from headrace.search.trial import Trial

Ended = Literal["trials", "seconds", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """The result of a study.

    Attributes:
        trials: All finished trials, by number.
        best: The incumbent: the complete trial of least loss, the earliest of equals. Where no trial is complete, the
            best of `cut`.
        key: Key of the study.
        ended: What ended it: the trial budget, the time budget, or Ctrl-C.
        cut: Trials that the deadline ended; they are not in the journal, so a resumed study repeats them.
    """

    trials: tuple[Trial, ...]
    best: Trial
    key: str
    ended: Ended = "trials"
    cut: tuple[Trial, ...] = ()


class StudyOutOfTime(HeadraceError):
    """The time of a study ended before its first trial finished."""


class StudyInterrupted(HeadraceError):
    """Ctrl-C ended a study before its first trial finished."""

    exit_code = 130


def study_key(
    space: Space,
    objective: Objective,
    searcher: Searcher,
    seed: int,
    warm_start: Sequence[Config],
    racing: Racing | None = None,
) -> str:
    """Compute the fingerprint of everything that determines the proposed configs and their losses.

    The budget is not part of it: a study with a larger budget continues the journal of a smaller one.
    """
    facts = {
        "space": _ordered(space),
        "objective": _identity(objective, getattr(objective, "__qualname__", type(objective).__qualname__)),
        "searcher": _identity(searcher, searcher.name),
        "seed": seed,
        "warm_start": list(warm_start),
        "racing": repr(racing),
    }
    return fingerprint(facts)


def _identity(part: object, name: str) -> Any:
    """Return what a part says that it depends on; its name where it says nothing."""
    own = getattr(part, "fingerprint", None)
    return own() if callable(own) else name


def _ordered(space: Space) -> str:
    # Parameters consume random numbers in their order, and a fingerprint sorts mappings.
    return repr(space)


def run_study(
    space: Space,
    objective: Objective,
    searcher: Searcher,
    *,
    seed: int,
    journal_path: Path,
    trials: int | None = None,
    seconds: float | None = None,
    workers: int = 1,
    limits: Limits | None = None,
    isolated: bool = False,
    racing: Racing | None = None,
    warm_start: Sequence[Config] = (),
    on_trial: Callable[[Trial], None] | None = None,
    on_damage: Callable[[str], None] | None = None,
    pool: Callable[[], Pool] | None = None,
    rivals: Callable[[Config, Sequence[Trial]], Sequence[Trial] | None] | None = None,
) -> StudyResult:
    """Run a study, or resume it from its journal.

    Args:
        space: What to search.
        objective: What to minimise.
        searcher: What proposes the configs.
        seed: Of all random numbers.
        journal_path: File of the journal; created where it does not exist.
        trials: Trial budget, None for no limit.
        seconds: Wall-clock budget, None for no limit.
        workers: Number of trials evaluated in parallel, each in a process of its own.
        limits: Limits of each trial.
        isolated: Evaluate in a separate process even with one worker, so that a crash or a hanging trial does not end
            the study. Implied by `limits`, by `seconds` and by several workers.
        racing: Rule that stops trials early, None for no racing.
        warm_start: Configs of the first trials.
        on_trial: Called in this process once for every trial, those of the journal included.
        on_damage: Called with one line where the journal had damaged lines.
        pool: Makes what evaluates the trials, in place of processes of this machine (`shared_pool`). Trials may then
            finish in any order; `limits` are the workers' own.

    Returns:
        All trials and the incumbent.

    Raises:
        ConflictError: The journal belongs to another study, or another process runs this one.
        StudyInterrupted: Ctrl-C before the first trial finished.
        HeadraceError: Every trial failed, or none finished in time.
    """
    require_searchable(space)
    budget = Budget(trials=trials, seconds=seconds)
    if workers < 1:
        raise DeclarationError(f"a study needs at least one worker, not {workers}", where="study")
    deadline = time.monotonic() + seconds if seconds is not None else math.inf
    key = study_key(space, objective, searcher, seed, warm_start, racing)
    isolated = isolated or seconds is not None
    with (
        Journal(journal_path, key) as journal,
        Interrupts() as interrupts,
        closing(pool() if pool else make_pool(objective, workers, limits or Limits(), isolated=isolated)) as evaluating,
    ):
        if journal.damaged and on_damage is not None:
            on_damage(f"{journal_path}: damaged lines: {journal.damaged}; the study repeats their trials")
        loop = _Loop(
            space=space, searcher=searcher, seed=seed, warm_start=warm_start, racing=racing, pool=evaluating,
            journal=journal, on_trial=on_trial or (lambda trial: None), last=budget.trials, deadline=deadline,
            interrupts=interrupts, sequential=workers == 1 and pool is None, rivals=rivals,
        )  # fmt: skip
        ended = loop.run()
    ordered = tuple(loop.done[number] for number in sorted(loop.done))
    best = _best_trial(ordered, loop.cut, ended)
    return StudyResult(trials=ordered, best=best, key=key, ended=ended, cut=tuple(loop.cut))


@dataclass(kw_only=True)
class _Loop:
    """The state of a running study.

    done: finished trials by number. last: trial budget, None for no limit. sequential: one worker; then a trial is
    proposed from the trials below it only, also where it repeats one whose journal line was damaged.
    """

    space: Space
    searcher: Searcher
    seed: int
    warm_start: Sequence[Config]
    racing: Racing | None
    pool: Pool
    journal: Journal
    on_trial: Callable[[Trial], None]
    last: int | None
    deadline: float
    interrupts: Interrupts
    sequential: bool
    rivals: Callable[[Config, Sequence[Trial]], Sequence[Trial] | None] | None

    def __post_init__(self) -> None:
        known = {trial.number: trial for trial in self.journal.trials}
        self.done = {number: known[number] for number in sorted(known) if self.last is None or number < self.last}
        self.cut: list[Trial] = []

    def run(self) -> Ended:
        for trial in self.done.values():
            self.on_trial(trial)
        while True:
            while self.pool.free and (number := self._next()) is not None:
                self.pool.start(self._task(number))
            if not self.pool.running:
                break
            ended: list[Trial] = []
            with self.interrupts.immediate():
                ended = self.pool.ended()
            for trial in ended:
                self._record(trial)
            if self.interrupts.requested:
                return "interrupted"
        return "trials" if self.last is not None and len(self.done) >= self.last else "seconds"

    def _next(self) -> int | None:
        """Return the least number that is neither finished nor running, None where the budget has ended."""
        if time.monotonic() > self.deadline or self.interrupts.requested:
            return None
        assigned = {*self.done, *(task.number for task in self.pool.running)}
        number = next(number for number in range(len(assigned) + 1) if number not in assigned)
        return number if self.last is None or number < self.last else None

    def _task(self, number: int) -> Task:
        history = [self.done[known] for known in sorted(self.done) if known < number or not self.sequential]
        config = self._config(number, history)
        bounds = Bounds()
        if self.racing is not None:
            bounds = racing_bounds(self.racing, history, self.rivals(config, history) if self.rivals else None)
        return Task(number=number, config=config, deadline=self.deadline, bounds=bounds)

    def _config(self, number: int, history: Sequence[Trial]) -> Config:
        if number < len(self.warm_start):
            proposals: Sequence[Config] = [dict(self.warm_start[number])]
        else:
            pending = [task.config for task in self.pool.running]
            proposals = self.searcher.ask(history, 1, np.random.default_rng([self.seed, number]), pending)
        name = self.searcher.name
        if len(proposals) != 1:
            raise HeadraceError(f"searcher {name!r} returned {len(proposals)} configs for 1", where="study")
        errors = config_errors(self.space, proposals[0])
        if errors:
            raise HeadraceError(errors[0], where=f"config of trial {number} by {name!r}", found=errors[1:])
        return proposals[0]

    def _record(self, trial: Trial) -> None:
        if trial.error == OUT_OF_TIME:
            self.cut.append(trial)
            return
        self.journal.append(trial)
        self.done[trial.number] = trial
        self.on_trial(trial)


def incumbent(trials: Sequence[Trial]) -> Trial | None:
    """Return the complete trial of least loss, the earliest of equals; None where no trial is complete."""
    measured = [
        (trial.loss, trial.number, trial) for trial in trials if trial.status == "ok" and trial.loss is not None
    ]
    return min(measured)[2] if measured else None


def _best_trial(trials: Sequence[Trial], cut: Sequence[Trial], ended: Ended) -> Trial:
    best = incumbent(trials)
    if best is not None:
        return best
    partial = [trial for trial in cut if trial.loss is not None]
    if partial:
        return min(partial, key=lambda trial: (trial.loss, trial.number))
    if ended == "interrupted":
        raise StudyInterrupted("interrupted before the first trial finished", where="study")
    if not trials:
        raise StudyOutOfTime("no trial finished within the time budget", where="study", fix="raise its seconds")
    first_error = next((trial.error for trial in trials if trial.error), "")
    raise HeadraceError(
        f"all {len(trials)} trials failed",
        where="study",
        found=[first_error.strip().splitlines()[-1] if first_error.strip() else "no reason given"],
        fix="this is the error of the first trial; the journal holds all tracebacks",
        traces=[trial.error for trial in trials],
    )
