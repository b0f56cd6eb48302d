"""Wrong inputs, one line of answer each: the cases of docs/wrong-inputs.md, and how its table is made.

`make wrong-inputs` writes the table; `test_wrong_inputs.py` compares it with what Headrace answers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from headrace.core.errors import DataError
from headrace.problems.catalogue import load_problem
from headrace.serving.request import RequestSchema, check_row
from headrace.synthesis.language.definitions import RowColumn
from tests.cli.command import headrace

PAGE = Path(__file__).parents[2] / "docs" / "wrong-inputs.md"
BEGIN, END = "<!-- wrong inputs: begin -->", "<!-- wrong inputs: end -->"

CUSTOMERS = "customer_id,city,discount\n" + "".join(
    f"c{i:02d},{('Basel', 'Bern', 'Chur')[i % 3]},0.{i:02d}\n" for i in range(10)
)
ORDERS = "order_id,customer_id,placed,amount,settled,refunded\n" + "".join(
    f"{i},c{i % 10:02d},2024-{1 + i // 28:02d}-{1 + i % 28:02d}T10:00:00Z,{20 + i % 7}.5,"
    f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}T20:00:00Z,{0 if i % 3 else 5}\n"
    for i in range(140)
)
DECLARATION = """\
from headrace.schema import Entity, EntitySet, Monitoring, Policy, Problem, Relationship, Replay, Table, each_row, every

customers = Table(name="customers", key="customer_id", source="customers.csv")
orders = Table(
    name="orders",
    key="order_id",
    time="placed",
    known_at={"refunded": "settled"},
    source="orders.csv",
)
problem = Problem(
    name="shop",
    entity_set=EntitySet(
        tables=[customers, orders],
        relationships=[Relationship("customers.customer_id", "orders.customer_id")],
    ),
    spine=each_row("orders", cutoff="placed"),
    label="refunded > 0",
    lookbacks=["1d", "7d"],
    monitoring=Monitoring(window="7d"),
    trials=2,
)
"""


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """One wrong input.

    Attributes:
        group: Heading of the table.
        what: What is wrong, for the first column.
        change: Makes the good folder wrong; returns the reference to check where it is not shop.py.
        row: Instead, the row of a request.
        warning: Whether it is told as a warning of `check`, which prevents nothing.
        lines: Number of lines of the answer.
    """

    group: str
    what: str
    change: Callable[[Path], str | None] | None = None
    row: Mapping[str, Any] | None = None
    warning: bool = False
    lines: int = 1


def answers(case: Wrong, folder: Path) -> list[str]:
    """What Headrace answers: faults, or warnings; for a request the error of its row."""
    write(folder)
    if case.row is not None:
        return [_request(folder, case.row)]
    assert case.change is not None
    reference = case.change(folder) or str(folder / "shop.py")
    outcome = headrace("check", reference, home=folder / "home")
    assert "Traceback" not in outcome.out + outcome.err, outcome
    if case.warning:
        assert outcome.code == 0, outcome
        told = [line.removeprefix("warning: ") for line in outcome.out.splitlines() if line.startswith("warning: ")]
    else:
        assert outcome.code == 1, outcome
        told = [re.sub(r"^(fault|headrace): ", "", line) for line in outcome.errors]
    told = [line.replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "") for line in told]
    return [re.sub(r"and \d+ more", "and more", line) for line in told]  # how many changes with every new primitive


def _request(folder: Path, changes: Mapping[str, Any]) -> str:
    problem = load_problem(folder / "shop.py")
    definitions = [RowColumn(column="placed", kind="time"), RowColumn(column="amount", kind="numeric")]
    schema = RequestSchema.from_definitions(problem, definitions, {"customer_id": "string"})
    row = {"customer_id": "c01", "placed": "2024-05-20T12:00:00Z", "amount": 20.5, **changes}
    row = {name: value for name, value in row.items() if value is not ...}
    try:
        check_row(schema, row, "row 1")
    except DataError as error:
        return str(error)
    raise AssertionError(f"accepted: {row}")


def write(folder: Path) -> None:
    """Write the good problem."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "customers.csv").write_text(CUSTOMERS)
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "shop.py").write_text(DECLARATION)


def edit(old: str, new: str, name: str = "shop.py", count: int = -1) -> Callable[[Path], None]:
    """Replace a text of a file."""

    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text, old
        (folder / name).write_text(text.replace(old, new, count))

    return change


def field(text: str) -> Callable[[Path], None]:
    """Add a field to the problem."""
    return edit("    trials=2,\n", f"    trials=2,\n    {text},\n")


def table_field(text: str, table: str = "orders") -> Callable[[Path], None]:
    """Add a field to a table."""
    return edit(f'name="{table}", ' if table == "customers" else f'name="{table}",', f'name="{table}", {text}, ')


def data(old: str, new: str, count: int = -1) -> Callable[[Path], None]:
    """Replace a text of orders.csv."""
    return edit(old, new, "orders.csv", count)


def encoded(encoding: str) -> Callable[[Path], None]:
    """Write customers.csv in another encoding."""

    def change(folder: Path) -> None:
        (folder / "customers.csv").write_bytes(CUSTOMERS.replace("Basel", "Zürich").encode(encoding))

    return change


def both(*changes: Callable[[Path], Any]) -> Callable[[Path], None]:
    """Several changes."""

    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def file(name: str, content: bytes) -> Callable[[Path], None]:
    """Write a file."""

    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return change


def made_table() -> str:
    """The generated part of the page."""
    from tests.docs.wrong_input_cases import CASES

    lines: list[str] = []
    with TemporaryDirectory() as temporary:
        for number, case in enumerate(CASES):
            if number == 0 or CASES[number - 1].group != case.group:
                lines += ["", f"## {case.group}", "", "| what is wrong | answer |", "|---|---|"]
            told = answers(case, Path(temporary) / str(number))
            assert len(told) == case.lines, (case.what, told)
            lines.append(row_of(case, told))
    return "\n".join([*lines, ""])


def row_of(case: Wrong, told: list[str]) -> str:
    """The row of the table."""
    text = "<br>".join(f"`` {line} ``" for line in told).replace("|", "\\|")
    return f"| {case.what} | {'warning: ' if case.warning else ''}{text} |"


def main() -> None:
    """Write the table into the page, with `--print` only show it."""
    made = made_table()
    if "--print" in sys.argv:
        print(made)
        return
    text = PAGE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")


if __name__ == "__main__":
    main()
