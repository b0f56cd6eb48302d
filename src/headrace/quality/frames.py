"""Convert Arrow tables to the pandas frames that Great Expectations validates, with the columns that rules use."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from headrace.quality.rules import LABEL, LABEL_IS_NUMBER, Rule


def batch_frame(rows: pa.Table, rules: Sequence[Rule]) -> pd.DataFrame:
    """Return the columns that rules use as a frame; a frame without columns still has its rows."""
    names: dict[str, None] = {}
    for rule in rules:
        for name in rule.arguments.get("column_list", [rule.arguments.get("column")]):
            if name is not None:
                names[name] = None
    frame: pd.DataFrame = rows.select(list(names)).to_pandas()
    return frame


def training_frame(training: pa.Table) -> pd.DataFrame:
    """Return features, label, and whether each label is a number: pandas does not distinguish NaN from missing."""
    label = training[LABEL]
    if pa.types.is_floating(label.type):
        is_number = pc.fill_null(pc.is_finite(label), True)
    else:
        is_number = pa.chunked_array([pa.array([True] * training.num_rows)])
        training = training.set_column(training.column_names.index(LABEL), LABEL, label.cast(pa.float64()))
    frame: pd.DataFrame = training.to_pandas()
    frame[LABEL_IS_NUMBER] = is_number.to_numpy()
    return frame
