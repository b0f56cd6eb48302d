"""The page on extensions: its files are written as a reader would, used by a problem, and pass the suites they inherit."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.core import extensions
from headrace.core.errors import DeclarationError
from headrace.core.extensions import KINDS
from headrace.problems.catalogue import load_problem
from tests.cli.command import headrace
from tests.docs.blocks import ROOT, blocks
from tests.tiny_problem import DECLARATION, write_tiny_problem

PAGE = "docs/extending.md"
FILES = {block.title: block.text for block in blocks(PAGE) if block.title}
SUITES = sorted(name for name in FILES if name.startswith("test_"))
#: What the page says of a problem file, put together.
FIELDS = '''
    searcher=NearbySearcher,
    families=("linear", AdditiveFamily()),
    primitives=(MEAN_SQUARE, HALF),
    engine=SplitEngine(),
    monitoring=Monitoring(drift_tests=(MeanShift(), "js"), alert_channels=(Logbook(),)),
'''
IMPORTS = """
from additive import AdditiveFamily
from logbook import Logbook
from mean_shift import MeanShift
from mean_square import HALF, MEAN_SQUARE
from nearby import NearbySearcher
from split import SplitEngine
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's files beside a problem file that uses them all; nothing of them stays in this process."""
    monkeypatch.setattr(extensions, "_HANDED", {})
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
        monkeypatch.delitem(sys.modules, Path(name).stem, raising=False)
    path = write_tiny_problem(tmp_path)
    text = DECLARATION.replace("import EntitySet", "import EntitySet, Monitoring").replace("\ncustomers", IMPORTS, 1)
    text = DECLARATION.replace("import EntitySet", "import EntitySet, Monitoring")
    text = text.replace("\ncustomers = ", f"{IMPORTS}\ncustomers = ", 1)
    path.write_text(text.replace('    tick="15min",', f'    tick="15min",{FIELDS}'))
    return tmp_path


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
print(get_searcher("nearby").name, get_family("additive").name, TESTS["mean_shift"].name, CHANNELS["logbook"].name)
print(ENGINES["split"].name, aggregation("mean_square").name, transform("half").name, tuple(FAMILIES.built_in))
for broken in ("gone", "misnamed"):
    try:
        get_searcher(broken)
    except DeclarationError as error:
        print(error)
"""
ENTRY_POINTS = {
    "headrace.searchers": ("nearby = nearby:NearbySearcher", "gone = nearby:Gone", "misnamed = nearby:NearbySearcher"),
    "headrace.families": ("additive = additive:AdditiveFamily()",),
    "headrace.drift_tests": ("mean_shift = mean_shift:MeanShift()",),
    "headrace.alert_channels": ("logbook = logbook:Logbook()",),
    "headrace.engines": ("split = split:SplitEngine()",),
    "headrace.primitives": ("mean_square = mean_square:MEAN_SQUARE", "half = mean_square:HALF"),
}
