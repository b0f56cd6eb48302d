"""A model folder of `headrace automl`: served over HTTP as in batch, refused where wrong, logged to MLflow, fetched."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from headrace.api.table_app import create_table_app
from headrace.automl import HeadraceClassifier, HeadraceRegressor
from headrace.automl.bundle import load_model, save_model
from headrace.core.errors import CorruptError, DeclarationError, NotFoundError
from headrace.prediction_log.log import PredictionLog
from headrace.registry.table_models import fetch, log_table_run
from headrace.search.trial import Trial
from tests.automl.learning import QUICK, table
from tests.cli.command import headrace

OPTIONS: dict[str, Any] = {**QUICK, "families": ("lightgbm",)}


def saved(folder: Path, model: Any) -> Path:
    kinds = {column.name: column.kind for column in model.model_.cleaner.used}
    facts = {**model.model_.facts, "target": "y", "kinds": kinds}
    save_model(replace(model.model_, facts=facts), folder)
    return folder


def requests(X: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as a client sends them: numbers with all their digits, times in ISO form, null for what is missing."""
    return [
        {
            name: None if pd.isna(value) else value.isoformat() if isinstance(value, pd.Timestamp) else value
            for name, value in row.items()
        }
        for row in X.to_dict("records")
    ]


@pytest.fixture(scope="module")
def number(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = table()
    return saved(tmp_path_factory.mktemp("number") / "model", HeadraceRegressor(**OPTIONS).fit(X, y))


class Client:
    """Asks the application in this process."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._ask("GET", path))

    def post(self, path: str, *, json: Any) -> httpx.Response:
        return asyncio.run(self._ask("POST", path, json=json))

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **options)


@contextmanager
def client_of(folder: Path, home: Path) -> Iterator[Client]:
    app = create_table_app(folder, home)
    yield Client(app)
    app.state.predictor.log.close()


def test_the_served_row_equals_the_batch_row(number: Path, tmp_path: Path) -> None:
    X = table()[0].iloc[:25]
    expected = load_model(number).predict(X)[:, 0]
    with client_of(number, tmp_path) as client:
        together = client.post("/predict/batch", json={"rows": requests(X)}).json()["predictions"]
        alone = [client.post("/predict", json=row).json() for row in requests(X)]
        card = client.get("/model").json()
        assert client.get("/readyz").status_code == 200
    np.testing.assert_allclose([one["prediction"] for one in together], expected, rtol=1e-9)
    np.testing.assert_allclose([one["prediction"] for one in alone], expected, rtol=1e-9)
    assert (card["target"], card["kind"]) == ("y", "regression")
    assert card["columns"]["day"] == "date"
    (log,) = (tmp_path / "predictions").glob("automl-*.db")
    with PredictionLog(tmp_path, log.stem) as written:
        assert {row.id for row in written.read()} == {one["id"] for one in (*together, *alone)}


def test_wrong_rows_are_refused_and_unknown_fields_are_flagged(number: Path, tmp_path: Path) -> None:
    row = requests(table()[0].iloc[:1])[0]
    with client_of(number, tmp_path) as client:
        for change in ({"a": "much"}, {"day": "no day"}, {"city": None, "a": {}}):
            assert client.post("/predict", json={**row, **change}).status_code == 422
        assert client.post("/predict", json={key: row[key] for key in row if key != "a"}).status_code == 422
        flagged = client.post("/predict", json={**row, "colour": "red"}).json()
        assert flagged["flags"] == ["unknown_field:colour"]
        assert client.post("/predict?strict=true", json={**row, "colour": "red"}).status_code == 422
        assert client.post("/predict", json=dict.fromkeys(row)).status_code == 200


def test_an_example_is_a_row_that_is_answered_and_requests_are_counted(number: Path, tmp_path: Path) -> None:
    with client_of(number, tmp_path) as client:
        row = client.get("/example").json()
        assert set(row) == set(client.get("/model").json()["columns"])
        answer = client.post("/predict", json={**row, "colour": "red"})
        assert answer.status_code == 200
        client.post("/predict", json={})
        counted = client.get("/metrics")
    assert counted.headers["content-type"].startswith("text/plain")
    version = answer.json()["model_version"]
    for line in (
        'headrace_requests_total{path="/predict",problem="y",status="200"} 1.0',
        'headrace_errors_total{path="/predict",problem="y",status="422"} 1.0',
        f'headrace_predictions_total{{problem="y",version="{version}"}} 1.0',
        'headrace_flags_total{column="",flag="unknown_field",problem="y"} 1.0',
    ):
        assert line in counted.text


def test_classes_and_quantiles_have_forms_of_their_own(tmp_path: Path) -> None:
    X, y = table()
    two = saved(tmp_path / "two", HeadraceClassifier(**OPTIONS).fit(X, np.where(y > 0, "yes", "no")))
    levels = saved(tmp_path / "levels", HeadraceRegressor(quantiles=(0.1, 0.9), **OPTIONS).fit(X, y))
    row = requests(X.iloc[:1])[0]
    with client_of(two, tmp_path) as client:
        answer = client.post("/predict", json=row).json()
    assert answer["probability"] == pytest.approx(answer["probabilities"]["yes"])
    assert answer["prediction"] == ("yes" if answer["probability"] >= 0.5 else "no")
    with client_of(levels, tmp_path) as client:
        answer = client.post("/predict", json=row).json()
    assert set(answer["quantiles"]) == {"0.1", "0.9"}
    assert "probability" not in answer


def test_a_run_is_logged_once_registered_and_fetched(number: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    trial = Trial(number=0, config={"family": "lightgbm"}, status="ok", loss=0.5, seconds=1.0)
    arguments: dict[str, Any] = {
        "name": "run", "trials": [trial], "params": {"minutes": 1}, "metrics": {"rmse": 0.5}, "artifacts": [],
        "model": number, "register": "cars",
    }  # fmt: skip
    first, again = (log_table_run(uri, "automl y", **arguments) for _ in range(2))
    assert first == again
    assert first[1] == "1"
    folder = fetch("models:/cars/1", uri, tmp_path)
    X = table()[0].iloc[:5]
    np.testing.assert_array_equal(load_model(folder).predict(X), load_model(number).predict(X))
    assert fetch("models:/cars/1", uri, tmp_path) == folder
    with pytest.raises(NotFoundError, match="no version 7"):
        fetch("models:/cars/7", uri, tmp_path)
    with pytest.raises(DeclarationError, match="names no version"):
        fetch("models:/cars@champion", uri, tmp_path)
    (folder / "card.json").write_text("{}")
    with pytest.raises(CorruptError):
        fetch("models:/cars/1", uri, tmp_path)


@pytest.mark.parametrize("target", ["y/% $x", """./:.%"'""", "long " * 200])
def test_a_run_is_logged_whatever_the_name_of_the_target(number: Path, tmp_path: Path, target: str) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    run_id, version = log_table_run(
        uri, f"automl {target}", name="run", trials=[], params={}, metrics={}, artifacts=[], model=number,
        register="cars",
    )  # fmt: skip
    assert (bool(run_id), version) == (True, "1")


@pytest.mark.parametrize("name", ["a/b", "it's", " ", "models:/x", ".", ".."])
def test_a_name_that_mlflow_would_not_take_is_refused_before_the_search(name: str, tmp_path: Path) -> None:
    X, y = table()
    X.assign(y=y).to_csv(tmp_path / "train.csv", index=False)
    outcome = headrace("automl", str(tmp_path / "train.csv"), "--target", "y", "--register", name,
                       "--out", str(tmp_path / "out"), home=tmp_path / "home")  # fmt: skip
    assert outcome.code == 1
    assert "--register" in outcome.errors[0]
    assert not (tmp_path / "out").exists()
