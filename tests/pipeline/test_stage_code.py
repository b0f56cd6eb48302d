"""Which stages run again after an edit of the source: those whose values the edit can change, and what follows them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import headrace
from headrace.core.source_code import SourceTree
from headrace.pipeline.catalogue import STAGES
from headrace.pipeline.stage import code_of

SOURCE = Path(headrace.__file__).parent
NAMES = [stage.name for stage in STAGES]

#: Stages that run again after an edit: (file, old text, new text) -> names.
Edit = Callable[[str, str, str], set[str]]


@pytest.fixture(scope="module")
def cache_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is parsed of the source, shared by all trees of this module."""
    return tmp_path_factory.mktemp("parsed") / "code.json"


@pytest.fixture
def edited(tmp_path: Path, cache_file: Path) -> Edit:
    """Edits a copy of the source, and compares the stages' code with that of the source."""

    def edit(file: str, old: str, new: str) -> set[str]:
        copy = tmp_path / str(len(list(tmp_path.iterdir()))) / SOURCE.name
        shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "flows"))
        text = (copy / file).read_text()
        assert old in text, f"{file} has no {old!r} any more"
        (copy / file).write_text(text.replace(old, new, 1))
        before, after = codes(SOURCE, cache_file), codes(copy, cache_file)
        return with_followers({name for name in before if before[name] != after[name]})

    return edit


def codes(source: Path, cache_file: Path) -> dict[str, str]:
    tree = SourceTree(source, cache_file)
    return {stage.name: code_of(stage, tree) for stage in STAGES}


def with_followers(changed: set[str]) -> set[str]:
    """Those stages, and all that need them: a stage's key holds the digests of those that it needs."""
    found = set(changed)
    for stage in STAGES:  # in order: what a stage needs comes before it
        if any(needed.name in found for needed in stage.needs):
            found.add(stage.name)
    return found


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("search/report/plots.py", '"#4878a8"', '"#000000"'),
        ("search/report/charts.py", '"#4878a8"', '"#000000"'),
        ("models/explain.py", '"coolwarm"', '"viridis"'),
    ],
)
def test_another_colour_draws_again_and_trains_nothing(edited: Edit, file: str, old: str, new: str) -> None:
    assert edited(file, old, new) == {"draw", "report"}


@pytest.mark.parametrize(
    "file", ["pipeline/stages/search.py", "evaluate/metrics.py", "synthesis/engines/scan/kernels.py", "lake/feed.py"]
)
def test_a_comment_a_docstring_or_a_line_break_runs_nothing_again(edited: Edit, file: str) -> None:
    assert edited(file, '"""', '"""Another sentence. ') == set()
    future = "from __future__ import annotations\n"
    assert edited(file, future, f"# a comment\n\n{future}\n\n") == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "first"),
    [
        ("synthesis/engines/scan/kernels.py", "at = 0", "at = 1", "synthesise"),
        ("synthesis/selection/select.py", "import annotations\n", "import annotations\n\nCHANGED = 1\n", "select"),
        ("models/families/lightgbm.py", "import annotations\n", "import annotations\n\nCHANGED = 1\n", "search"),
        ("search/searchers/tpe.py", "import annotations\n", "import annotations\n\nCHANGED = 1\n", "search"),
        ("evaluate/metrics.py", "import annotations\n", "import annotations\n\nCHANGED = 1\n", "search"),
        ("evaluate/choice.py", "import annotations\n", "import annotations\n\nCHANGED = 1\n", "evaluate"),
        ("registry/recovery.py", "import annotations\n", "import annotations\n\nCHANGED = 1\n", "promote"),
    ],
)
def test_a_changed_computation_runs_the_stages_that_it_is_in_and_those_after_them(
    edited: Edit, file: str, old: str, new: str, first: str
) -> None:
    assert edited(file, old, new) == with_followers({first})


def test_code_that_no_stage_imports_runs_nothing_again(edited: Edit) -> None:
    for file in ("api/app.py", "cli/run.py", "monitor/policy/policy.py", "serving/service.py"):
        assert edited(file, "import annotations\n", "import annotations\n\nCHANGED = 1\n") == set()
