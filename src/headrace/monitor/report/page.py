"""The report of a window: Evidently's pages, for people (`monitor.rendering` is what knows Evidently's API).

Evidently computes the score of an explicit test per column and draws the distributions; whether a column has drifted is
the window's evidence's to say (`monitor.evidence`). Its own rule looks at the reference's size only, and on small
windows calls almost every column drifted; here it never decides, nor shows.

The HTML is one file that needs no network; the same run goes into the workspace that `evidently ui` serves. Both are
named after the decision, so a window that is looked at again replaces its report. Of each problem the last MAX_REPORTS
reports stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headrace.core.clock import iso
from headrace.core.files import write_bytes
from headrace.monitor.evidence.window import WindowEvidence
from headrace.monitor.policy.decision import Decision
from headrace.monitor.report.drawing import draw
from headrace.monitor.report.paths import page_file, page_path, project_id, run_id, run_uuid, workspace_folder

MAX_REPORTS = 60


@dataclass(frozen=True, kw_only=True)
class Page:
    """A rendered report.

    Attributes:
        html: The HTML file.
        path: Path below the address of Evidently's UI.
        rows: Rows of the reference and of the window that were drawn.
        columns: Number of columns.
        left_out: Column -> why it is not drawn.
    """

    html: Path
    path: str
    rows: tuple[int, int]
    columns: int
    left_out: Mapping[str, str]


def render(
    reference: pa.Table,
    current: pa.Table,
    kinds: Mapping[str, str],
    *,
    evidence: WindowEvidence,
    decision: Decision,
    root: Path,
    importance: Mapping[str, float] | None = None,
    picture: Path | None = None,
    seed: int = 0,
) -> Page | None:
    """Render the report of a window as an HTML file and as a run in the workspace.

    Args:
        reference, current: Tables as for `window_evidence`; `_prediction` and `_label` are drawn where both have them.
        kinds: Feature -> numeric, categorical or boolean.
        evidence: Evidence of the window.
        decision: Decision about it.
        root: Home folder.
        importance: Feature -> its share of the model's importance.
        picture: PNG file to show below the decision.
        seed: Of the sample of rows.

    Returns:
        The report; None where there is nothing to draw.
    """
    drawn = draw(
        reference,
        current,
        kinds,
        evidence=evidence,
        heading="\n\n".join((f"{decision.kind}: {decision.reason}", *(f"{text}." for text in decision.impact))),
        name=f"{decision.kind}: {iso(decision.start_us)} to {iso(decision.end_us)}",
        at_us=decision.end_us,
        facts={"decision": decision.id, "champion": str(decision.champion)},
        importance=importance,
        picture=picture,
        seed=seed,
    )
    if drawn is None:
        return None
    html = page_file(root, decision)
    drawn.report.add_to_workspace(
        workspace_folder(root), decision.problem, project_id(decision.problem), run_id(decision)
    )
    write_bytes(html, drawn.report.html())  # last: where the file is, the run is in the workspace too
    _prune(root, decision.problem)
    return Page(
        html=html,
        path=page_path(decision),
        rows=drawn.rows,
        columns=drawn.columns,
        left_out=drawn.left_out,
    )


def render_reference(
    reference: pa.Table,
    held_out: pa.Table,
    kinds: Mapping[str, str],
    *,
    problem: str,
    version: str,
    at_us: int,
    root: Path,
) -> None:
    """Render the reference of a version as a run in the workspace: what every window is compared with.

    Args:
        reference: Sample of the training rows (`Bundle.read_reference`).
        held_out: Sample of the gate rows, which the model had not seen.
        kinds: Feature -> numeric, categorical or boolean.
        problem, version: Of the model.
        at_us: Time of the run: the end of the training data, microseconds UTC.
        root: Home folder.
    """
    drawn = draw(
        reference,
        held_out,
        kinds,
        evidence=None,
        heading=f"The reference of version {version}: {reference.num_rows:,} training rows, beside "
        f"{held_out.num_rows:,} rows of the gate window, which the model had not seen. Windows of production are "
        "compared with it.",
        name=f"reference: version {version}",
        at_us=at_us,
        facts={"champion": version},
    )
    if drawn is not None:
        run = run_uuid(problem, f"reference-{version}")
        drawn.report.add_to_workspace(workspace_folder(root), problem, project_id(problem), run)


def _prune(root: Path, problem: str) -> None:
    """Remove all but the last KEPT reports. The run goes first: after a kill between the two the file is there."""
    files = sorted((root / "reports" / problem).glob("*.html"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    project = workspace_folder(root) / str(project_id(problem))
    for file in files[:-MAX_REPORTS]:
        (project / "snapshots" / f"{run_uuid(problem, file.stem)}.json").unlink(missing_ok=True)
        file.unlink(missing_ok=True)
        file.with_suffix(".png").unlink(missing_ok=True)
