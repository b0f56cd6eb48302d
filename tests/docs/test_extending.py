"""The page on extensions: its files are written, used by a problem, and pass the suites that they inherit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core import extensions
from headrace.core.extensions import KINDS
from headrace.problems.catalogue import load_problem
from headrace.synthesis.primitives.catalogue import CATALOGUE
from tests.cli.command import headrace
from tests.docs.blocks import ROOT, blocks
from tests.tiny_problem import DECLARATION, write_tiny_problem

PAGE = "docs/extending.md"
FILES = {block.title: block.text for block in blocks(PAGE) if block.title}
SUITES = sorted(name for name in FILES if name.startswith("test_"))
#: What the page says of a problem file, put together.
FIELDS = """
    searcher=NearbySearcher,
    families=("linear", AdditiveFamily()),
    primitives=(MEAN_SQUARE, HALF),
    engine=SplitEngine(),
    monitoring=Monitoring(drift_tests=(MeanShift(), "js"), alert_channels=(Logbook(),)),
"""
IMPORTS = """
from additive import AdditiveFamily
from logbook import Logbook
from mean_shift import MeanShift
from mean_square import HALF, MEAN_SQUARE
from nearby import NearbySearcher
from split import SplitEngine
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files beside a problem file that uses them all; nothing of them stays in this process."""
    monkeypatch.setattr(extensions, "_HANDED", {})
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    path = write_tiny_problem(tmp_path)
    text = DECLARATION.replace("import EntitySet", "import EntitySet, Monitoring")
    text = text.replace("\ncustomers = ", f"{IMPORTS}\ncustomers = ", 1)
    path.write_text(text.replace('    tick="15min",', f'    tick="15min",{FIELDS}'))
    yield tmp_path
    for handed in [one for one in extensions._HANDED.values() if one.kind == "primitive"]:
        CATALOGUE.remove(handed.value)


def test_a_problem_file_hands_them_over(folder: Path) -> None:
    outcome = headrace("check", str(folder / "problem.py"), home=folder / "home")
    assert outcome.code == 0, outcome.out + outcome.err
    problem = load_problem(folder / "problem.py")
    assert (problem.searcher, problem.engine) == ("nearby", "split")
    assert (problem.families, problem.primitives) == (("linear", "additive"), ("mean_square", "half"))
    assert problem.monitoring.drift_tests == ("mean_shift", "js")


INSTALLED = """
import sys
from headrace.core.errors import DeclarationError
from headrace.models.families import FAMILIES, get_family
from headrace.monitor.alerts.channel import CHANNELS
from headrace.monitor.drift_tests import TESTS
from headrace.search.searchers import get_searcher
from headrace.synthesis.engines import ENGINES
from headrace.synthesis.primitives import aggregation, transform

assert "additive" not in sys.modules  # an entry point is imported for its own name only
print(get_searcher("nearby").__name__, get_family("additive").name, TESTS["mean_shift"].name, CHANNELS["logbook"].name)
print(ENGINES["split"].name, aggregation("mean_square").name, transform("half").name, tuple(FAMILIES.built_in))
for broken in ("gone", "misnamed"):
    try:
        get_searcher(broken)
    except DeclarationError as error:
        print(error)
"""
ENTRY_POINTS = {
    "headrace.searchers": ("nearby = nearby:NearbySearcher", "gone = nearby:Gone", "misnamed = nearby:NearbySearcher"),
    "headrace.families": ("additive = additive:AdditiveFamily",),
    "headrace.drift_tests": ("mean_shift = mean_shift:MeanShift",),
    "headrace.alert_channels": ("logbook = logbook:Logbook",),
    "headrace.engines": ("split = split:SplitEngine",),
    "headrace.sources": ("ledger = ledger:Ledger",),
    "headrace.primitives": ("mean_square = mean_square:MEAN_SQUARE", "half = mean_square:HALF"),
}


def installed(folder: Path) -> None:
    """The files of the page as an installed package: metadata with entry points beside them."""
    info = folder / "extras-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extras\nVersion: 1.0\n")
    lines = [line for group, points in ENTRY_POINTS.items() for line in (f"[{group}]", *points)]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_installed_package_brings_them(folder: Path) -> None:
    installed(folder)
    lines = python(folder, "-c", INSTALLED).splitlines()
    assert lines[:2] == [
        "NearbySearcher additive mean_shift logbook",
        "split mean_square half ('lightgbm', 'linear', 'xgboost', 'catboost')",
    ]
    where = "package extras 1.0, entry point"
    gone, misnamed = lines[2:]
    assert gone.startswith(f"{where} gone = nearby:Gone: cannot be loaded: AttributeError")
    assert misnamed.startswith(f"{where} misnamed = nearby:NearbySearcher: its object is called 'nearby'")


def test_the_groups_of_the_page_are_those_of_the_code() -> None:
    text = (ROOT / PAGE).read_text()
    assert {group for group in KINDS.values() if f"`{group}`" in text} == set(KINDS.values())
    assert set(ENTRY_POINTS) == set(KINDS.values())


@pytest.mark.parametrize("suite", ["test_logbook.py"])
def test_an_extension_inherits_its_suite(folder: Path, suite: str) -> None:
    assert "3 passed" in python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite)


@pytest.mark.chaos
@pytest.mark.parametrize("suite", SUITES)
def test_every_extension_of_the_page_passes_its_suite(folder: Path, suite: str) -> None:
    python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", suite)
