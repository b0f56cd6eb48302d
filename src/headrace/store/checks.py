"""Checks of Feast's own commands: no tick beyond the production clock, and no other home folder than the configured.

Feast's commands know the wall clock only: `feast materialize-incremental` would materialise a problem whose feed is in
2013 at today's date and serve the values as fresh. Every write to the online store is checked here first.
"""

from __future__ import annotations

from pathlib import Path

from click import ClickException

from headrace.core.clock import iso
from headrace.core.errors import DataError
from headrace.core.settings import Settings
from headrace.lake.store import Lake


class StoreError(DataError, ClickException):
    """An operation that the store refuses. Feast's command line shows it as one line, without a traceback."""


def require_reached(root: Path, problem: str, instant_us: int) -> None:
    """Check that a problem's production clock has reached an instant.

    Args:
        root: Home folder.
        problem: Name of the problem.
        instant_us: A tick to materialise, or the event timestamp of a row that is pushed.

    Raises:
        StoreError: The clock is earlier, or nothing was loaded yet.
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
    """Format an instant as Feast's commands take it: whole seconds, UTC."""
    return iso(instant_us - instant_us % 1_000_000).removesuffix("Z")


def require_home(named: Path, repo: Path | None) -> None:
    """Check that a feature_store.yaml names the same home folder as the setting HEADRACE_HOME.

    Args:
        named: The home folder that the Feast configuration names.
        repo: The folder of the yaml file; None for a configuration that Headrace built itself.

    Raises:
        StoreError: They name different folders.
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
