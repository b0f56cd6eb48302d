"""Run the study of a table: first configurations, turns of families, a searcher; in processes, until time is up."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from headrace.automl.families import TABLE_FAMILIES
from headrace.automl.options import Options
from headrace.automl.sizing import Times
from headrace.automl.starts.first_configs import first_configs, with_every_family, with_new_parameters
from headrace.automl.starts.matrix import shipped_matrix
from headrace.automl.starts.properties import table_properties
from headrace.automl.task.constant import constant_loss
from headrace.automl.trials.data import SearchData, write_data
from headrace.automl.trials.family_turns import FamilyTurns, Turn
from headrace.automl.trials.objective import TableObjective
from headrace.automl.trials.space import joint_space, start_list
from headrace.core.errors import HeadraceError
from headrace.core.fingerprint import fingerprint
from headrace.models.space import Config, Space
from headrace.search.searchers import get_searcher
from headrace.search.searchers.gp import GaussianProcessSearcher
from headrace.search.study.budget import Limits
from headrace.search.study.evaluation import Task, run_trial
from headrace.search.study.study import StudyInterrupted, run_study
from headrace.search.study.workers import TOO_LONG
from headrace.search.trial import Trial

#: A table with more cells than this is searched by one worker with all cores.
_LARGE = 20_000_000
#: Time in which killed workers exit.
_GRACE_S = 1.0
#: Share of the search within which the first config of a family is evaluated in full.
_FULL_SHARE = 0.02
#: First configurations of a family's turns: so many that suit all data sets, and so many that suit similar ones.
_OF_FAMILY = 3
#: A family with at most so many parameters is searched by a Gaussian process from so many trials on, which its first
#: configurations inform; and to so many trials a parameter, when the process has converged (decision 78). In more
#: dimensions a process explores for too long: TPE is better there.
_FEW_PARAMETERS, _BEFORE_MODEL, _OF_SMALL_FAMILY, _MOST_BY_PARAMETER = 6, 6, 5, 10
#: Share of the budget, and least time, of the configuration that is fitted where none finished.
_FALLBACK_SHARE, _FALLBACK_S = 0.1, 2.0


def search_data(
    folder: Path,
    data: SearchData,
    families: Sequence[str],
    options: Options,
    times: Times,
    *,
    on_trial: Callable[[Trial], None],
) -> tuple[tuple[Trial, ...], list[str]]:
    """Search the configurations of a table; their results lie in the folder.

    Args:
        folder: Folder for data and results.
        data: The data.
        families: Names of the families.
        options: Budget, searcher, racing, workers.
        times: Division of the time.
        on_trial: Called with every finished trial.

    Returns:
        All trials, and lines for the user. At least one trial is complete: where none finished in time, a quick
        configuration is fitted beyond the limit.

    Raises:
        HeadraceError: Every configuration failed.
    """
    digest = write_data(folder, data)
    workers, threads = _parallel(options, data.frame.size)
    search_s = None if options.seconds is None else max(0.5, times.search - _GRACE_S)
    deadline = math.inf if search_s is None else time.monotonic() + search_s
    objective = TableObjective(
        folder=folder, digest=digest, seed=options.seed, threads=threads, deadline=deadline, trial_s=times.trial
    )
    try:
        trials = _study(data, families, objective, options, times, search_s, workers, on_trial)
    except StudyInterrupted:
        raise
    except HeadraceError as error:
        if options.seconds is None or not all(trace.startswith(TOO_LONG) for trace in error.facts.get("traces", ())):
            raise
        trials = ()
    if any(trial.status == "ok" for trial in trials):
        return trials, []
    quick = _quick(data, families, objective, options, number=len(trials))
    on_trial(quick)
    return (*trials, quick), ["no configuration finished in time: a quick one was fitted beyond the limit"]


def _parallel(options: Options, cells: int) -> tuple[int, int]:
    """Return the number of workers and the threads of each."""
    return (1, options.n_workers) if cells > _LARGE else (options.n_workers, 1)


def _study(
    data: SearchData, families: Sequence[str], objective: TableObjective, options: Options, times: Times,
    search_s: float | None, workers: int, on_trial: Callable[[Trial], None],
) -> tuple[Trial, ...]:  # fmt: skip
    space = search_space(data, families, options)
    memory_mb = None if options.memory_gb is None else 1000 * options.memory_gb / workers
    limits = Limits(seconds=None if search_s is None else times.kill, memory_mb=memory_mb)
    turns = family_turns(data, families, options)
    full_s = math.inf if search_s is None else _FULL_SHARE * search_s
    objective = replace(objective, full=first_of_families(turns.first), full_s=full_s)
    with _without_main_module():
        return run_study(
            space, objective, turns, seed=options.seed,
            journal_path=objective.folder / "journal.jsonl", trials=options.trials, seconds=search_s, workers=workers,
            limits=limits, racing=options.racing, on_trial=on_trial, rivals=turns.rivals,
        ).trials  # fmt: skip


def search_space(data: SearchData, families: Sequence[str], options: Options) -> Space:
    """Return the joint space of a search."""
    return joint_space(families, data.task, data.label, constructions=options.constructions, ordered=data.ordered)


def family_turns(data: SearchData, families: Sequence[str], options: Options) -> FamilyTurns:
    """Return what proposes the configs of a table.

    The first ones are those of the options; else those of the shipped matrix, with one of each family.
    """

    def space(*names: str) -> Space:
        return search_space(data, names, options)

    def starts(names: Sequence[str], configs: Sequence[Config]) -> tuple[Config, ...]:
        return start_list(
            names, data.task, data.label, configs, constructions=options.constructions, ordered=data.ordered
        )

    def turn(family: str, own: Sequence[Config]) -> Turn:
        first = starts((family,), own) if own else ()
        parameters = len(TABLE_FAMILIES[family].space(data.task).parameters)
        if options.searcher != "auto" or parameters > _FEW_PARAMETERS:
            return Turn(first=first, searcher=get_searcher(options.searcher)(space(family)))
        process = GaussianProcessSearcher(space(family), startup=_BEFORE_MODEL)
        return Turn(first=first, searcher=process, most=_MOST_BY_PARAMETER * parameters)

    if options.portfolio is None:
        first, of_family = _of_matrix(data, families)
    else:
        first, of_family = options.portfolio, {}
    return FamilyTurns(
        first=starts(families, first),
        joint=get_searcher(options.searcher)(space(*families)),
        turns={family: turn(family, of_family.get(family, ())) for family in families},
        constant_loss=constant_loss(data.label[data.valid_rows], data.valid_weights, data.task),
        timed=options.seconds is not None,
    )


def _of_matrix(data: SearchData, families: Sequence[str]) -> tuple[Sequence[Config], dict[str, Sequence[Config]]]:
    """Return the first configs of a search by the shipped matrix, and those of each family's turns."""
    matrix = shipped_matrix()
    properties = table_properties(data.frame, data.cleaner, data.task, data.label)

    def of_family(family: str) -> Sequence[Config]:
        few = len(TABLE_FAMILIES[family].space(data.task).parameters) <= _FEW_PARAMETERS
        half = _OF_SMALL_FAMILY if few else _OF_FAMILY
        return with_new_parameters(first_configs(matrix, (family,), properties, portfolio=half, warm=half))

    chosen = with_every_family(first_configs(matrix, families, properties), matrix, families, properties)
    return with_new_parameters(chosen), {family: of_family(family) for family in families}


def first_of_families(configs: Sequence[Config]) -> frozenset[str]:
    """Return the fingerprints of the first config of each family."""
    first: dict[str, Config] = {}
    for config in configs:
        first.setdefault(str(config["family"]), config)
    return frozenset(fingerprint(config) for config in first.values())


def _quick(
    data: SearchData, families: Sequence[str], objective: TableObjective, options: Options, *, number: int
) -> Trial:
    """Evaluate a configuration that fits fast, in this process."""
    assert options.seconds is not None
    name = next((family for family in ("lightgbm", "linear", *families) if family in families), families[0])
    changes: Config = {"learning_rate": 0.2} if name == "lightgbm" else {}
    own = {**TABLE_FAMILIES[name].default(), **changes}
    start = start_list((name,), data.task, data.label, ordered=data.ordered)[0]
    config = {**start, **{f"{name}.{key}": value for key, value in own.items()}}
    seconds = max(_FALLBACK_S, _FALLBACK_SHARE * options.seconds)
    return run_trial(replace(objective, deadline=math.inf, trial_s=seconds), Task(number=number, config=config))


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep spawned workers from running the user's script again: they need nothing of it."""
    main = sys.modules["__main__"]
    saved = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    try:
        if "__file__" in saved:
            del main.__file__
        main.__spec__ = None
        yield
    finally:
        for name, value in saved.items():
            setattr(main, name, value)
