"""The tiny problem in a home of its own, and what a test asks about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.app.context import context_of
from headrace.core.replicas import read_replicas
from headrace.pipeline.report import RunReport
from headrace.pipeline.walker import PipelineRun
from headrace.registry.client import connect


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A problem file and a home folder. One worker: the searches here are too small to share."""

    path: Path
    home: Path

    def run(self, **options: Any) -> PipelineRun:
        """A run that has not begun."""
        return PipelineRun(context_of(str(self.path), self.home, **{"workers": 1, "trials": 2, **options}))

    def finish(self, **options: Any) -> RunReport:
        """A run to its end."""
        return self.run(**options).complete()

    @property
    def tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    def versions(self) -> list[str]:
        """The registered versions, oldest first."""
        found = connect(self.tracking_uri).search_model_versions("name = 'shop'")
        return sorted((str(item.version) for item in found), key=int)

    def studies(self) -> list[str]:
        """Ids of the parent runs in MLflow."""
        client = connect(self.tracking_uri)
        experiment = client.get_experiment_by_name("shop")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id], filter_string="tags.`headrace.kind` = 'study'")
        return [run.info.run_id for run in runs]

    def last_run(self) -> Mapping[str, Any]:
        """last_run.json."""
        found: Mapping[str, Any] = read_replicas(self.home / "runs" / "shop" / "last_run.json")
        return found


def worked(report: RunReport) -> list[str]:
    """The stages that did something."""
    return [stage.name for stage in report.stages if not stage.cached]
