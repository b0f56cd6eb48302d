"""Execute the notebooks of docs/notebooks and write their outputs into them: `make notebooks`.

Each notebook runs in an empty folder. A cell that raises, or that prints an error text, ends the command. Warnings are
shown without the place where they were raised. What differs from run to run (times, the interpreter's version) is not
written.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
#: Time of one cell, s.
_TIMEOUT = 600
#: A warning with its file, its line, and the text of that line.
_PLACE = re.compile(r"^\S+:\d+: (\w*Warning: .*)\n.*\n?", re.MULTILINE)


def execute(path: Path) -> None:
    """Execute a notebook in place."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook, timeout=_TIMEOUT, record_timing=False, resources={"metadata": {"path": folder}}
        )
        client.execute()
    for cell in notebook.cells:
        cell.outputs = [_without_paths(one) for one in cell.get("outputs", ())]
        if cell.cell_type == "markdown":
            del cell["outputs"]
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


def _without_paths(output: Any) -> Any:
    """An output without the places of warnings, which are temporary files; ValueError for another error text."""
    if output.output_type == "stream" and output.name == "stderr":
        output.text = _PLACE.sub(r"\1\n", output.text)
        if "Warning: " not in output.text:
            raise ValueError(f"a cell printed to standard error: {output.text}")
    return output


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.name for path in FOLDER.glob("*.ipynb")):
        print(name, flush=True)
        execute(FOLDER / name)
