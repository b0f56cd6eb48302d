"""Docstrings describe the parameters that there are: `make docs` fails on others, and tells it late."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from infra import documentation
from tests.docs.blocks import ROOT

_SECTION = re.compile(r"^(?:Args|Attributes):\n((?:(?:    .*)?(?:\n|$))+)", re.MULTILINE)
_NAME = re.compile(r"^    \*{0,2}(\w+)(?: \([^)]*\))?:", re.MULTILINE)
FILES = sorted((ROOT / "src" / "headrace").rglob("*.py"))


def described(docstring: str) -> list[str]:
    """Names in the sections Args and Attributes of a Google-style docstring."""
    return [name for section in _SECTION.findall(docstring) for name in _NAME.findall(section)]


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> set[str]:
    """Parameters of a function; of a class its fields, attributes, properties and the parameters of its __init__."""
    if isinstance(node, ast.ClassDef):
        own = {
            one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        }
        functions = [one for one in node.body if isinstance(one, ast.FunctionDef)]
        started = [parameters(one) for one in functions if one.name in ("__init__", "__new__")]
        assigned = {
            one.attr
            for one in ast.walk(node)
            if isinstance(one, ast.Attribute)
            and isinstance(one.ctx, ast.Store)
            and getattr(one.value, "id", "") == "self"
        }
        return own.union(assigned, {one.name for one in functions}, *started)
    given = node.args
    names = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return {one.arg for one in names}


def unknown(source: str) -> Iterator[str]:
    """`name: parameter` of every parameter that a docstring describes and that is not there."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            known = parameters(node)
            bases = isinstance(node, ast.ClassDef) and node.bases  # fields may be inherited
            for name in described(ast.get_docstring(node) or ""):
                if name not in known and not bases:
                    yield f"{node.name}: {name}"


def test_described_parameters_exist() -> None:
    found = {str(file.relative_to(ROOT)): list(unknown(file.read_text())) for file in FILES}
    assert {file: names for file, names in found.items() if names} == {}


def test_a_parameter_that_is_not_there_is_found() -> None:
    lines = [
        '"""Add.',
        "",
        "Args:",
        "    x: one",
        "        and more: so",
        "    z: another",
        "",
        "Returns:",
        "    w: it",
        '"""',
    ]
    body = "\n".join(f"    {line}" for line in lines)
    assert list(unknown(f"def f(x, *, y):\n{body}\n")) == ["f: z"]


def test_public_modules_say_what_they_are() -> None:
    for _, _, packages in documentation.REFERENCE.values():
        for package in packages:
            for module in documentation.modules(package):
                path = ROOT / "src" / module.replace(".", "/")
                file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
                assert ast.get_docstring(ast.parse(file.read_text())), module
