"""Where the reports of model versions are in a home folder."""

from __future__ import annotations

from pathlib import Path


def report_file(root: Path, problem: str, version: str) -> Path:
    """Return the path of the HTML report of a model version.

    Args:
        root: Home folder.
        problem: Name of the problem.
        version: Version of the registered model.
    """
    return root / "reports" / problem / "versions" / f"{version}.html"
