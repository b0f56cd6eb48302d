"""One Spark session, and one Sail server, for all tests of this folder. Without PySpark they are skipped."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest

from headrace.synthesis.engines.shuffle.spark import SparkEngine, session

pytest.importorskip("pyspark")


@pytest.fixture(scope="session")
def spark_engine() -> Iterator[SparkEngine]:
    """The engine in Spark's local mode, for tables of any size."""
    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    engine = SparkEngine(min_rows=0, partition_bytes=5_000, master="local[2]")
    running = session(engine)
    yield engine
    running.stop()


@pytest.fixture(scope="session")
def sail_engine() -> Iterator[SparkEngine]:
    """The engine on a server of Sail in this process, on a free port."""
    sail = pytest.importorskip("pysail.spark")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    server = sail.SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    host, port = server.listening_address[:2]
    yield SparkEngine(min_rows=0, partition_bytes=5_000, remote=f"sc://{host}:{port}")
    server.stop()
