"""The public functions of `import headrace`: lazy, typed, documented."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import headrace

STUB = Path(headrace.__file__).with_suffix(".pyi")


def test_importing_headrace_loads_nothing_heavy() -> None:
    code = "import sys, headrace; print(*(name.partition('.')[0] for name in sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert loaded.isdisjoint({"pandas", "numpy", "pyarrow", "sklearn", "pydantic", "typer", "mlflow", "lightgbm"})


def test_the_stub_has_the_same_names_from_the_same_modules() -> None:
    imported = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(imported) | {"__version__"} == set(headrace.__all__)
    for name, target in imported.items():
        value = getattr(headrace, str(name))
        assert f"{value.__module__}.{value.__qualname__}" == target


def test_every_public_name_is_listed_and_documented() -> None:
    for name in headrace.__all__:
        assert name in dir(headrace)
        value = getattr(headrace, name)
        if not isinstance(value, str):
            assert "Args:" in (inspect.getdoc(value) or ""), name
    with pytest.raises(AttributeError, match="no attribute 'synthesise'"):
        _ = headrace.synthesise  # type: ignore[attr-defined]
