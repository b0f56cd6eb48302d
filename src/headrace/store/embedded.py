"""Feast's online store over one SQLite file of whole rows (see `rows`).

A view that Headrace synthesised is a table with a column per join key, which serving reads without Feast. Any other
view (a user's own in feature_repo, a precomputed service) has Feast's serialised entity key as its only key column, so
that every key type, any order of keys and a view without entities come out as Feast means them. All of Feast's value
types are stored (`cells`); what SQLite cannot hold is refused when the view is applied.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from feast.entity import Entity
from feast.feature_view import FeatureView
from feast.infra.infra_object import InfraObject
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.supported_async_methods import SupportedAsyncMethods
from feast.protos.feast.core.Registry_pb2 import Registry as RegistryProto
from feast.protos.feast.types.EntityKey_pb2 import EntityKey as EntityKeyProto
from feast.protos.feast.types.Value_pb2 import Value as ValueProto
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.types import Invalid

from headrace.core.clock import from_us, to_us
from headrace.store.cells import Cell, from_cell, to_cell, to_scalar_cell
from headrace.store.checks import StoreError, require_home, require_reached
from headrace.store.offline import HeadraceOfflineStoreConfig
from headrace.store.online_file.rows import RowStore
from headrace.store.online_file.tables import EVENT, RowQuery
from headrace.store.repo import PROJECT
from headrace.store.row_interface import OnlineRows
from headrace.store.source import SynthesisSource, home_of

#: The one key column of a view that Headrace did not synthesise.
_ENTITY = "entity"
_Row = tuple[EntityKeyProto, dict[str, ValueProto], datetime, datetime | None]
_Answer = tuple[datetime | None, dict[str, ValueProto] | None]


class HeadraceOnlineStoreConfig(FeastConfigBaseModel):
    """`online_store:` in feature_store.yaml. path: the SQLite file; a relative one starts at the feature repo."""

    type: Literal["headrace.store.embedded.HeadraceOnlineStore"] = "headrace.store.embedded.HeadraceOnlineStore"
    path: str = "../.headrace/store/online.db"


class HeadraceOnlineStore(OnlineStore):
    """Reads and writes whole rows. A row's time is the tick that its view was materialised at, or its own if pushed."""

    def __init__(self) -> None:
        self._rows: dict[Path, RowStore] = {}

    @property
    def async_supported(self) -> SupportedAsyncMethods:
        return SupportedAsyncMethods(read=True, write=True)

    def rows(self, config: RepoConfig) -> OnlineRows:
        """The file that a Feast configuration names."""
        path = Path(config.online_store.path)
        if not path.is_absolute() and config.repo_path is not None:
            path = (config.repo_path / path).resolve()
        return self._rows.setdefault(path, RowStore(path))

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[_Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write single rows. A feature that a row does not carry keeps its value, and no row is older than its write.

        Raises StoreError where a synthesised view gets a row from beyond the production clock, or a value of another
        type than its field's.
        """
        source = _synthesised(table)
        if source is not None and data:
            latest = max(_aware(event) for _, _, event, _ in data)
            require_reached(home_of(config), source.problem, to_us(latest))
        batches: dict[tuple[str, ...], list[list[Cell]]] = {}
        for entity_key, values, event, _ in data:
            key = _key(config, table, entity_key)
            if None in key:
                raise StoreError("a row without an entity cannot be written", where=table.name)
            cells = _cells(table, values)
            batches.setdefault(tuple(cells), []).append([*key, *cells.values(), to_us(_aware(event))])
        rows, name, keys = self._writable(config), _table(config, table), _key_columns(table)
        for names, batch in batches.items():
            rows.ensure(name, keys, [field.name for field in table.features], grow=source is None)
            rows.upsert(name, keys, [*names, EVENT], batch)
        if progress:
            progress(len(data))

    async def online_write_batch_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: list[_Row],
        progress: Callable[[int], Any] | None,
    ) -> None:
        await asyncio.to_thread(self.online_write_batch, config, table, data, progress)

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKeyProto],
        requested_features: list[str] | None = None,
    ) -> list[_Answer]:
        types = {field.name: field.dtype for field in table.features}
        names = [name for name in requested_features or types if name in types]
        keys = [_key(config, table, entity_key) for entity_key in entity_keys]
        columns = (EVENT, *names)
        query = RowQuery(view=_table(config, table), join_keys=_key_columns(table), columns=columns, keys=keys)
        [result] = self.rows(config).read([query])
        refreshed = None if result.watermark is None else from_us(result.watermark.tick_us)
        makers = [(name, from_cell(types[name])) for name in names]

        def answer(row: tuple[Any, ...] | None) -> _Answer:
            if row is None:
                return None, None
            values = {name: make(cell) for (name, make), cell in zip(makers, row[1:], strict=True)}
            return (refreshed if row[0] is None else from_us(row[0])), values

        return [answer(row) for row in result.rows]

    async def online_read_async(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKeyProto],
        requested_features: list[str] | None = None,
    ) -> list[_Answer]:
        return await asyncio.to_thread(self.online_read, config, table, entity_keys, requested_features)

    def plan(self, config: RepoConfig, desired_registry_proto: RegistryProto) -> list[InfraObject]:
        """No infrastructure but the one file. Raises StoreError for a feature_repo that names another home."""
        self._writable(config)
        return []

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make the tables of views that are kept, drop those of others.

        Raises StoreError for a view that SQLite cannot hold.
        """
        store = self._writable(config)
        for view in tables_to_keep:
            names = [field.name for field in view.features]
            _check_types(view)
            with _refusing(view.name):
                store.ensure(_table(config, view), _key_columns(view), names, grow=_synthesised(view) is None)
        for view in tables_to_delete:
            store.drop(_table(config, view))

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        """Drop these views' tables; serving finds them MISSING, and the next run writes them again."""
        store = self._writable(config)
        for view in tables:
            store.drop(_table(config, view))

    def _writable(self, config: RepoConfig) -> OnlineRows:
        """The file, where the configuration does not name another home folder than the settings."""
        if isinstance(config.offline_store, HeadraceOfflineStoreConfig):
            require_home(home_of(config), config.repo_path)
        return self.rows(config)


def _synthesised(table: FeatureView) -> SynthesisSource | None:
    """The source of a view that Headrace synthesised; None for any other view."""
    source = getattr(table, "batch_source", None)
    return source if isinstance(source, SynthesisSource) else None


def _table(config: RepoConfig, table: FeatureView) -> str:
    """A view's table. Only synthesised views have their own name: serving reads them by it."""
    if _synthesised(table) is not None and config.project == PROJECT:
        return str(table.name)
    return f"feast {config.project} {table.name}"


def _key_columns(table: FeatureView) -> tuple[str, ...]:
    return (_ENTITY,) if _synthesised(table) is None else tuple(table.join_keys)


def _key(config: RepoConfig, table: FeatureView, entity_key: EntityKeyProto) -> tuple[Cell, ...]:
    """A row's key, in the order of the key columns; None in it where there is no entity."""
    values = dict(zip(entity_key.join_keys, entity_key.entity_values, strict=True))
    kinds = {name: value.WhichOneof("val") for name, value in values.items()}
    if _synthesised(table) is not None:
        return tuple(None if not kinds.get(name) else getattr(values[name], kinds[name]) for name in table.join_keys)
    if None in kinds.values():
        return (None,)
    version = config.entity_key_serialization_version
    return (serialize_entity_key(entity_key, entity_key_serialization_version=version),)


def _cells(table: FeatureView, values: dict[str, ValueProto]) -> dict[str, Cell]:
    """The cells of one row; a name that is no feature of the view could not be read back, and is left out."""
    make = to_cell if _synthesised(table) is None else to_scalar_cell
    types = {field.name: field.dtype for field in table.features}
    cells = {}
    for name, value in values.items():
        if name in types:
            try:
                cells[name] = make(value, types[name])
            except TypeError as error:
                fix = "convert it before it is written"
                raise StoreError(str(error), where=f"{table.name}.{name}", fix=fix) from None
    return cells


def _aware(event: datetime) -> datetime:
    """Feast's contract: a time without a zone is UTC."""
    return event if event.tzinfo is not None else event.replace(tzinfo=UTC)


def _check_types(view: FeatureView) -> None:
    for field in view.features:
        if field.dtype == Invalid:
            raise StoreError("a feature without a type cannot be stored", where=f"{view.name}.{field.name}")


@contextmanager
def _refusing(view: str) -> Iterator[None]:
    """A table that SQLite refuses to make (names alike but for their case, too many columns) as one clear error."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "readonly" in str(error) or "disk" in str(error):
            raise
        raise StoreError(
            f"SQLite cannot hold this view ({error})", where=view, fix="rename or split its features, and apply again"
        ) from None
