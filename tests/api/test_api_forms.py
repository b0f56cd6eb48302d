"""Other forms of a call: explanations, Arrow tables, MLflow's scoring protocol, several problems in one server."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace.api.app import build_app
from headrace.api.arrow import MEDIA_TYPE
from headrace.api.arrow_messages import has_compressed_buffers
from headrace.api.problems import ProblemsApp
from headrace.models.design import Design, Encoder
from headrace.serving.explain import MAX_EXPLAINED
from headrace.serving.follow import LoadedVersion
from tests.api.served import ROW, Served, TestClient, error_of, serve, serving
from tests.serving_fixtures import DEFINITIONS, MEAN, TinyModel, write_store


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("forms")) as app:
        yield app


class Linear:
    """Half the mean amount / 1,000 and the row's amount / 1,000, whose Shapley values are seen at once."""

    def predict(self, design: Design, *, threads: int = 1) -> Any:
        return self.contributions(design).sum(axis=1) + 0.5

    def contributions(self, design: Design) -> Any:
        values = np.zeros(design.X.shape)
        for name, weight in ((MEAN, 0.0005), ("amount", 0.001)):
            at = design.names.index(name)
            values[:, at] = np.nan_to_num(design.X[:, at]) * weight
        return values


ENCODER = Encoder(
    names=tuple(item.slug for item in DEFINITIONS),
    categories={item.slug: ("web", "Bern") for item in DEFINITIONS if item.kind == "categorical"},
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Explained(TinyModel):
    """A model with a design matrix, as bundles have."""

    fitted: Linear = dataclasses.field(default_factory=Linear)
    encoder: Encoder = dataclasses.field(default_factory=lambda: ENCODER)


@pytest.fixture
def explained(tmp_path: Path) -> Iterator[TestClient]:
    write_store(tmp_path)
    service = serving(tmp_path)
    service.predictor._champion = lambda: LoadedVersion(version="1", bundle=Explained())  # type: ignore[arg-type, return-value]
    with TestClient(build_app(service), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def test_an_explanation_adds_up_and_speaks_in_words(explained: TestClient) -> None:
    content = explained.post("/predict?explain=true", json=dict(ROW)).json()
    explanation = content["explanation"]
    first, second, *others = explanation["contributions"]
    assert (first["feature"], first["value"], first["shap"]) == ("amount", 20.0, pytest.approx(0.02))
    assert first["words"] == "this row's amount"
    assert second["words"].startswith("the mean of amount over orders of this customer_id that became known in the 7")
    assert (second["value"], second["shap"]) == (30.0, pytest.approx(0.015))
    assert {item["shap"] for item in others} == {0.0}
    assert explanation["unit"] == "log-odds"
    raw = np.log(content["probability"] / (1 - content["probability"]))
    assert explanation["baseline"] + sum(item["shap"] for item in explanation["contributions"]) == pytest.approx(raw)


def test_without_explain_an_answer_has_no_such_field(explained: TestClient) -> None:
    assert "explanation" not in explained.post("/predict", json=dict(ROW)).json()
    (one,) = explained.post("/predict/batch?explain=true", json={"rows": [dict(ROW)]}).json()["predictions"]
    assert one["explanation"]["contributions"][0]["feature"] == "amount"


def test_a_model_without_shapley_values_is_not_explained(served: Served) -> None:
    error = error_of(served.client.post("/predict?explain=true", json=dict(ROW)), 503)
    assert error["what"] == "this model cannot be explained"


def test_too_many_rows_are_not_explained(served: Served) -> None:
    rows = [dict(ROW)] * (MAX_EXPLAINED + 1)
    error = error_of(served.client.post("/predict/batch?explain=true", json={"rows": rows}), 422)
    assert error["what"] == "too many rows to explain"


def encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def ask(served: Served, body: bytes, query: str = "", declared: str = MEDIA_TYPE) -> Any:
    return served.client.post(f"/predict/arrow{query}", content=body, headers={"content-type": declared})


def test_an_arrow_table_is_answered_as_its_rows_are(served: Served) -> None:
    placed = datetime(2024, 3, 1, 14, tzinfo=UTC)
    table = pa.table(
        {
            "customer_id": pa.array(["c1", "c2", None]).dictionary_encode(),
            "placed": pa.array([placed] * 3, pa.timestamp("ns", tz="Europe/Zurich")),
            "amount": pa.array([Decimal("20.5"), None, Decimal("1.0")]),
            "gift": [True, False, None],
            "channel": ["web", "fax", None],
        }
    )
    response = ask(served, encoded(table))
    answered = pa.ipc.open_stream(response.content).read_all()
    rows = [
        {**row, "placed": "2024-03-01T14:00:00Z", "amount": None if row["amount"] is None else float(row["amount"])}
        for row in table.to_pylist()
    ]
    expected = served.client.post("/predict/batch", json={"rows": rows}).json()["predictions"]
    names = ["probability", "model_version", "made_at", "flags", "reason"]
    assert answered.select(names).to_pylist() == [{name: item[name] for name in names} for item in expected]
    logged = {item.id for item in served.log.read()}
    assert set(answered["id"].to_pylist()) <= logged


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b"no arrow", 422, "not a valid stream"),
        (b"", 422, "not a valid stream"),
        (encoded(pa.table({"a": pa.array([], pa.int64())})), 422, "number of rows is wrong"),
        (encoded(pa.table({"a": [[1]]})), 422, "a column of type list<item: int64> is not taken"),
        (encoded(pa.table({"a": [b"x"]})), 422, "a column of type binary is not taken"),
        (encoded(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"])), 422, "two columns share a name"),
        (encoded(pa.table({"customer_id": ["c1"]})), 422, "lacks "),
        (encoded(pa.table({"customer_id": ["c1"]}))[:-100], 422, "not a valid stream"),
    ],
)
def test_a_wrong_arrow_body_is_refused(served: Served, body: bytes, status: int, what: str) -> None:
    assert what in error_of(ask(served, body), status)["what"]


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    body: bytes = sink.getvalue().to_pybytes()
    return body


def repeated(value: str, rows: int) -> pa.Table:
    return pa.table({"channel": pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))})


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (stream(pa.table({"channel": ["x" * 1_000_000]}), compression="zstd"), "compressed buffers"),
        (stream(repeated("x" * 100_000, 200), compression="lz4"), "compressed buffers"),
        (stream(repeated("x" * 100_000, 200)), "the texts are too long together"),
        (stream(pa.table({f"c{n}": pa.nulls(1_000) for n in range(2_001)})), "too many values"),
        (stream(pa.table({"at": pa.array([1], pa.timestamp("us", tz="Nonsense/Zone"))})), "is not taken"),
        (stream(pa.table({"channel": pa.array([["web"]])})), r"list<.*> is not taken"),
        (stream(pa.table({"channel": pa.array(["web"], pa.string_view())})), "string_view is not taken"),
    ],
    ids=["zstd", "lz4 of a dictionary", "dictionary", "null columns", "time zone", "list", "view"],
)
def test_an_arrow_body_cannot_grow(served: Served, body: bytes, what: str) -> None:
    answer = served.client.post("/predict/arrow", content=body, headers={"content-type": MEDIA_TYPE})
    assert re.search(what, error_of(answer, 422)["what"])


def test_arrow_batches_with_and_without_compression_are_told_apart() -> None:
    table = pa.table({"a": [1, 2], "b": pa.array(["x", "y"]).dictionary_encode(), "c": [None, None]})
    assert not has_compressed_buffers(stream(table))
    assert has_compressed_buffers(stream(table, compression="zstd"))
    assert has_compressed_buffers(stream(table.select(["a"]), compression="lz4"))
    assert not has_compressed_buffers(stream(table.slice(0, 0)))


def test_arrow_is_declared_and_strict_as_elsewhere(served: Served) -> None:
    error_of(ask(served, b"", declared="application/json"), 415)
    table = pa.table({name: [value] for name, value in {**ROW, "channel": "fax"}.items()})
    assert "'fax' is not among the values" in error_of(ask(served, encoded(table), "?strict=true"), 422)["what"]


COLUMNS = list(ROW)


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": COLUMNS, "data": [list(ROW.values())] * 2}},
        {"dataframe_split": {"index": [0, 1], "columns": COLUMNS, "data": [list(ROW.values())] * 2}},
        {"dataframe_records": [dict(ROW)] * 2},
        {"inputs": [dict(ROW)] * 2},
        {"instances": [dict(ROW)] * 2},
        {"inputs": {name: [value] * 2 for name, value in ROW.items()}},
    ],
)
def test_clients_of_mlflow_are_answered(served: Served, body: Any) -> None:
    expected = served.client.post("/predict", json=dict(ROW)).json()["probability"]
    assert served.client.post("/invocations", json=body).json() == {"predictions": [expected, expected]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": [dict(ROW)]},
        {"inputs": [dict(ROW)], "instances": [dict(ROW)]},
        {"dataframe_split": {"columns": COLUMNS, "data": [[1]]}},
        {"dataframe_split": {"columns": [1], "data": [[1]]}},
        {"dataframe_split": [1]},
        {"dataframe_records": [1]},
        {"dataframe_records": []},
        {"inputs": {"amount": [1, 2], "gift": [True]}},
        {"inputs": 1},
        {"inputs": {"amount": [[1]]}},
    ],
)
def test_a_body_of_another_form_is_refused(served: Served, body: Any) -> None:
    error_of(served.client.post("/invocations", json=body), 422)


def test_ping_answers_as_mlflows_server(served: Served) -> None:
    assert (served.client.get("/ping").status_code, served.client.get("/ping").text) == (200, "\n")


def test_several_problems_are_served_side_by_side(tmp_path: Path) -> None:
    apps = {}
    for name, offset in (("first", 0.1), ("second", 0.2)):
        write_store(tmp_path / name)
        service = serving(tmp_path / name)
        loaded = LoadedVersion(version=name, bundle=TinyModel(offset=offset))  # type: ignore[arg-type]
        service.predictor._champion = lambda loaded=loaded: loaded  # type: ignore[misc]
        apps[name] = build_app(service)
    with TestClient(ProblemsApp(apps), base_url="http://localhost", raise_server_exceptions=False) as client:
        assert client.get("/problems").json()["problems"] == [
            {"name": "first", "path": "/problems/first"}, {"name": "second", "path": "/problems/second"},
        ]  # fmt: skip
        versions = {
            path: client.post(path, json=dict(ROW)).json()["model_version"]
            for path in ("/predict", "/problems/first/predict", "/problems/second/predict")
        }
        assert list(versions.values()) == ["first", "first", "second"]
        batch = client.post("/problems/second/predict/batch", json={"rows": [dict(ROW)]}).json()
        assert batch["predictions"][0]["probability"] == pytest.approx(0.23)
        assert 'path="/predict",problem="shop",status="200"} 1.0' in client.get("/problems/second/metrics").text
        for path in ("/problems/third/predict", "/problems/second", "/problems/second/nothing"):
            assert client.post(path, json=dict(ROW)).status_code == 404
        assert client.get("/problems", headers={"host": "evil.example"}).status_code == 400
