"""An architecture search in MLflow and as artifacts; after a kill it trains only what its journal lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import DeclarationError
from headrace.networks.architectures import ArchitectureSpace, Genotype
from headrace.networks.benchmark.table import Record
from headrace.pipeline.operations.architecture_search import ArchitectureRequest, search_architectures
from headrace.registry.client import connect

pytestmark = pytest.mark.slow


class _KilledError(Exception):
    pass


class Training:
    """Prefers narrow networks; a depth of three fails; killed at its n-th training."""

    def __init__(self, killed_at: int = 0) -> None:
        self.trained: list[Genotype] = []
        self._killed_at = killed_at

    def __call__(self, space: ArchitectureSpace, genotype: Genotype) -> Record:
        choices = space.choices(genotype)
        self.trained.append(genotype)
        if len(self.trained) == self._killed_at:
            raise _KilledError
        loss = float("inf") if choices["depth"] == 3 else float(choices["width"])
        return Record(genotype=genotype, loss=loss, test_loss=loss, seconds=0.5)


def test_a_search_is_logged_and_completed_after_a_kill(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    request = ArchitectureRequest(data_set="wine", strategy="random", evaluations=6)
    first, second = Training(killed_at=4), Training()
    with pytest.raises(_KilledError):
        search_architectures(request, tmp_path / "searches", uri, train=first)
    report = search_architectures(request, tmp_path / "searches", uri, train=second)
    assert len(second.trained) == 3
    assert not set(first.trained[:3]) & set(second.trained)
    assert len(report.result.history) == 6

    client = connect(uri)
    run = client.get_run(report.run_id)
    assert run.data.metrics["best_loss"] == report.result.loss
    assert run.data.params["strategy"] == "random"
    assert {item.path for item in client.list_artifacts(report.run_id)} == {"best.svg", "curve.svg"}
    runs = client.search_runs([run.info.experiment_id])
    assert len(runs) == 7  # the search and its trainings
    assert (
        search_architectures(request, tmp_path / "searches", uri, train=Training(killed_at=1)).run_id == report.run_id
    )

    text, table = report.artifacts()
    assert text.key == "architectures-wine-random-0"
    assert "6 networks by random" in text.data
    losses = [row["loss"] for row in table.data]
    assert losses == sorted(losses)
    assert set(table.data[0]) >= {"loss", "width", "depth", "edge 0-1"}


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(DeclarationError, match="no strategy 'greedy'"):
        ArchitectureRequest(data_set="wine", strategy="greedy")
