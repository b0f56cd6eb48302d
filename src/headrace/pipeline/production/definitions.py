"""Feature definitions in files, and the column types of the tables that they read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from headrace.core.files import read_json, write_json
from headrace.lake.store import Snapshot
from headrace.schema import Problem
from headrace.synthesis.language.definitions import Definition, from_json, to_json

#: The file in which a stage leaves definitions.
DEFINITIONS = "definitions.json"


def read_definitions(path: Path) -> tuple[Definition, ...]:
    """Read definitions from a JSON list."""
    return tuple(from_json(item) for item in read_json(path))


def write_definitions(path: Path, definitions: Sequence[Definition]) -> None:
    """Write definitions as a JSON list."""
    write_json(path, [to_json(item) for item in definitions])


def table_schemas(problem: Problem, snapshot: Snapshot) -> dict[str, pa.Schema]:
    """The Arrow schema of every table of a problem, by name, as it lies in the lake."""
    return {table.name: snapshot.schema(table.name) for table in problem.entity_set.tables}
