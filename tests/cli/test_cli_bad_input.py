"""Everything that can be wrong with what a user brings: one clear error, exit code 1, no traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from headrace.cli import main
from tests.cli.command import Outcome, headrace
from tests.tiny_problem import write_tiny_problem


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How a good problem is broken, and what the one error must say."""

    name: str
    damage: Callable[[Path], None]
    says: tuple[str, ...]


def declared(old: str, new: str) -> Callable[[Path], None]:
    """A change of the declaration."""

    def damage(folder: Path) -> None:
        text = (folder / "problem.py").read_text()
        assert old in text
        (folder / "problem.py").write_text(text.replace(old, new))

    return damage


def orders(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    """A change of orders, kept as Parquet so that every value arrives as it was written."""

    def damage(folder: Path) -> None:
        rows = pyarrow.csv.read_csv(folder / "orders.csv")
        utc = pa.timestamp("us", tz="UTC")
        for name in ("placed", "settled"):
            rows = replaced(rows, name, rows[name].cast(utc))
        pq.write_table(change(rows), folder / "orders.parquet")
        declared("orders.csv", "orders.parquet")(folder)

    return damage


def replaced(rows: pa.Table, name: str, values: object) -> pa.Table:
    """Rows with other values in a column."""
    return rows.set_column(rows.column_names.index(name), name, values)


def first_label(value: float) -> Callable[[Path], None]:
    """One value of the label's column."""

    def change(rows: pa.Table) -> pa.Table:
        label = np.array(rows["refunded_amount"].to_numpy())
        label[0] = value
        return replaced(rows, "refunded_amount", pa.array(label))

    return orders(change)


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    """A change of the lines of orders.csv."""

    def damage(folder: Path) -> None:
        path = folder / "orders.csv"
        path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))

    return damage


def spoilt(line: str, column: str) -> str:
    """A line of orders.csv with a word in a column."""
    values = line.split(",")
    values[("order_id", "customer_id", "placed", "amount").index(column)] = "dear"
    return ",".join(values)


def without(column: str) -> Callable[[Path], None]:
    """Orders that lack a column."""
    return orders(lambda rows: rows.drop_columns([column]))


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(text: str) -> Callable[[Path], None]:
    """Another text as the declaration."""

    def damage(folder: Path) -> None:
        (folder / "problem.py").write_text(text)

    return damage


def ahead(label: str) -> Callable[[Path], None]:
    """Another label, of what happens after the cutoff."""
    return declared('label="refunded_amount >= 1"', f"label={label!r}")


FAULTS = (
    Fault(name="missing source", damage=remove("orders.csv"), says=("orders.csv", "no such file", "customers.parquet")),
    Fault(name="missing key column", damage=without("order_id"), says=("orders", "order_id", "amount")),
    Fault(name="missing time column", damage=without("placed"), says=("orders", "placed")),
    Fault(name="missing label column", damage=without("refunded_amount"), says=("orders", "refunded_amount")),
    Fault(name="missing join key", damage=without("customer_id"), says=("orders", "customer_id")),
    Fault(name="missing known time", damage=without("settled"), says=("orders", "settled")),
    Fault(
        name="missing column of the cutoff",
        damage=declared('cutoff="placed + 1s"', 'cutoff="paid + 1s"'),
        says=("orders", "paid"),
    ),
    Fault(
        name="unknown target",
        damage=declared('label="refunded_amount >= 1"', 'label="sent_back >= 1"'),
        says=("orders", "sent_back", "refunded_amount"),
    ),
    Fault(
        name="label that is no expression",
        damage=declared('label="refunded_amount >= 1"', 'label="refunded_amount =>= 1"'),
        says=("problem.py", "refunded_amount =>= 1"),
    ),
    Fault(
        name="unknown table in a relationship",
        damage=declared('Relationship("customers.', 'Relationship("clients.'),
        says=("problem.py", "clients"),
    ),
    Fault(
        name="text among numbers",
        damage=lines(lambda all_lines: [*all_lines[:2], spoilt(all_lines[2], "amount"), *all_lines[3:]]),
        says=("orders.amount, row 2", "'dear'"),
    ),
    Fault(
        name="naive timestamps",
        damage=orders(lambda rows: replaced(rows, "placed", rows["placed"].cast(pa.timestamp("us")))),
        says=("placed", "no time zone", "offset"),
    ),
    Fault(
        name="naive timestamps in a CSV",
        damage=lines(lambda all_lines: [line.replace("Z,", ",") for line in all_lines]),
        says=("placed", "no time zone"),
    ),
    Fault(
        name="times that are numbers",
        damage=orders(lambda rows: replaced(rows, "placed", rows["order_id"])),
        says=("orders.placed", "not a time: 0"),
    ),
    Fault(
        name="duplicate keys",
        damage=lines(lambda all_lines: [*all_lines, all_lines[1]]),
        says=("orders", "1 duplicate key", "order_id"),
    ),
    Fault(name="empty table", damage=lines(lambda all_lines: all_lines[:1]), says=("orders", "no rows")),
    Fault(name="empty file", damage=lines(lambda all_lines: []), says=("empty",)),
    Fault(
        name="one-class label",
        damage=declared('label="refunded_amount >= 1"', 'label="refunded_amount >= 1000000"'),
        says=("one class", "refunded_amount >= 1000000"),
    ),
    Fault(
        name="unknown primitive in a label with a horizon",
        damage=ahead('number("orders", horizon="2d") > 0'),
        says=("number", "count"),
    ),
    Fault(
        name="unknown column in a label with a horizon",
        damage=ahead('max("orders.price", horizon="2d") > 0'),
        says=("orders", "price"),
    ),
    Fault(
        name="text summed in a label with a horizon",
        damage=ahead('sum("orders.channel", horizon="2d") > 0'),
        says=("orders", "channel"),
    ),
    Fault(
        name="label with a horizon that is no number",
        damage=ahead('last_time("orders.placed", horizon="2d") > 0'),
        says=("last_time", "no number"),
    ),
    Fault(
        name="one-class label with a horizon",
        damage=ahead('count("orders", horizon="2d") >= 0'),
        says=("one class", "count"),
    ),
    Fault(
        name="label with a horizon longer than history",
        damage=ahead('count("orders", horizon="900d") > 0'),
        says=("no row has a mature label",),
    ),
    Fault(name="NaN label", damage=first_label(np.nan), says=("orders.refunded_amount", "NaN")),
    Fault(name="infinite label", damage=first_label(np.inf), says=("orders.refunded_amount", "infinite")),
    Fault(name="no problem in the file", damage=write("x = 1\n"), says=("problem.py", "problem = Problem(...)")),
    Fault(name="syntax error", damage=write("problem = (\n"), says=("problem.py", "line 1", "SyntaxError")),
    Fault(name="file that fails", damage=write("import no_such_thing\n"), says=("line 1", "no_such_thing")),
)


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_one_clear_error(fault: Fault, command: str, tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=120)
    fault.damage(problem.parent)
    outcome = headrace(command, str(problem), home=tmp_path / "home")
    assert outcome.code == 1
    error = outcome.errors[0]
    assert len(outcome.errors) == (2 if (command, fault.name) == ("check", "naive timestamps in a CSV") else 1)
    for said in fault.says:
        assert said in error
    assert "Traceback" not in outcome.out + outcome.err


@pytest.mark.parametrize("command", ["check", "run", "status"])
def test_an_unknown_problem(command: str, tmp_path: Path) -> None:
    outcome = headrace(command, "fligths", home=tmp_path / "home")
    assert outcome == Outcome(
        code=1,
        out="",
        err="headrace: no problem 'fligths'. found: flights, nafld. name one of these, or the path of a .py file.\n",
    )
    assert "no such problem file" in headrace(command, "no/such.py", home=tmp_path / "home").err


@pytest.mark.parametrize("trials", ["0", "-3"])
def test_a_search_of_no_trials_is_refused_before_anything_is_done(trials: str, tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=120)
    outcome = headrace("run", str(problem), "--trials", trials, home=tmp_path / "home")
    (error,) = outcome.errors
    assert (outcome.code, f"a study needs a positive budget, not {trials} trials" in error) == (1, True)
    assert not (tmp_path / "home" / "stages").exists()


def test_a_limit_that_is_no_size_is_refused(tmp_path: Path) -> None:
    outcome = headrace("run", "flights", "--max-memory", "much", home=tmp_path / "home")
    assert outcome.code == 1
    assert outcome.errors == ["headrace: --max-memory: 'much' is no size. write it as 2GB, 512MB or 1.5GiB."]


def test_nothing_wrong(tmp_path: Path) -> None:
    outcome = headrace("check", str(write_tiny_problem(tmp_path)), home=tmp_path / "home")
    assert (outcome.code, outcome.errors) == (0, [])
    assert "orders: 600 rows" in outcome.out
    assert "nothing wrong" in outcome.out
    assert not (tmp_path / "home").exists()


def test_several_faults_are_told_at_once_by_check(tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path)
    remove("customers.parquet")(tmp_path)
    without("placed")(tmp_path)
    outcome = headrace("check", str(problem), home=tmp_path / "home")
    assert outcome.code == 1
    assert len(outcome.errors) == 2


def test_a_label_known_at_its_cutoff_is_told_by_check(tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path)
    declared('"refunded_amount": "settled", ', "")(tmp_path)
    outcome = headrace("check", str(problem), home=tmp_path / "home")
    assert (outcome.code, len(outcome.errors)) == (1, 1)
    assert "orders.refunded_amount: the label is declared as known at its cutoff" in outcome.errors[0]
    assert 'known_at={"refunded_amount": "placed + 3d"}' in outcome.errors[0]


def test_an_empty_name_of_the_state_folder_is_not_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["headrace", "status", "--home", ""])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "the name of the folder is empty" in capsys.readouterr().err
