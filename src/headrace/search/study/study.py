"""A study: ask for configs, try each where a worker is free, write each result down, until the budget is spent.

A worker never waits for another: whenever one is free, the searcher is asked with all results so far and the configs
that are being tried. With one worker, what a study does is therefore a function of (space, searcher, objective, seed,
warm start, racing): trial n is asked with default_rng([seed, n]) and sees exactly the trials below n. A study that was
killed anywhere asks the same configs again, and runs only those that its journal lacks. With several workers the order
in which trials end is the machine's, and so is what the searcher has seen.

Ctrl-C ends a study tidily: what runs is dropped, the journal is whole, and the best so far is handed back.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from headrace.core.errors import DeclarationError, HeadraceError
from headrace.core.fingerprint import fingerprint
from headrace.schema import Racing
from headrace.search.searchers.protocol import Searcher
from headrace.search.space import Config, Space, problems_of, require_searchable
from headrace.search.study.budget import Budget, Limits
from headrace.search.study.evaluation import OUT_OF_TIME, Objective, Task
from headrace.search.study.interrupts import Interrupts
from headrace.search.study.journal import Journal
from headrace.search.study.racing import Bounds, bounds_of
from headrace.search.study.workers import Pool, pool_of
from headrace.search.trial import Trial

Ended = Literal["trials", "seconds", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """All trials in order of number, and the incumbent: the one of least loss (the earliest of equals).

    ended: what ended it. cut: what the study's end cut off in the middle; they are not in the journal, so with more
    time they are run again. Only where no trial was tried in full is the incumbent one of them.
    """

    trials: tuple[Trial, ...]
    best: Trial
    key: str
    ended: Ended = "trials"
    cut: tuple[Trial, ...] = ()


class StudyInterrupted(HeadraceError):
    """Ctrl-C before a study was what it was to be."""

    exit_code = 130


def study_key(
    space: Space,
    objective: Objective,
    searcher: Searcher,
    seed: int,
    warm_start: Sequence[Config],
    racing: Racing | None = None,
) -> str:
    """The fingerprint of all that decides which configs are asked and what their losses are; not of the budget."""
    own = getattr(objective, "fingerprint", None)
    identity = own() if callable(own) else getattr(objective, "__qualname__", type(objective).__qualname__)
    facts = {
        "space": _ordered(space),
        "objective": identity,
        "searcher": searcher.name,
        "seed": seed,
        "warm_start": list(warm_start),
        "racing": repr(racing),
    }
    return fingerprint(facts)


def _ordered(space: Space) -> str:
    # The order of parameters decides which random number each one gets, and a fingerprint sorts mappings.
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
) -> StudyResult:
    """Run or resume a study until it has `trials` trials or `seconds` have passed, in `workers` processes.

    limits: of each trial. isolated: a process for the trials even of one worker, so that one which hangs or crashes
    ends alone; implied by limits, by seconds and by several workers. racing: stop trials that have lost.
    warm_start: the first configs to try. on_trial is called in this process, once per trial, those found in the
    journal included. on_damage is told, in one line, that the journal was damaged. Raises ConflictError for a journal
    of another study, HeadraceError where every trial failed, StudyInterrupted on Ctrl-C before any trial had ended.
    """
    require_searchable(space)
    budget = Budget(trials=trials, seconds=seconds)
    if workers < 1:
        raise DeclarationError(f"{workers} workers do nothing", where="study", fix="give one or more")
    deadline = time.monotonic() + seconds if seconds is not None else math.inf
    key = study_key(space, objective, searcher, seed, warm_start, racing)
    isolated = isolated or seconds is not None
    with (
        Journal(journal_path, key) as journal,
        Interrupts() as interrupts,
        closing(pool_of(objective, workers, limits or Limits(), isolated=isolated)) as pool,
    ):
        if journal.damaged and on_damage is not None:
            on_damage(f"{journal_path}: damaged lines: {journal.damaged}; the trials that they held are run again")
        loop = _Loop(
            space=space, searcher=searcher, seed=seed, warm_start=warm_start, racing=racing, pool=pool, journal=journal,
            on_trial=on_trial or (lambda trial: None), last=budget.trials, deadline=deadline, interrupts=interrupts,
            alone=workers == 1,
        )  # fmt: skip
        ended = loop.run()
    ordered = tuple(loop.done[number] for number in sorted(loop.done))
    best = _best(ordered, loop.cut, ended)
    return StudyResult(trials=ordered, best=best, key=key, ended=ended, cut=tuple(loop.cut))


@dataclass(kw_only=True)
class _Loop:
    """The state of a running study. done: finished trials by number. last: how many there are to be, None: no end.

    alone: one worker. Then a trial sees those below it alone, also where it takes the place of one whose line was lost.
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
    alone: bool

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
            with self.interrupts.raised_here():
                ended = self.pool.ended()
            for trial in ended:
                self._take(trial)
            if self.interrupts.seen:
                return "interrupted"
        return "trials" if self.last is not None and len(self.done) >= self.last else "seconds"

    def _next(self) -> int | None:
        """The least number that is neither done nor running, None where the budget is spent."""
        if time.monotonic() > self.deadline or self.interrupts.seen:
            return None
        taken = {*self.done, *(task.number for task in self.pool.running)}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        return number if self.last is None or number < self.last else None

    def _task(self, number: int) -> Task:
        history = [self.done[known] for known in sorted(self.done) if known < number or not self.alone]
        bounds = bounds_of(self.racing, history) if self.racing is not None else Bounds()
        return Task(number=number, config=self._config(number, history), deadline=self.deadline, bounds=bounds)

    def _config(self, number: int, history: Sequence[Trial]) -> Config:
        if number < len(self.warm_start):
            asked: Sequence[Config] = [dict(self.warm_start[number])]
        else:
            pending = [task.config for task in self.pool.running]
            asked = self.searcher.ask(history, 1, np.random.default_rng([self.seed, number]), pending)
        name = self.searcher.name
        if len(asked) != 1:
            raise HeadraceError(f"searcher {name!r} returned {len(asked)} configs for 1", where="study")
        wrong = problems_of(self.space, asked[0])
        if wrong:
            raise HeadraceError(wrong[0], where=f"config of trial {number} by {name!r}", found=wrong[1:])
        return asked[0]

    def _take(self, trial: Trial) -> None:
        if trial.error == OUT_OF_TIME:
            self.cut.append(trial)
            return
        self.journal.append(trial)
        self.done[trial.number] = trial
        self.on_trial(trial)


def incumbent(trials: Sequence[Trial]) -> Trial | None:
    """The trial of least loss among those tried in full, the earliest of equals."""
    measured = [
        (trial.loss, trial.number, trial) for trial in trials if trial.status == "ok" and trial.loss is not None
    ]
    return min(measured)[2] if measured else None


def _best(trials: Sequence[Trial], cut: Sequence[Trial], ended: Ended) -> Trial:
    best = incumbent(trials)
    if best is not None:
        return best
    partial = [trial for trial in cut if trial.loss is not None]
    if partial:
        return min(partial, key=lambda trial: (trial.loss, trial.number))
    if ended == "interrupted":
        raise StudyInterrupted("interrupted before any trial had ended", where="study")
    if not trials:
        raise HeadraceError("no trial ended in the time given", where="study", fix="give it more seconds")
    first = next((trial.error for trial in trials if trial.error), "")
    raise HeadraceError(
        f"all {len(trials)} trials failed",
        where="study",
        found=[first.strip().splitlines()[-1] if first.strip() else "no reason given"],
        fix="that is the first one's error; the journal holds the full traces",
        traces=[trial.error for trial in trials],
    )
