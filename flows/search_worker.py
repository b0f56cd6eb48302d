"""A worker of a search as a flow: each run evaluates trials of a study that runs on another machine."""

from __future__ import annotations

import logging

from prefect import flow

from headrace.core.errors import DeclarationError
from headrace.core.settings import settings
from headrace.flows.names import run_name
from headrace.flows.observed import observed
from headrace.problems.catalogue import load_problem
from headrace.search.study.budget import Limits
from headrace.search.study.shared_worker import SharedWorker

log = logging.getLogger("headrace.flows")


@flow(name="search-worker", flow_run_name=run_name("search-worker"), persist_result=False)
@observed("search-worker")
def search_worker(problem: str = "flights", slots: int = 1, idle_seconds: float = 300.0) -> int:
    """Evaluate trials from the shared folder until there were none for some time.

    Args:
        problem: A built-in problem, or the path of a problem file.
        slots: Trials at a time.
        idle_seconds: Time without a trial after which the run ends.

    Returns:
        How many trials it evaluated.

    Raises:
        DeclarationError: No folder is shared.
    """
    folder, declared = settings().search_folder, load_problem(problem)
    if folder is None:
        raise DeclarationError(
            "no folder is shared with studies", where="search-worker", fix="set HEADRACE_SEARCH_FOLDER on all machines"
        )
    limits = Limits(seconds=declared.trial_seconds, memory_mb=declared.trial_memory_mb)
    worker = SharedWorker(folder.absolute() / declared.name, slots=slots, limits=limits)
    worker.run(idle_s=idle_seconds)
    log.info("%s evaluated %d trials", worker.name, worker.evaluated)
    return worker.evaluated
