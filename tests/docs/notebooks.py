"""Execute the notebooks of docs/notebooks in this process, cell by cell, and compare what they print."""

from __future__ import annotations

import io
import re
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
_NUMBER = re.compile(r"\d[\d.,]*(?:e[+-]?\d+)?")


def stored(name: str) -> Any:
    """A notebook as it is stored."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def execute(name: str) -> dict[str, Any]:
    """Execute the cells in the current folder; AssertionError where one prints something else, numbers apart.

    Returns:
        The names that the notebook defines.
    """
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(stored(name).cells):
        if cell.cell_type == "code":
            printed = io.StringIO()
            with redirect_stdout(printed), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # what `synthesize` has to say about the data
                exec(compile(cell.source, f"{name}.ipynb, cell {number}", "exec"), names)
            expected = "".join(one.text for one in cell.outputs if one.get("name") == "stdout")
            assert _masked(printed.getvalue()) == _masked(expected), f"{name}.ipynb, cell {number}: make notebooks"
    from matplotlib import pyplot

    pyplot.close("all")
    return names


def _masked(text: str) -> str:
    """A text without its numbers, whose last digits differ between machines."""
    return re.sub(r"\s+", " ", _NUMBER.sub("0", text)).strip()
