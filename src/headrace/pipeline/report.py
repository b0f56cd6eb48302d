"""What a run came to: the table at the end, last_run.json, and the artifacts that flows publish."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from headrace.core.files import read_json
from headrace.pipeline.context import Context
from headrace.pipeline.stage import Done, StageReport
from headrace.pipeline.stages.search import STUDY_REPORT


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A table (list of rows), a markdown text or a link to be shown in the orchestrator's pages."""

    key: str
    kind: Literal["table", "markdown", "link"]
    data: Any
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """The end of a run. study: where the report of its search lies."""

    problem: str
    seconds: float
    stages: tuple[StageReport, ...]
    champion: Mapping[str, Any]
    addresses: Mapping[str, str]
    decision: str = ""
    notes: tuple[str, ...] = ()
    quarantined: tuple[Mapping[str, Any], ...] = ()
    artifacts: tuple[Artifact, ...] = field(default=())
    study: str = ""

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
            "addresses": dict(self.addresses),
            "quarantined": list(self.quarantined),
        }


def summarise(
    context: Context,
    done: Mapping[str, Done],
    stages: Sequence[StageReport],
    *,
    seconds: float,
    addresses: Mapping[str, str],
) -> RunReport:
    """Gather a finished run's facts."""
    from headrace.registry.ledger import Ledger

    record = Ledger(context.root, context.problem.name).champion()
    champion = {"version": record.version, "metrics": dict(record.metrics)} if record is not None else {}
    return RunReport(
        problem=context.problem.name,
        seconds=seconds,
        stages=tuple(stages),
        champion=champion,
        addresses=addresses,
        decision=_decision_line(done["promote"].facts),
        notes=(
            *done["synthesise"].facts["warnings"],
            *done["promote"].facts["proposals"],
            *_mended(done, stages),
        ),
        quarantined=tuple(done["ingest"].facts["quarantined"]),
        artifacts=tuple(_artifacts(context, done, addresses)),
        study=str(done["search"].folder / STUDY_REPORT),
    )


def _mended(done: Mapping[str, Done], stages: Sequence[StageReport]) -> list[str]:
    """What this run mended in the online store; a cached stage's facts are of an earlier run."""
    ran = [stage for stage in stages if stage.name == "materialise" and not stage.cached]
    return [note for _ in ran if (note := done["materialise"].facts["note"])]


def _artifacts(context: Context, done: Mapping[str, Done], addresses: Mapping[str, str]) -> list[Artifact]:
    name = context.problem.name.lower().replace("_", "-")
    decision = done["promote"].facts
    found = [
        Artifact(
            key=f"{name}-leaderboard",
            kind="table",
            data=read_json(done["search"].path("leaderboard.json")),
            description=f"Trials of the last search for {context.problem.name}, best first",
        ),
        Artifact(
            key=f"{name}-promotion",
            kind="markdown",
            data=_decision_text(context.problem.name, done),
            description=f"Promotion decision: {decision['reason']}",
        ),
    ]
    if "MLflow" in addresses:
        run = done["track"].facts
        # MLflow's pages open in a view for prompts and traces, unless told otherwise.
        page = f"experiments/{run['experiment_id']}/runs/{run['run_id']}?workflowType=machine_learning"
        url = f"{addresses['MLflow']}/#/{page}"
        found.append(Artifact(key=f"{name}-study", kind="link", data=url, description="The study in MLflow"))
    if "API" in addresses:
        found.append(
            Artifact(key=f"{name}-api", kind="link", data=f"{addresses['API']}/docs", description="The prediction API")
        )
    return found


def _decision_line(decision: Mapping[str, Any]) -> str:
    verdict = "is champion" if decision["promoted"] else "was not promoted"
    return f"version {decision['version']} {verdict}: {decision['reason']}"


def _decision_text(problem: str, done: Mapping[str, Done]) -> str:
    decision, replay = done["promote"].facts, done["replay"].facts
    metrics = {**done["evaluate"].facts["metrics"], **replay.get("metrics", {})}
    lines = [
        f"## {problem}: version {decision['version']} {'promoted' if decision['promoted'] else 'not promoted'}",
        "",
        decision["reason"],
        "",
        "| metric | value |",
        "|---|---|",
        *(f"| {name} | {value:.4f} |" for name, value in metrics.items()),
    ]
    return "\n".join(lines)
