"""Run the pipeline on a problem that is declared in this process, whose tables may be data frames."""

from __future__ import annotations

from pathlib import Path

from headrace.app.context import context_of
from headrace.app.progress import RunDisplay
from headrace.library.objective import without_main_module
from headrace.pipeline.progress import Progress
from headrace.pipeline.report import RunReport
from headrace.pipeline.walker import PipelineRun
from headrace.problems.catalogue import declare
from headrace.schema import Problem


def run(
    problem: Problem | str | Path,
    *,
    home: str | Path | None = None,
    trials: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: bool = False,
) -> RunReport:
    """Run all stages: ingest, features, search, gate, registration, online store, as `headrace run` does.

    A second call with the same contents and declaration finds every stage cached. With other contents of the data
    frames it is a refresh: new rows arrive now, changed rows are new versions, and the gate compares both models.

    Args:
        problem: A declaration, the path of a problem file, or the name of a built-in problem.
        home: Folder of all state. None: the setting HEADRACE_HOME, else `.headrace` in the current folder.
        trials: Number of trials of the search. None: the problem's.
        seed: Of the selection and the search. None: 0.
        workers: Number of processes of the search. None: the setting HEADRACE_WORKERS, else 2.
        progress: Whether stages are shown while they run.

    Returns:
        The run's report: `champion` (version and metrics), `decision` of the gate, `stages`, `notes`.

    Raises:
        DeclarationError: The problem cannot be run.
        DataError: Rows do not fit the declaration.
    """
    reference = declare(problem) if isinstance(problem, Problem) else str(problem)
    folder = Path(home) if home is not None else None
    if progress:
        with RunDisplay() as display:
            return _run(reference, folder, trials, seed, workers, display)
    return _run(reference, folder, trials, seed, workers, Progress())


def _run(
    reference: str, home: Path | None, trials: int | None, seed: int | None, workers: int | None, progress: Progress
) -> RunReport:
    context = context_of(reference, home, trials=trials, seed=seed, workers=workers, progress=progress)
    with without_main_module():
        return PipelineRun(context).complete()
