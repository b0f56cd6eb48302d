"""Every kind of file that a home holds. A file that no kind matches fails the matrix, so that none is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Files with one meaning, damaged together. patterns: of their paths below the home of the problem `shop`; `*` is
    part of a name, `**` any folders. last: only the last of them is damaged. flips: bits tried, each in a case."""

    name: str
    patterns: tuple[str, ...]
    last: bool = False
    flips: int = 1

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        texts = (re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*") for pattern in self.patterns)
        return re.compile("|".join(texts))

    def matches(self, path: str) -> bool:
        """Whether a path is of this kind."""
        return self._regex.fullmatch(path) is not None

    def of(self, paths: Iterable[str]) -> list[str]:
        """The paths of this kind."""
        return [path for path in paths if self.matches(path)]


def _kind(name: str, *patterns: str, last: bool = False, flips: int = 1) -> Kind:
    return Kind(name=name, patterns=patterns, last=last, flips=flips)


_BATCH, _BUNDLE, _SUITE = "lake/shop/tables/*/*", "registry/shop/bundles/*", "quality/shop/*/gx"

#: State: what decides, and is nowhere else or must agree with the rest.
STATE = (
    _kind("production clock", "lake/shop/clock.json", flips=3),
    _kind("origin of a lake", "lake/shop/origin.json"),
    _kind("published features", "store/shop/published.json", flips=3),
    _kind("scored until", "predictions/shop.scored.json", flips=2),
    _kind("running services", "run/services.json"),
    _kind(
        "second copies of state",
        *("lake/shop/.clock.json.copy", "lake/shop/.origin.json.copy", "store/shop/.published.json.copy"),
        *("predictions/.shop.scored.json.copy", "run/.services.json.copy"),
        *("runs/shop/.last_run.json.copy", "registry/shop/versions/.*.json.copy"),
        "lake/shop/tables/*/.batches.json.copy",
    ),
    _kind("ledger", "ledger/shop.db", flips=3),
    _kind("outbox", "outbox/shop.db", flips=3),
    _kind("serial numbers of databases", "ledger/.shop.db.serial", "outbox/.shop.db.serial"),
    _kind("prediction log", "predictions/shop.db", flips=3),
    _kind("online store", "store/online.db", flips=3),
    _kind("watermarks, for people", "store/shop/watermark.json"),
    _kind("Feast registry", "store/registry.db", flips=3),
    _kind("MLflow database", "mlflow/mlflow.db", flips=3),
    _kind("version numbers of bundles", "registry/shop/versions/*.json", flips=2),
    _kind("last run", "runs/shop/last_run.json"),
    _kind("audit log", "access/audit.jsonl"),
    _kind("end of the audit log", "access/audit.head"),
)

#: What a run makes and reads again.
MADE = (
    _kind("lake: list of batches", "lake/shop/tables/*/batches.json", flips=2),
    _kind("lake: rows", f"{_BATCH}/rows.parquet", last=True, flips=3),
    _kind("lake: batch facts", f"{_BATCH}/batch.json", last=True, flips=2),
    _kind("lake: manifests", f"{_BATCH}/manifest.json", last=True),
    _kind("bundle: description", f"{_BUNDLE}/bundle.json", flips=2),
    _kind("bundle: model", f"{_BUNDLE}/model/*", flips=2),
    _kind("bundle: reference and gate rows", f"{_BUNDLE}/*.parquet", flips=2),
    _kind("bundle: manifests", f"{_BUNDLE}/manifest.json"),
    _kind("stages: facts", "stages/shop/*/*/stage.json", flips=2),
    _kind("stages: parsed code", "stages/.code.json", flips=2),
    _kind("stages: manifests", "stages/shop/*/*/manifest.json"),
    _kind("stage synthesise: values", "stages/shop/synthesise/*/*.parquet", flips=2),
    _kind(
        "stage synthesise: description",
        *(f"stages/shop/synthesise/*/{name}.json" for name in ("definitions", "lake", "parts")),
    ),
    _kind("stage select", "stages/shop/select/*/definitions.json", "stages/shop/select/*/ledger.json"),
    _kind("stage select: known features", "stages/shop/select/*/known.json"),
    _kind("stage training-set", "stages/shop/training-set/*/training.parquet", flips=3),
    _kind("stage search", "stages/shop/search/*/trials.json"),
    _kind("stage search: leaderboard", "stages/shop/search/*/leaderboard.json"),
    _kind("stage search: study", *(f"stages/shop/search/*/{name}.json" for name in ("study", "duration"))),
    _kind("stage search: journal", "stages/shop/search/*.journal.jsonl", flips=2),
    _kind("stage evaluate", "stages/shop/evaluate/*/gate.parquet", flips=2),
    _kind("stage refit: bundle", "stages/shop/refit/*/bundle/**", flips=2),
    _kind("stage draw", *(f"stages/shop/draw/*/{name}" for name in ("*.png", "report.html", "shap.json"))),
    _kind("stage promote", "stages/shop/promote/*/gate.json"),
    _kind("stage report", "stages/shop/report/*/model_report.html"),
)

#: What only people and other programs look at, or is looked at once.
SHOWN = (
    _kind(
        "data quality suites",
        *(f"{_SUITE}/{name}" for name in ("great_expectations.yml", "checkpoints/*", ".gitignore")),
        *(f"{_SUITE}/{name}" for name in ("expectations/*", "validation_definitions/*")),
    ),
    _kind("data quality pages", f"{_SUITE}/uncommitted/**", f"{_SUITE}/plugins/**"),
    _kind("quarantined batches", "lake/shop/quarantine/**"),
    _kind("MLflow artifacts", "mlflow/artifacts/**"),
    _kind("drift reports", "reports/shop/*.html", "reports/shop/*.png"),
    _kind("reports of versions", "reports/shop/versions/*.html"),
    _kind("Evidently workspace", "evidently/*/*.json", "evidently/*/snapshots/*.json"),
    _kind(
        "locks",
        *("lake/.shop.feed.lock", "lake/shop/.clock.lock", "lake/shop/.origin.lock", "lake/shop/tables/*/.lock"),
        *(
            "mlflow/.mlflow.db.lock",
            "predictions/.shop.score.lock",
            *("ledger/.shop.db.lock", "outbox/.shop.db.lock", "predictions/.shop.db.lock"),
            "registry/shop/.lock",
            "registry/shop/versions/.lock",
            "evidently/.lock",
            "access/.audit.lock",
        ),
        *(
            "stages/shop/*/.*.lock",
            "stages/.code.lock",
            "outbox/shop.deliver.lock",
            "store/writer.lock",
            "quality/shop/*/.lock",
        ),
    ),
)

KINDS = (*STATE, *MADE, *SHOWN)


def kinds_of(path: str) -> list[Kind]:
    """The kinds that match a path; there has to be one."""
    return [kind for kind in KINDS if kind.matches(path)]
