"""Odd declarations and odd columns: refused by `headrace check` in one clear line, before anything runs; or taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.command import headrace
from tests.cli.test_cli_bad_input import declared, orders, replaced
from tests.tiny_problem import write_tiny_problem

Change = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Odd:
    """A change of a good problem, and what the one line must say; `says` empty: nothing is wrong with it."""

    name: str
    change: Change
    says: tuple[str, ...] = ()


def with_column(name: str, values: str = "amount") -> Change:
    """Orders with one more column."""
    return orders(lambda rows: rows.append_column(name, rows[values]))


def bounds(limits: str) -> Change:
    return declared('source="customers.parquet"', f'source="customers.parquet", bounds={{"discount": {limits}}}')


def field(text: str) -> Change:
    """One more field of the problem."""
    return declared("    lookbacks=", f"    {text},\n    lookbacks=")


def renamed(old: str, new: str) -> Change:
    """A column of both tables by another name."""

    def change(folder: Path) -> None:
        named = pq.read_table(folder / "customers.parquet")
        names = [new if name == old else name for name in named.column_names]
        pq.write_table(named.rename_columns(names), folder / "customers.parquet")
        orders(lambda rows: rows.rename_columns([new if name == old else name for name in rows.column_names]))(folder)
        declared(old, new)(folder)

    return change


def keys(kind: pa.DataType, children: pa.DataType | None = None) -> Change:
    """Customers' keys of one type, and of another where orders name them."""

    def change(folder: Path) -> None:
        parents = pq.read_table(folder / "customers.parquet")
        numbers = pa.array([int(key[1:]) for key in parents["customer_id"].to_pylist()])
        pq.write_table(replaced(parents, "customer_id", _as(numbers, kind)), folder / "customers.parquet")

        def childrens(rows: pa.Table) -> pa.Table:
            told = pa.array([int(key[1:]) for key in rows["customer_id"].to_pylist()])
            return replaced(rows, "customer_id", _as(told, children or kind))

        orders(childrens)(folder)

    return change


def _as(numbers: pa.Array, kind: pa.DataType) -> pa.Array:
    return numbers.cast(pa.int32()).cast(kind) if pa.types.is_date(kind) else numbers.cast(kind)


def too_long(folder: Path) -> None:
    """Keys that differ in their thirtieth digit."""
    kind = pa.decimal128(38, 0)
    orders(
        lambda rows: replaced(
            rows, "order_id", pa.array([Decimal(10**30 + number) for number in rows["order_id"].to_pylist()], kind)
        )
    )(folder)


LONG = "n" * 200
UTC_US = pa.timestamp("us", tz="UTC")

ODD = (
    Odd(name="overlong problem", change=declared('name="shop"', f'name="{LONG}"'), says=("a problem", "200 bytes")),
    Odd(name="problem in unicode", change=declared('name="shop"', 'name="größe"'), says=("'größe'", "a to z")),
    Odd(name="problem that is no text", change=declared('name="shop"', "name=7"), says=("7 cannot name a problem",)),
    Odd(name="overlong table", change=declared('name="orders"', f'name="{LONG}"'), says=("a table", "200 bytes")),
    Odd(name="overlong entity", change=field(f'entities=[Entity(name="{LONG}", join_keys=["channel"])]'),
        says=("an entity", "200 bytes")),
    Odd(name="overlong column", change=with_column(LONG), says=("orders", "more than 150 bytes", "200 bytes")),
    Odd(name="overlong key", change=renamed("customer_id", LONG), says=("an entity", "200 bytes")),
    Odd(name="nameless column", change=with_column(" "), says=("orders", "without a letter or digit")),
    Odd(name="column with a line break", change=with_column("a\nb"), says=("orders", "line breaks", r"'a\nb'")),
    Odd(name="column called cutoff", change=with_column("cutoff"), says=("orders", "kept for Headrace", "cutoff")),
    Odd(name="column called tick", change=with_column("tick"), says=("orders", "kept for Headrace", "tick")),
    Odd(
        name="join key called event_timestamp",
        change=renamed("customer_id", "event_timestamp"),
        says=("kept for Headrace", "event_timestamp"),
    ),
    Odd(name="bounds without a limit", change=bounds("(None, None)"), says=("customers.discount", "without a limit")),
    Odd(name="bounds the wrong way round", change=bounds("(2, 1)"), says=("customers.discount", "between 2 and 1")),
    Odd(name="one bound", change=bounds("(0,)"), says=("customers.discount", "(low, high)")),
    Odd(name="bounds that are texts", change=bounds('("0", "1")'), says=("customers.discount", "no numbers")),
    Odd(name="bounds that are NaN", change=bounds('(float("nan"), 1)'), says=("customers.discount", "no numbers")),
    Odd(
        name="bounds of no column",
        change=declared('source="customers.parquet"', 'source="customers.parquet", bounds={"discuont": (0, 1)}'),
        says=("customers", "bounds: no column 'discuont'", "discount"),
    ),
    Odd(
        name="role of no column",
        change=declared('source="customers.parquet"', 'source="customers.parquet", roles={"ctiy": "text"}'),
        says=("customers", "roles: no column 'ctiy'", "city"),
    ),
    Odd(name="key with a column twice", change=declared('"order_id"', '("order_id", "order_id")'), says=("twice",)),
    Odd(name="ignore as one text", change=field('ignore="orders.amount"'), says=("ignore=", "one text", "brackets")),
    Odd(name="lookbacks as one text", change=declared('("1d", "7d")', '"7d"'), says=("lookbacks=", "one text")),
    Odd(name="trials as a text", change=declared("trials=4", 'trials="4"'), says=("trials='4'", "a whole number")),
    Odd(name="no features", change=declared("max_features=20", "max_features=0"), says=("max_features=0",)),
    Odd(name="excluded whole", change=field('exclude=["*"]'), says=("leave no candidate feature",)),
    Odd(name="included is nothing", change=field('include=["*.MEEN(*)"]'), says=("leave no candidate", "MEAN(")),
    Odd(name="a spine that is a text", change=declared('each_row("orders", cutoff="placed + 1s")', '"orders"'),
        says=("spine='orders'", "each_row(")),
    Odd(name="a table that is a text", change=declared("(customers, orders)", '("customers", orders)'),
        says=("'customers' is no Table",)),
    Odd(name="a label compared with a time", change=declared("refunded_amount >= 1", "settled >= 1"),
        says=("orders.settled", "cannot be compared")),
    Odd(name="a cutoff of texts", change=declared('cutoff="placed + 1s"', 'cutoff="channel"'),
        says=("orders.channel", "cutoff", "no time")),
    Odd(name="a feed that starts at no instant", change=field('feed=Replay(start="20.2.2024")'),
        says=("'20.2.2024' is no instant",)),
    Odd(name="a feed that starts before the data", change=field('feed=Replay(start="2020-02-10")'),
        says=("no row has a mature label", "2020-02-10")),
    Odd(name="keys that are dates and texts", change=keys(pa.date32(), pa.string()),
        says=("customers.customer_id", "timestamp", "orders.customer_id", "string")),
    Odd(name="keys that are whole numbers and texts", change=keys(pa.int64(), pa.string())),
    Odd(name="keys that are decimals", change=keys(pa.decimal128(38, 10))),
    Odd(name="keys that are too long decimals", change=too_long, says=("orders.order_id", "more digits", "as text")),
    Odd(name="keys that are dates", change=keys(pa.date32())),
    Odd(name="keys that are numbers and whole numbers", change=keys(pa.int64(), pa.float64())),
    Odd(
        name="keys that are texts and dates",
        change=keys(pa.string(), pa.date32()),
        says=("no row of orders finds its row in customers", "times", "texts"),
    ),
    Odd(name="column called index", change=with_column("index")),
    Odd(name="column called time", change=with_column("time")),
    Odd(name="column called select", change=with_column("select")),
    Odd(name="column with a slash", change=with_column("a/b")),
    Odd(name="column in unicode", change=with_column("größe_日本 €")),
    Odd(name="key that is a time", change=declared('key="order_id"', 'key=("customer_id", "placed")')),
    Odd(name="a lookback beyond 64 bits", change=declared('"7d")', '"999999999d")'), says=("a thousand years",)),
    Odd(name="lookback longer than the data", change=declared('"7d")', '"9000d")')),
    Odd(name="tick longer than the lookbacks", change=declared('tick="15min"', 'tick="30d"')),
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_check_takes_it_or_says_what_is_wrong_in_one_line(odd: Odd, tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=120)
    problem.write_text(problem.read_text().replace("EntitySet, Problem", "Entity, EntitySet, Problem, Replay"))
    odd.change(problem.parent)
    outcome = headrace("check", str(problem), home=tmp_path / "home")
    assert "Traceback" not in outcome.out + outcome.err
    assert (outcome.code, len(outcome.errors)) == ((1, 1) if odd.says else (0, 0)), outcome.out + outcome.err
    for said in odd.says:
        assert said in outcome.errors[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (field('exclude=["*.MEEN(*)", "amount"]'), ("exclude: no candidate feature fits '*.MEEN(*)'", "MEAN(")),
        (field('include=["*.MEAN(*)", "*amuont*"]'), ("include: no candidate feature fits '*amuont*'", "amount")),
        (with_column("Amount"), ("orders: 'Amount'", "'amount' by case")),
        (orders(lambda rows: rows.slice(0, 30)), ("a run will stop", "time windows", "load more history")),
        (field('feed=Replay(start="2025-02-10")'), ("the feed starts at 2025-02-10", "nothing is replayed")),
        (field('feed=Replay(start="2024-02-20", steps=90)'), ("the feed ends at", "steps are empty")),
    ],
)
def test_what_is_odd_but_can_be_done_is_a_warning(change: Change, says: tuple[str, ...], tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=300)
    problem.write_text(problem.read_text().replace("EntitySet, Problem", "EntitySet, Problem, Replay"))
    change(problem.parent)
    outcome = headrace("check", str(problem), home=tmp_path / "home")
    assert (outcome.code, outcome.errors) == (0, []), outcome.errors
    (warning,) = [line for line in outcome.out.splitlines() if line.startswith("warning: ")]
    for said in says:
        assert said in warning


def test_nothing_is_said_of_an_ignored_column(tmp_path: Path) -> None:
    problem = write_tiny_problem(tmp_path / "problem", orders=120)
    orders(lambda rows: rows.append_column("odd", rows["placed"].cast(pa.timestamp("us"))))(problem.parent)
    assert headrace("check", str(problem), home=tmp_path / "home").code == 1
    field('ignore=["orders.odd"]')(problem.parent)
    assert headrace("check", str(problem), home=tmp_path / "home").code == 0
