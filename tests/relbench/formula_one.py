"""A RelBench folder of the shape of rel-f1, from random numbers: for tests and for benchmarks/bench_relational.py.

Drivers and constructors have a strength that changes slowly; a result depends on both. Tables without time, a self
reference, empty foreign keys, prose, a list, infinite numbers and a time of day are in it, as in real folders.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

VAL, TEST = pd.Timestamp("2005-01-01"), pd.Timestamp("2010-01-01")
END = pd.Timestamp("2014-01-01")
_PERIOD = pd.Timedelta(days=60)


def write_formula_one(
    folder: Path, *, seed: int = 0, first_year: int = 1995, races: int = 10, drivers: int = 24, evaluations: int = 8
) -> Path:
    """Write manifest.yaml, db/ and three tasks; returns the folder.

    Args:
        folder: Made here.
        seed: Of everything.
        first_year: Of the first race; the last is in 2013.
        races: Number a year.
        drivers: Number of drivers, half of whom race in a year.
        evaluations: Number of cutoffs of val and of test, 60 days apart.
    """
    rng = np.random.default_rng(seed)
    tables = _tables(rng, first_year, races, drivers)
    (folder / "db").mkdir(parents=True)
    for name, (rows, _) in tables.items():
        pq.write_table(rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows, preserve_index=False),
                       folder / "db" / f"{name}.parquet")  # fmt: skip
    manifest = {
        "name": "rel-formula",
        "manifest_version": 1,
        "val_timestamp": f"{VAL:%Y-%m-%d}",
        "test_timestamp": f"{TEST:%Y-%m-%d}",
        "tables": {name: spec for name, (_, spec) in tables.items()},
    }
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest, sort_keys=False))
    results = tables["results"][0].to_pandas() if isinstance(tables["results"][0], pa.Table) else tables["results"][0]
    results = results[results["date"].notna()]
    for name, target, make in (("driver-position", "position", _position), ("driver-dnf", "did_not_finish", _dnf)):
        facts = {
            "kind": "forecast", "entity_table": "drivers", "entity_col": "driverId", "target_col": target,
            "time_col": "date", "timedelta": "60 days", "num_eval_timestamps": evaluations, "sql": "SELECT 1",
            "task_type": "regression" if name == "driver-position" else "binary_classification",
        }  # fmt: skip
        _write_task(folder, name, facts, _forecast(results, target, make, first_year, evaluations))
    facts = {
        "kind": "autocomplete", "task_type": "regression", "entity_table": "results", "target_col": "position",
        "remove_columns": [["results", "points"], ["results", "positionOrder"]],
    }  # fmt: skip
    _write_task(folder, "results-position", facts, _autocomplete(results))
    return folder


def _tables(rng: np.random.Generator, first_year: int, races: int, drivers: int) -> dict[str, tuple[Any, Any]]:
    circuits = pd.DataFrame(
        {
            "circuitId": np.arange(12),
            "name": [f"circuit {number}" for number in range(12)],
            "country": rng.choice(["Italy", "Spain", "Brazil", "Japan"], 12),
            "alt": np.where(np.arange(12) == 3, np.inf, rng.normal(200, 90, 12)),
        }
    )
    teams = 8
    constructors = pd.DataFrame(
        {"constructorId": np.arange(teams), "name": [f"team {number}" for number in range(teams)],
         "nationality": rng.choice(["British", "Italian", "German"], teams)}
    )  # fmt: skip
    people = pa.table(
        {
            "driverId": np.arange(drivers),
            "code": [f"D{number:03d}" for number in range(drivers)],
            "dob": pa.array(pd.Timestamp("1960-01-01") + pd.to_timedelta(rng.integers(0, 12_000, drivers), unit="D")),
            "nationality": rng.choice(["British", "Italian", "German", "Finnish"], drivers),
            "mentorId": pa.array([None if number < 4 else int(number % 4) for number in range(drivers)], pa.int64()),
            "biography": [
                f"Driver {number} began in karting and " + "won many a race " * 4 for number in range(drivers)
            ],
            "numbers": pa.array([[number, number + 1] for number in range(drivers)], pa.list_(pa.int64())),
        }
    )
    raced, results, standings, qualifying = _seasons(rng, first_year, races, drivers, teams)
    return {
        "circuits": (circuits, _spec("circuitId")),
        "constructors": (constructors, _spec("constructorId")),
        "drivers": (people, _spec("driverId", mentorId="drivers")),
        "races": (raced, _spec("raceId", "date", circuitId="circuits")),
        "results": (
            results,
            _spec("resultId", "date", raceId="races", driverId="drivers", constructorId="constructors"),
        ),
        "standings": (standings, _spec("driverStandingsId", "date", raceId="races", driverId="drivers")),
        "qualifying": (
            qualifying,
            _spec(None, "date", raceId="races", driverId="drivers", constructorId="constructors"),
        ),
    }


def _spec(pkey: str | None, time_col: str | None = None, **fkeys: str) -> dict[str, Any]:
    return {"pkey": pkey, "time_col": time_col, "fkeys": fkeys}


def _seasons(rng: np.random.Generator, first_year: int, races: int, drivers: int, teams: int) -> tuple[Any, ...]:
    skill, power, team = rng.normal(size=drivers), rng.normal(size=teams), rng.integers(0, teams, drivers)
    raced, rows, table, laps = [], [], [], []
    for year in range(first_year, END.year):
        skill, power = skill + rng.normal(0, 0.2, drivers), power + rng.normal(0, 0.4, teams)
        team = np.where(rng.random(drivers) < 0.25, rng.integers(0, teams, drivers), team)
        active = rng.choice(drivers, drivers // 2, replace=False)
        points = dict.fromkeys(active.tolist(), 0.0)
        for number in range(races):
            date = pd.Timestamp(year, 3, 1) + pd.Timedelta(days=int(number * 240 / races))
            race = len(raced)
            raced.append((race, year, number + 1, int(rng.integers(12)), date, "13:00:00"))
            speed = skill[active] + power[team[active]] + rng.normal(0, 0.7, len(active))
            finished = rng.random(len(active)) > 1 / (1 + np.exp(1 + power[team[active]]))
            place = pd.Series(np.where(finished, -speed, np.inf)).rank(method="first").astype(int).to_numpy()
            grid = pd.Series(-speed + rng.normal(0, 0.5, len(active))).rank(method="first").astype(int).to_numpy()
            for i, driver in enumerate(active.tolist()):
                scored = max(0, 11 - 2 * place[i]) if finished[i] else 0
                points[driver] += scored
                unknown_team = rng.random() < 0.02
                rows.append(
                    (len(rows), race, driver, np.nan if unknown_team else float(team[driver]), int(grid[i]),
                     float(place[i]) if finished[i] else np.nan, int(place[i]), float(scored),
                     int(not finished[i]), date)
                )  # fmt: skip
                table.append((len(table), race, driver, points[driver], date))
                laps.append((race, driver, float(team[driver]), int(grid[i]), date - pd.Timedelta(days=1)))
    results = pd.DataFrame(
        rows,
        columns=["resultId", "raceId", "driverId", "constructorId", "grid", "position", "positionOrder", "points",
                 "statusId", "date"],
    )  # fmt: skip
    results.loc[results.index[-1], "date"] = pd.NaT
    races_table = pd.DataFrame(raced, columns=["raceId", "year", "round", "circuitId", "date", "time"])
    standings = pd.DataFrame(table, columns=["driverStandingsId", "raceId", "driverId", "points", "date"])
    qualifying = pd.DataFrame(laps, columns=["raceId", "driverId", "constructorId", "position", "date"])
    return races_table, results, standings, qualifying


def _position(rows: pd.DataFrame) -> float:
    return float(rows["positionOrder"].mean())


def _dnf(rows: pd.DataFrame) -> int:
    return int((rows["statusId"] == 1).any())


def _forecast(
    results: pd.DataFrame, target: str, make: Any, first_year: int, evaluations: int
) -> dict[str, pd.DataFrame]:
    """Label rows over (cutoff, cutoff + 60 days], for drivers who raced in it."""
    start = pd.Timestamp(first_year, 6, 1)
    times = {
        "train": pd.date_range(VAL - _PERIOD, start, freq=-_PERIOD),
        "val": pd.date_range(VAL, min(VAL + (evaluations - 1) * _PERIOD, TEST - _PERIOD), freq=_PERIOD),
        "test": pd.date_range(TEST, TEST + (evaluations - 1) * _PERIOD, freq=_PERIOD),
    }
    splits = {}
    for split, cutoffs in times.items():
        found = []
        for at in cutoffs:
            after = results[(results["date"] > at) & (results["date"] <= at + _PERIOD)]
            found += [(at, driver, make(rows)) for driver, rows in after.groupby("driverId")]
        splits[split] = pd.DataFrame(found, columns=["date", "driverId", target]).sort_values(["date", "driverId"])
    return splits


def _autocomplete(results: pd.DataFrame) -> dict[str, pd.DataFrame]:
    rows = results[["date", "resultId", "position"]].dropna()
    return {
        "train": rows[rows["date"] <= VAL],
        "val": rows[(rows["date"] > VAL) & (rows["date"] <= TEST)],
        "test": rows[rows["date"] > TEST],
    }


def _write_task(folder: Path, name: str, facts: dict[str, Any], splits: dict[str, pd.DataFrame]) -> None:
    place = folder / "tasks" / name
    place.mkdir(parents=True)
    (place / "manifest.yaml").write_text(yaml.safe_dump({"name": name, **facts, "manifest_version": 1}))
    for split, rows in splits.items():
        rows.to_parquet(place / f"{split}.parquet", index=False)
