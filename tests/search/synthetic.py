"""A cheap study for tests; run as a script it is the one that gets killed, or told to end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from headrace.schema import Racing
from headrace.search.searchers import SEARCHERS
from headrace.search.space import Choice, Float, Integer, Space
from headrace.search.study.evaluation import Objective
from headrace.search.study.study import StudyResult, run_study
from tests.search.objectives import Bowl, Climb, Misbehaving

SPACE = Space(
    {
        "x": Float(-3, 3),
        "kind": Choice({"plain": Space({}), "shifted": Space({"by": Integer(1, 20, log=True)})}),
    }
)


def study(
    journal: Path,
    objective: Objective,
    *,
    workers: int,
    trials: int | None = None,
    searcher: str = "tpe",
    **more: Any,
) -> StudyResult:
    return run_study(
        SPACE,
        objective,
        SEARCHERS[searcher](SPACE),
        trials=trials,
        seed=11,
        workers=workers,
        journal_path=journal,
        **more,
    )


def main(journal: Path, how: str, workers: int) -> None:
    """Run as a script: the study that gets killed (held by a FIFO, or not at all), or that is told to end by Ctrl-C."""
    if how == "hang":
        known = [{"x": x, "kind": "plain"} for x in (1.0, 1.0, 2.5, 2.5)]
        result = study(journal, Misbehaving({2.5: "hang"}), trials=4, workers=workers, warm_start=known)
        print(f"{result.ended} {len(result.trials)} trials, best {result.best.number}")
    elif how == "free":
        study(journal, Climb(rounds=400, pause=3000), trials=60, workers=workers, racing=Racing(), searcher="random")
    else:
        study(journal, Bowl(gate=how), trials=12, workers=workers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
