"""The engine on Spark or on Sail, with one session for all tests. Without PySpark they are skipped.

A process has either a session of its own Spark or one of Spark Connect, so `make test-spark` runs the tests twice, with
HEADRACE_TEST_ENGINE=spark and =sail.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import pytest

from headrace.synthesis.engines import SparkEngine

pytest.importorskip("pyspark")


@pytest.fixture(scope="session")
def engine() -> Iterator[SparkEngine]:
    """An engine that divides even the smallest tables."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    yield from _on_sail() if os.environ.get("HEADRACE_TEST_ENGINE") == "sail" else _on_spark()


def _on_spark() -> Iterator[SparkEngine]:
    from headrace.synthesis.engines.shuffle.spark import session

    if shutil.which("java") is None:
        pytest.skip("there is no Java")
    engine = SparkEngine(min_rows=0, partition_bytes=5_000, master="local[2]")
    running = session(engine)
    yield engine
    running.stop()


def _on_sail() -> Iterator[SparkEngine]:
    sail = pytest.importorskip("pysail.spark")
    server = sail.SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    host, port = server.listening_address[:2]
    yield SparkEngine(min_rows=0, partition_bytes=5_000, remote=f"sc://{host}:{port}")
    server.stop()
