"""Serving put together from real parts: a LightGBM bundle, registered, promoted, followed, asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from headrace.core.clock import HOUR
from headrace.core.errors import CorruptError, NotFoundError
from headrace.evaluate.metrics import METRICS
from headrace.models.bundle import PREDICTION, Bundle, reference_profile
from headrace.models.compiled import CompiledLightGBM
from headrace.models.design import Encoder
from headrace.models.families import get_family
from headrace.registry.models import register
from headrace.registry.tracking import log_study
from headrace.serving.loading import with_compiled_trees
from headrace.serving.rollout.load_test import self_test
from headrace.serving.service import open_service
from headrace.store.online import OnlineStore
from tests.serving_fixtures import DEFINITIONS, NOW, PROBLEM, ROW, SERVICE, write_store


def make_bundle(folder: Path) -> Bundle:
    """A LightGBM model over the tiny problem's features, saved and loaded."""
    rng = np.random.default_rng(0)
    values = {
        item.slug: pa.array([str(v) for v in rng.choice(["web", "shop", "Bern"], 300)])
        if item.kind == "categorical"
        else pa.array(rng.normal(20, 5, 300))
        for item in DEFINITIONS
    }
    matrix, label = pa.table(values), (rng.uniform(size=300) < 0.4).astype(np.float64)
    encoder, family = Encoder.fit(matrix), get_family("lightgbm")
    fitted = family.fit(encoder.encode(matrix), label, family.default(), metric=METRICS["auc"], rounds=5, threads=1)
    Bundle(
        problem="shop",
        service=SERVICE,
        definitions=DEFINITIONS,
        encoder=encoder,
        family="lightgbm",
        fitted=fitted,
        config=family.default(),
        metric="auc",
        lead_time={"low_s": 7200.0, "high_s": 7200.0},
        reference=reference_profile(matrix, label, fitted.predict(encoder.encode(matrix))),
    ).save(folder)
    return Bundle.load(folder)


def test_a_bundle_that_predicts_as_it_did_passes(tmp_path: Path) -> None:
    self_test(make_bundle(tmp_path / "bundle"))


def test_trees_are_compiled_if_they_predict_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    fast = with_compiled_trees(bundle)
    assert isinstance(fast.fitted, CompiledLightGBM)
    rows = bundle.read_reference()
    np.testing.assert_array_equal(fast.predict(rows), bundle.predict(rows))
    monkeypatch.setattr(CompiledLightGBM, "predict", lambda self, design, *, threads=1: np.ones(len(design)))
    assert with_compiled_trees(bundle) is bundle
    assert "LightGBM predicts" in caplog.text


@pytest.mark.parametrize("wrong", [0.001, float("nan")])
def test_a_bundle_that_predicts_otherwise_is_refused(tmp_path: Path, wrong: float) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    profile = bundle.read_reference()
    at = profile.column_names.index(PREDICTION)
    moved = profile[PREDICTION].to_numpy().copy()
    moved[3] += wrong
    changed = dataclasses.replace(bundle, reference=profile.set_column(at, PREDICTION, pa.array(moved)))
    with pytest.raises(CorruptError, match="does not predict what it predicted when it was made"):
        self_test(changed)


def test_from_bundle_to_answer_over_the_real_registry(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    bundle = make_bundle(tmp_path / "bundle")
    run_id = log_study(uri, "shop", key="k", study_name="s", trials=())
    version = register(tmp_path / "bundle", problem="shop", metrics={}, tracking_uri=uri, root=tmp_path, run_id=run_id)
    service = open_service(tmp_path, PROBLEM, uri, lambda: NOW)
    service.ledger.promote(version, None, "first", {}, NOW)

    # Its features are not published yet: such a version must not take over.
    assert not service.follower.refresh()
    assert service.follower.refused is not None
    with pytest.raises(NotFoundError):
        OnlineStore(tmp_path, PROBLEM).ages(SERVICE, NOW)

    write_store(tmp_path)
    service = open_service(tmp_path, PROBLEM, uri, lambda: NOW)
    assert service.follower.refresh()
    usual, early = service.predictor.predict(
        [ROW, {**ROW, "placed": "2024-03-02T14:00:00Z", "customer_id": "c2"}], now_us=NOW
    )
    assert usual.model_version == version
    assert (usual.flags, early.flags) == ((), ("lead_time_unusual",))
    matrix = pa.table(
        {
            "customer_id_customers_city": ["Bern"],
            DEFINITIONS[1].slug: [30.0],
            "amount": [20.0],
            "gift": [1.0],
            "channel": ["web"],
            "hour_placed": [float((NOW + 2 * HOUR) % (24 * HOUR) // HOUR)],
        }
    )
    assert usual.value == bundle.predict(matrix)[0]
    assert len(service.log) == 2
    service.log.close()
