"""A study: ask for configs, try them in batches, write each result down, until the budget is spent.

What a study does is a function of (space, searcher, objective, seed, workers, warm start): batch k starts at trial
n = k * workers, is asked with default_rng([seed, n]) and sees exactly the trials below n. So a study that was killed
anywhere asks the same configs again, and runs only those that its journal lacks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headrace.core.errors import ConflictError, DeclarationError, HeadraceError
from headrace.core.fingerprint import fingerprint
from headrace.search.journal import Journal
from headrace.search.searchers.protocol import Searcher
from headrace.search.space import Config, Space, problems_of, require_searchable
from headrace.search.trial import Trial
from headrace.search.workers import Objective, Workers


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """All trials in order of number, and the incumbent: the one of least loss (the earliest of equals)."""

    trials: tuple[Trial, ...]
    best: Trial
    key: str


def study_key(
    space: Space, objective: Objective, searcher: Searcher, seed: int, workers: int, warm_start: Sequence[Config]
) -> str:
    """The fingerprint of all that decides which configs are asked and what their losses are; not of the budget."""
    own = getattr(objective, "fingerprint", None)
    identity = own() if callable(own) else getattr(objective, "__qualname__", type(objective).__qualname__)
    facts = {
        "space": _ordered(space),
        "objective": identity,
        "searcher": searcher.name,
        "seed": seed,
        "workers": workers,
        "warm_start": list(warm_start),
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
    trials: int,
    seed: int,
    workers: int,
    journal_path: Path,
    on_trial: Callable[[Trial], None] | None = None,
    warm_start: Sequence[Config] = (),
    seconds: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> StudyResult:
    """Run or resume a study of `trials` trials in `workers` processes.

    The first configs are those of warm_start. on_trial is called in this process, once per trial, those found in the
    journal included. seconds: an optional cap, looked at between batches (a capped study is not reproducible).
    Raises ConflictError for a journal of another study, HeadraceError where every trial failed.
    """
    require_searchable(space)
    if trials < 1 or workers < 1:
        raise DeclarationError(f"a study of {trials} trials in {workers} workers does nothing", where="study")
    started = clock()
    key = study_key(space, objective, searcher, seed, workers, warm_start)
    with Journal(journal_path, key) as journal, closing(Workers(objective, workers)) as pool:
        done = {trial.number: trial for trial in journal.trials if trial.number < trials}
        for number in sorted(done):
            _tell(on_trial, done[number])
        for first in range(0, trials, workers):
            if seconds is not None and done and clock() - started > seconds:
                break
            if all(number in done for number in range(first, min(first + workers, trials))):
                continue
            batch = _ask(space, searcher, done, first, workers, seed, warm_start)
            _require_same(journal, batch, done)
            wanted = {number: config for number, config in batch.items() if number not in done and number < trials}
            for trial in pool.run(wanted):
                journal.append(trial)
                done[trial.number] = trial
                _tell(on_trial, trial)
    ordered = tuple(done[number] for number in sorted(done))
    return StudyResult(trials=ordered, best=_best(ordered), key=key)


def _tell(on_trial: Callable[[Trial], None] | None, trial: Trial) -> None:
    if on_trial is not None:
        on_trial(trial)


def _ask(
    space: Space,
    searcher: Searcher,
    done: Mapping[int, Trial],
    first: int,
    workers: int,
    seed: int,
    warm_start: Sequence[Config],
) -> dict[int, Config]:
    """The batch that starts at `first`: always whole, so that a larger budget later asks the same configs."""
    history = [done[number] for number in range(first)]
    known = [dict(config) for config in warm_start[first : first + workers]]
    rest = workers - len(known)
    asked = searcher.ask(history, rest, np.random.default_rng([seed, first])) if rest else []
    if len(asked) != rest:
        raise HeadraceError(f"searcher {searcher.name!r} returned {len(asked)} configs for {rest}", where="study")
    for config in (*known, *asked):
        wrong = problems_of(space, config)
        if wrong:
            raise HeadraceError(f"{wrong[0]}", where=f"config of trial {first}+ by {searcher.name!r}", found=wrong[1:])
    return dict(enumerate((*known, *asked), start=first))


def _require_same(journal: Journal, batch: Mapping[int, Config], done: Mapping[int, Trial]) -> None:
    """A journaled trial of a half-finished batch must be the one that is asked now."""
    for number, config in batch.items():
        if number in done and done[number].config != config:
            raise ConflictError(
                f"trial {number} was asked differently before",
                where=str(journal.path),
                found=[done[number].config],
                fix="the searcher or a library it uses changed: start this study with a new journal",
            )


def _best(trials: Sequence[Trial]) -> Trial:
    measured = [
        (trial.loss, trial.number, trial) for trial in trials if trial.status == "ok" and trial.loss is not None
    ]
    if not measured:
        first = next((trial.error for trial in trials if trial.error), "")
        raise HeadraceError(
            f"all {len(trials)} trials failed",
            where="study",
            found=[first.strip().splitlines()[-1] if first.strip() else "no reason given"],
            fix="that is the first one's error; the journal holds the full traces",
            traces=[trial.error for trial in trials],
        )
    return min(measured)[2]
