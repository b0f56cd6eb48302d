"""Notebooks as Markdown pages of the documentation site: cells, printed text, tables and pictures, as stored."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STYLE = re.compile(r"<style scoped>.*?</style>", re.DOTALL)


def page_of(path: Path) -> str:
    """Return a notebook as Markdown, with a link to its file below the title."""
    cells = json.loads(path.read_text())["cells"]
    parts = [part for cell in cells for part in _cell(cell)]
    title, *rest = parts[0].split("\n", 1)
    link = f"[Download this notebook]({path.name}). `make notebooks` executes it again."
    return "\n\n".join([title, link, *(text.strip() for text in rest), *parts[1:]]) + "\n"


def _cell(cell: dict[str, Any]) -> Iterator[str]:
    source = _text(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        yield _output(output)


def _output(output: dict[str, Any]) -> str:
    if output["output_type"] == "stream":
        return _printed(_text(output["text"]))
    data = output["data"]
    if "text/html" in data:
        table = _STYLE.sub("", _text(data["text/html"])).replace(' border="1"', "")
        return f'<div class="output" markdown="0">{_without_blank_lines(table)}</div>'
    if "image/png" in data:
        picture = "".join(_text(data["image/png"]).split())
        return f'<img class="output" alt="The plot that the cell above draws" src="data:image/png;base64,{picture}">'
    return _printed(_text(data["text/plain"]))


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _printed(text: str) -> str:
    """Printed text, whose long lines are wrapped (site.css)."""
    return f'<pre class="output">{html.escape(text.rstrip())}</pre>'


def _without_blank_lines(table: str) -> str:
    """A blank line would end an HTML block of Markdown."""
    return "\n".join(line for line in table.splitlines() if line.strip())
