"""Retrieve training features through Feast: the stored features of a service for every row of a spine."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
from feast import FeatureStore
from feast.infra.offline_stores.offline_store import RetrievalJob

from headrace.core.errors import DataError
from headrace.schema import Problem
from headrace.store.published import read_published, service_name
from headrace.store.repo import with_sound_registry
from headrace.store.source import TIMESTAMP
from headrace.synthesis.language.definitions import stored

_ROW = "headrace_row"


def training_features(root: Path, problem: Problem, service: str, spine: pa.Table) -> pa.Table:
    """Retrieve the stored features of a service for the rows of a spine.

    Args:
        root: Home folder.
        problem: The problem.
        service: Name of the service.
        spine: Join keys and `tick` (int64 us) of each row [n]; or `cutoff`, whose last tick it then is.

    Returns:
        One column per stored definition [n]: the values at the row's tick, null where the row
        has no key or nothing was known.

    Raises:
        DataError: Feast returned other rows.
    """
    root = root.absolute()
    slugs = [item.slug for item in stored(read_published(root, problem.name).service(service))]
    if not slugs:
        return spine.select([])
    rows, name = _entity_frame(problem, spine), service_name(problem.name, service)

    def retrieve(store: FeatureStore) -> RetrievalJob:
        return store.get_historical_features(entity_df=rows, features=store.get_feature_service(name))

    features = with_sound_registry(root, retrieve).to_arrow()
    if features[_ROW].to_pylist() != list(range(spine.num_rows)):
        raise DataError(f"the store returned {features.num_rows} rows for {spine.num_rows}", where=problem.name)
    return features.select(slugs)


def _entity_frame(problem: Problem, spine: pa.Table) -> pd.DataFrame:
    """Build the entity frame: join keys (nullable integers stay integers), the tick, and a row number."""
    keys = {name: spine[name] for name in problem.join_keys}
    at = spine["tick"] if "tick" in spine.column_names else spine["cutoff"]
    ticks = at.cast(pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    frame = pa.table({**keys, TIMESTAMP: ticks, _ROW: pa.array(range(spine.num_rows), pa.int64())})
    nullable = {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype(), pa.int16(): pd.Int16Dtype()}
    pandas: pd.DataFrame = frame.to_pandas(types_mapper=nullable.get)
    return pandas
