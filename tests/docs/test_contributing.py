"""Each addition of CONTRIBUTING's table is really made in a copy of the sources: files are counted, and it works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from tests.docs.test_extending import FILES

SOURCE = Path("src/headrace")
PROBLEM = '''"""A built-in problem for a test."""

from headrace.schema import EntitySet, Problem, Table, each_row

orders = Table(name="orders", key="order_id", time="placed", source="orders.csv")
problem = Problem(
    name="added", entity_set=EntitySet(tables=(orders,)), spine=each_row("orders", cutoff="placed"), label="amount >= 3"
)
'''
STAGE = '''"""The stage `added`: writes a file."""

from dataclasses import dataclass

from headrace.pipeline.stage import Stage


@dataclass(frozen=True, kw_only=True)
class AddedOutput:
    """file: the name of the file that was written."""

    file: str


def _added(context, inputs, folder):
    (folder / "added.txt").write_text("added")
    return AddedOutput(file="added.txt")


ADDED = Stage(name="added", output=AddedOutput, run=_added)
'''
TWIN = '''"""Twin of the aggregation `mean_square`."""


def _mean_square(observations):
    values = [value for _, value in observations if value is not None]
    return sum(value * value for value in values) / len(values) if values else None


MEAN_SQUARE = {"mean_square": _mean_square}
'''


@dataclass(frozen=True, kw_only=True)
class Addition:
    """files: new ones, below src/headrace, with their text. lines: file -> (what is there, what comes after it), ...

    check: Python that fails unless the addition works.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, tuple[tuple[str, str], ...]]
    check: str

    def make(self, source: Path) -> int:
        """Make it in a copy of src/headrace; how many files it touches."""
        for name, text in self.files.items():
            path = source / name
            assert not path.exists()
            path.write_text(text)
        for name, changes in self.lines.items():
            text = (source / name).read_text()
            for there, added in changes:
                assert text.count(there) == 1, f"{name}: {there!r}"
                text = text.replace(there, there + added)
            (source / name).write_text(text)
        return len(self.files) + len(self.lines)


ADDITIONS = {
    "a searcher": Addition(
        files={"search/searchers/nearby.py": FILES["nearby.py"]},
        lines={
            "search/searchers/__init__.py": (
                (
                    '"auto": LazySearcher(f"{__name__}.auto", "AutoSearcher"),',
                    '\n        "nearby": LazySearcher(f"{__name__}.nearby", "NearbySearcher"),',
                ),
            )
        },
        check="from headrace.search.searchers import SEARCHERS; assert 'nearby' in SEARCHERS.built_in",
    ),
    "a model family": Addition(
        files={"models/families/additive.py": FILES["additive.py"]},
        lines={
            "models/families/__init__.py": (
                ("import Catalogue\n", "from headrace.models.families.additive import AdditiveFamily\n"),
                ("for family in (LightGBM(), Linear(), XGBoost(), CatBoost()", ", AdditiveFamily()"),
            )
        },
        check=(
            "from headrace.models.families import FAMILIES, warm_start;"
            "assert 'additive' in FAMILIES.built_in;"
            "assert warm_start(['additive'])[0]['family'] == 'additive'"
        ),
    ),
    "a drift test": Addition(
        files={"monitor/drift_tests/mean_shift.py": FILES["mean_shift.py"]},
        lines={
            "monitor/drift_tests/__init__.py": (
                (
                    "from headrace.monitor.drift_tests.ks import KS\n",
                    "from headrace.monitor.drift_tests.mean_shift import MeanShift\n",
                ),
                ("JS, WASSERSTEIN", ", MeanShift()"),
            )
        },
        check="from headrace.monitor.drift_tests import TESTS; assert 'mean_shift' in TESTS.built_in",
    ),
    "an alert channel": Addition(
        files={"monitor/alerts/logbook.py": FILES["logbook.py"]},
        lines={
            "monitor/alerts/channel.py": (
                (
                    "from headrace.core.extensions import Catalogue\n",
                    "from headrace.monitor.alerts.logbook import Logbook\n",
                ),
                ('Catalogue("alert_channel", {', '"logbook": Logbook()'),
            )
        },
        check=(
            "from headrace.monitor.alerts.delivery import check_addresses;"
            "assert check_addresses(['logbook://tmp/alerts.txt']) == ('logbook://',)"
        ),
    ),
    "an engine": Addition(
        files={
            "synthesis/engines/split.py": FILES["split.py"].replace(
                "from headrace.synthesis.engines import", "from headrace.synthesis.engines.local import"
            )
        },
        lines={
            "synthesis/engines/__init__.py": (
                (
                    "from headrace.synthesis.engines.memory.limited import MemoryLimitedEngine\n",
                    "from headrace.synthesis.engines.split import SplitEngine\n",
                ),
                ('"local": LocalEngine()', ', "split": SplitEngine()'),
            )
        },
        check="from headrace.synthesis.engines import ENGINES; assert 'split' in ENGINES.built_in",
    ),
    "a family of aggregations": Addition(
        files={
            "synthesis/primitives/aggregations/mean_square.py": FILES["mean_square.py"]
            .partition("HALF =")[0]
            .replace(
                "from headrace.synthesis.primitives import", "from headrace.synthesis.primitives.aggregation import"
            )
            .replace(", twin=twin", ""),
            "synthesis/oracle/aggregations/mean_square.py": TWIN,
        },
        lines={
            "synthesis/primitives/catalogue.py": (
                (
                    "from headrace.synthesis.primitives.aggregations.gaps import GAPS\n",
                    "from headrace.synthesis.primitives.aggregations.mean_square import MEAN_SQUARE\n",
                ),
                ("    DECAY,\n    TREND,\n", "    MEAN_SQUARE,\n"),
            ),
            "synthesis/oracle/aggregations/__init__.py": (
                (
                    "from headrace.synthesis.oracle.aggregations.gaps import GAPS\n",
                    "from headrace.synthesis.oracle.aggregations.mean_square import MEAN_SQUARE\n",
                ),
                ("    **TREND,\n", "    **MEAN_SQUARE,\n"),
            ),
        },
        check=(
            "from headrace.synthesis.primitives.catalogue import AGGREGATIONS;"
            "from headrace.synthesis.oracle.aggregations import AGGREGATION_TWINS;"
            "assert 'mean_square' in AGGREGATIONS and set(AGGREGATION_TWINS) == set(AGGREGATIONS)"
        ),
    ),
    "a metric": Addition(
        lines={
            "evaluate/metrics.py": (
                (
                    "binary=True, resampled=_mean(_squared_rows)),\n",
                    '        Metric(name="mse", greater_is_better=False, binary=False, '
                    "resampled=_mean(_squared_rows)),\n",
                ),
            ),
            "schema/metrics.py": (('"rmse", "mae"', ', "mse"'),),
        },
        check=(
            "from headrace.evaluate.metrics import METRICS; from headrace.schema.metrics import METRICS as DECLARED;"
            "assert set(METRICS) == set(DECLARED) and 'mse' in DECLARED"
        ),
    ),
    "a built-in problem": Addition(
        files={"problems/added.py": PROBLEM},
        lines={
            "problems/catalogue.py": (
                ('"nafld": "headrace.problems.nafld:problem",', '\n    "added": "headrace.problems.added:problem",'),
            )
        },
        check="from headrace.problems.catalogue import load_problem; assert load_problem('added').name == 'added'",
    ),
    "a stage": Addition(
        files={"pipeline/stages/added.py": STAGE},
        lines={
            "pipeline/catalogue.py": (
                (
                    "from headrace.pipeline.stage import Stage\n",
                    "from headrace.pipeline.stages.added import ADDED\n",
                ),
                ("\nSTAGES: tuple[Stage[Any], ...] = (\n    INGEST,\n    SYNTHESISE,\n    SELECT,\n", "    ADDED,\n"),
            )
        },
        check="from headrace.pipeline.catalogue import STAGES; assert 'added' in [stage.name for stage in STAGES]",
    ),
}
#: A built-in member and the test that it inherits by its line in the catalogue.
INHERITED = {
    "a searcher": ("tests/search/test_search_searchers.py", "nearby"),
    "a model family": ("tests/models/test_models_families.py", "additive"),
    "a drift test": ("tests/monitor/test_drift_tests.py", "mean_shift"),
    "a family of aggregations": ("tests/synthesis/test_primitives_aggregations.py", "mean_square"),
}


def _table() -> dict[str, list[str]]:
    rows = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| a")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in cells if row[0] != "addition"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources and tests with every addition made; fails where one of them touches other files than it says."""
    folder = tmp_path_factory.mktemp("scratch")
    ignored = shutil.ignore_patterns("__pycache__", "flows")
    shutil.copytree(ROOT / SOURCE, folder / SOURCE, ignore=ignored)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(scope="module")
def touched(copy: Path) -> dict[str, int]:
    return {name: addition.make(copy / SOURCE) for name, addition in ADDITIONS.items()}


def _python(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "NUMBA_CACHE_DIR": str(folder / "numba")}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_table_says_how_many_files_each_addition_touches(touched: dict[str, int]) -> None:
    assert {name: int(cells[2]) for name, cells in _table().items()} == touched


def test_each_addition_works_in_the_copy(copy: Path, touched: dict[str, int]) -> None:
    assert touched
    checks = "\n".join(addition.check for addition in ADDITIONS.values())
    where = f"import headrace; assert headrace.__file__.startswith({str(copy)!r}), headrace.__file__"
    _python(copy, "-c", f"{where}\n{checks}")


def test_the_new_files_are_where_the_table_says() -> None:
    table = _table()
    for name, addition in ADDITIONS.items():
        for path in addition.files:
            assert f"`headrace/{Path(path).parent}/`" in table[name][0], name
        for path in addition.lines:
            assert any(path.endswith(cell.strip("` ")) for cell in table[name][1].split(",")), name


@pytest.mark.chaos
@pytest.mark.parametrize("name", INHERITED)
def test_a_built_in_addition_inherits_its_suite(name: str, copy: Path, touched: dict[str, int]) -> None:
    assert touched
    path, member = INHERITED[name]
    out = _python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", path, "-k", member)
    assert int(out.split(" passed")[0].split()[-1]) >= 5, out
