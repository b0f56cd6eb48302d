"""The conformance suite of engines, the leak probe among it, on the partitioned engine."""

from __future__ import annotations

import pytest

from headrace.synthesis.engines.shuffle.engine import PartitionedLocalEngine
from headrace.synthesis.language.engine import Engine
from headrace.testing.engines import EngineConformance

pytestmark = pytest.mark.slow


class TestPartitionedByKeyAndTime(EngineConformance):
    """Partitions are so small that histories of a few rows are divided by time."""

    @pytest.fixture
    def engine(self) -> Engine:
        return PartitionedLocalEngine(min_rows=0, partition_bytes=3_000)
