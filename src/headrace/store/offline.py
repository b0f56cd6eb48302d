"""Feast offline store that computes features on read, for `get_historical_features` and for materialisation.

It returns every row of the entity frame, in its order, with each feature's value at the last tick at or before the
row's `event_timestamp`. Feast's own stores join stored rows, and drop or reorder rows without a match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.infra.registry.base_registry import BaseRegistry
from feast.on_demand_feature_view import OnDemandFeatureView
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.utils import _parse_feature_ref

from headrace.core.clock import floor_to_tick, from_us, to_us
from headrace.core.errors import DataError
from headrace.store.checks import require_reached
from headrace.store.history import STORED_TYPES, compute_at, current_snapshot, entity_rows, problem_of, stored_keys
from headrace.store.published import KEY_TYPES, Published, View
from headrace.store.source import TIMESTAMP, SynthesisSource, home_of


class HeadraceOfflineStoreConfig(FeastConfigBaseModel):
    """`offline_store:` in feature_store.yaml. root: the home folder; a relative one starts at the feature repo."""

    type: Literal["headrace.store.offline.HeadraceOfflineStore"] = "headrace.store.offline.HeadraceOfflineStore"
    root: str = "../.headrace"


class ComputedJob(RetrievalJob):
    """A retrieval job that computes its result on demand, as a whole or in chunks."""

    def __init__(
        self,
        chunks: Callable[[], Iterator[pa.Table]],
        *,
        snapshot: str,
        full_feature_names: bool = False,
        metadata: RetrievalMetadata | None = None,
        on_demand: list[OnDemandFeatureView] | None = None,
    ) -> None:
        self.chunks = chunks
        self.snapshot = snapshot
        self._full_feature_names = full_feature_names
        self._metadata = metadata
        self._on_demand = on_demand or []

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:
        return pa.concat_tables(self.chunks())

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal().to_pandas()
        return frame

    @property
    def full_feature_names(self) -> bool:
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        return self._on_demand

    @property
    def metadata(self) -> RetrievalMetadata | None:
        return self._metadata


class HeadraceOfflineStore(OfflineStore):
    """Computes features from the lake, for views whose source is a SynthesisSource."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **unsupported: Any,
    ) -> RetrievalJob:
        """Compute features for an entity frame (join keys, `event_timestamp`) and add them to its columns."""
        if not isinstance(entity_df, pd.DataFrame):
            raise DataError(
                "an entity frame is needed",
                where="get_historical_features",
                found=[type(entity_df).__name__, *unsupported],
                fix="pass a pandas DataFrame with the join keys and event_timestamp",
            )
        frame = _frame(entity_df)
        names = _columns_by_view(feature_refs)

        def chunks() -> Iterator[pa.Table]:
            table = frame
            for view in feature_views:
                slugs = names.get(_alias(view), [])
                table = _joined(table, config, view, slugs, full_feature_names)
            yield table

        return ComputedJob(
            chunks,
            snapshot="",
            full_feature_names=full_feature_names,
            metadata=_metadata(frame, feature_refs),
            on_demand=OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry),
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        """Compute every entity key known before the tick at `end_date`, with its values at that tick.

        start_date is ignored: a value that is valid at the tick may have become known at any time before.

        Raises:
            StoreError: The production clock has not reached the tick.
        """
        published, view = _published_view(config, data_source)
        tick_us = floor_to_tick(to_us(end_date), published.tick_us)
        require_reached(home_of(config), published.problem, tick_us)
        snapshot = current_snapshot(home_of(config), published.problem)
        problem = problem_of(published)

        def chunks() -> Iterator[pa.Table]:
            rows = 0
            for chunk in entity_rows(published, problem, view, feature_name_columns, snapshot, tick_us):
                rows += chunk.num_rows
                yield chunk.append_column(timestamp_field, _instants(chunk.num_rows, tick_us))
            if rows == 0:
                yield _no_rows(published, view, feature_name_columns, timestamp_field)

        return ComputedJob(chunks, snapshot=snapshot.fingerprint)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Not supported: values are computed, not stored."""
        raise NotImplementedError(
            "Headrace computes features on read and stores no history to list; "
            "ask get_historical_features for the rows you want"
        )


def _published_view(config: RepoConfig, source: DataSource | None) -> tuple[Published, View]:
    if not isinstance(source, SynthesisSource):
        raise DataError(
            "Headrace's offline store computes only what it synthesised",
            where=getattr(source, "name", "a view without a source"),
            found=[type(source).__name__],
            fix="give the view a SynthesisSource, or use another offline store for it",
        )
    return source.published(config)


def _frame(entity_df: pd.DataFrame) -> pa.Table:
    frame = pa.Table.from_pandas(entity_df, preserve_index=False)
    if TIMESTAMP not in frame.column_names:
        raise DataError(f"no column {TIMESTAMP!r}", where="entity frame", found=frame.column_names)
    instants = frame[TIMESTAMP]
    if not pa.types.is_timestamp(instants.type) or instants.type.tz is None or instants.null_count:
        raise DataError(
            f"{TIMESTAMP!r} must be aware timestamps without nulls", where="entity frame", found=[instants.type]
        )
    position = frame.column_names.index(TIMESTAMP)
    return frame.set_column(position, TIMESTAMP, instants.cast(pa.timestamp("us", tz="UTC")))


def _columns_by_view(feature_refs: list[str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for ref in feature_refs:
        view, _, feature = _parse_feature_ref(ref)
        names.setdefault(view, []).append(feature)
    return names


def _joined(table: pa.Table, config: RepoConfig, view: FeatureView, slugs: list[str], full: bool) -> pa.Table:
    """Add the features of one view to the table, computed at the tick of each row."""
    published, stored_view = _published_view(config, view.batch_source)
    columns = {name: view.projection.join_key_map.get(name, name) for name in stored_view.join_keys}
    missing = [column for column in columns.values() if column not in table.column_names]
    if missing:
        raise DataError(f"no join key {missing[0]!r}", where=f"entity frame for {view.name}", found=table.column_names)
    cutoffs = table[TIMESTAMP].cast(pa.int64()).to_numpy()
    keys = pa.table(
        {
            **{name: stored_keys(table[column], published.key_types[name]) for name, column in columns.items()},
            "tick": pa.array(cutoffs - cutoffs % published.tick_us),
        }
    )
    values = compute_at(
        problem_of(published),
        stored_view.select(slugs),
        stored_view.join_keys,
        keys,
        current_snapshot(home_of(config), published.problem),
    )
    for slug in slugs:
        table = table.append_column(f"{_alias(view)}__{slug}" if full else slug, values[slug])
    return table


def _alias(view: FeatureView) -> str:
    """Return a view's name in this request; a service may rename it."""
    return str(view.projection.name_to_use())  # type: ignore[no-untyped-call]


def _instants(n: int, instant_us: int) -> pa.Array:
    return pa.array(np.full(n, instant_us, dtype=np.int64)).cast(pa.timestamp("us", tz="UTC"))


def _no_rows(published: Published, view: View, slugs: list[str], timestamp: str) -> pa.Table:
    fields = [(name, KEY_TYPES[published.key_types[name]]) for name in view.join_keys]
    fields += [(item.slug, STORED_TYPES[item.kind]) for item in view.select(slugs)]
    return pa.schema([*fields, (timestamp, pa.timestamp("us", tz="UTC"))]).empty_table()


def _metadata(frame: pa.Table, feature_refs: list[str]) -> RetrievalMetadata:
    cutoffs = frame[TIMESTAMP].cast(pa.int64()).to_numpy()
    return RetrievalMetadata(
        features=list(feature_refs),
        keys=[name for name in frame.column_names if name != TIMESTAMP],
        min_event_timestamp=from_us(int(cutoffs.min())) if len(cutoffs) else None,
        max_event_timestamp=from_us(int(cutoffs.max())) if len(cutoffs) else None,
    )
