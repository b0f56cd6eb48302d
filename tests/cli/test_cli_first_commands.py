"""The commands of the first hour besides `init`: what they print, and an example in every help text."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from headrace.cli import app, main
from headrace.cli.features import read_ledger
from headrace.core.errors import NotFoundError
from headrace.core.files import write_json
from headrace.core.manifest import write_manifest
from tests.cli.command import headrace
from tests.tiny_problem import write_tiny_problem

SRC = Path(__file__).parents[2] / "src" / "headrace"


def helped(group: Any, *before: str) -> Iterator[tuple[str, str]]:
    """(command, the last line of its help), commands of groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from helped(command, *before, name)
        else:
            yield " ".join((*before, name)), command.epilog or ""


def test_every_command_has_an_example() -> None:
    found = dict(helped(get_command(app)))
    assert "alerts ack" in found
    for name, example in found.items():
        assert example.startswith(f"Example: headrace {name.removesuffix(' show')}")


def test_no_message_names_a_make_target() -> None:
    named = [
        f"{path.name}:{text.lineno}: {text.value}"
        for path in SRC.rglob("*.py")
        if "flows" not in path.parts
        for text in _messages(ast.parse(path.read_text()))
        if re.search(r"`make [a-z]", text.value)
    ]
    assert named == []


def _messages(module: ast.Module) -> Iterator[ast.Constant]:
    """Strings of the code that are not docstrings."""
    statements = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["headrace", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr().out == f"headrace {version('headrace')}\n"


def test_problems_are_listed(tmp_path: Path) -> None:
    found = json.loads(headrace("list", "--json", home=tmp_path).out)
    assert {item["problem"] for item in found} >= {"flights", "nafld"}
    assert "flights" in headrace("list", home=tmp_path).out


def test_features_kept_and_not(tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=20)
    home = tmp_path / "home"
    with pytest.raises(NotFoundError, match="no features were selected yet"):
        read_ledger(home, "shop", "shop.py")
    assert headrace("features", str(problem), home=home).code == 1
    folder = home / "stages" / "shop" / "select" / "key"
    folder.mkdir(parents=True)
    rows = [("amount", 0.5, True, ""), ("channel", 0.1, False, "no better than noise")]
    write_json(
        folder / "ledger.json",
        [
            {"feature": name, "contribution": value, "kept": kept, "reason": reason, "null_share": 0.0}
            for name, value, kept, reason in rows
        ],
    )
    write_manifest(folder)
    said = headrace("features", str(problem), "--all", home=home).out
    assert "1 of 2 features kept" in said
    assert "channel: no better than noise" in said
    assert json.loads(headrace("features", str(problem), "--json", home=home).out)[0]["feature"] == "amount"
