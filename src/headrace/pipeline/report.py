"""What a run came to: the table at the end, last_run.json, and the artifacts that flows publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from headrace.core.files import read_json
from headrace.pipeline.context import Context
from headrace.pipeline.model_summary import ModelSummary, model_summary
from headrace.pipeline.production.intake import QuarantinedBatch
from headrace.pipeline.production.policy_summary import policy_summary
from headrace.pipeline.stage import Inputs, StageReport
from headrace.pipeline.stages.draw import DRAW, STUDY_REPORT
from headrace.pipeline.stages.evaluate import EVALUATE
from headrace.pipeline.stages.ingest import INGEST
from headrace.pipeline.stages.materialise import MATERIALISE
from headrace.pipeline.stages.promote import PROMOTE, PromoteOutput
from headrace.pipeline.stages.replay import REPLAY
from headrace.pipeline.stages.search import LEADERBOARD, SEARCH
from headrace.pipeline.stages.synthesise import SYNTHESISE
from headrace.pipeline.stages.track import TRACK
from headrace.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A table (list of rows), a markdown text or a link to be shown in the orchestrator's pages."""

    key: str
    kind: Literal["table", "markdown", "link"]
    data: Any
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """The end of a run.

    Attributes:
        problem: its name.
        reference: how the user named it, for commands.
        seconds: of the whole run.
        stages: in order.
        champion: its version and metrics; empty where there is none.
        addresses: of services, by name.
        decision: about the promotion, for people.
        notes: about the declaration, the data and the stores, for people.
        quarantined: batches that were refused.
        artifacts: what a flow publishes.
        study: the path of the study's report.
        policy: of retraining, and what its replay found, for people.
        model: what the run trained.
        replayed: metrics of the champion on the replayed window, each with the window's name before it.
    """

    problem: str
    reference: str
    seconds: float
    stages: tuple[StageReport, ...]
    champion: Mapping[str, Any]
    addresses: Mapping[str, str]
    decision: str = ""
    notes: tuple[str, ...] = ()
    quarantined: tuple[QuarantinedBatch, ...] = ()
    artifacts: tuple[Artifact, ...] = field(default=())
    study: str = ""
    policy: tuple[str, ...] = ()
    model: ModelSummary | None = None
    replayed: Mapping[str, float] = field(default_factory=dict)

    def table(self) -> list[tuple[str, str, str]]:
        """Rows of (stage, seconds, cached or run)."""
        return [(stage.name, f"{stage.seconds:.1f}", stage.state) for stage in self.stages]

    def as_json(self) -> dict[str, Any]:
        """The form of last_run.json."""
        return {
            "problem": self.problem,
            "seconds": round(self.seconds, 3),
            "stages": [
                {"name": stage.name, "seconds": round(stage.seconds, 3), "cached": stage.cached}
                for stage in self.stages
            ],
            "champion": dict(self.champion),
            "decision": self.decision,
            "model": None if self.model is None else self.model.as_json(),
            "replayed": dict(self.replayed),
            "study": self.study,
            "policy": list(self.policy),
            "notes": list(self.notes),
            "addresses": dict(self.addresses),
            "quarantined": [asdict(batch) for batch in self.quarantined],
        }


def artifact_key(problem: str, name: str) -> str:
    """The key of a problem's artifact. Prefect's keys have lower-case letters, digits and dashes only."""
    return f"{problem.lower().replace('_', '-')}-{name}"


def summarise(
    context: Context,
    finished: Inputs,
    stages: Sequence[StageReport],
    *,
    seconds: float,
    addresses: Mapping[str, str],
) -> RunReport:
    """Gather what people want to see of a finished run of the main job."""
    record = Ledger(context.root, context.problem.name).champion()
    champion = {"version": record.version, "metrics": dict(record.metrics)} if record is not None else {}
    promoted = finished[PROMOTE].output
    return RunReport(
        problem=context.problem.name,
        reference=context.reference,
        seconds=seconds,
        stages=tuple(stages),
        champion=champion,
        addresses=addresses,
        decision=_decision_line(promoted),
        notes=(*finished[SYNTHESISE].output.warnings, *promoted.proposals, *_mended(finished, stages)),
        quarantined=finished[INGEST].output.quarantined,
        artifacts=tuple(_artifacts(context, finished, addresses)),
        study=str(finished[DRAW].folder / STUDY_REPORT),
        policy=policy_summary(context),
        model=model_summary(context, finished),
        replayed=finished[REPLAY].output.metrics,
    )


def _mended(finished: Inputs, stages: Sequence[StageReport]) -> list[str]:
    """What this run mended in the online store; a cached stage's output is of an earlier run."""
    note = finished[MATERIALISE].output.note
    return [note for stage in stages if stage.name == MATERIALISE.name and not stage.cached and note]


def _artifacts(context: Context, finished: Inputs, addresses: Mapping[str, str]) -> list[Artifact]:
    name, decision = context.problem.name, finished[PROMOTE].output
    found = [
        Artifact(
            key=artifact_key(name, "leaderboard"),
            kind="table",
            data=read_json(finished[SEARCH].path(LEADERBOARD)),
            description=f"Trials of the last search for {name}, best first",
        ),
        Artifact(
            key=artifact_key(name, "promotion"),
            kind="markdown",
            data=_decision_text(name, finished),
            description=f"Promotion decision: {decision.reason}",
        ),
    ]
    if "MLflow" in addresses:
        run = finished[TRACK].output
        # MLflow's pages open in a view for prompts and traces, unless the address names another.
        page = f"experiments/{run.experiment_id}/runs/{run.run_id}?workflowType=machine_learning"
        url = f"{addresses['MLflow']}/#/{page}"
        found.append(
            Artifact(key=artifact_key(name, "study"), kind="link", data=url, description="The study in MLflow")
        )
    if "API" in addresses:
        url = f"{addresses['API']}/docs"
        found.append(Artifact(key=artifact_key(name, "api"), kind="link", data=url, description="The prediction API"))
    return found


def _decision_line(decision: PromoteOutput) -> str:
    verdict = "is champion" if decision.promoted else "was not promoted"
    return f"version {decision.version} {verdict}: {decision.reason}"


def _decision_text(problem: str, finished: Inputs) -> str:
    decision = finished[PROMOTE].output
    metrics = {**finished[EVALUATE].output.metrics, **finished[REPLAY].output.metrics}
    lines = [
        f"## {problem}: version {decision.version} {'promoted' if decision.promoted else 'not promoted'}",
        "",
        decision.reason,
        "",
        "| metric | value |",
        "|---|---|",
        *(f"| {name} | {value:.4f} |" for name, value in metrics.items()),
    ]
    return "\n".join(lines)
