"""Which problem's data lie in a lake: two problem files with one name must not share a lake by mistake.

The lake records the problem's file and its sources. Another file with that name is accepted where the first one is gone
(it moved), or where it reads the same data (a copy, or another question about them): same place or same content.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from headrace.core.errors import ConflictError, NotFoundError
from headrace.core.fingerprint import canonical, fingerprint
from headrace.core.replicas import read_replicas, write_replicas
from headrace.pipeline.context import Context


def claim_lake(context: Context) -> None:
    """Record in the lake that this problem's data are in it.

    Raises:
        ConflictError: the data of another problem with this name are in it.
    """
    path = context.root / "lake" / context.problem.name / "origin.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".origin.lock")):
        for leftover in path.parent.glob(f".{path.name}.*.tmp"):  # a killed run's
            leftover.unlink()
        _record(context, path)


def _record(context: Context, path: Path) -> None:
    sources = _sources(context)
    try:
        recorded = read_replicas(path)
    except NotFoundError:
        recorded = None
    if recorded is not None and recorded["reference"] != context.reference and _exists(recorded["reference"]):
        known = recorded["sources"]
        other = [name for name in sources if name in known and not _is_same(sources[name], known[name])]
        if other:
            raise ConflictError(
                f"the lake of {context.problem.name!r} holds what {recorded['reference']} declares",
                where=f"{context.reference}: {other[0]}",
                found=[known[other[0]]["place"]],
                fix="give it another name, or a home of its own (HEADRACE_HOME); if it moved, delete the old file",
            )
    record = {"reference": context.reference, "sources": sources}
    if record != recorded:
        write_replicas(path, record)


def _sources(context: Context) -> dict[str, dict[str, str]]:
    """Table -> where its rows come from, and a digest of them."""
    found = {}
    for table in context.problem.entity_set.tables:
        source = canonical(table.source)
        # A source that gives no digest of its own is identified by its fields, which may contain a password.
        digest = source if isinstance(source, str) else fingerprint(source)
        place = getattr(table.source, "place", digest)
        found[table.name] = {"place": place, "digest": digest}
    return found


def _is_same(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    return one["place"] == other["place"] or one["digest"] == other["digest"]


def _exists(reference: str) -> bool:
    """Whether a problem's file is there; a built-in problem always is."""
    return not reference.endswith(".py") or Path(reference).exists()
