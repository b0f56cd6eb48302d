"""`headrace replay`: months of production replayed, and the policies compared, as a table and a report."""

from __future__ import annotations

from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from headrace.app.context import context_of
from headrace.app.output import print_json
from headrace.app.progress import RunDisplay, print_log
from headrace.replay.plan import ReplayOptions
from headrace.replay.report.publish import log_run, write_files
from headrace.replay.result import INTERVALS, ReplayResult
from headrace.replay.run import plan_of, replay

#: Fewest columns of a terminal that shows gains with their intervals; the report always does.
_WIDE = 140


def replay_problem(
    problem: str, home: Path | None, options: ReplayOptions, *, seed: int | None, mlflow: bool, as_json: bool = False
) -> None:
    """Replay, write the report, log the run, and print what was found."""
    print_log()
    with RunDisplay() as progress:
        context = context_of(problem, home, seed=seed, progress=progress)
        progress.run_started(("replay",))
        progress.stage_started("replay")
        result = replay(
            context,
            plan_of(context.problem, options, seed=context.seed),
            say=lambda text: progress.message("replay", text),
        )
        progress.stage_finished("replay", result.seconds, f"CPU {result.cpu_s:.0f} s")
    files = write_files(context, result)
    if mlflow:
        log_run(context, result, files)
    if as_json:
        print_json({**result.to_json(), "report": files[0]})
        return
    show_result(result)
    print(f"report: {files[0]}")


def show_result(result: ReplayResult, console: Console | None = None) -> None:
    """Print the table of policies and the conclusions."""
    console = console or Console(highlight=False)
    rows = result.rows()
    shown = [name for name in rows[0] if console.width >= _WIDE or name not in INTERVALS]
    table = Table(title=f"{result.problem}: {result.period}", box=SIMPLE)
    for number, name in enumerate(shown):
        table.add_column(name, justify="left" if number == 0 else "right", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(row[name] for name in shown))
    console.print(table)
    best = ", ".join(f"{one.retrains}: {one.loss:.4f}" for one in result.hindsight[:7])
    console.print(f"hindsight optimum by number of retrains: {best}", soft_wrap=True)
    for line in result.conclusions():
        console.print(line, soft_wrap=True)
