"""Problems by name, from a file of the user's own, or declared in this process (`declare`).

`load_problem("flights")`, `load_problem("my_problem.py")`, `load_problem("memory:shop")`.

One problem more is one module in this folder and one line below.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from headrace.core.errors import DeclarationError, HeadraceError, NotFoundError
from headrace.core.extensions import Handed, hand_over, is_known
from headrace.problems.python_errors import declaration_error
from headrace.problems.relbench.task_problem import is_relbench, load_relbench
from headrace.problems.sources.addresses import table_source
from headrace.schema import Problem

#: name -> "module:attribute"
CATALOGUE = {
    "flights": "headrace.problems.flights:problem",
    "nafld": "headrace.problems.nafld:problem",
}

#: Beginning of the reference of a problem that was declared in a process, without a file.
MEMORY = "memory:"
_DECLARED: dict[str, Problem] = {}


def declare(problem: Problem) -> str:
    """Make a problem without a file known to this process, and the objects that it hands over.

    Args:
        problem: its sources may be data frames.

    Returns:
        Its reference, which `load_problem` takes in this process.

    Raises:
        DataError: A source is no path, address, data frame or object with `read()`.
        DeclarationError: The problem has no label, or the name of a built-in problem.
    """
    if problem.name in CATALOGUE:
        raise DeclarationError(
            f"{problem.name!r} is the name of a built-in problem", where="problem", fix="give it another name"
        )
    loaded = with_sources(problem)
    hand_over(loaded.extensions)
    _DECLARED[MEMORY + problem.name] = loaded
    return MEMORY + problem.name


def load_problem(reference: str | Path) -> Problem:
    """Load a problem, and make the objects that it hands over known to this process.

    Args:
        reference: a name of `CATALOGUE`; the path of a Python file that declares `problem = Problem(...)`, in whose
            folder relative paths of sources start; a RelBench folder, `FOLDER#TASK` or `FOLDER/tasks/TASK`; or what
            `declare` returned in this process.

    Raises:
        NotFoundError: for an unknown name or file.
        DeclarationError: for a file that fails or declares no problem, with file and line.
    """
    text = str(reference)
    if text in CATALOGUE:
        return _built_in(CATALOGUE[text])
    if text.startswith(MEMORY):
        return _from_memory(text)
    if is_relbench(text):
        return load_relbench(text)
    if not text.endswith(".py") and "/" not in text:
        raise NotFoundError(
            f"no problem {text!r}", found=sorted(CATALOGUE), fix="name one of these, or the path of a .py file"
        )
    path = Path(text)
    if not path.is_file():
        raise NotFoundError("no such problem file", where=text, found=sorted(CATALOGUE), fix="check the path")
    return _from_file(path.resolve())


def restore(handed: Iterable[Handed]) -> None:
    """In another process, make known what a problem hands over: the objects of a file by loading it, once."""
    for path in dict.fromkeys(one.file for one in handed if one.file is not None and not is_known(one)):
        load_problem(path)
    hand_over(one for one in handed if one.file is None)


def _built_in(target: str) -> Problem:
    module, attribute = target.split(":")
    problem: Problem = getattr(importlib.import_module(module), attribute)
    return problem


def _from_memory(reference: str) -> Problem:
    if reference not in _DECLARED:
        raise NotFoundError(
            "this problem was declared in another Python process, from data frames",
            where=reference.removeprefix(MEMORY),
            found=[name.removeprefix(MEMORY) for name in _DECLARED],
            fix="run it there; for the commands and services, declare it in a file, whose sources may be data frames",
        )
    return _DECLARED[reference]


def _from_file(path: Path) -> Problem:
    module = _execute(path)
    problem = getattr(module, "problem", None)
    if not isinstance(problem, Problem):
        names = sorted(name for name, value in vars(module).items() if isinstance(value, Problem))
        raise DeclarationError(
            "no `problem = Problem(...)`" if problem is None else f"`problem` is a {type(problem).__name__}",
            where=str(path),
            found=names,
            fix="declare `problem = Problem(...)` at the top level of the file",
        )
    loaded = replace(with_sources(problem, path.parent), path=path)
    hand_over(loaded.extensions)
    return loaded


def with_sources(problem: Problem, folder: Path | None = None) -> Problem:
    """Resolve the sources of a problem's tables; relative paths start at the folder, None for the current one.

    Raises:
        DataError: A source is no path, address, data frame or object with `read()`.
        DeclarationError: The problem has no label.
    """
    if not problem.has_label:
        raise DeclarationError("no label", where=problem.name, fix='say what to predict: label="refunded > 0"')
    tables = tuple(replace(table, source=table_source(table, folder)) for table in problem.entity_set.tables)
    return replace(problem, entity_set=replace(problem.entity_set, tables=tables))


def _execute(path: Path) -> ModuleType:
    """Run the file as a module of its own; it may import what lies beside it."""
    module = ModuleType(f"headrace_problem_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    try:
        with _importable(path.parent):
            exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), module.__dict__)
    except HeadraceError as error:
        raise DeclarationError(str(error), where=_line(path, error)) from error
    except UnicodeDecodeError as error:
        raise DeclarationError("the file is not UTF-8", where=str(path), fix="save it as UTF-8") from error
    except Exception as error:
        raise declaration_error(error, _line(path, error)) from error
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _line(path: Path, error: BaseException) -> str:
    """`file, line n`: the last line of the user's file that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{path}, line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f"{path}, line {lines[-1]}" if lines else str(path)
