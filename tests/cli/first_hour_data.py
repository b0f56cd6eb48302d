"""Data of strangers, for `headrace init`: a database of a library with five tables, and a CSV of a shop's sales."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

_SCHEMA = """
create table branch (branch_id integer primary key, city text not null, opened date);
create table member (member_id integer primary key, joined datetime not null, branch_id integer references branch,
                     birth_year integer, closed_at datetime, closing_reason text);
create table author (author_id integer primary key, name text not null, country text);
create table book (book_id integer primary key, author_id integer references author, pages integer, genre text);
create table loan (loan_id integer primary key, member_id integer not null references member,
                   book_id integer not null references book, borrowed datetime not null, due datetime not null,
                   returned_at datetime, returned_damaged integer, fine real);
"""


def write_library(path: Path, *, loans: int = 900, seed: int = 3) -> Path:
    """Write a database of a library. Whether a book comes back damaged depends on its reader."""
    rng = np.random.default_rng(seed)
    start = datetime(2022, 1, 3, 9)
    careless = rng.uniform(0, 1, 40)
    with sqlite3.connect(path) as connection:
        connection.executescript(_SCHEMA)
        for branch in range(3):
            connection.execute(
                "insert into branch values (?, ?, ?)", (branch, ("Bern", "Chur", "Genf")[branch], "1990-05-01")
            )
        for member in range(40):
            joined, closed = start - timedelta(days=int(rng.integers(1, 900))), start + timedelta(days=400 + member)
            left = closed.isoformat(" ") if member % 4 == 0 else None
            connection.execute(
                "insert into member values (?, ?, ?, ?, ?, ?)",
                (member, joined.isoformat(" "), member % 3, 1950 + member, left, "moved" if left else None),
            )
        for author in range(12):
            connection.execute("insert into author values (?, ?, ?)", (author, f"A{author}", ("CH", "FR")[author % 2]))
        for book in range(60):
            connection.execute(
                "insert into book values (?, ?, ?, ?)", (book, book % 12, 100 + 7 * book, ("crime", "poetry")[book % 2])
            )
        for loan in range(loans):
            borrowed = start + timedelta(hours=9.5 * loan)
            back, who = borrowed + timedelta(days=float(rng.uniform(2, 30))), int(rng.integers(40))
            damaged = int(rng.random() < careless[who] * 0.8)
            is_back = back < start + timedelta(hours=9.5 * loans)
            connection.execute(
                "insert into loan values (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    loan,
                    who,
                    int(rng.integers(60)),
                    borrowed.isoformat(" "),
                    (borrowed + timedelta(days=28)).isoformat(" "),
                    back.isoformat(" ") if is_back else None,
                    damaged if is_back else None,
                    10.0 * damaged if is_back else None,
                ),
            )
    connection.close()
    return path


def write_sales(path: Path, *, hours: int = 1200, seed: int = 5) -> Path:
    """Write hourly sales of two shops, as a spreadsheet exports them: semicolons, commas, times without a zone."""
    rng = np.random.default_rng(seed)
    lines = ["when;shop;sold;revenue;temperature"]
    for hour in range(hours):
        at = datetime(2024, 3, 1) + timedelta(hours=hour)
        for shop in ("north", "south"):
            sold = int(rng.poisson(5 + 4 * np.sin(at.hour / 24 * 6.3) + (at.weekday() > 4) * 5))
            revenue = f"{sold * 9.9:.1f}".replace(".", ",")
            lines.append(f"{at:%Y-%m-%d %H:%M};{shop};{sold};{revenue};{f'{rng.normal(12, 4):.1f}'.replace('.', ',')}")
    path.write_text("\n".join(lines) + "\n")
    return path
