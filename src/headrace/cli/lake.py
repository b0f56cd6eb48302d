"""`headrace lake`: compare the home's copy of a shared lake with the store, and give each what it lacks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from headrace.app.context import settings_of
from headrace.app.output import print_json
from headrace.core.errors import CorruptError, DeclarationError
from headrace.lake.object_store.agreement import Agreement, agree
from headrace.lake.object_store.objects import open_objects
from headrace.lake.repair import find_damaged, restore
from headrace.lake.store import Lake
from headrace.problems.catalogue import load_problem


def agree_and_print(reference: str, home: Path | None, *, as_json: bool) -> None:
    """Print what was found and done."""
    settings, name = settings_of(home), load_problem(reference).name
    if not settings.lake:
        fix = "set it to s3://bucket/folder or file:///folder"
        raise DeclarationError("names no store: only the home has the lake", where="setting HEADRACE_LAKE", fix=fix)
    lake = Lake(settings.root, name, store=settings.lake)
    fetched = sum(restore(lake, one) for one in find_damaged(lake))
    found = agree(lake.folder, settings.lake)
    where = open_objects(settings.lake).where
    if as_json:
        print_json({"store": where, "fetched": fetched, **asdict(found)})
    else:
        print(_text(name, where, fetched, found))
    if found.lost:
        raise CorruptError(
            "the store has lost rows that this home lacks too",
            where=where,
            found=found.lost,
            fix="run this command in another home, bring the objects back (versioning), or give the batches up",
        )


def _text(name: str, where: str, fetched: int, found: Agreement) -> str:
    lines = [f"the lake of {name} is in {where}: {found.batches:,} batches in {found.entries:,} entries"]
    if fetched:
        lines.append(f"{fetched:,} damaged batches of this home were fetched again")
    if found.uploaded:
        lines.append(f"{found.uploaded:,} files that the store had lost were uploaded")
    if found.removed or found.young:
        lines.append(f"{found.removed:,} objects of interrupted appends were removed, {found.young:,} are too young")
    return "\n".join(lines)
