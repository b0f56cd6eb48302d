"""Put the reference of each champion into Evidently's workspace: its pages show it before any window is watched."""

from __future__ import annotations

import logging
from pathlib import Path

from headrace.core.errors import HeadraceError
from headrace.models.bundle import Bundle
from headrace.monitor.report.page import render_reference
from headrace.monitor.report.paths import reference_file

_log = logging.getLogger(__name__)


def ensure_reference(root: Path, version: str, bundle: Bundle) -> bool:
    """Render the reference of a version where the workspace lacks it.

    Args:
        root: Home folder.
        version: Of the registered model.
        bundle: Of the version.

    Returns:
        Whether it was rendered now. A bundle of an earlier Headrace without gate rows has none.
    """
    held_out = bundle.read_held_out()
    if held_out is None or reference_file(root, bundle.problem, version).exists():
        return False
    render_reference(
        bundle.read_reference(),
        held_out,
        {item.slug: item.kind for item in bundle.definitions if item.kind != "time"},
        problem=bundle.problem,
        version=version,
        at_us=int(bundle.windows.get("trained_until_us") or 0),
        root=root,
    )
    return True


def ensure_references(root: Path, tracking_uri: str) -> None:
    """Render the references of the champions of all problems of a home folder. A failure is logged, and ends one alone.

    Args:
        root: Home folder.
        tracking_uri: Address of MLflow, for bundles without a local copy.
    """
    from headrace.registry.ledger import Ledger
    from headrace.registry.models import download

    for path in sorted((root / "ledger").glob("*.db")):
        try:
            record = Ledger(root, path.stem).champion()
            if record is not None and not reference_file(root, path.stem, record.version).exists():
                folder = download(path.stem, record.version, tracking_uri, root)
                ensure_reference(root, record.version, Bundle.load(folder))
        except (HeadraceError, OSError) as error:
            _log.warning("the reference of %s is not shown: %s", path.stem, error)
