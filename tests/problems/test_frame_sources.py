"""Data frames as sources: read as tables, identified by their contents alone."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from headrace.core.errors import DataError, DeclarationError, NotFoundError
from headrace.problems.catalogue import declare, load_problem
from headrace.problems.sources.addresses import as_source
from headrace.problems.sources.frames import FrameSource
from headrace.schema import EntitySet, Problem, Table, each_row

FRAME = pd.DataFrame({"id": [1, 2], "x": [0.5, None], "name": ["a", None]})


def test_a_frame_is_a_source_with_its_rows() -> None:
    source = as_source(FRAME)
    assert isinstance(source, FrameSource)
    assert source.read().to_pylist() == [{"id": 1, "x": 0.5, "name": "a"}, {"id": 2, "x": None, "name": None}]


def test_contents_are_the_identity() -> None:
    digest = FrameSource.of(FRAME).fingerprint()
    assert FrameSource.of(FRAME.copy()).fingerprint() == digest
    assert FrameSource.of(pa.Table.from_pandas(FRAME, preserve_index=False)).fingerprint() == digest
    assert FrameSource.of(FRAME.set_index("id")).fingerprint() == digest
    for other in (
        FRAME.assign(x=[0.5, 0.0]),
        FRAME.rename(columns={"x": "y"}),
        FRAME[::-1],
        FRAME.astype({"id": float}),
    ):
        assert FrameSource.of(other).fingerprint() != digest


def test_later_changes_of_the_frame_do_not_count() -> None:
    frame = pd.DataFrame({"id": [1, 2], "x": [0.5, 1.5]})
    source = FrameSource.of(frame)
    before = source.fingerprint()
    frame.loc[0, "x"] = 9.0
    frame["x"].to_numpy()[:] = 7.0
    assert source.read()["x"].to_pylist() == [0.5, 1.5]
    assert FrameSource(source.read()).fingerprint() == before


def test_a_column_of_several_types_is_named() -> None:
    with pytest.raises(DataError, match=r"orders: a column holds values of several types.*astype"):
        FrameSource.of(pd.DataFrame({"x": [1, "a"]}), where="orders")


def problem(name: str, **options: object) -> Problem:
    table = Table(name="visits", key="id", time="at", known_at={"bought": "at"}, source=FRAME)
    return Problem(
        name=name,
        entity_set=EntitySet(tables=(table,)),
        spine=each_row("visits", cutoff="at"),
        **{"label": "bought == True", **options},  # type: ignore[arg-type]
    )


def test_a_declared_problem_is_found_in_this_process_alone() -> None:
    reference = declare(problem("frame_visits"))
    assert reference == "memory:frame_visits"
    assert isinstance(load_problem(reference).entity_set.table("visits").source, FrameSource)
    with pytest.raises(NotFoundError, match=r"elsewhere: this problem was declared in another Python process.*file"):
        load_problem("memory:elsewhere")


def test_a_problem_needs_a_label_and_a_name_of_its_own() -> None:
    with pytest.raises(DeclarationError, match="frame_visits: no label"):
        declare(problem("frame_visits", label=None, metric="auc"))
    with pytest.raises(DeclarationError, match="'flights' is the name of a built-in problem"):
        declare(problem("flights"))


FILE = """
import pandas as pd
from headrace.schema import EntitySet, Problem, Table, each_row

visits = pd.DataFrame({"id": [1, 2], "at": pd.to_datetime(["2024-01-01T10:00Z", "2024-01-02T10:00Z"]), "paid": [0, 1]})
problem = Problem(
    name="file_visits",
    entity_set=EntitySet(tables=[Table(name="visits", key="id", time="at", known_at={"paid": "at"}, source=visits)]),
    spine=each_row("visits", cutoff="at"),
    label="paid > 0",
)
"""


def test_a_problem_file_may_declare_data_frames(tmp_path: Path) -> None:
    (tmp_path / "visits.py").write_text(FILE)
    first, second = (load_problem(tmp_path / "visits.py").entity_set.table("visits").source for _ in range(2))
    assert isinstance(first, FrameSource)
    assert isinstance(second, FrameSource)
    assert first.fingerprint() == second.fingerprint()
    (tmp_path / "visits.py").write_text(FILE.replace("[0, 1]", "[1, 1]"))
    third = load_problem(tmp_path / "visits.py").entity_set.table("visits").source
    assert isinstance(third, FrameSource)
    assert third.fingerprint() != first.fingerprint()
    (tmp_path / "visits.py").write_text(FILE.replace('"paid > 0"', "None"))
    with pytest.raises(DeclarationError, match="file_visits: no label"):
        load_problem(tmp_path / "visits.py")
