"""`headrace backup` and `headrace restore`: write a home folder to one archive, and restore it.

`core.copy_order` explains the order of copying: a file that refers to another comes before it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headrace.app.context import settings_of
from headrace.app.moving import export, import_files
from headrace.app.output import print_json
from headrace.core.archive import Summary, pack, unpack
from headrace.core.errors import DeclarationError, NotFoundError
from headrace.core.home import open_home
from headrace.registry.relocation import relocate

_ORDER = (
    "stages",  # a finished stage refers to everything; what is missing when it is looked at again is made again
    "runs",
    "reports",
    "evidently",
    "quality",
    "outbox",  # decisions about versions and windows
    "predictions/journal",  # its rows move to the prediction log
    "predictions",  # made by versions, up to the clock
    "ledger",  # versions in MLflow; changes that it lacks then are taken from MLflow's copy
    "store",  # what is published and up to which tick, then the databases that hold it; all at ticks before the clock
    "store/registry.db",
    "store/online.db",
    "lake",  # the clock, then the batches that it says have come
    "registry",
    "mlflow/mlflow.db",  # locations of artifacts
    "mlflow",
    "prefect",
)
#: Of the processes that run now, not of what they know.
_PROCESS_FOLDERS = ("run",)
#: What a run makes again. registry/ is small, and which number names which bundle is not made again.
_CACHES = ("replays", "stages")


def back_up(file: Path, home: Path | None, *, without_caches: bool, as_json: bool = False) -> None:
    """Archive the home."""
    root = settings_of(home).root
    if not root.is_dir() or not any(root.iterdir()):
        raise NotFoundError(
            "there is nothing to back up", where=str(root), fix="name the home: --home or HEADRACE_HOME"
        )
    excluded = (*_PROCESS_FOLDERS, *(_CACHES if without_caches else ()))
    with _exported(root, file) as exported:
        summary = pack(root, file, order=_ORDER, exclude=excluded, instead=exported)
    _print_summary("backed up", summary, root, file, as_json)


def restore_home(file: Path, home: Path | None, *, as_json: bool = False) -> None:
    """Restore a home from an archive and rewrite MLflow's artifact locations to it."""
    root = settings_of(home).root
    summary = unpack(file, root)
    open_home(root)
    relocate(root / "mlflow" / "mlflow.db")
    if address := settings_of(home).database_address:
        import_files(root, address)
    _print_summary("restored", summary, file, root, as_json)


def import_database(home: Path | None, *, as_json: bool = False) -> None:
    """Copy the files of the home to PostgreSQL."""
    settings = settings_of(home)
    if not settings.database_address:
        raise DeclarationError("no database is named", where="setting HEADRACE_DATABASE_URL", fix="set it")
    rows = import_files(settings.root, settings.database_address)
    print_json({"rows": rows}) if as_json else print(f"copied {rows:,} rows to PostgreSQL")


@contextmanager
def _exported(root: Path, file: Path) -> Iterator[Mapping[str, Path]]:
    """Yield the tables of PostgreSQL as SQLite files, by their names in the archive; none without a database."""
    address = settings_of(root).database_address
    if not address:
        yield {}
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        yield export(root, address, Path(folder))


def _print_summary(what: str, summary: Summary, source: Path, target: Path, as_json: bool) -> None:
    if as_json:
        print_json({"files": summary.files, "bytes": summary.size, "from": source, "to": target})
        return
    print(f"{what}: {summary.files:,} files, {summary.size / 1e6:,.1f} MB, from {source} to {target}")
