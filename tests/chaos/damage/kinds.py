"""Every kind of file that a home holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Files with one meaning. pattern: of their paths below the home. group: the row of the table. one: only the last
    of them is damaged; else all. flips: how many bits are tried, each in a case of its own."""

    name: str
    pattern: str
    group: str
    one: bool = False
    flips: int = 1
    regex: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        text = re.escape(self.pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")
        object.__setattr__(self, "regex", re.compile(text))


def _kinds(group: str, *patterns: str, one: bool = False, flips: int = 1) -> tuple[Kind, ...]:
    return tuple(
        Kind(name=pattern.replace("shop", "NAME"), pattern=pattern, group=group, one=one, flips=flips)
        for pattern in patterns
    )


KINDS: tuple[Kind, ...] = (
    *_kinds("production clock", "lake/shop/clock.json", flips=3),
    *_kinds("whose data a lake holds", "lake/shop/origin.json", flips=3),
    *_kinds(
        "lake batches",
        "lake/shop/tables/*/*/rows.parquet",
        "lake/shop/tables/*/*/batch.json",
        "lake/shop/tables/*/*/manifest.json",
        one=True,
        flips=3,
    ),
    *_kinds("lake batches", "lake/shop/tables/*/batches.json", flips=3),
    *_kinds(
        "quarantine",
        "lake/shop/quarantine/*/*/rows.parquet",
        "lake/shop/quarantine/*/*/reasons.json",
        "lake/shop/quarantine/*/*/batch.json",
        "lake/shop/quarantine/*/*/manifest.json",
    ),
    *_kinds(
        "locks",
        "lake/.shop.feed.lock",
        "lake/shop/.clock.lock",
        "lake/shop/.origin.lock",
        "lake/shop/tables/*/.lock",
        "mlflow/.mlflow.db.lock",
        "predictions/.shop.score.lock",
        "registry/shop/.lock",
        "registry/shop/versions/.lock",
        "evidently/.lock",
        "stages/shop/*/.*.lock",
        "outbox/shop.deliver.lock",
        "store/writer.lock",
        "quality/shop/*/.lock",
    ),
    *_kinds(
        "second copies and serial numbers of state",
        "lake/shop/.clock.json.copy",
        "lake/shop/.origin.json.copy",
        "lake/shop/tables/*/.batches.json.copy",
        "registry/shop/versions/.*.json.copy",
        "store/shop/.published.json.copy",
        "predictions/.shop.scored.json.copy",
        "run/.services.json.copy",
        "ledger/.shop.db.serial",
        "outbox/.shop.db.serial",
    ),
    *_kinds("published features", "store/shop/published.json", flips=3),
    *_kinds("watermarks, for people", "store/shop/watermark.json"),
    *_kinds("online store", "store/online.db", flips=3),
    *_kinds("Feast registry", "store/registry.db", flips=3),
    *_kinds("ledger", "ledger/shop.db", flips=3),
    *_kinds("outbox", "outbox/shop.db", flips=3),
    *_kinds("prediction log", "predictions/shop.db", "predictions/shop.scored.json", flips=3),
    *_kinds("MLflow database", "mlflow/mlflow.db", flips=3),
    *_kinds(
        "MLflow artifacts",
        "mlflow/artifacts/*/artifacts/*",
        "mlflow/artifacts/models/*/artifacts/*",
        "mlflow/artifacts/models/*/artifacts/data/bundle/*",
        "mlflow/artifacts/models/*/artifacts/data/bundle/model/*",
        "mlflow/artifacts/models/*/artifacts/code/**",
    ),
    *_kinds(
        "bundles",
        "registry/shop/bundles/*/bundle.json",
        "registry/shop/bundles/*/manifest.json",
        "registry/shop/bundles/*/gate.parquet",
        "registry/shop/bundles/*/reference.parquet",
        "registry/shop/bundles/*/model/model.txt",
        "registry/shop/versions/*.json",
    ),
    *_kinds("stages", "stages/shop/*/*/stage.json", "stages/shop/*/*/manifest.json", flips=2),
    *_kinds(
        "stages",
        "stages/shop/evaluate/*/gate.parquet",
        "stages/shop/promote/*/gate.json",
        "stages/shop/refit/*/bundle/bundle.json",
        "stages/shop/refit/*/bundle/gate.parquet",
        "stages/shop/refit/*/bundle/manifest.json",
        "stages/shop/refit/*/bundle/model/model.txt",
        "stages/shop/refit/*/bundle/reference.parquet",
        "stages/shop/refit/*/shap.json",
        "stages/shop/refit/*/shap_summary.png",
        "stages/shop/search/*.journal.jsonl",
        "stages/shop/search/*/history.png",
        "stages/shop/search/*/importances.png",
        "stages/shop/search/*/leaderboard.json",
        "stages/shop/search/*/report.html",
        "stages/shop/search/*/trials.json",
        "stages/shop/select/*/definitions.json",
        "stages/shop/select/*/ledger.json",
        "stages/shop/synthesise/*/0*.parquet",
        "stages/shop/synthesise/*/candidates.parquet",
        "stages/shop/synthesise/*/places.parquet",
        "stages/shop/synthesise/*/spine.parquet",
        "stages/shop/synthesise/*/definitions.json",
        "stages/shop/synthesise/*/lake.json",
        "stages/shop/synthesise/*/parts.json",
        "stages/shop/training-set/*/training.parquet",
    ),
    *_kinds(
        "data quality suites",
        "quality/shop/*/gx/great_expectations.yml",
        "quality/shop/*/gx/checkpoints/*",
        "quality/shop/*/gx/expectations/*",
        "quality/shop/*/gx/validation_definitions/*",
        "quality/shop/*/gx/.gitignore",
    ),
    *_kinds("last run", "runs/shop/last_run.json"),
    *_kinds("running services", "run/services.json"),
    *_kinds(
        "report pages",
        "reports/shop/*.html",
        "quality/shop/*/gx/uncommitted/**",
        "quality/shop/*/gx/plugins/**",
        "evidently/*/dashboard.json",
        "evidently/*/metadata.json",
        "evidently/*/snapshots/*.json",
    ),
)


def kinds_of(path: str) -> list[Kind]:
    """The kinds that match a path; there has to be one."""
    return [kind for kind in KINDS if kind.regex.fullmatch(path)]


def kind_of(path: str) -> Kind:
    """The kind of a path."""
    (kind,) = kinds_of(path)
    return kind
