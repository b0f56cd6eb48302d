"""`headrace retention`: remove old predictions and alerts, or show what would be removed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from headrace.app.context import settings_of, wall_us
from headrace.app.output import print_json
from headrace.core.clock import iso, parse_duration
from headrace.core.errors import DeclarationError
from headrace.pipeline.production.retention import Removal, plan_removal, remove
from headrace.problems.catalogue import load_problem


def remove_old(
    reference: str, home: Path | None, *, predictions: str | None, alerts: str | None, dry_run: bool, as_json: bool
) -> None:
    """Print what is removed, and remove it unless it is a dry run."""
    if predictions is None and alerts is None:
        raise DeclarationError(
            "no age is given", where="headrace retention", fix="give --predictions 180d, --alerts 365d, or both"
        )
    root, problem = settings_of(home).root, load_problem(reference)
    removal = plan_removal(root, problem, predictions_us=_age(predictions), alerts_us=_age(alerts), now_us=wall_us())
    if not dry_run:
        remove(root, problem, removal)
    if as_json:
        print_json({**asdict(removal), "dry_run": dry_run})
        return
    print(_text(removal, "would be removed" if dry_run else "removed"))


def _age(text: str | None) -> int | None:
    return None if text is None else parse_duration(text)


def _text(removal: Removal, done: str) -> str:
    parts = []
    if removal.before_us is not None:
        kept = ", ".join(removal.kept_versions) or "no version"
        parts.append(
            f"{removal.predictions:,} predictions of before {iso(removal.before_us)} {done}; the newest of {kept} stay"
        )
    if removal.alerts_before_us is not None:
        parts.append(f"{removal.alerts:,} delivered alerts of before {iso(removal.alerts_before_us)} {done}")
    return "\n".join(parts) or "nothing was ingested yet: nothing to remove"
