"""DuckDB by hand, on one thread: the best of a join, running windows and an ASOF join, one window over the union."""

from __future__ import annotations

import duckdb
from protocol import FUNCTIONS, clock, folder, report

_SQL = {"sum": "sum", "mean": "avg", "min": "min", "max": "max"}
_NAMES = [(f"{function}_{column}", _SQL[function], column) for column in "xy" for function in FUNCTIONS]
_OVER = 'over (partition by key order by "at" rows between unbounded preceding and current row)'
QUERIES = {
    "join": f"""
        select row, count(e."at") as count, {", ".join(f"{sql}(e.{column}) as {name}" for name, sql, column in _NAMES)}
        from asked left join events e on e.key = asked.key and e."at" < asked.cutoff group by row""",
    "asof": f"""
        with running as (
          select key, "at", count(*) {_OVER} as count,
                 {", ".join(f"{sql}({column}) {_OVER} as {name}" for name, sql, column in _NAMES)}
          from events qualify "at" is distinct from lead("at") over (partition by key order by "at"))
        select row, coalesce(count, 0) as count, {", ".join(name for name, _, _ in _NAMES)}
        from asked asof left join running r on asked.key = r.key and asked.cutoff > r."at"
        """,
    "window": f"""
        with mixed as (select key, "at", x, y, null as row from events
                      union all select key, cutoff, null, null, row from asked),
             said as (select row, count("at") filter (row is null) over w as count,
                             {", ".join(f"{sql}({column}) over w as {name}" for name, sql, column in _NAMES)}
                      from mixed window w as (partition by key order by "at"
                                             range between unbounded preceding and 1 preceding))
        select * from said where row is not null""",
}


def main() -> None:
    connection = duckdb.connect()
    connection.execute("set threads = 1")
    for name in ("events", "asked"):
        connection.execute(f"create table {name} as from '{folder() / name}.parquet'")
    taken = {}
    for name, query in QUERIES.items():
        started = clock()
        table = connection.sql(query).to_arrow_table()
        taken[name] = clock() - started
        connection.register("done", table)
        columns = ", ".join(f"{name}::double as {name}" for name in table.column_names)
        connection.execute(f"copy (select {columns} from done) to '{folder()}/values.parquet'")
    best = min(taken, key=lambda name: taken[name])
    report(taken[best], note=best, **taken)


if __name__ == "__main__":
    main()
