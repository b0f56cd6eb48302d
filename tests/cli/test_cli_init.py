"""`headrace init` on data of strangers: its file passes `check`, a run trains on it, and no column leaks."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.problems.catalogue import load_problem
from tests.cli.command import Outcome, headrace
from tests.cli.first_hour_data import write_library, write_sales

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEADRACE_WORKERS", "1")
    return tmp_path


def init(*arguments: str, home: Path) -> Outcome:
    outcome = headrace("init", *arguments, home=home)
    assert "Traceback" not in outcome.err
    return outcome


def test_a_database_with_five_tables(folder: Path) -> None:
    write_library(folder / "library.db", loans=900)
    outcome = init("sqlite:///library.db", "--target", "loan.returned_damaged", "--yes", home=folder)
    assert outcome.code == 0, outcome
    problem = load_problem("./library.py")
    assert {table.name: table.key for table in problem.entity_set.tables} == {
        "author": "author_id", "book": "book_id", "branch": "branch_id", "loan": "loan_id", "member": "member_id",
    }  # fmt: skip
    links = {f"{item.parent} {item.child}" for item in problem.entity_set.relationships}
    assert links == {
        "author.author_id book.author_id",
        "book.book_id loan.book_id",
        "branch.branch_id member.branch_id",
        "member.member_id loan.member_id",
    }
    loan, member = problem.entity_set.table("loan"), problem.entity_set.table("member")
    # What comes back with the book is known when it is back; a plan is known with its row.
    assert loan.known_at == dict.fromkeys(("returned_at", "returned_damaged", "fine"), "returned_at")
    assert member.known_at == {"closed_at": "closed_at", "closing_reason": "closed_at"}
    assert (problem.label, problem.cutoff.column, loan.tz) == ("returned_damaged == 1", "borrowed", "UTC")
    ran = headrace("run", "./library.py", "--trials", "1", home=folder / "home")
    assert ran.code == 0, ran
    assert "is champion" in ran.out


def test_a_csv_with_a_time_column(folder: Path) -> None:
    write_sales(folder / "sales.csv", hours=400)
    outcome = init("sales.csv", "--target", "sold", "--tz", "Europe/Zurich", "--yes", home=folder)
    assert outcome.code == 0, outcome
    assert "sales.revenue: almost determines the label" in outcome.out
    problem = load_problem("./sales.py")
    (table,) = problem.entity_set.tables
    assert (table.keys, table.time, table.tz, problem.metric) == (("when", "shop"), "when", "Europe/Zurich", "rmse")
    assert table.known_at == {"sold": "when + 1h", "revenue": "when + 1h"}
    assert [entity.name for entity in problem.entities] == ["shop"]
    assert headrace("check", "./sales.py", home=folder).code == 0


def test_yearly_tables_and_what_a_table_without_a_time_must_not_tell(folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    people = [f"p{i:02d}" for i in range(30)]
    pq.write_table(
        pa.table(
            {
                "personID": people,
                "birthYear": [1950 + i % 30 if i else None for i in range(30)],
                "deathYear": [2015 if i % 5 == 0 else None for i in range(30)],
                "deathCity": ["Bern" if i % 5 == 0 else None for i in range(30)],
            }
        ),
        data / "People.parquet",
    )
    seasons = [(who, year) for who in people for year in range(1990, 2010)]
    pq.write_table(
        pa.table(
            {
                "personID": [who for who, _ in seasons],
                "yearID": [year for _, year in seasons],
                "hits": [(int(who[1:]) * 7 + year) % 23 for who, year in seasons],
                "grade": ["1" if number % 20 else "1;2" for number in range(len(seasons))],
            }
        ),
        data / "Seasons.parquet",
    )
    outcome = init("data", "--name", "league", "--target", "hits > 11", "--yes", home=folder)
    assert outcome.code == 0, outcome
    problem = load_problem("./league.py")
    seasons_table = problem.entity_set.table("Seasons")
    assert (seasons_table.key, seasons_table.time, seasons_table.resolution) == (("personID", "yearID"), "yearID", "1y")
    assert problem.ignore == ("People.deathYear", "People.deathCity")
    assert problem.monitoring.window == "366d"
    assert problem.lookbacks[0] == "1y"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such file or folder"),
        (["sqlite:///nowhere.db"], "no such database file"),
        (["sales.csv", "--target", "solt"], "no column 'solt' to predict. found: sales.sold"),
        (["sales.csv", "--target", "when"], "when identifies or times its row"),
        (["sales.csv", "--target", "sold", "--tz", "Zurich"], "no time zone 'Zurich'"),
        (["sales.csv", "--target", "sold", "--out", "there.py"], "there.py: the file exists"),
        (["postgresql://me:secret@localhost:1/x"], "postgresql://***"),
    ],
)
def test_what_cannot_be_proposed_is_one_line(folder: Path, arguments: list[str], message: str) -> None:
    write_sales(folder / "sales.csv", hours=60)
    (folder / "there.py").touch()
    outcome = init(*arguments, "--yes", home=folder)
    assert outcome.code == 1
    (error,) = outcome.errors
    assert message in error
    assert "secret" not in outcome.out + outcome.err


def test_what_is_not_told_is_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sales(folder / "sales.csv", hours=60)
    answers = iter(["sold >= 6", "Europe/Zurich"])
    monkeypatch.setattr("typer.prompt", lambda question, default: next(answers))
    assert init("sales.csv", home=folder).code == 0
    problem = load_problem("./sales.py")
    assert (problem.label, problem.entity_set.tables[0].tz) == ("sold >= 6", "Europe/Zurich")
