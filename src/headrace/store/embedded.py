"""Feast's online store over one SQLite file of whole rows (see `rows`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.infra.online_stores.online_store import OnlineStore
from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
from feast.protos.feast.types.Value_pb2 import Value as ValueProto
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.type_map import feast_value_type_to_python_type
from feast.types import Float64, Int64

from headrace.core.clock import from_us
from headrace.store.rows import Ask, RowStore, Watermark


class HeadraceOnlineStoreConfig(FeastConfigBaseModel):
    """`online_store:` in feature_store.yaml. path: the SQLite file; a relative one starts at the feature repo."""

    type: Literal["headrace.store.embedded.HeadraceOnlineStore"] = "headrace.store.embedded.HeadraceOnlineStore"
    path: str = "../.headrace/store/online.db"


class HeadraceOnlineStore(OnlineStore):
    """Reads and writes whole rows; the time of a row is the tick its view was materialised at."""

    def __init__(self) -> None:
        self._rows: dict[Path, RowStore] = {}

    def rows(self, config: RepoConfig) -> RowStore:
        """The file that a Feast configuration names."""
        path = Path(config.online_store.path)
        if not path.is_absolute() and config.repo_path is not None:
            path = (config.repo_path / path).resolve()
        return self._rows.setdefault(path, RowStore(path))

    def replace(
        self,
        config: RepoConfig,
        watermark: Watermark,
        join_keys: Sequence[str],
        columns: Sequence[str],
        chunks: Iterable[pa.Table],
    ) -> int:
        """Write a view anew with its watermark, in one transaction; returns its rows."""
        return self.rows(config).replace(watermark, join_keys, columns, chunks)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[tuple[EntityKeyProto, dict[str, ValueProto], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        columns = [field.name for field in table.features]
        join_keys = list(table.join_keys)
        rows = [
            [*_key(entity_key, join_keys), *(_python(values.get(name)) for name in columns)]
            for entity_key, values, _, _ in data
        ]
        self.rows(config).upsert(table.name, join_keys, columns, rows)
        if progress:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKeyProto],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, ValueProto] | None]]:
        types = {field.name: field.dtype for field in table.features}
        names = [name for name in requested_features or types if name in types]
        join_keys = tuple(table.join_keys)
        keys = [_key(entity_key, join_keys) for entity_key in entity_keys]
        ask = Ask(view=table.name, join_keys=join_keys, columns=tuple(names), keys=keys)
        [found] = self.rows(config).read([ask])
        when = None if found.watermark is None else from_us(found.watermark.tick_us)
        makers = [_MAKERS.get(types[name], _text) for name in names]
        return [
            (None, None)
            if row is None
            else (when, {name: make(value) for name, make, value in zip(names, makers, row, strict=True)})
            for row in found.rows
        ]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        for view in tables_to_keep:
            self.rows(config).ensure(view.name, list(view.join_keys), [field.name for field in view.features])
        for view in tables_to_delete:
            self.rows(config).drop(view.name)

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        for view in tables:
            self.rows(config).drop(view.name)


def _key(entity_key: EntityKeyProto, join_keys: Sequence[str]) -> tuple[Any, ...]:
    found = {name: _python(value) for name, value in zip(entity_key.join_keys, entity_key.entity_values, strict=True)}
    return tuple(found.get(name) for name in join_keys)


def _python(value: ValueProto | None) -> Any:
    return None if value is None else feast_value_type_to_python_type(value)


def _number(value: float | None) -> ValueProto:
    return ValueProto() if value is None else ValueProto(double_val=value)


def _whole(value: int | None) -> ValueProto:
    return ValueProto() if value is None else ValueProto(int64_val=value)


def _text(value: str | None) -> ValueProto:
    return ValueProto() if value is None else ValueProto(string_val=value)


_MAKERS: dict[Any, Callable[[Any], ValueProto]] = {Float64: _number, Int64: _whole}
