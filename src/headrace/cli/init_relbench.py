"""`headrace init` for a RelBench folder: a problem file that names one of its tasks, and can be edited."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from headrace.app.output import print_json, text_for_people
from headrace.cli.check import show_check
from headrace.core.errors import ConflictError, NotFoundError
from headrace.core.files import write_bytes
from headrace.pipeline.operations.check import check_problem
from headrace.problems.relbench import relbench_problem
from headrace.problems.relbench.manifest import task_names

_FILE = '''\
"""Task {task} of the RelBench folder {name}."""

from headrace.problems.relbench import relbench_problem

problem = relbench_problem({folder!r}, {task!r})
# Other options: `from dataclasses import replace`, then `problem = replace(problem, trials=40)`.
'''


def write_relbench(
    location: str, *, task: str | None, out: Path | None, yes: bool, force: bool, as_json: bool = False
) -> None:
    """Write a problem file for a task of a RelBench folder, and check it.

    Args:
        location: Folder of the data set.
        task: Name of the task; asked for where None.
        out: The file to write; None: its problem's name in the current folder.
        yes: Whether the first task is taken where None is named.
        force: Whether an existing file is overwritten.
        as_json: Whether JSON is printed, and text for people on standard error.

    Raises:
        ConflictError: The file exists.
        NotFoundError: There is no such task.
    """
    folder = Path(location).absolute()
    with text_for_people(as_json=as_json):
        chosen = task or _ask(folder, yes=yes)
        problem = relbench_problem(folder, chosen)
        file = out or Path(f"{problem.name}.py")
        if file.exists() and not force:
            raise ConflictError("the file exists", where=str(file), fix="name another with --out, or give --force")
        write_bytes(file, _FILE.format(task=chosen, name=folder.name, folder=str(folder)).encode())
        report = check_problem(str(file.absolute()))
        show_check(report)
        print(f"next: read {file}, then `headrace evaluate {file}`")
    if as_json:
        print_json({"file": file, "label": problem.label, "table": problem.spine.table, "check": report})
    if report.faults:
        sys.exit(1)


def _ask(folder: Path, *, yes: bool) -> str:
    names = task_names(folder)
    if not names:
        raise NotFoundError("no task", where=str(folder / "tasks"), fix="add the folder of a task")
    if yes or len(names) == 1:
        return names[0]
    print("Which task is to be predicted?", *(f"  {name}" for name in names), sep="\n")
    return str(typer.prompt("task", default=names[0]))
