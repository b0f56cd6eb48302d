"""A home with shadows of two versions and the folders of their stages, without a pipeline, for tests of retirement."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from headrace.core.clock import DAY, WEEK
from headrace.lake.store import Lake
from headrace.pipeline.operations.shadow_retirement import retire_shadows
from headrace.pipeline.production.shadows import Shadow, write_shadow
from headrace.registry.ledger import Ledger
from headrace.schema import Policy

CLOCK = 20 * WEEK
NAME = "retiring"


def context_of(home: Path, policy: Policy | None = None) -> Any:
    monitoring = SimpleNamespace(window_us=7 * DAY, every_us=DAY)
    problem = SimpleNamespace(name=NAME, policy=policy or Policy(), monitoring=monitoring)
    return SimpleNamespace(root=home, problem=problem)


def outputs(home: Path) -> set[str]:
    """The folders of stages that are there."""
    return {str(path.relative_to(home)) for path in (home / "stages").glob("*/*")}


def build(home: Path) -> None:
    """Version 2 is champion. Both versions have a shadow a week; those of one instant share the spine."""
    Ledger(home, NAME).promote("1", None, "first", {}, 0)
    Ledger(home, NAME).promote("2", "1", "second", {}, 10 * WEEK)
    Lake(home, NAME).advance_clock(CLOCK)
    for version in ("1", "2"):
        for week in range(8, 21):
            names = (f"stages/synthesise/{week}", f"stages/refit/{version}-{week}")
            for name in names:
                (home / name).mkdir(parents=True, exist_ok=True)
                (home / name / "rows").write_text("rows")
            shadow = Shadow(
                version=version, fitted_us=week * WEEK, rows=1, folder=f"{names[1]}/bundle", digest="", outputs=names
            )
            write_shadow(context_of(home), shadow)


def retire_and_die(home: Path, survives: int) -> None:
    """Retire; the process is killed inside the deletion of a folder after so many."""
    remove, removed = shutil.rmtree, 0

    def killed(folder: Path, *arguments: Any, **options: Any) -> None:
        nonlocal removed
        if Path(folder).exists():
            removed += 1
            if removed > survives:
                next(Path(folder).iterdir()).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        remove(folder, *arguments, **options)

    shutil.rmtree = killed  # type: ignore[assignment]
    retire_shadows(context_of(home))


if __name__ == "__main__":
    retire_and_die(Path(sys.argv[1]), int(sys.argv[2]))
