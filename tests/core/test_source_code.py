"""Digests of a small package's code: what is followed, and what counts for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.source_code import ParsedModule, SourceTree, parse_module

FILES = {
    "__init__.py": "",
    "start.py": "from pkg.a import one\n\n\ndef go():\n    from pkg.sub.lazy import two\n",
    "a.py": "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import pkg.types\n\nX = ['pkg.named']\n",
    "named.py": "",
    "types.py": "",
    "unused.py": "",
    "sub/__init__.py": "import pkg.sub.beside\nMORE = f'{__name__}.made'\n",
    "sub/beside.py": "",
    "sub/lazy.py": "import json\n",
    "sub/made.py": "",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "pkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "pkg"


def test_imports_are_followed_wherever_they_stand(package: Path) -> None:
    found = SourceTree(package).modules(["pkg.start"])
    names = ("pkg", "a", "named", "start", "sub", "sub.beside", "sub.lazy", "sub.made")
    assert found == tuple(sorted("pkg" if name == "pkg" else f"pkg.{name}" for name in names))


def test_what_is_excluded_takes_along_what_only_it_imports(package: Path) -> None:
    assert SourceTree(package).modules(["pkg.start"], excluded=["pkg.sub"]) == (
        "pkg",
        "pkg.a",
        "pkg.named",
        "pkg.start",
    )


def test_an_edit_changes_the_digest_of_whoever_imports_it(package: Path) -> None:
    before = [SourceTree(package).digest([name]) for name in ("pkg.start", "pkg.unused")]
    (package / "sub" / "lazy.py").write_text("import json\n\nX = 1\n")
    after = [SourceTree(package).digest([name]) for name in ("pkg.start", "pkg.unused")]
    assert before[0] != after[0]
    assert before[1] == after[1]


def new_process(patch: pytest.MonkeyPatch) -> None:
    """What was parsed is not in memory."""
    patch.setattr("headrace.core.source_code._PARSED", {})


def test_a_process_parses_a_file_once_whatever_its_homes(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = SourceTree(package, tmp_path / "a" / "code.json").digest(["pkg.start"])
    monkeypatch.setattr("headrace.core.source_code.parse_module", None)
    assert SourceTree(package, tmp_path / "b" / "code.json").digest(["pkg.start"]) == digest
    assert (tmp_path / "b" / "code.json").exists()  # for the next process


def test_a_cache_that_another_parser_wrote_is_not_read(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "code.json"
    digest = SourceTree(package, cache).digest(["pkg.start"])
    other = ParsedModule(digest="of another parser", names=())
    with monkeypatch.context() as patch:
        new_process(patch)
        patch.setattr("headrace.core.source_code.parse_module", lambda source, package: other)
        patch.setattr("headrace.core.source_code._parser_version", lambda: "another")
        assert SourceTree(package, cache).digest(["pkg.start"]) != digest
    assert SourceTree(package, cache).digest(["pkg.start"]) == digest


def test_another_process_parses_nothing_again(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache" / "code.json"
    digest = SourceTree(package, cache).digest(["pkg.start"])
    with monkeypatch.context() as patch:
        new_process(patch)
        patch.setattr("headrace.core.source_code.parse_module", None)
        assert SourceTree(package, cache).digest(["pkg.start"]) == digest
    for damaged in ("{", "[]", "{}", cache.read_text().replace(":", ": ", 1).replace("a", "b", 40)):
        cache.write_text(damaged)
        assert SourceTree(package, cache).digest(["pkg.start"]) == digest


@pytest.mark.parametrize(
    "same",
    [
        "def f(a):\n    # why\n    return a + 1\n",
        'def f(a):\n    """What it computes."""\n\n    return a + 1\n',
        '"""Module."""\n\n\ndef f(\n    a,\n):\n    return (a + 1)\n',
    ],
)
def test_comments_docstrings_and_line_breaks_count_for_nothing(same: str) -> None:
    assert parse_module(same.encode(), "pkg").digest == parse_module(b"def f(a):\n    return a + 1\n", "pkg").digest


@pytest.mark.parametrize("other", ["def f(a):\n    return a + 2\n", "def f(a, b=1):\n    return a + 1\n", "f = 1\n"])
def test_other_code_has_another_digest(other: str) -> None:
    assert parse_module(other.encode(), "pkg").digest != parse_module(b"def f(a):\n    return a + 1\n", "pkg").digest


def test_an_unknown_entry_is_an_error(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pkg\.nowhere"):
        SourceTree(package).digest(["pkg.nowhere"])
