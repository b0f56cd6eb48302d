"""Check that every extension a problem names can be had, for runs and for `headrace check`."""

from __future__ import annotations

from headrace.core.extensions import hand_over
from headrace.models.families import FAMILIES, require_package
from headrace.monitor.alerts.delivery import check_channel
from headrace.monitor.drift_tests import MISSING, TESTS
from headrace.schema import Problem
from headrace.search.searchers import SEARCHERS
from headrace.synthesis.engines import ENGINES
from headrace.synthesis.primitives.catalogue import CATALOGUE


def check_extensions(problem: Problem) -> None:
    """Make a problem's objects known to this process, and look up every name that it gives.

    Raises:
        DeclarationError: for an unknown name, one that two sources give, or a package that cannot be loaded.
    """
    hand_over(problem.extensions)
    ENGINES.named(problem.engine, where=f"{problem.name}: engine")
    SEARCHERS.named(problem.searcher, where=f"{problem.name}: searcher")
    for name in problem.families:
        FAMILIES.named(name, where=f"{problem.name}: families")
        require_package(name, where=f"{problem.name}: families")
    for name in (*(problem.monitoring.drift_tests or ()), *problem.monitoring.floors):
        if name != MISSING.name:
            TESTS.named(name, where=f"{problem.name}: monitoring")
    for name in problem.monitoring.alert_channels:
        check_channel(name)


def synthesis_code(problem: Problem) -> dict[str, str]:
    """Digests of the code of the engine and the primitives that are not built in, for the keys of synthesis."""
    return {"engine": ENGINES.code(problem.engine), **CATALOGUE.extension_code(problem)}
