"""A search for an architecture as a flow: evolution, REINFORCE, local or random search, with artifacts."""

from __future__ import annotations

from prefect import flow

from headrace.app.addresses import tracking_uri
from headrace.app.context import settings_of
from headrace.core.home import open_home
from headrace.flows.artifacts import publish
from headrace.pipeline.operations.architecture_search import (
    ArchitectureReport,
    ArchitectureRequest,
    search_architectures,
)


@flow(name="architectures", persist_result=False)
def architectures(
    data_set: str = "wine", strategy: str = "evolution", evaluations: int = 20, rounds: int = 12, seed: int = 0
) -> ArchitectureReport:
    """Search an architecture; a search that was killed goes on.

    Args:
        data_set: A data set of `headrace.networks.cells.data`.
        strategy: random, local, evolution or reinforce.
        evaluations: Most networks that are trained.
        rounds: Rounds of a training.
        seed: Of strategy and trainings.

    Returns:
        The result, which MLflow has too.
    """
    request = ArchitectureRequest(
        data_set=data_set, strategy=strategy, evaluations=evaluations, rounds=rounds, seed=seed
    )
    settings = settings_of(None)
    open_home(settings.root)
    report = search_architectures(request, settings.root / "architectures", tracking_uri(settings))
    publish(report.artifacts())
    return report
