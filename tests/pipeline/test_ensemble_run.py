"""An ensemble of families as champion: selected, registered, served as in training, explained, retrained, shadowed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headrace.core.clock import MINUTE, iso
from headrace.core.errors import DeclarationError
from headrace.core.files import read_json
from headrace.evaluate.choice import Choice
from headrace.models.ensemble import ENSEMBLE, FittedEnsemble
from headrace.models.explain import explain
from headrace.models.families import warm_start
from headrace.models.recipe import Recipe
from headrace.pipeline.production.champion import champion_bundle
from headrace.pipeline.production.feature_matrix import feature_matrix
from headrace.pipeline.stages import ensemble
from headrace.pipeline.stages.evaluate import MEMBERS
from headrace.pipeline.stages.study_plan import study_plan
from headrace.registry.ledger import Ledger
from headrace.schema import Ensemble
from headrace.search.trial import Trial
from headrace.serving.service import open_service
from tests.pipeline.shop import Shop
from tests.pipeline.test_deep_features_run import clock_of, requests, spine_of
from tests.pipeline.test_retrain_search import selected
from tests.pipeline.turned import context_of, live, look
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow

FAMILIES = ("lightgbm", "xgboost", "catboost")


def better(*arguments: Any, **options: Any) -> Choice:
    """The comparison of an ensemble that is better: on six hundred orders luck would decide."""
    return Choice(candidate_better=True, reason="better", difference=0.1, low=0.05, high=0.2, n_folds=1, n_rows=1)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("ensemble")
    path = write_tiny_problem(folder / "problem", replayed_days=1)
    text = path.read_text().replace("import EntitySet", "import Ensemble, EntitySet")
    declared = f"    families={FAMILIES!r},\n    ensemble=Ensemble(slowdown=10),\n"
    path.write_text(text.replace("    tick=", f"{declared}    tick="))
    shop = Shop(path=path, home=folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "choose", better)
        shop.finish(trials=4)
    return shop


def bundle_of(shop: Shop) -> Any:
    context = context_of(shop)
    record = Ledger(context.root, "shop").champion()
    assert record is not None
    return champion_bundle(context, record)


def test_the_champion_is_an_ensemble_with_a_recipe(ran: Shop) -> None:
    bundle = bundle_of(ran)
    assert bundle.family == ENSEMBLE
    assert isinstance(bundle.fitted, FittedEnsemble)
    assert len(bundle.families) > 1
    assert set(bundle.families) <= set(FAMILIES)
    assert sum(weight for weight, _ in bundle.facts["recipe"]["members"]) == pytest.approx(1.0)
    (written,) = (ran.home / "stages" / "shop" / "evaluate").glob(f"*/{MEMBERS}")
    assert read_json(written)["used"]


def test_the_served_row_equals_the_batch_row(ran: Shop) -> None:
    """Orders alone through the service, together through the service, and in one matrix as training reads it."""
    context, bundle, clock = context_of(ran), bundle_of(ran), clock_of(ran)
    rows, cutoff = requests(clock), clock + MINUTE
    service = open_service(ran.home, context.problem, context.tracking_uri, lambda: clock)
    assert service.follower.refresh()
    sent = [{**row, "placed": iso(clock)} for row in rows]
    together = [answer.value for answer in service.predictor.predict(sent, now_us=cutoff)]
    alone = [service.predictor.predict([row], now_us=cutoff)[0].value for row in sent]
    service.log.close()
    matrix = feature_matrix(context, bundle.service, bundle.definitions, spine_of(context, rows, cutoff))
    assert len(set(alone)) > 10
    np.testing.assert_allclose(alone, together, rtol=1e-12)
    np.testing.assert_allclose(alone, bundle.predict(matrix), rtol=1e-12)


def test_it_is_monitored_and_shadowed_like_any(ran: Shop, tmp_path: Path) -> None:
    shutil.copytree(ran.home, tmp_path / "home")
    shop = Shop(path=ran.path, home=tmp_path / "home")
    context = context_of(shop)
    live(context, 2)
    assert look(context).decision.reason
    bundle = bundle_of(shop)
    recipe = Recipe.from_json(bundle.facts["recipe"])
    assert recipe.families == bundle.families
    names = {item.slug: item.name for item in bundle.definitions}
    explained = explain(bundle.fitted, bundle.encoder.encode(bundle.read_reference()), names, tmp_path / "shap.png")
    assert explained.table[0]["mean_abs_shap"] > 0


def test_a_retrain_searches_the_families_of_the_members(tmp_path: Path) -> None:
    config = warm_start(("xgboost",))[0]
    first = selected(tmp_path, [], config)
    first = replace(first, output=replace(first.output, champion_families=FAMILIES))
    plan = study_plan((), first)
    (choice,) = plan.space.parameters.values()
    assert list(choice.options) == list(FAMILIES)  # type: ignore[union-attr]
    assert config in plan.first


def test_the_library_has_the_best_of_each_family_first() -> None:
    trials = [
        Trial(number=n, config={"family": family, f"{family}.x": n}, status="ok", loss=loss, seconds=1.0)
        for n, (family, loss) in enumerate([("a", 0.3), ("a", 0.1), ("a", 0.2), ("lightgbm", 0.4), ("b", 0.05)])
    ]
    found = ensemble.library(trials, trials[1].config, 3)
    assert [config["family"] for config in found] == ["a", "lightgbm", "a"], "a model carries one family of the user's"


def test_a_declaration_is_checked() -> None:
    for wrong in ({"size": 1}, {"slowdown": 0.5}):
        with pytest.raises(DeclarationError):
            Ensemble(**wrong)  # type: ignore[arg-type]
