"""The certificate of a model version: what was checked before and after it served, with counts and hashes.

A certificate is made from the version's bundle, the lake, the online store and the prediction log. `passed` means that
every check which could run found no difference, and that the leak probe and the oracle ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.audit.checks import (
    Check,
    leak_probe,
    online_check,
    oracle_check,
    past_rows,
    reproduction_check,
    skew_check,
)
from headrace.audit.versions import Versions
from headrace.core.clock import iso
from headrace.core.fingerprint import fingerprint
from headrace.core.manifest import read_manifest
from headrace.lake.store import Snapshot
from headrace.models.bundle import Bundle, manifest_digest
from headrace.prediction_log.log import PredictionLog
from headrace.schema import Problem
from headrace.synthesis.engines import engine_of
from headrace.synthesis.language.definitions import Definition, to_json
from headrace.synthesis.matrix.late import LateReport, late_report

#: Checks without which a certificate does not pass.
REQUIRED = ("leak probe", "oracle")
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class LateEffect:
    """What late and corrected rows would have changed in the training rows, had they arrived in time.

    Attributes:
        rows: Number of training rows.
        changed: Number of them with another feature.
        added: Number of rows that would exist besides.
        most: The features that would differ most: name, share of rows, mean change in spreads.
    """

    rows: int
    changed: int
    added: int
    most: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Ticks:
    """The instants at which the training rows' features were computed.

    Attributes:
        distinct: Number of different ticks.
        rows: Number of training rows.
        first: The first tick, empty without rows.
        last: The last tick.
    """

    distinct: int
    rows: int
    first: str
    last: str


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What was checked about a version.

    Attributes:
        problem: Name of the problem.
        version: The version.
        made: When, on the production clock.
        passed: Whether no check failed and the required ones ran.
        checks: The checks.
        late: Effect of late data; None where there are no past rows.
        ticks: Ticks of the training rows.
        hashes: Name -> sha256 of what was checked and of the bundle's files.
        headrace: Version of the software.
    """

    problem: str
    version: str
    made: str
    passed: bool
    checks: tuple[Check, ...]
    late: LateEffect | None
    ticks: Ticks
    hashes: Mapping[str, str]
    headrace: str

    @property
    def reason(self) -> str:
        """Why it does not pass; empty where it does."""
        failed = [
            f"{item.name}: {item.different:,} of {item.values:,} values differ"
            for item in self.checks
            if item.outcome == "failed"
        ]
        missing = [
            f"{item.name}: not run. {item.text}"
            for item in self.checks
            if item.name in REQUIRED and item.outcome == "not run"
        ]
        return "; ".join([*failed, *missing])

    def to_json(self) -> dict[str, Any]:
        """Return the certificate as JSON values."""
        return {"format": _FORMAT, "reason": self.reason, **asdict(self)}


def certify(
    problem: Problem,
    version: str,
    versions: Versions,
    root: Path,
    snapshot: Snapshot,
    *,
    now_us: int,
) -> Certificate:
    """Run every check of a version.

    Args:
        problem: The problem.
        version: The version.
        versions: Gives its bundle.
        root: Home folder.
        snapshot: The lake's tables.
        now_us: The present on the production clock (us).

    Raises:
        NotFoundError: The version does not exist.
    """
    bundle = versions.bundle(version)
    definitions = bundle.definitions
    spine = past_rows(problem, snapshot, _trained_until(bundle, now_us))
    with PredictionLog(root, problem.name) as log:
        checks = (
            leak_probe(problem, definitions, snapshot, spine),
            oracle_check(problem, definitions, snapshot, spine),
            online_check(root, problem, bundle, snapshot, now_us),
            reproduction_check(bundle),
            skew_check(problem, log, version, versions, snapshot),
        )
    late = late_report(problem, definitions, snapshot, engine_of(problem), now_us=now_us) if spine.num_rows else None
    made = Certificate(
        problem=problem.name,
        version=version,
        made=iso(now_us),
        passed=False,
        checks=checks,
        late=None if late is None else _late(late),
        ticks=_ticks(spine),
        hashes=_hashes(bundle, definitions, snapshot),
        headrace=installed_version("headrace"),
    )
    return Certificate(**{**vars(made), "passed": not made.reason})


def _trained_until(bundle: Bundle, now_us: int) -> int:
    trained = bundle.windows.get("trained_until_us")
    return now_us if trained is None else min(int(trained), now_us)


def _late(report: LateReport) -> LateEffect:
    most = tuple({"feature": item.name, "share": item.share, "spreads": item.spreads} for item in report.features[:5])
    return LateEffect(rows=report.rows, changed=len(report.changed), added=report.added, most=most)


def _ticks(spine: pa.Table) -> Ticks:
    ticks = np.unique(spine["tick"].to_numpy())
    return Ticks(
        distinct=len(ticks),
        rows=spine.num_rows,
        first=iso(int(ticks[0])) if len(ticks) else "",
        last=iso(int(ticks[-1])) if len(ticks) else "",
    )


def _hashes(bundle: Bundle, definitions: Sequence[Definition], snapshot: Snapshot) -> dict[str, str]:
    """Return the digests of the bundle, its files, its definitions and the history."""
    own = {"definitions": fingerprint([to_json(item) for item in definitions]), "history": snapshot.fingerprint}
    if bundle.folder is None:
        return own
    files = {f"bundle/{name}": digest for name, digest in read_manifest(bundle.folder).sums.items()}
    return {"bundle": manifest_digest(bundle.folder), **own, **files}
