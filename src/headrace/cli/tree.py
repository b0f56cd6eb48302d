"""Print an unfolded feature as a tree: the value at each node of its definition, and the raw rows below it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from headrace.core.clock import iso
from headrace.lake.keys import key_value
from headrace.synthesis.explanation.unfold import Node, UsedRow


def tree_of(node: Node) -> Tree:
    """Return the tree of a node for rich."""
    branch = Tree(_heading(node), highlight=False)
    _grow(branch, node)
    return branch


def value_text(value: Any, kind: str = "") -> str:
    """Return a feature's value as a person reads it."""
    if value is None:
        return "missing"
    if kind == "time" and isinstance(value, int):
        return iso(value)
    if isinstance(value, date):
        return str(key_value(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def json_text(value: Any) -> str:
    """Return a value of a raw row that JSON has no type for, such as an instant."""
    return str(key_value(value) if isinstance(value, date) else value)


def _heading(node: Node) -> str:
    rows = f" [dim]({node.counted} rows counted, {node.left_out} did not)[/]" if node.counted + node.left_out else ""
    value = escape(value_text(node.value, node.kind))
    return f"[bold]{escape(node.name)}[/] = {value}{rows}\n[dim]{escape(node.words)}[/]"


def _grow(branch: Tree, node: Node) -> None:
    for child in node.children:
        _grow(branch.add(_heading(child)), child)
    for row in node.rows:
        below = branch.add(_row(row, node.reads))
        for child in row.children:
            _grow(below.add(_heading(child)), child)


def _row(row: UsedRow, reads: Sequence[str]) -> str:
    values = ", ".join(f"{name}={value_text(row.row[name])}" for name in reads)
    since = iso(row.at_us) if abs(row.at_us) < 2**57 else ("ever" if row.at_us < 0 else "an instant that nothing tells")
    verdict = f"[yellow]not counted: {escape(row.why)}[/]" if row.why else f"[green]{escape(value_text(row.value))}[/]"
    return f"{verdict} since {since} [dim]{escape(values)}[/]"
