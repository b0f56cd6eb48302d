"""Whose data lie in a lake: two problem files that share a name must not share one by mistake.

The lake remembers the problem's file and its sources. Another file of that name is welcome where the first one is gone
(it moved) or where it reads the same data (a copy, another question about them): same place or same content.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from headrace.core.errors import ConflictError, NotFoundError
from headrace.core.fingerprint import canonical, fingerprint
from headrace.core.replicas import read_replicas, write_replicas
from headrace.pipeline.context import Context
from headrace.problems.files import FileSource


def claim(context: Context) -> None:
    """Note in the lake that this problem's data are in it. Raises ConflictError where another problem's are."""
    path = context.root / "lake" / context.problem.name / "origin.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".origin.lock")):
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # a killed run's
            leftover.unlink()
        _note(context, path)


def _note(context: Context, path: Path) -> None:
    found = _sources(context)
    try:
        held = read_replicas(path)
    except NotFoundError:
        held = None
    if held is not None and held["reference"] != context.reference and not _gone(held["reference"]):
        told = held["sources"]
        other = [name for name in found if name in told and not _same(found[name], told[name])]
        if other:
            raise ConflictError(
                f"the lake of {context.problem.name!r} holds what {held['reference']} declares",
                where=f"{context.reference}: {other[0]}",
                found=[told[other[0]]["place"]],
                fix="give it another name, or a home of its own (HEADRACE_HOME); if it moved, delete the old file",
            )
    noted = {"reference": context.reference, "sources": found}
    if noted != held:
        write_replicas(path, noted)


def _sources(context: Context) -> dict[str, dict[str, str]]:
    """Table -> where its rows come from, and a digest of them."""
    found = {}
    for table in context.problem.entity_set.tables:
        known = canonical(table.source)
        # A source that gives no digest of its own is known by its fields, which may hold a password.
        digest = known if isinstance(known, str) else fingerprint(known)
        place = str(table.source.path.absolute()) if isinstance(table.source, FileSource) else digest
        found[table.name] = {"place": place, "digest": digest}
    return found


def _same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one["place"] == other["place"] or one["digest"] == other["digest"]


def _gone(reference: str) -> bool:
    """Whether a problem's file is no longer there; a built-in problem always is."""
    return reference.endswith(".py") and not Path(reference).exists()
