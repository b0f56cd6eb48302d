"""Paths and addresses of the reports of windows: HTML files in the home folder, and runs in Evidently's workspace."""

from __future__ import annotations

import uuid
from pathlib import Path

from headrace.monitor.policy.decision import Decision

_NAMESPACE = uuid.UUID("8f0d5c0e-5f0b-4f6b-9a49-0f3f3a4b6a11")


def workspace_folder(root: Path) -> Path:
    """Return the folder of the workspace that Evidently's UI serves."""
    return root / "evidently"


def project_path(problem: str) -> str:
    """Return the UI's path of a problem's windows."""
    return f"/projects/{project_id(problem)}"


def page_path(decision: Decision) -> str:
    """Return the UI's path of a decision's report; known before it is rendered, so that alerts can link to it."""
    return f"{project_path(decision.problem)}/reports/{run_id(decision)}"


def page_file(root: Path, decision: Decision) -> Path:
    """Return the path of the HTML file of a decision's report."""
    return root / "reports" / decision.problem / f"{decision.id}.html"


def reference_file(root: Path, problem: str, version: str) -> Path:
    """Return the path of a version's reference in the workspace."""
    name = f"{run_uuid(problem, f'reference-{version}')}.json"
    return workspace_folder(root) / str(project_id(problem)) / "snapshots" / name


def project_id(problem: str) -> uuid.UUID:
    """Return the id of a problem's project in the workspace."""
    return uuid.uuid5(_NAMESPACE, problem)


def run_id(decision: Decision) -> uuid.UUID:
    """Return the id of the run of a decision's window."""
    return run_uuid(decision.problem, decision.id)


def run_uuid(problem: str, decision_id: str) -> uuid.UUID:
    """Return the id of a run by its name."""
    return uuid.uuid5(_NAMESPACE, f"{problem}/{decision_id}")
