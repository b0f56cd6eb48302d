"""The identity of an extension's code and state, for the keys of the stages that use it.

An extension is an object: of a class of the author's, or of one of Headrace's that holds the author's functions (a
family of aggregations holds its kernel). Its digest covers the plain values that it holds and the source of each module
outside Headrace that its class or functions come from, without comments, docstrings and the declarations of a problem:
an edited family is another one, and an edited `Problem(...)` beside it is not.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from headrace.core.errors import DeclarationError

_PLAIN = (str, int, float, bool, bytes, type(None))


def code_digest(extension: Any) -> str:
    """sha256 of an extension's code and state, hex.

    Raises:
        DeclarationError: where its module has no source file, so that no other process could find it.
    """
    parts = list(_parts(extension, "", set()))
    modules = sorted({name for kind, name in parts if kind == "module" and name.split(".")[0] != "headrace"})
    digest = hashlib.sha256(repr([part for part in parts if part[0] != "module"]).encode())
    for name in modules:
        digest.update(_module_digest(name).encode())
    return digest.hexdigest()


def _parts(value: Any, path: str, seen: set[int]) -> Iterator[tuple[str, str]]:
    """("module", name) of what is code, and (path, value) of what is plain, in everything that an object holds."""
    if isinstance(value, _PLAIN):
        yield path, repr(value)
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, functools.partial):
        yield from _parts([value.func, value.args, value.keywords], path, seen)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            yield from _parts(value[key], f"{path}.{key}", seen)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _parts(item, f"{path}.{at}", seen)
    elif isinstance(value, set | frozenset):
        yield path, repr(sorted(map(repr, value)))
    elif inspect.isclass(value):
        yield "module", value.__module__
    elif inspect.isfunction(value):
        yield "module", value.__module__
        yield path, value.__qualname__
        yield from _parts([cell.cell_contents for cell in value.__closure__ or ()], path, seen)
    elif inspect.ismodule(value) or inspect.isbuiltin(value):
        yield path, value.__name__
    else:
        yield "module", type(value).__module__
        yield from _parts(getattr(value, "__dict__", {}), path, seen)


def _module_digest(name: str) -> str:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or (file is None and name == "__main__"):
        raise DeclarationError(
            f"code of the module {name!r} is in no file", fix="put it into a file, so that other processes find it"
        )
    if file is None or not file.endswith(".py"):  # compiled: its version is the lock's
        return name
    declared = {key for key, item in vars(module).items() if type(item).__module__.startswith("headrace.schema")}
    return _source_digest(Path(file).read_text(encoding="utf-8"), frozenset(declared))


@cache
def _source_digest(text: str, declared: frozenset[str]) -> str:
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not _declares(node, declared)]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_text(item)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _declares(node: ast.stmt, declared: frozenset[str]) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return bool(targets) and all(isinstance(item, ast.Name) and item.id in declared for item in targets)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
