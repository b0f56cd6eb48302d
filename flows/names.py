"""Names of flow runs in Prefect's pages: the flow and the problem's name, whatever file the problem was named by."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect.runtime import flow_run

from headrace.core.errors import HeadraceError
from headrace.problems.catalogue import load_problem


def run_name(flow: str, *further: str) -> Callable[[], str]:
    """Return what names the runs of a flow.

    Args:
        flow: Name of the flow.
        further: Parameters whose values follow the problem's name.
    """

    def named() -> str:
        parameters: dict[str, Any] = flow_run.parameters
        values = (str(parameters.get(name) or "") for name in further)
        return " ".join(filter(None, (flow, problem_name(str(parameters["problem"])), *values)))

    return named


@lru_cache(maxsize=64)
def problem_name(reference: str) -> str:
    """Return the name of a problem; of a file that cannot be loaded its file name, as the run itself says why."""
    try:
        return load_problem(reference).name
    except HeadraceError:
        return Path(reference).stem
