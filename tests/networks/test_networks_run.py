"""A network as the pipeline's champion: searched, gated, registered, hot-swapped for LightGBM's, served, explained."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest

from headrace.api.app import build_app
from headrace.core.clock import MINUTE, iso
from headrace.models.explain import explain, model_figures
from headrace.networks.families.fitted import FittedNetwork
from headrace.pipeline.operations.release import promote_by_hand
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.registry.ledger import Ledger
from headrace.registry.ledger_tables import Record
from headrace.serving.reports import report_file
from headrace.serving.service import open_service
from tests.api.served import TestClient
from tests.pipeline.shop import Shop
from tests.pipeline.test_deep_features_run import clock_of, requests, spine_of
from tests.pipeline.turned import context_of
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.neural


def name_families(path: Path, names: tuple[str, ...]) -> None:
    """Write the families into the problem file."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("    families=")]
    lines.insert(lines.index('    tick="15min",'), f"    families={names!r},")
    path.write_text("\n".join(lines) + "\n")


def champion(shop: Shop) -> Record:
    record = Ledger(shop.home, "shop").champion()
    assert record is not None
    return record


def make_champion(shop: Shop, version: str) -> None:
    """Make a version the champion where the gate did not: it was judged on some tens of rows."""
    record = Ledger(shop.home, "shop").champion()
    if record is None or record.version != version:
        promote_by_hand(context_of(shop), version, "test")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose champion is of LightGBM."""
    folder = tmp_path_factory.mktemp("network")
    path = write_tiny_problem(folder / "problem", orders=300, replayed_days=1)
    path.write_text(path.read_text().replace("max_features=20", "max_features=8"))
    name_families(path, ("lightgbm",))
    found = Shop(path=path, home=folder / "home")
    found.finish(trials=1)
    make_champion(found, "1")
    return found


def test_a_network_takes_over_from_lightgbm_and_predicts_one_row(shop: Shop, tmp_path: Path) -> None:
    clock = clock_of(shop)
    row = {**requests(clock)[1], "placed": iso(clock)}
    context, now = context_of(shop), clock + MINUTE
    assert champion_bundle(context, champion(shop)).family == "lightgbm"
    service = open_service(shop.home, context.problem, context.tracking_uri, lambda: now)
    assert service.follower.refresh()
    with TestClient(build_app(service, poll_s=3600), base_url="http://localhost") as client:
        before = client.post("/predict", json=row).json()
        assert before["model_version"] == "1"

        name_families(shop.path, ("mlp",))
        shop.finish(trials=1)
        make_champion(shop, "2")
        assert service.follower.refresh()
        after = client.post("/predict", json=row).json()
    assert after["model_version"] == "2"

    context = context_of(shop)
    bundle = champion_bundle(context, champion(shop))
    assert bundle.family == "mlp"
    assert isinstance(bundle.fitted, FittedNetwork)
    rows = requests(clock)
    matrix = feature_matrix(context, bundle.service, bundle.definitions, spine_of(context, rows, now))
    assert after["probability"] == pytest.approx(bundle.predict(matrix)[1], rel=1e-12)
    assert after["probability"] != before["probability"]
    names = {item.slug: item.name for item in bundle.definitions}
    explained = explain(bundle.fitted, bundle.encoder.encode(bundle.read_reference()), names, tmp_path / "shap.png")
    assert explained.table[0]["mean_abs_shap"] > 0
    assert bundle.folder is not None
    assert [path.name for path in (bundle.folder / "model").iterdir()] == ["network.safetensors"]
    facts = json.loads((bundle.folder / "bundle.json").read_text())
    assert facts["family"] == "mlp"
    assert np.isfinite(facts["metrics"]["tune_auc"])
    page = report_file(shop.home, "shop", "2").read_text()
    figures = model_figures(bundle.fitted, bundle.encoder.encode(bundle.read_reference()), names, {})
    assert all(html.escape(figure.title) in page for figure in figures)
