"""Problems by name and by file; what is wrong with a file is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.core.errors import DataError, DeclarationError, NotFoundError
from headrace.problems.catalogue import CATALOGUE, load_problem
from headrace.problems.sources.files import FileSource
from tests.tiny_problem import write_tiny_problem


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_built_in_problem_loads(name: str) -> None:
    assert load_problem(name).name == name


def test_a_file_with_sources_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_tiny_problem(tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    problem = load_problem("shop/problem.py")
    assert problem.path == path
    orders = problem.entity_set.table("orders").source
    assert orders == FileSource(tmp_path / "shop" / "orders.csv")
    assert isinstance(orders, FileSource)
    before = orders.fingerprint()
    assert orders.read().num_rows == 600
    (tmp_path / "shop" / "orders.csv").write_text("order_id\n1\n")
    assert orders.fingerprint() != before
    assert orders.read().num_rows == 1
    (tmp_path / "shop" / "orders.csv").unlink()
    with pytest.raises(DataError, match=r"orders.csv: no such file. found: customers.parquet"):
        orders.read()


def test_a_file_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    path = write_tiny_problem(tmp_path)
    (tmp_path / "beside_it.py").write_text("METRIC = 'log_loss'\n")
    path.write_text(
        "from beside_it import METRIC\n" + path.read_text().replace('    tick="15min"', "    metric=METRIC")
    )
    assert load_problem(path).metric == "log_loss"


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no problem 'fligths'. found: flights"):
        load_problem("fligths")
    with pytest.raises(NotFoundError, match=r"gone.py: no such problem file"):
        load_problem(tmp_path / "gone.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", r"broken.py: no `problem = Problem\(...\)`"),
        ("problem = 3\n", "`problem` is a int"),
        ("x = 1\nimport nothing_of_that_name\n", "line 2: ModuleNotFoundError: No module named"),
        ("x = 1\ny = (\n", "broken.py, line 2: SyntaxError"),
        ("from headrace.schema import Table\n\nTable(name='a b', key='k', source='-')\n", "line 3: 'a b' cannot name"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(DeclarationError, match=message):
        load_problem(path)
