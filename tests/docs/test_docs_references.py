"""What the pages refer to exists: files, headings, make targets, commands and their options, decisions, the version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

import headrace
from headrace.cli import app
from headrace.core.extensions import KINDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "infra" / "README.md")
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"```.*?```|^    .*?$|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def code_of(page: str) -> str:
    """All that is code on a page: blocks, indented lines, and what stands between backticks."""
    return "\n".join(_CODE.findall(text_of(page)))


def links() -> list[Any]:
    """(page, link) of every link that stays in the project."""
    return [
        (page, link)
        for page in PAGES
        for link in _LINK.findall(re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL))
        if "://" not in link
    ]


@pytest.mark.parametrize(("page", "link"), links())
def test_links_lead_somewhere(page: str, link: str) -> None:
    path, _, heading = link.partition("#")
    target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
    assert target.exists()
    assert target.is_relative_to(ROOT)
    if heading:
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


#: Names with dots that are no modules: tags and an event of ours, a host, and groups of entry points.
_NO_MODULES = {"headrace.report", "headrace.change", "headrace.drift.retrain", "headrace.example", *KINDS.values()}


def is_attribute(name: str) -> bool:
    """Whether a dotted name is an attribute that some module gives to spans."""
    source = [path.read_text() for path in (ROOT / "src").rglob("*.py")]
    group = name.rpartition(".")[0]  # some names are a group's, with the key of a dictionary
    return any(f'"{name}"' in text or f'f"{group}.{{name}}"' in text for text in source)


def is_name(name: str) -> bool:
    """Whether a dotted name is a public function, a module of ours, or something that a module defines."""
    if name.removeprefix("headrace.") in headrace.__all__:
        return True
    path = ROOT / "src" / name.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, _, last = name.rpartition(".")
    path = ROOT / "src" / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.is_file() and re.search(rf"^(?:def |class )?{last}\b", file.read_text(), re.MULTILINE) is not None


def test_modules_and_files_exist() -> None:
    """Dotted names of modules, and paths from the project's folder (those of a module may begin with `headrace/`)."""
    names = {
        (page, name)
        for page in PAGES
        for name in re.findall(r"(?<![\w./@-])headrace(?:\.[A-Za-z_]\w*)+", code_of(page))
    }
    assert ("docs/architecture.md", "headrace.synthesis") in names
    unknown = {
        (page, name)
        for page, name in names
        if page != "CHANGELOG.md" and name not in _NO_MODULES and not is_attribute(name) and not is_name(name)
    }
    files = {
        (page, path)
        for page in PAGES
        for path in re.findall(r"`((?:src|tests|flows|benchmarks|infra|docs|headrace)/[\w./-]*\w)`", code_of(page))
    }
    assert ("docs/search.md", "headrace/models/rounds.py") in files
    unknown |= {
        (page, path)
        for page, path in files
        if page != "CHANGELOG.md" and not any((ROOT / folder / path).exists() for folder in ("", "src"))
    }
    assert unknown == set()


def test_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {(page, name) for page in PAGES for name in re.findall(r"\bmake ([a-z][a-z-]*)", code_of(page))}
    assert ("README.md", "run-pipeline") in named
    assert {(page, name) for page, name in named if name not in targets} == set()


def test_commands_and_their_options_exist() -> None:
    group: Any = typer.main.get_command(app)
    known = {name: _options(command) for name, command in group.commands.items()}
    named = [
        (page, *found)
        for page in PAGES
        for found in re.findall(r"(?<![\w./])headrace ([a-z]+(?:-[a-z]+)*)([^\n`]*)", code_of(page))
    ]
    assert {command for _, command, _ in named} >= {"run", "check", "status", "promote", "rollback", "advance"}
    for page, command, rest in named:
        assert command in known, f"{page}: headrace {command}"
        options = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
        assert options <= known[command], f"{page}: headrace {command}{rest}"


def _options(command: Any) -> set[str]:
    """The options of a command, and of its subcommands."""
    own = {text for one in command.params for text in one.opts}
    return own.union(*(_options(one) for one in getattr(command, "commands", {}).values()))


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "adr"
    files = sorted(path for path in folder.glob("*.md") if path.name != "README.md")
    listed = re.findall(r"^\| (\d+) \| \[(.*?)\]\((.*?)\) \|$", (folder / "README.md").read_text(), re.MULTILINE)
    titles = [path.read_text().splitlines()[0].removeprefix("# ").split(". ", 1) for path in files]
    assert [(number, title, path.name) for (number, title), path in zip(titles, files, strict=True)] == listed
    numbers = [int(path.name[:4]) for path in files]
    assert numbers == sorted(set(numbers))


def test_the_changelog_has_this_version() -> None:
    assert f'version = "{headrace.__version__}"' in text_of("pyproject.toml")
    assert re.search(rf"^## {re.escape(headrace.__version__)}\b", text_of("CHANGELOG.md"), re.MULTILINE)
