"""The page about parts alone is executed, and names every public function."""

from __future__ import annotations

from pathlib import Path

import pytest

import headrace
from tests.docs.blocks import ROOT, Reader, blocks

PAGE = "docs/parts.md"


def test_parts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, lambda path, body: None)
    for block in blocks(PAGE):
        reader.execute(block)


def test_every_function_is_on_the_page() -> None:
    text = (ROOT / PAGE).read_text()
    functions = [name for name in headrace.__all__ if name[0].islower()]
    assert len(functions) == 6
    assert all(f"| `headrace.{name}` |" in text for name in functions)
