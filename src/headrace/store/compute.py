"""Feast compute engine that materialises one view at a time, from the offline store's chunks to the online store.

Feast's local engine converts every value to a protobuf first; Headrace's own online store takes the Arrow chunks
unchanged. An online store that the user chose (Redis, say; `store.backends`) gets the same rows first, as protobufs;
the watermark of a view is written only after them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
from feast.feature_view import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.base import ComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _convert_arrow_to_proto

from headrace.core.clock import floor_to_tick, to_us
from headrace.core.errors import ConflictError, DataError
from headrace.store.embedded import HeadraceOnlineStore
from headrace.store.materialise import online_rows
from headrace.store.offline import ComputedJob
from headrace.store.online_file.tables import Watermark
from headrace.store.published import layout
from headrace.store.repo import writing
from headrace.store.source import TIMESTAMP, SynthesisSource, home_of


class HeadraceComputeEngineConfig(FeastConfigBaseModel):
    """`batch_engine:` in feature_store.yaml."""

    type: Literal["headrace.store.compute.HeadraceComputeEngine"] = "headrace.store.compute.HeadraceComputeEngine"


class HeadraceComputeEngine(ComputeEngine):
    """Materialises synthesised views. It keeps nothing of its own, so there is nothing to update or tear down."""

    def update(self, project: str, *views_and_entities: Sequence[Any], **more: Sequence[Any]) -> None:
        pass

    def teardown_infra(self, project: str, *views_and_entities: Sequence[Any], **more: Sequence[Any]) -> None:
        pass

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
        try:
            self._write(task)
        except Exception as error:  # Feast's contract: a failure is the job's, and the caller raises it
            return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.ERROR, error=error)
        return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def _write(self, task: MaterializationTask) -> None:
        view = task.feature_view
        source = view.batch_source
        if not isinstance(source, SynthesisSource):
            raise DataError(
                "only synthesised views can be materialised", where=view.name, found=[type(source).__name__]
            )
        with writing(home_of(self.repo_config)):  # Feast's own command may run beside ours
            self._write_view(task, source)

    def _write_view(self, task: MaterializationTask, source: SynthesisSource) -> None:
        view = task.feature_view
        # As published, which the watermark stands for: a shared registry may have another home's columns.
        slugs = list(source.published(self.repo_config)[1].slugs)
        job = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=source,
            join_key_columns=list(view.join_keys),
            feature_name_columns=slugs,
            timestamp_field=TIMESTAMP,
            created_timestamp_column=None,
            start_date=task.start_time,
            end_date=task.end_time,
        )
        embedded = self.online_store if isinstance(self.online_store, HeadraceOnlineStore) else None
        if embedded is None or not isinstance(job, ComputedJob):
            self._write_rows(view, job.to_arrow())
        if isinstance(job, ComputedJob):
            rows = embedded.rows(self.repo_config) if embedded else online_rows(home_of(self.repo_config))
            mark = self._watermark(source, to_us(task.end_time), job.snapshot)
            rows.replace(mark, list(view.join_keys), slugs, job.chunks())

    def _write_rows(self, view: FeatureView, values: pa.Table) -> None:
        """Rows of a view as the protobufs that any online store of Feast takes."""
        if unknown := [field.name for field in view.features if field.name not in values.column_names]:
            raise ConflictError(
                f"Feast's registry has a feature {unknown[0]!r} that is not published",
                where=view.name,
                found=values.column_names,
                fix="publish the view again",
            )
        types = {column.name: column.dtype.to_value_type() for column in view.entity_columns}
        rows = _convert_arrow_to_proto(values, view, types)
        self.online_store.online_write_batch(self.repo_config, view, rows, None)

    def _watermark(self, source: SynthesisSource, end_us: int, history: str) -> Watermark:
        published, view = source.published(self.repo_config)
        return Watermark(
            view=source.name,
            tick_us=floor_to_tick(end_us, published.tick_us),
            rows=0,
            layout=layout(view),
            history=history,
        )
