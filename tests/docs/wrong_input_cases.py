"""The wrong inputs of docs/wrong-inputs.md."""

from __future__ import annotations

from pathlib import Path

from tests.docs.wrong_inputs import ORDERS, Wrong, both, data, edit, encoded, field, file, table_field

DECLARED, FILES, KEYS, TIMES, VALUES = "Declarations", "Files and encodings", "Keys and joins", "Times", "Values"
LABELS, REQUESTS = "Labels and windows", "API requests"


def no_file(folder: Path) -> str:
    return str(folder / "shup.py")


def missing_orders(folder: Path) -> None:
    (folder / "orders.csv").unlink()


def day_numbers(folder: Path) -> None:
    """Days as a spreadsheet counts them."""
    head, *lines = ORDERS.splitlines()
    rows = [line.split(",") for line in lines]
    numbered = [",".join([*row[:2], str(45_000 + number), *row[3:]]) for number, row in enumerate(rows)]
    (folder / "orders.csv").write_text("\n".join([head, *numbered]) + "\n")


def customers_since(folder: Path) -> None:
    """One more column of customers, with dates."""
    head, *lines = (folder / "customers.csv").read_text().splitlines()
    dated = [f"{line},2023-0{number % 9 + 1}-01" for number, line in enumerate(lines)]
    (folder / "customers.csv").write_text("\n".join([f"{head},since", *dated]) + "\n")


OWN_SOURCE = """class Own:
    def fingerprint(self):
        return "1"

    def read(self):
        return [1, 2]


customers = Table"""
SINGLE = '    label="refunded > 0",'

CASES = (
    Wrong(group=DECLARED, what="a problem file that is not there", change=no_file),
    Wrong(group=DECLARED, what="an unknown built-in problem", change=lambda _: "flight"),
    Wrong(group=DECLARED, what="a syntax error", change=edit("problem = Problem(", "problem = Problem((")),
    Wrong(group=DECLARED, what="no `problem` in the file", change=edit("problem = Problem(", "shop = Problem(")),
    Wrong(group=DECLARED, what="an unknown field of the problem", change=edit("trials=2", "trails=2")),
    Wrong(group=DECLARED, what="an unknown field of a table", change=edit('time="placed"', 'tme="placed"')),
    Wrong(group=DECLARED, what="an unknown field of Monitoring", change=edit('window="7d"', 'windows="7d"')),
    Wrong(group=DECLARED, what="a field that is missing", change=edit(f"{SINGLE}\n", "")),
    Wrong(
        group=DECLARED,
        what="fields without their names",
        change=edit('Table(name="customers", key=', 'Table("customers", '),
    ),
    Wrong(group=DECLARED, what="an unknown name", change=edit("each_row(", "eachrow(")),
    Wrong(group=DECLARED, what="an unknown import", change=edit("Entity, EntitySet", "Entity, EntitiySet, EntitySet")),
    Wrong(group=DECLARED, what="a text where a number belongs", change=edit("trials=2", 'trials="many"')),
    Wrong(group=DECLARED, what="a text where a list belongs", change=edit('lookbacks=["1d", "7d"]', 'lookbacks="1d"')),
    Wrong(group=DECLARED, what="a duration that is none", change=edit('"7d"]', '"7 dayz"]')),
    Wrong(group=DECLARED, what="a number as a duration", change=edit('"7d"]', "7]")),
    Wrong(group=DECLARED, what="a month where a fixed length is needed", change=edit('window="7d"', 'window="1mo"')),
    Wrong(group=DECLARED, what="an unknown metric", change=field('metric="accuracy"')),
    Wrong(group=DECLARED, what="a metric for another kind of label", change=field('metric="rmse"')),
    Wrong(group=DECLARED, what="an unknown searcher", change=field('searcher="grid"')),
    Wrong(group=DECLARED, what="an unknown model family", change=field('families=["forest"]')),
    Wrong(group=DECLARED, what="an unknown primitive", change=field('primitives=["MEEN"]')),
    Wrong(group=DECLARED, what="a name with a blank", change=edit('name="shop"', 'name="my shop"')),
    Wrong(group=DECLARED, what="an unknown role", change=table_field('roles={"amount": "number"}')),
    Wrong(group=DECLARED, what="a role for an unknown column", change=table_field('roles={"amuont": "numeric"}')),
    Wrong(group=DECLARED, what="bounds the wrong way round", change=table_field('bounds={"amount": (100, 1)}')),
    Wrong(group=DECLARED, what="a depth beyond 3", change=field("depth=4")),
    Wrong(group=DECLARED, what="k of n with k above n", change=field("policy=Policy(k=4, n=3)")),
    Wrong(group=DECLARED, what="an unknown drift test", change=edit('window="7d"', 'window="7d", drift_tests=["kss"]')),
    Wrong(group=FILES, what="a file that is not there", change=missing_orders),
    Wrong(group=FILES, what="an empty file", change=file("orders.csv", b"")),
    Wrong(group=FILES, what="a header without rows", change=file("orders.csv", ORDERS.splitlines()[0].encode())),
    Wrong(
        group=FILES,
        what="a format that is not read",
        change=both(file("orders.xlsx", b"PK"), edit("orders.csv", "orders.xlsx")),
    ),
    Wrong(
        group=FILES, what="semicolons between the values", change=file("orders.csv", ORDERS.replace(",", ";").encode())
    ),
    Wrong(
        group=FILES,
        what="semicolons, and decimal commas",
        change=file("orders.csv", ORDERS.replace(",", ";").replace(".5", ",5").encode()),
    ),
    Wrong(group=FILES, what="tabs between the values", change=file("orders.csv", ORDERS.replace(",", "\t").encode())),
    Wrong(group=FILES, what="Latin-1 instead of UTF-8", change=encoded("latin-1")),
    Wrong(group=FILES, what="UTF-16 instead of UTF-8", change=encoded("utf-16")),
    Wrong(group=FILES, what="a row with a value too many", change=data(",20.5,", ",20.5,1,", 1)),
    Wrong(
        group=FILES,
        what="a CSV that is called Parquet",
        change=both(file("orders.parquet", ORDERS.encode()), edit("orders.csv", "orders.parquet")),
    ),
    Wrong(group=FILES, what="an address without a table", change=edit("orders.csv", "postgresql://shop.example/shop")),
    Wrong(group=FILES, what="a pattern that fits no file", change=edit("orders.csv", "orders-*.csv")),
    Wrong(
        group=FILES,
        what="a folder that is a table of Delta",
        change=both(file("orders/_delta_log/0.json", b"{}"), edit("orders.csv", "orders")),
    ),
    Wrong(group=FILES, what="a database that is not there", change=edit("orders.csv", "duckdb:///shop.duckdb#orders")),
    Wrong(group=FILES, what="a cursor that is no column", change=edit('key="order_id"', 'key="order_id", cursor="no"')),
    Wrong(
        group=FILES,
        what="null texts that are no list",
        change=edit('key="order_id"', 'key="order_id", null_values="NA"'),
    ),
    Wrong(group=FILES, what="a source without read()", change=edit('source="orders.csv"', "source=42")),
    Wrong(
        group=FILES,
        what="a source that returns no Arrow table",
        change=both(edit("customers = Table", OWN_SOURCE), edit('source="orders.csv"', "source=Own()")),
    ),
    Wrong(group=FILES, what="two columns of one name", change=data("amount", "settled", 1)),
    Wrong(group=KEYS, what="a key column that is not there", change=edit('key="order_id"', 'key="id"')),
    Wrong(group=KEYS, what="rows without a key", change=both(data("\n3,", "\n,", 1), data("\n7,", "\n,", 1))),
    Wrong(group=KEYS, what="a key twice", change=data("\n3,", "\n4,", 1)),
    Wrong(group=KEYS, what="no row finds its parent: another type", change=data(",c0", ",")),
    Wrong(group=KEYS, what="no row finds its parent: another spelling", change=data(",c0", ",C0")),
    Wrong(group=KEYS, what="no row finds its parent: blanks", change=data(",c0", ", c0")),
    Wrong(group=KEYS, what="some rows find no parent", change=data(",c03", ",x03"), warning=True),
    Wrong(
        group=KEYS,
        what="a relationship to no table",
        change=edit('"customers.customer_id", ', '"clients.customer_id", '),
    ),
    Wrong(
        group=KEYS,
        what="a relationship that starts at no key",
        change=edit('"customers.customer_id", ', '"customers.city", '),
    ),
    Wrong(
        group=KEYS,
        what="a relationship from a column that is not there",
        change=edit('"orders.customer_id"', '"orders.customer"'),
    ),
    Wrong(group=TIMES, what="a time in a table that is no parent", change=edit('time="placed"', 'time="shops.opened"')),
    Wrong(
        group=TIMES,
        what="a time that the parent does not have",
        change=edit('time="placed"', 'time="customers.joined"'),
    ),
    Wrong(group=TIMES, what="times without a zone", change=data("Z,", ","), lines=2),
    Wrong(group=TIMES, what="an unknown zone", change=table_field('tz="Europe/Zuerich"')),
    Wrong(
        group=TIMES,
        what="a time that the zone's clock skips",
        change=both(table_field('tz="Europe/Zurich"'), data("2024-02-28T10:00:00Z", "2024-03-31T02:30:00")),
    ),
    Wrong(group=TIMES, what="dates without a resolution", change=data("T10:00:00Z", "")),
    Wrong(group=TIMES, what="years without a resolution", change=edit("2024-01-01T10:00:00Z", "2024", "orders.csv")),
    Wrong(group=TIMES, what="a time that is none", change=data("2024-01-04T10:00:00Z", "4 Jan 2024")),
    Wrong(group=TIMES, what="a spreadsheet's day numbers", change=day_numbers),
    Wrong(group=TIMES, what="rows without a time", change=data("2024-01-04T10:00:00Z", "")),
    Wrong(group=TIMES, what="a time column that is not there", change=edit('time="placed"', 'time="at"'), lines=1),
    Wrong(group=TIMES, what="a known time without a time", change=edit('    time="placed",\n', "")),
    Wrong(group=TIMES, what="a known time that is no expression", change=edit('"settled"}', '"settled plus 1d"}')),
    Wrong(group=TIMES, what="a table without a time that has times", change=customers_since, warning=True),
    Wrong(
        group=TIMES,
        what="a monitored window shorter than the cadence",
        change=edit('window="7d"', 'window="1h", every="1h"'),
        warning=True,
    ),
    Wrong(group=TIMES, what="a feed after the data", change=field('feed=Replay(start="2030-01-01")'), warning=True),
    Wrong(group=TIMES, what="a feed's start that is no instant", change=field('feed=Replay(start="soon")')),
    Wrong(group=VALUES, what="a text among numbers", change=data(",22.5,", ",dear,", 1)),
    Wrong(group=VALUES, what="an infinite number", change=data(",22.5,", ",inf,", 1)),
    Wrong(group=VALUES, what="a value out of its bounds", change=table_field('bounds={"amount": (0, 26)}')),
    Wrong(
        group=VALUES,
        what="several faults of one table",
        change=both(
            data(",22.5,", ",dear,", 1),
            data("2024-01-05T20:00:00Z", "later"),
            table_field('roles={"amuont": "numeric"}'),
        ),
        lines=2,
    ),
    Wrong(group=LABELS, what="a label column that is not there", change=edit(SINGLE, '    label="refund > 0",')),
    Wrong(group=LABELS, what="a label that is no expression", change=edit(SINGLE, '    label="refunded >> 0",')),
    Wrong(
        group=LABELS,
        what="a label that is known at its cutoff",
        change=edit('    known_at={"refunded": "settled"},\n', ""),
    ),
    Wrong(group=LABELS, what="a label of one class", change=edit(SINGLE, '    label="refunded > 1000",')),
    Wrong(
        group=LABELS,
        what="a condition that compares a number with a text",
        change=edit(SINGLE, "    label=\"refunded == 'yes'\","),
    ),
    Wrong(
        group=LABELS,
        what="a horizon of a year",
        change=edit(SINGLE, """    label='count("orders", horizon="1y") > 0',"""),
    ),
    Wrong(group=LABELS, what="a spine without a cutoff column", change=edit('cutoff="placed"', 'cutoff="ordered"')),
    Wrong(group=REQUESTS, what="a column that is missing", row={"amount": ...}),
    Wrong(group=REQUESTS, what="a text for a number", row={"amount": "dear"}),
    Wrong(group=REQUESTS, what="true for a number", row={"amount": True}),
    Wrong(group=REQUESTS, what="a time without a zone", row={"placed": "2024-05-20T12:00:00"}),
    Wrong(group=REQUESTS, what="a date for a time", row={"placed": "2024-05-20"}),
    Wrong(group=REQUESTS, what="a time that is none", row={"placed": "noon"}),
    Wrong(group=REQUESTS, what="a list for a key", row={"customer_id": ["c01"]}),
    Wrong(group=REQUESTS, what="a key of half a character", row={"customer_id": "\ud800"}),
    Wrong(group=REQUESTS, what="a number beyond 64 bits for a key", row={"customer_id": 10**30}),
)
