"""A network as the pipeline's champion: searched, registered, served one row at a time as in training, explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headrace.core.clock import MINUTE, iso
from headrace.models.explain import explain
from headrace.networks.families import pipeline
from headrace.networks.families.fitted import FittedNetwork
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.registry.ledger import Ledger
from headrace.serving.service import open_service
from tests.pipeline.shop import Shop
from tests.pipeline.test_deep_features_run import clock_of, requests, spine_of
from tests.pipeline.turned import context_of
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.neural


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("network")
    path = write_tiny_problem(folder / "problem", replayed_days=1)
    path.write_text(path.read_text().replace("    tick=", '    families=("mlp",),\n    tick='))
    shop = Shop(path=path, home=folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "MAX_ROUNDS", 40)
        shop.finish(trials=2)
    return shop


def test_one_row_is_served_as_the_batch_predicts_it(ran: Shop, tmp_path: Path) -> None:
    context, clock = context_of(ran), clock_of(ran)
    record = Ledger(context.root, "shop").champion()
    assert record is not None
    bundle = champion_bundle(context, record)
    assert bundle.family == "mlp"
    assert isinstance(bundle.fitted, FittedNetwork)
    rows, cutoff = requests(clock), clock + MINUTE
    service = open_service(ran.home, context.problem, context.tracking_uri, lambda: clock)
    assert service.follower.refresh()
    alone = [service.predictor.predict([{**row, "placed": iso(clock)}], now_us=cutoff)[0].probability for row in rows]
    service.log.close()
    matrix = feature_matrix(context, bundle.service, bundle.definitions, spine_of(context, rows, cutoff))
    np.testing.assert_allclose(alone, bundle.predict(matrix), rtol=1e-12)
    names = {item.slug: item.name for item in bundle.definitions}
    explained = explain(bundle.fitted, bundle.encoder.encode(bundle.read_reference()), names, tmp_path / "shap.png")
    assert explained.table[0]["mean_abs_shap"] > 0
