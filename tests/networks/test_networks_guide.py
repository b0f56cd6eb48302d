"""The programs of docs/networks.md that need no PyTorch run as they stand there."""

from __future__ import annotations

import pytest

from tests.docs.blocks import blocks

PROGRAMS = [block.text for block in blocks("docs/networks.md") if block.language == "python"]


def test_the_search_of_the_guide(capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(PROGRAMS[0], "docs/networks.md", "exec"), {})
    assert "'edge 0-1': 'linear'" in capsys.readouterr().out
