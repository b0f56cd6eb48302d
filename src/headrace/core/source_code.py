"""Digests of source code: which modules a computation can run, and what they say apart from comments and docstrings.

A cached result is valid as long as the code that made it is the same. That code is the module that the computation
starts in and every module of the package that it imports, directly or through others, at its head or inside a function.
A module counts by its syntax tree, so that comments, docstrings, blank lines and line breaks count for nothing.
"""

from __future__ import annotations

import ast
import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

import headrace
from headrace.core.errors import HeadraceError
from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest, fingerprint

#: CPython 3.11 counts the depth of a syntax tree in one place for all threads: two that parse at once fail.
_PARSING = threading.Lock()

#: Files that this process has parsed, by package and the sha256 of their bytes, whichever home asked.
_PARSED: dict[tuple[str, str], ParsedModule] = {}

#: In a name: the module that it stands in.
_OWN_NAME = "__name__"


@dataclass(frozen=True, kw_only=True)
class ParsedModule:
    """One source file. digest: of its syntax tree. names: dotted names in it that may be modules of the package."""

    digest: str
    names: tuple[str, ...]


class SourceTree:
    """The modules of one package, read from a folder without importing them. Each file is read once.

    Args:
        folder: the folder of the package's `__init__.py`.
        cache_file: where digests are kept from one process to the next, by the sha256 of each file's bytes. Parsing
            takes a few milliseconds a file, which reading it does not. None: they are kept in memory alone.
    """

    def __init__(self, folder: Path, cache_file: Path | None = None) -> None:
        self._folder = folder
        self._package = folder.name
        self._cache_file = cache_file
        self._modules = dict(self._files())
        self._parsed: dict[str, ParsedModule] = {}
        self._imported: dict[str, frozenset[str]] = {}
        self._known = _read_cache(cache_file)
        self._stored = len(self._known)

    def digest(self, entries: Iterable[str], *, excluded: Collection[str] = ()) -> str:
        """The digest of all code that can run when the modules `entries` do.

        Args:
            entries: dotted module names.
            excluded: modules and packages that are left out, with what only they import.

        Returns:
            sha256, hex.

        Raises:
            ModuleNotFoundError: an entry is no module of the package.
        """
        found = self.modules(entries, excluded=excluded)
        text = "\n".join(f"{name} {self._parse(name).digest}" for name in found)
        self._write_cache()
        return hashlib.sha256(text.encode()).hexdigest()

    def modules(self, entries: Iterable[str], *, excluded: Collection[str] = ()) -> tuple[str, ...]:
        """The modules that can run when `entries` do, sorted by name: those, and what they import in turn."""
        waiting, found = list(entries), set[str]()
        for name in waiting:
            if name not in self._modules:
                raise ModuleNotFoundError(name)
        while waiting:
            name = waiting.pop()
            if name in found or _is_below(name, excluded):
                continue
            found.add(name)
            waiting += self._imports(name)
        return tuple(sorted(found))

    def _imports(self, name: str) -> frozenset[str]:
        """The modules that a module imports, and the packages that they lie in, whose `__init__` runs first."""
        if name not in self._imported:
            dotted = [text.replace(_OWN_NAME, name).split(".") for text in (name, *self._parse(name).names)]
            prefixes = (".".join(parts[:length]) for parts in dotted for length in range(1, len(parts) + 1))
            self._imported[name] = frozenset(prefix for prefix in prefixes if prefix in self._modules)
        return self._imported[name]

    def _files(self) -> Iterator[tuple[str, Path]]:
        for path in self._folder.rglob("*.py"):
            parts = path.relative_to(self._folder).with_suffix("").parts
            yield ".".join((self._package, *(parts[:-1] if parts[-1] == "__init__" else parts))), path

    def _parse(self, name: str) -> ParsedModule:
        if name not in self._parsed:
            source = self._modules[name].read_bytes()
            key = hashlib.sha256(source).hexdigest()
            if key not in self._known:
                self._known[key] = _parse_once(source, key, self._package)
            self._parsed[name] = self._known[key]
        return self._parsed[name]

    def _write_cache(self) -> None:
        if self._cache_file is None or len(self._known) == self._stored:
            return
        self._cache_file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self._cache_file.with_suffix(".lock")):
            for leftover in self._cache_file.parent.glob(f".{self._cache_file.name}.*.tmp"):  # of a killed process
                leftover.unlink()
            modules = {key: [one.digest, list(one.names)] for key, one in self._known.items()}
            write_json(self._cache_file, {"modules": modules, "sha256": _seal(modules)})
        self._stored = len(self._known)


@cache
def installed_source(cache_file: Path | None = None) -> SourceTree:
    """The source of the package that this process runs."""
    return SourceTree(Path(headrace.__file__).parent, cache_file)


def _parse_once(source: bytes, key: str, package: str) -> ParsedModule:
    with _PARSING:
        if (package, key) not in _PARSED:
            _PARSED[package, key] = parse_module(source, package)
        return _PARSED[package, key]


def parse_module(source: bytes, package: str) -> ParsedModule:
    """Parse one file of a package."""
    tree = ast.parse(source)
    text = "\x00".join(_tokens(tree))
    return ParsedModule(
        digest=hashlib.sha256(text.encode()).hexdigest(), names=tuple(sorted(_module_names(tree, package)))
    )


def _tokens(node: ast.AST) -> Iterator[str]:
    """The syntax tree as a flat sequence, without strings that stand alone as statements, such as docstrings."""
    yield type(node).__name__
    for name in node._fields:
        value: Any = getattr(node, name, None)
        if value is None or value == []:  # fields that a newer Python has added are empty in older code
            continue
        yield name
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, ast.AST):
                yield repr(item)
            elif not _is_docstring(item):
                yield from _tokens(item)
    yield ")"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _module_names(tree: ast.Module, package: str) -> set[str]:
    """Names that may be modules: in import statements, and in strings, which catalogues import on demand."""
    found: set[str] = set()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
        elif isinstance(node, ast.JoinedStr):  # f"{__name__}.tpe"
            found.add("".join(map(_text, node.values)))
    beginnings = (f"{package}.", f"{_OWN_NAME}.")
    return {name for name in found if name.startswith(beginnings) and name.replace(".", "").isidentifier()}


def _text(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    return _OWN_NAME if isinstance(part, ast.FormattedValue) and ast.unparse(part.value) == _OWN_NAME else "?"


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below a node but those for type checkers alone, and docstrings."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        if not _is_docstring(child):
            yield child
            yield from _executed(child)


def _is_below(name: str, packages: Collection[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in packages)


def _read_cache(path: Path | None) -> dict[str, ParsedModule]:
    """What an earlier process has parsed; nothing where the file is gone, damaged, or of another version's parser."""
    if path is None or not path.exists():
        return {}
    try:
        record = read_json(path)
        modules = record["modules"]
        if record["sha256"] != _seal(modules):
            return {}
    except (HeadraceError, LookupError, TypeError):
        return {}
    return {key: ParsedModule(digest=digest, names=tuple(names)) for key, (digest, names) in modules.items()}


def _seal(modules: Mapping[str, Any]) -> str:
    return fingerprint({"modules": modules, "parser": _parser_version()})


@cache
def _parser_version() -> str:
    """The digest of this file: after an upgrade that reads imports in another way, nothing of the cache counts."""
    return file_digest(Path(__file__))
