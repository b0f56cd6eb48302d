"""The report of `make security`: each attack, its target and its outcome, as HTML, JSON and Markdown."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

WITHSTOOD, SUCCEEDED, NOT_TRIED = "withstood", "SUCCEEDED", "not tried"

_PAGE = """<!doctype html>
<meta charset="utf-8">
<title>Headrace: attacks</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 75em; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ border-bottom: 1px solid #ccc; padding: .3em .6em; text-align: left; vertical-align: top; }}
.withstood {{ color: #176b2c; }} .SUCCEEDED {{ color: #fff; background: #b00020; }} .not {{ color: #775500; }}
</style>
<h1>Attacks on a local installation</h1>
<p>{summary}</p>
{tables}
"""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One attack that was made. group: of one file of attacks. observed: a detail, or the reason."""

    group: str
    attack: str
    target: str
    outcome: str
    observed: str = ""


def summary(results: Sequence[Result]) -> str:
    """How many attacks ended how, in one line."""
    counts = {outcome: sum(one.outcome == outcome for one in results) for outcome in (WITHSTOOD, SUCCEEDED, NOT_TRIED)}
    return f"{len(results)} attacks: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def write(results: Sequence[Result], folder: Path) -> None:
    """Write report.html, report.json and report.md into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")
    (folder / "report.html").write_text(as_html(results))
    (folder / "report.md").write_text(as_markdown(results))


def as_html(results: Sequence[Result]) -> str:
    """The page; whatever a server answered stands in it as text, not as HTML."""
    parts = []
    for group, members in _grouped(results):
        rows = "".join(
            f'<tr><td>{html.escape(one.attack)}<td>{html.escape(one.target)}<td class="{one.outcome}">{one.outcome}'
            f"<td>{html.escape(one.observed)}"
            for one in members
        )
        parts.append(
            f"<h2>{html.escape(group)}</h2><table><tr><th>attack<th>target<th>outcome<th>observed{rows}</table>"
        )
    return _PAGE.format(summary=html.escape(summary(results)), tables="\n".join(parts))


def as_markdown(results: Sequence[Result]) -> str:
    """The same as tables for docs/security.md, without what differs from run to run."""
    parts = []
    for group, members in _grouped(results):
        rows = [f"| {_cell(one.attack)} | {_cell(one.target)} | {one.outcome} |" for one in members]
        parts.append("\n".join([f"**{group}**", "", "| attack | target | outcome |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _grouped(results: Sequence[Result]) -> Iterable[tuple[str, list[Result]]]:
    return ((group, list(members)) for group, members in groupby(results, key=lambda one: one.group))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
