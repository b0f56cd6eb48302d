"""The notebooks run as they are shown: their cells are executed here, and print what is stored beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.notebooks import FOLDER, execute, stored

pytestmark = pytest.mark.slow

#: Executed by tests/library/test_run_frames.py, which looks at what it leaves behind.
ELSEWHERE = {"serving"}


@pytest.mark.parametrize("name", sorted({path.stem for path in FOLDER.glob("*.ipynb")} - ELSEWHERE))
def test_a_notebook_runs_as_shown(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    execute(name)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_stored_with_its_outputs(path: Path) -> None:
    notebook = stored(path.stem)
    assert notebook.cells[0].source.startswith("# ")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run: make notebooks"
    assert any(cell.outputs for cell in code)
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert path.stat().st_size < 60_000
