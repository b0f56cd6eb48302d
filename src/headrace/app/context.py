"""The composition root: settings, a problem and the addresses of services become the context that everything takes."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from headrace.app.addresses import tracking_uri
from headrace.core.clock import to_us
from headrace.core.home import open_home
from headrace.core.settings import Settings, settings
from headrace.pipeline.context import Context
from headrace.pipeline.extensions import check_extensions
from headrace.pipeline.progress import Progress
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.problems.catalogue import load_problem
from headrace.search.study.budget import Budget
from headrace.synthesis.candidates.requested import check_primitives
from headrace.synthesis.engines import engine_of


def settings_of(home: Path | None) -> Settings:
    """The settings, with the state folder that the option names."""
    return settings() if home is None else settings().model_copy(update={"home": home})


def context_of(
    reference: str,
    home: Path | None = None,
    *,
    trials: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    until_us: int | None = None,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> Context:
    """Build the context of a run of one problem. The home folder is made where it is not there.

    Args:
        reference: a catalogue name, or the path of a problem file.
        home: the home folder; the setting's if left out.
        trials: budget of the search; the problem's if left out.
        seed: of the selection and the search; 0 if left out.
        workers: processes of the search; the setting's if left out.
        until_us: train on what was known before this instant.
        max_memory: bytes that the process may hold during synthesis; the setting's if left out.
        progress: receives what happens in a run.

    Raises:
        DeclarationError: the problem cannot be loaded, or asks for a search or a primitive that cannot be.
    """
    problem, chosen = load_problem(reference), settings_of(home)
    trials = problem.trials if trials is None else trials
    Budget(trials=trials)  # a search that does nothing is refused before the stages that lead to it have run
    check_extensions(problem)
    check_primitives(problem)
    open_home(chosen.root)
    progress = progress or Progress()
    return Context(
        problem=problem,
        # absolute, for other processes load it from other folders
        reference=str(problem.path or reference),
        root=chosen.root,
        tracking_uri=tracking_uri(chosen),
        until_us=until_us,
        trials=trials,
        seed=seed or 0,
        workers=chosen.workers if workers is None else workers,
        search_folder=chosen.search_folder,
        max_memory=chosen.max_memory if max_memory is None else max_memory,
        engine=engine_of(
            problem,
            max_memory=chosen.max_memory if max_memory is None else max_memory,
            progress=partial(progress.message, SYNTHESISE.name),
        ),
        progress=progress,
    )


def wall_us() -> int:
    """The wall clock (us): of claims, tries and deliveries. What a problem's data say has the production clock."""
    return to_us(datetime.now(UTC))
