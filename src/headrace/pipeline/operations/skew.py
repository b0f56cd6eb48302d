"""Run the skew audit of a problem: by hand over any period, and by the monitor flow over the window that it evaluates.

The monitor flow's result is stored as `audits/<problem>/<end of the window>.json` in the home folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.core.clock import BEFORE_ALL, NEVER, iso
from headrace.core.errors import DataError, NotFoundError
from headrace.core.files import write_json
from headrace.lake.store import Lake
from headrace.pipeline.context import Context
from headrace.pipeline.report import Artifact, artifact_key
from headrace.prediction_log.log import PredictionLog

if TYPE_CHECKING:
    from headrace.audit.skew import SkewReport


class SkewError(DataError):
    """Features were served with other values than the history gives."""


def audit(
    context: Context,
    limits: tuple[int | None, int | None] = (None, None),
    *,
    version: str | None = None,
    details: int = 20,
    most: int = 10,
) -> SkewReport:
    """Audit the predictions made in [since, until), in us; see `headrace.audit.skew.audit_skew`."""
    from headrace.audit.skew import audit_skew
    from headrace.audit.versions import Versions

    name, (since, until) = context.problem.name, limits
    with PredictionLog(context.root, name) as log:
        return audit_skew(
            context.problem,
            log,
            Versions(name, context.tracking_uri, context.root),
            Lake(context.root, name).snapshot(),
            since_us=BEFORE_ALL if since is None else since,
            until_us=NEVER if until is None else until,
            version=version,
            details=details,
            most=most,
        )


def audit_window(context: Context, start_us: int, end_us: int) -> SkewReport | None:
    """Audit the predictions made since a window's start, and store the report; None where there are none.

    Args:
        context: Of the problem.
        start_us: Start of the window (us).
        end_us: Its end, which names the report (us). Predictions made after it are audited too.
    """
    try:
        report = audit(context, (start_us, None))
    except NotFoundError:
        return None
    path = audit_path(context.root, context.problem.name, end_us)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, json.loads(json.dumps(report.to_json(), default=str)))
    return report


def audit_path(root: Path, problem: str, end_us: int) -> Path:
    """Return where the audit of a monitored window is stored."""
    return root / "audits" / problem / f"{iso(end_us).replace(':', '')}.json"


def audit_artifact(report: SkewReport) -> Artifact:
    """Return what a flow publishes about an audit."""
    lines = [
        f"## {report.problem}: skew audit",
        "",
        f"{report.values:,} values of {report.predictions:,} predictions were compared with the history; "
        f"{report.different:,} differ.",
        *(f"- not compared: {count:,} predictions: {reason}" for reason, count in report.unchecked.items()),
        *(
            f"- {item.feature} of {dict(item.entity)} at {item.cutoff}: served {item.served!r}, "
            f"recomputed {item.recomputed!r} (prediction {item.prediction})"
            for item in report.differences
        ),
    ]
    return Artifact(key=f"{artifact_key(report.problem, 'monitor')}-skew", kind="markdown", data="\n".join(lines))


def require_clean(report: SkewReport) -> None:
    """Raise SkewError where a served value differs from the history."""
    if report.different == 0:
        return
    first = report.differences[0]
    raise SkewError(
        f"{report.different:,} of {report.values:,} served values differ from the history",
        where=report.problem,
        found=[f"{first.feature} of {dict(first.entity)}: served {first.served!r}, recomputed {first.recomputed!r}"],
        fix=f"`headrace audit-skew {report.problem}` shows the raw rows; "
        "materialise the online store anew, and see whether the lake was changed",
    )
