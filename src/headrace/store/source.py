"""Feast data source of a view: the stored definitions of one entity of a problem, computed by the offline store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from headrace.store.checks import require_home
from headrace.store.history import STORED_TYPES
from headrace.store.published import KEY_TYPES, Published, View, read_published

#: The column that carries a feature row's tick, and an entity row's cutoff.
TIMESTAMP = "event_timestamp"
_CLASS = "headrace.store.source.SynthesisSource"
_VALUE_TYPES = {"double": ValueType.DOUBLE, "string": ValueType.STRING, "int64": ValueType.INT64}


class SynthesisSource(DataSource):
    """A data source that is computed on read.

    Args:
        name: Name of the view.
        problem: Problem whose published definitions are computed.
        entity: Entity of the view.
        description: Text for people.
    """

    def __init__(self, *, name: str, problem: str, entity: str, description: str = "") -> None:
        super().__init__(name=name, timestamp_field=TIMESTAMP, description=description)
        self.problem = problem
        self.entity = entity

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SynthesisSource)
            and bool(DataSource.__eq__(self, other))  # type: ignore[no-untyped-call]
            and (self.problem, self.entity) == (other.problem, other.entity)
        )

    def __hash__(self) -> int:
        return hash((self.name, self.problem, self.entity))

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        return DataSourceProto.CUSTOM_SOURCE

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> Any:
        """The source that `to_proto` wrote."""
        options = json.loads(data_source.custom_options.configuration)
        return SynthesisSource(
            name=data_source.name,
            problem=options["problem"],
            entity=options["entity"],
            description=data_source.description,
        )

    def _to_proto_impl(self) -> DataSourceProto:
        options = json.dumps({"problem": self.problem, "entity": self.entity}, sort_keys=True)
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=_CLASS,
            timestamp_field=self.timestamp_field,
            description=self.description,
            custom_options=DataSourceProto.CustomSourceOptions(configuration=options.encode()),
        )

    def _set_timestamps_in_proto(self, data_source_proto: DataSourceProto) -> None:
        """Set no times: Feast compares sources by them, and every process would then change every view."""
        data_source_proto.meta.SetInParent()

    def validate(self, config: RepoConfig) -> None:
        """Raises NotFoundError where the problem has nothing published."""
        self.published(config)

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return _VALUE_TYPES.__getitem__

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        """Return the names of join keys and features with the Arrow names of their stored types."""
        published, view = self.published(config)
        keys = [(name, str(KEY_TYPES[published.key_types[name]])) for name in view.join_keys]
        return [*keys, *((item.slug, str(STORED_TYPES[item.kind])) for item in view.definitions)]

    def published(self, config: RepoConfig) -> tuple[Published, View]:
        """Return what is published for the source's problem, and its view.

        Raises:
            StoreError: The configuration names another home folder than HEADRACE_HOME.
        """
        require_home(home_of(config), config.repo_path)
        published = read_published(home_of(config), self.problem)
        return published, published.view(self.name)


def home_of(config: RepoConfig) -> Path:
    """Return the home folder of a Feast configuration; a relative path is relative to the feature repo."""
    root = Path(config.offline_store.root)
    return root if root.is_absolute() or config.repo_path is None else (config.repo_path / root).resolve()
