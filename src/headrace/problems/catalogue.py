"""Problems by name, or from a file of the user's own: `load_problem("flights")`, `load_problem("my_problem.py")`.

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
from headrace.problems.files import as_source
from headrace.problems.python_errors import declaration_error
from headrace.schema import Problem

#: name -> "module:attribute"
CATALOGUE = {
    "flights": "headrace.problems.flights:problem",
    "nafld": "headrace.problems.nafld:problem",
}


def load_problem(reference: str | Path) -> Problem:
    """Load a problem, and make the objects that it hands over known to this process.

    Args:
        reference: a name of `CATALOGUE`, or the path of a Python file that declares `problem = Problem(...)`. Paths to
            sources in a file are taken from the file's folder.

    Raises:
        NotFoundError: for an unknown name or file.
        DeclarationError: for a file that fails or declares no problem, with file and line.
    """
    text = str(reference)
    if text in CATALOGUE:
        return _built_in(CATALOGUE[text])
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
    tables = tuple(replace(table, source=as_source(table.source, path.parent)) for table in problem.entity_set.tables)
    loaded = replace(problem, path=path, entity_set=replace(problem.entity_set, tables=tables))
    hand_over(loaded.extensions)
    return loaded


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
