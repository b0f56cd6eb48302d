"""Delete the outputs of shadows that nothing needs any more, so that a home does not grow by every refit.

A shadow is needed while it is one of the champion's that the evidence compares (the worth's window and the monitored
one), and while a retrain that is not finished promotes it. Others go in three steps, each of which can be repeated:

    1. the shadow's record is renamed: from then on nobody finds the shadow (the journal of what is to be deleted)
    2. the folders of its stages are deleted, except those that a needed shadow has as well
    3. the renamed record is deleted

A kill between two steps leaves the renamed record, and the next retirement goes on with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from headrace.lake.store import Lake
from headrace.monitor.outbox.outbox import Outbox
from headrace.pipeline.context import Context
from headrace.pipeline.production.shadows import (
    Shadow,
    all_shadows,
    mark_retired,
    needed_shadows,
    retired_records,
    shadows_folder,
)
from headrace.registry.ledger import Ledger


@dataclass(frozen=True, kw_only=True)
class Retirement:
    """What a retirement deleted.

    Attributes:
        shadows: How many shadows.
        folders: How many folders of stages.
    """

    shadows: int
    folders: int


def retire_shadows(context: Context) -> Retirement:
    """Delete the outputs of the shadows that nothing needs, and finish what an earlier retirement began.

    Args:
        context: of the problem.
    """
    if not shadows_folder(context).exists():
        return Retirement(shadows=0, folders=0)
    with FileLock(shadows_folder(context) / ".retire.lock"):
        present = all_shadows(context)
        needed = _needed(context, present)
        for shadow in present:
            if shadow not in needed:
                mark_retired(context, shadow)
        in_use = {name for shadow in needed for name in shadow.outputs}
        shadows = folders = 0
        for record, shadow in retired_records(context):
            folders += _delete(context.root, set(shadow.outputs) - in_use)
            record.unlink(missing_ok=True)
            shadows += 1
    return Retirement(shadows=shadows, folders=folders)


def _needed(context: Context, present: Iterable[Shadow]) -> set[Shadow]:
    """The shadows that evidence of the champion needs, and those of retrains that are not finished."""
    problem, rules = context.problem, context.problem.policy.worth
    promised = {
        (entry.decision.champion, entry.decision.shadow_us)
        for entry in Outbox(context.root, problem.name).history()
        if entry.decision.kind == "retrain" and entry.outcome is None
    }
    needed = {shadow for shadow in present if (shadow.version, shadow.fitted_us) in promised}
    record, clock = Ledger(context.root, problem.name).champion(), Lake(context.root, problem.name).clock()
    if record is None or clock is None or rules is None:
        return needed
    # the window that is monitored next may have ended before the clock
    start_us = clock - problem.monitoring.every_us - max(rules.window_us, problem.monitoring.window_us)
    own = sorted((one for one in present if one.version == record.version), key=lambda one: one.fitted_us)
    return needed | set(needed_shadows(own, start_us, clock + 1))


def _delete(root: Path, names: Iterable[str]) -> int:
    """Delete folders below the home. Each is renamed first, so that half a folder is never found in its place."""
    deleted = 0
    for name in sorted(names):
        folder = root / name
        hidden = folder.with_name(f".{folder.name}.retired.tmp")
        if folder.exists():
            shutil.rmtree(hidden, ignore_errors=True)
            folder.rename(hidden)
        if hidden.exists():
            shutil.rmtree(hidden)
            deleted += 1
    return deleted
