"""What the store refuses of Feast's commands: ticks beyond the production clock, and another home folder than set.

Feast's own commands know the wall clock only. A problem whose feed lives in 2013 would be brought to today by
`feast materialize-incremental`: values that nothing supports, served as fresh. Every way into the online store asks
here first; Feast records no interval for what was refused.
"""

from __future__ import annotations

from pathlib import Path

from click import ClickException

from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.core.settings import Settings
from headrace.lake.store import Lake


class StoreError(DataError, ClickException):
    """A refusal of the store. Feast's command line shows it as one line, without a traceback."""


def require_reached(root: Path, problem: str, instant_us: int) -> None:
    """Raise StoreError for an instant that a problem's production clock has not reached, or while there is no clock.

    Args:
        root: Home folder.
        problem: Name of the problem.
        instant_us: A tick to materialise, or the event timestamp of a row that is pushed.
    """
    clock_us = Lake(root, problem).clock()
    if clock_us is None:
        raise StoreError("there is no production clock, for nothing was loaded yet", where=problem, fix=_run(problem))
    if instant_us > clock_us:
        raise StoreError(
            f"{iso(instant_us)} is beyond the production clock, which is at {iso(clock_us)}",
            where=problem,
            fix=f"{_run(problem)}, or name an end that it reached: `feast materialize-incremental {_cli(clock_us)}`",
        )


def _run(problem: str) -> str:
    return f"run `headrace run {problem}`, which brings the online store to the clock"


def _cli(instant_us: int) -> str:
    """An instant as Feast's commands take it: whole seconds, UTC."""
    return iso(instant_us - instant_us % 1_000_000).removesuffix("Z")


def require_home(named: Path, repo: Path | None) -> None:
    """Raise StoreError where a feature_store.yaml names another home folder than the setting HEADRACE_HOME.

    Args:
        named: The home folder that the Feast configuration names.
        repo: The folder of the yaml file; None: the configuration was made by Headrace itself.
    """
    if repo is None:
        return
    checkout = repo.resolve().parent
    home = checkout / Settings(_env_file=checkout / ".env").home
    if home.resolve() != named.resolve():
        raise StoreError(
            f"HEADRACE_HOME is {home}, Feast's yaml file names {named.resolve()}",
            where="feature_repo",
            fix="export HEADRACE_HOME and let Feast read the file that follows it (`feast -f home.yaml`), or unset it",
        )
