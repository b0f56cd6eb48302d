"""`headrace run --prefect` and `headrace deploy`: hand over to `python -m headrace.flows`, the room that knows Prefect.

Prefect reads its settings when it is imported, so flows get a process of their own: it replaces this one, and keeps its
terminal, signals and exit code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from headrace.replay.plan import ReplayOptions


def run_flow(
    problem: str,
    home: Path | None,
    *,
    trials: int | None,
    seed: int | None,
    max_memory: str | None,
    as_json: bool = False,
) -> NoReturn:
    """Run the main job as a Prefect flow.

    Args:
        problem: A built-in problem, or the path of a problem file.
        home: State folder; the setting's if left out.
        trials: Size of the search; the problem's own if left out.
        seed: Seed of the search and the selection; the problem's own if left out.
        max_memory: Limit of synthesis, such as 2GB; the setting's if left out.
        as_json: Print JSON.
    """
    options = {"--trials": trials, "--seed": seed}
    arguments = [f"{name}={value}" for name, value in options.items() if value is not None]
    arguments += ["--json"] if as_json else []
    _replace_process(["run", problem, *arguments], HEADRACE_HOME=home, HEADRACE_MAX_MEMORY=max_memory)


def replay_flow(
    problem: str, home: Path | None, options: ReplayOptions, *, seed: int | None, as_json: bool = False
) -> NoReturn:
    """Run a replay as a Prefect flow.

    Args:
        problem: A built-in problem, or the path of a problem file.
        home: State folder; the setting's if left out.
        options: Of the replay.
        seed: Of the replay; 0 if left out.
        as_json: Print JSON.
    """
    values = {"--start": options.start, "--until": options.until, "--every": options.every, "--seed": seed}
    arguments = [f"{name}={value}" for name, value in values.items() if value is not None]
    arguments += ["--json"] if as_json else []
    _replace_process(["replay", problem, *arguments, *(["--shuffle"] if options.shuffle else [])], HEADRACE_HOME=home)


def deploy_flows(
    problems: Sequence[str], home: Path | None, *, without_schedules: bool, as_json: bool = False
) -> NoReturn:
    """Register deployments on the Prefect server that is up.

    Args:
        problems: Built-in problems, or paths of problem files.
        home: State folder; the setting's if left out.
        without_schedules: Start no run by the clock.
        as_json: Print JSON.
    """
    options = [*(["--without-schedules"] if without_schedules else []), *(["--json"] if as_json else [])]
    _replace_process(["deploy", *problems, *options], HEADRACE_HOME=home)


def _replace_process(arguments: Sequence[str], **settings: object) -> NoReturn:
    os.environ.update({name: str(value) for name, value in settings.items() if value is not None})
    os.execv(sys.executable, [sys.executable, "-P", "-m", "headrace.flows", *arguments])
