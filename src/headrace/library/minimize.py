"""Minimise a function of configurations by one of our searchers, as Hyperopt's `fmin` and Optuna's `optimize` do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from headrace.core.errors import DeclarationError
from headrace.library.objective import objective_of, without_main_module
from headrace.library.space import read_space
from headrace.schema import Racing
from headrace.search.searchers import get_searcher
from headrace.search.space import Config, Space, config_errors
from headrace.search.study.budget import Limits
from headrace.search.study.study import StudyResult, run_study
from headrace.search.trial import Trial

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """The result of `minimize`.

    Attributes:
        best: The configuration of the least loss.
        loss: Its loss.
        trials: One row per trial, by its number: `status` ("ok", "stopped", "failed"), `loss`, `seconds`, `error`, one
            column per parameter (missing where it is not active), and what else the objective returned.
        ended: What ended the study: "trials", "seconds" or "interrupted" (Ctrl-C).
        space: The searched space.
        study: All trials with their facts.
    """

    best: Config
    loss: float
    trials: pd.DataFrame = field(compare=False)
    ended: Literal["trials", "seconds", "interrupted"]
    space: Space = field(repr=False)
    study: StudyResult = field(repr=False, compare=False)

    def importance(self, *, seed: int = 0) -> dict[str, float]:
        """Estimate how much each parameter matters: its share of the permutation importance, the largest first.

        Args:
            seed: Of the random forest that is fitted to the losses.
        """
        from headrace.search.report.plots import importances

        return importances(self.space, self.study.trials, seed=seed)


def minimize(
    objective: Callable[[Config], Any],
    space: Mapping[str, Any] | Space,
    trials: int | None = 50,
    *,
    searcher: Any = "auto",
    seed: int = 0,
    journal: str | Path | None = None,
    workers: int = 1,
    seconds: float | None = None,
    trial_seconds: float | None = None,
    trial_memory_mb: float | None = None,
    start: Sequence[Mapping[str, Any]] = (),
    racing: Racing | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> Minimum:
    """Search the configuration of the least loss.

    Args:
        objective: Configuration (a dict) -> loss, a number, lower is better; or a dict with `loss` and what else to
            record. A trial that raises is recorded as failed, and the search continues.
        space: Parameter -> (low, high), (low, high, "log"), a list of options, or a mapping of option -> parameters of
            its own, whose keys are then `option.name`; or `Float`, `Integer`, `Categorical`, `Choice`.
        trials: Number of trials. None: no limit.
        searcher: "auto", "tpe", "gp", "smac", "hyperopt", "random", the name of an installed one, or a class.
        seed: Of all random numbers. With one worker, equal arguments give equal results.
        journal: File to which every finished trial is written at once. With the file of an earlier call, its trials
            are not evaluated again, so a killed search continues and a larger `trials` adds to it. None: no file.
        workers: Number of trials that are evaluated at a time, each in a process of its own.
        seconds: Wall-clock limit of the search, s.
        trial_seconds: Wall-clock limit of a trial, s; a longer one fails.
        trial_memory_mb: Memory limit of a trial, MB; one that needs more fails.
        start: Configurations to evaluate first.
        racing: Rule that stops trials early, for an objective with `evaluate_rungs`
            (`headrace.search.study.evaluation.RungObjective`).
        on_trial: Called with each finished trial.

    Returns:
        The best configuration, its loss, and all trials as a data frame.

    Raises:
        DeclarationError: The space, the budget or the searcher cannot be used.
        ConflictError: The journal is of another space, searcher, seed or objective.
        HeadraceError: Every trial failed; the error of the first one is in it.
    """
    chosen = read_space(space)
    factory = get_searcher(searcher) if isinstance(searcher, str) else searcher
    if not callable(factory):
        raise DeclarationError(f"{searcher!r} is no searcher", where="searcher", fix='name one, as in "tpe"')
    for number, config in enumerate(start):
        if errors := config_errors(chosen, config):
            raise DeclarationError(errors[0], where=f"start[{number}]", found=errors[1:])
    limits = Limits(seconds=trial_seconds, memory_mb=trial_memory_mb)
    other_processes = workers > 1 or limits.any or seconds is not None
    with (
        tempfile.TemporaryDirectory() as temporary,
        without_main_module() if other_processes else nullcontext(),
    ):
        study = run_study(
            chosen,
            objective_of(objective),
            factory(chosen),
            seed=seed,
            journal_path=Path(journal) if journal is not None else Path(temporary) / "journal.jsonl",
            trials=trials,
            seconds=seconds,
            workers=workers,
            limits=limits,
            racing=racing,
            warm_start=[dict(config) for config in start],
            on_trial=on_trial,
        )
    assert study.best.loss is not None  # run_study raises where no trial has one
    return Minimum(
        best=dict(study.best.config),
        loss=study.best.loss,
        trials=trials_frame(study.trials),
        ended=study.ended,
        space=chosen,
        study=study,
    )


def trials_frame(trials: Sequence[Trial]) -> pd.DataFrame:
    """Return trials as a data frame: facts, then parameters, then what the objective recorded; indexed by number."""
    import pandas as pd

    rows = []
    for trial in trials:
        facts = {"status": trial.status, "loss": trial.loss, "seconds": trial.seconds, "error": trial.error}
        info = {name: value for name, value in trial.info.items() if name not in facts and name not in trial.config}
        rows.append({**facts, **trial.config, **info})
    index = pd.Index([trial.number for trial in trials], name="number")
    frame = pd.DataFrame(rows, index=index)
    frame["loss"] = frame["loss"].astype("float64")
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.config))
    first = ["status", "loss", "seconds", "error", *parameters]
    return frame[[*first, *(name for name in frame if name not in first)]]
