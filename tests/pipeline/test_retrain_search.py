"""The search of a retrain: what it takes from the champion's study, what it leaves out, and what it says about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.core.files import read_json, write_json
from headrace.core.fingerprint import file_digest
from headrace.lake.store import Lake
from headrace.models.families import warm_start
from headrace.pipeline.catalogue import RETRAIN_STAGES
from headrace.pipeline.stage import FinishedStage
from headrace.pipeline.stages.draw import DRAW, STUDY_REPORT
from headrace.pipeline.stages.search import LEADERBOARD, SEARCH
from headrace.pipeline.stages.select import KNOWN, SELECT, SelectOutput
from headrace.pipeline.stages.study_plan import PORTFOLIO, study_plan
from headrace.pipeline.walker import PipelineRun
from headrace.registry import known_study
from headrace.registry.client import connect
from headrace.registry.known_study import read_study
from headrace.schema import Racing
from headrace.search.searchers.tpe import TpeSearcher
from headrace.search.transfer.known import STUDY, KnownTrial
from headrace.search.transfer.searcher import TransferSearcher
from tests.pipeline.shop import Shop
from tests.pipeline.turned import context_of

pytestmark = pytest.mark.slow

DEFAULT, EXTRA = warm_start(("lightgbm",))


def selected(folder: Path, known: Sequence[dict[str, Any]], config: dict[str, Any] | None) -> FinishedStage[Any]:
    """A finished selection of a retrain, with these trials of the champion's study."""
    write_json(folder / KNOWN, known)
    output = SelectOutput(
        features=1, candidates=1, service="s", recipe_of="7", champion_config=config, known_trials=len(known)
    )
    sums = {KNOWN: file_digest(folder / KNOWN)}
    return FinishedStage(name=SELECT.name, output=output, folder=folder, digest="d", sums=sums)


def known(*rates: float, **changed: Any) -> list[dict[str, Any]]:
    """Trials of these learning rates, best first."""
    return [
        KnownTrial(config={**DEFAULT, "lightgbm.learning_rate": rate, **changed}, loss=float(rank)).to_json()
        for rank, rate in enumerate(rates)
    ]


def test_a_retrain_begins_with_the_champions_config_and_its_best_others(tmp_path: Path) -> None:
    plan = study_plan((), selected(tmp_path, known(0.19, 0.04, 0.05, 0.1), dict(EXTRA)))
    rates = [config["lightgbm.learning_rate"] for config in plan.first]
    assert plan.first[0] == EXTRA
    assert rates[1:] == [0.19, 0.04, 0.1], ".05 is close to .04"
    assert len(plan.first) == PORTFOLIO
    assert (plan.fallbacks, plan.note, len(plan.known)) == (1, "", 4)
    assert [plan.origin(number) for number in (0, 3, 4)] == ["champion's study", "champion's study", "searched"]
    assert plan.budget(16, 8) == 8
    assert plan.budget(4, 8) == 4
    assert plan.racing(Racing()) is None
    assert isinstance(plan.searcher("auto"), TransferSearcher)
    assert isinstance(plan.searcher("tpe"), TpeSearcher)


def test_trials_outside_of_the_space_are_left_out_with_a_note(tmp_path: Path) -> None:
    trials = [*known(0.1), *known(0.5, 0.3), *known(0.1, **{"lightgbm.dart": True})]
    plan = study_plan((), selected(tmp_path, trials, {**DEFAULT, "lightgbm.learning_rate": 0.5}))
    assert [one.config["lightgbm.learning_rate"] for one in plan.known] == [0.1]
    assert plan.note == "3 of 4 trials known of version 7 are outside the space and not used"
    assert len(plan.first) == 1
    assert plan.fallbacks == 1


@pytest.mark.parametrize("trials", [[], known(0.5)])
def test_without_known_trials_it_searches_like_the_main_job(tmp_path: Path, trials: list[dict[str, Any]]) -> None:
    config = {**DEFAULT, "lightgbm.num_leaves": 50}
    plan = study_plan((), selected(tmp_path, trials, config))
    assert plan.note
    assert plan.budget(16, 8) == (8 if plan.known else 16)
    assert plan.first == (config, DEFAULT, EXTRA)
    assert plan.fallbacks == 3


def test_a_first_search_knows_nothing(tmp_path: Path) -> None:
    plan = study_plan(("lightgbm",), selected(tmp_path, [], None))
    assert (plan.first, plan.fallbacks, plan.retrain, plan.note) == ((DEFAULT, EXTRA), 2, False, "")
    assert plan.racing(Racing()) == Racing()
    assert plan.budget(16, 8) == 16


def test_a_retrain_reads_the_champions_study_from_mlflow(standing: Shop) -> None:
    context = context_of(standing)
    first = read_json(standing.run().folder(SEARCH) / STUDY)
    until = Lake(standing.home, "shop").clock()
    refresh = replace(context, until_us=until, recipe_of="1")
    run = PipelineRun(refresh, RETRAIN_STAGES)
    output = run.output(SEARCH)
    family = [one for one in first if one["config"]["family"] == run.output(SELECT).champion_config["family"]]
    assert 1 <= output.known == len(family)
    assert ("outside the space" in output.note) == (len(family) < len(first)), "the space is the champion's family"
    next_known = read_json(run.folder(SEARCH) / STUDY)
    assert {one["age"] for one in next_known} <= {0, 1}
    assert read_json(run.folder(SEARCH) / LEADERBOARD)[0]["origin"] == "champion's study"
    assert "From the champion&#x27;s study" in (page := (run.folder(DRAW) / STUDY_REPORT).read_text()) or (
        "From the champion's study" in page
    )


def test_a_version_without_a_search_names_the_one_whose_recipe_it_has(
    standing: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, client = standing.tracking_uri, connect(standing.tracking_uri)
    found = read_study("shop", "1", uri)
    assert found == read_json(standing.run().folder(SEARCH) / STUDY)
    shadow = client.create_run(client.get_experiment_by_name("shop").experiment_id, tags={known_study.RECIPE_OF: "1"})
    run_of = known_study._run_of
    monkeypatch.setattr(known_study, "_run_of", lambda *key: shadow if key[2] == "shadow" else run_of(*key))
    assert read_study("shop", "shadow", uri) == found
    assert read_study("shop", "99", uri) == ()
    shadow.data.tags[known_study.RECIPE_OF] = "shadow"
    assert read_study("shop", "shadow", uri) == (), "a circle ends"
