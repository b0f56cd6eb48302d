"""`headrace init`: look at data, ask what they do not tell, and write a problem file that `headrace check` passes."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import typer

from headrace.app.output import print_json, text_for_people
from headrace.cli.check import show_check
from headrace.cli.init_relbench import write_relbench
from headrace.core.calendar import check_zone
from headrace.core.errors import ConflictError, DeclarationError, NotFoundError
from headrace.core.files import write_bytes
from headrace.core.redact import redact
from headrace.pipeline.operations.check import check_problem
from headrace.problems.relbench.manifest import is_dataset
from headrace.proposal.propose import Found, Proposal, look, propose
from headrace.proposal.reading import read_location
from headrace.proposal.target import candidates
from headrace.proposal.writing import problem_file


def initialise(
    location: str,
    *,
    target: str | None,
    out: Path | None,
    name: str | None,
    tz: str | None,
    yes: bool,
    force: bool,
    as_json: bool = False,
) -> None:
    """Write a problem file for the data of a location, and check it.

    Args:
        location: A folder, a file or a database. For a RelBench folder the file names one of its tasks.
        target: What to predict, of a RelBench folder the task; asked for where None.
        out: The file to write; None: NAME.py in the current folder.
        name: Name of the problem; None: from the location.
        tz: Zone of times without one; asked for where None.
        yes: Whether nothing is asked: the likeliest target, and UTC.
        force: Whether an existing file is overwritten.
        as_json: Whether JSON is printed, and text for people on standard error.

    Raises:
        ConflictError: The file exists.
        NotFoundError: There are no data, or no table with times.
    """
    if is_dataset(Path(location)):
        write_relbench(location, task=target, out=out, yes=yes, force=force, as_json=as_json)
        return
    with text_for_people(as_json=as_json):
        proposal, file = _write(location, target=target, out=out, name=name, tz=tz, yes=yes, force=force)
        report = check_problem(_reference(file))
        show_check(report)
        print(f"next: read {file}, then `headrace run {file}`")
    if as_json:
        print_json({"file": file, "label": proposal.target.label, "table": proposal.target.table, "check": report})
    if report.faults:
        sys.exit(1)


def _write(
    location: str, *, target: str | None, out: Path | None, name: str | None, tz: str | None, yes: bool, force: bool
) -> tuple[Proposal, Path]:
    problem_name = name or _name_of(location)
    file = out or Path(f"{problem_name}.py")
    if file.exists() and not force:
        raise ConflictError("the file exists", where=str(file), fix="name another with --out, or give --force")
    if tz is not None:
        check_zone(tz, "--tz")
    tables, notes = read_location(location, file.absolute().parent)
    found = look(tables, notes)
    _show(found)
    if not found.timed:
        raise NotFoundError("no table has a column of times in every row", where=location, found=found.notes)
    chosen = target or _ask_target(found, yes=yes)
    if tz is None and found.has_naive_times:
        tz = "UTC" if yes else typer.prompt("Some times have no zone. Which is theirs?", default="UTC")
        check_zone(tz, "--tz")
    proposal = propose(found, target=chosen, name=problem_name, tz=tz)
    write_bytes(file, problem_file(proposal, redact(location)).encode())
    _tell(proposal, file)
    return proposal, file


def _reference(file: Path) -> str:
    return str(file) if "/" in str(file) else f"./{file}"


def _name_of(location: str) -> str:
    stem = Path(location.partition("#")[0].rstrip("/")).absolute().name.split(".")[0].lower()
    name = re.sub(r"[^a-z0-9]+", "_", stem).strip("_")
    return name if name and not name[0].isdigit() else f"problem_{name}".rstrip("_")


def _ask_target(found: Found, *, yes: bool) -> str:
    likely = candidates(found.tables, found.timed)
    if not likely:
        raise DeclarationError("no column to predict was found", fix="name one with --target table.column")
    if yes:
        return likely[0]
    print("What is to be predicted? Such as:", *(f"  {name}" for name in likely[:8]), sep="\n")
    return str(typer.prompt("table.column, or a condition (orders.refunded > 0)", default=likely[0]))


def _show(found: Found) -> None:
    for table in found.tables:
        times = found.times[table.name]
        when = f"time {times.time}" if times.time else "no time"
        print(f"{table.name}: {table.rows.num_rows:,} rows, key {', '.join(found.keys[table.name])}, {when}")
    for parent, key, child, column in found.links:
        print(f"{parent}.{key} -> {child}.{column}")
    for note in found.notes:
        print(f"note: {note}")


def _tell(proposal: Proposal, file: Path) -> None:
    for table in proposal.tables:
        for column, at in proposal.times[table.name].known_at.items():
            print(f"{table.name}.{column}: known at {at}, later than its row")
        for column, why in proposal.times[table.name].ignore.items():
            print(f"{table.name}.{column}: ignored, {why}")
    for column, why in proposal.leaking.items():
        print(f"{proposal.target.table}.{column}: {why}; declared as known with the label")
    print(f"wrote {file}: {proposal.target.label} for each row of {proposal.target.table}")
