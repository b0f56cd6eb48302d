"""Deployments are values: what is declared per problem, and that prefect.yaml and the flows agree with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint

from headrace.flows.deployments import Deployment, as_yaml, deployments_for, for_references, main
from headrace.flows.triggers import takeovers_for, triggers_for
from headrace.problems.catalogue import CATALOGUE
from headrace.schema import EntitySet, Problem, Replay, Rollout, Table, each_row

ROOT = Path(__file__).parents[2]


def problem(name: str, feed: Replay | None = None) -> Problem:
    table = Table(name="orders", key="order", time="placed", source="orders.csv")
    return Problem(
        name=name,
        entity_set=EntitySet(tables=[table], relationships=[]),
        spine=each_row("orders", cutoff="placed"),
        label="total >= 10",
        feed=feed,
    )


def test_a_live_problem() -> None:
    made = deployments_for(problem("orders"), "/problems/orders.py")
    assert [(one.name, one.flow_name, one.cron, one.collision) for one in made] == [
        ("orders-pipeline", "pipeline", "0 3 * * *", "ENQUEUE"),
        ("orders-score", "score", "*/15 * * * *", "CANCEL_NEW"),
        ("orders-materialise", "materialise", "5-59/15 * * * *", "CANCEL_NEW"),
        ("orders-shadow", "shadow", "30 4 * * *", "CANCEL_NEW"),
        ("orders-monitor", "monitor", "8-59/15 * * * *", "CANCEL_NEW"),
        ("orders-reconcile", "reconcile", "*/5 * * * *", "CANCEL_NEW"),
        ("orders-replay", "replay", None, "ENQUEUE"),
        ("orders-retrain", "retrain", None, "CANCEL_NEW"),
    ]
    assert all(one.parameters == {"problem": "/problems/orders.py"} for one in made)
    assert all(one.tags == ("headrace", "orders") for one in made)
    assert all(one.concurrency == 1 for one in made)


def test_a_replayed_problem_advances_instead_of_materialising_by_itself() -> None:
    made = deployments_for(problem("orders", Replay(start="2024-01-01")), "orders")
    assert {one.name: one.cron for one in made} == {
        "orders-pipeline": "0 3 * * *",
        "orders-advance": "*/15 * * * *",
        "orders-score": "10 * * * *",
        "orders-materialise": None,
        "orders-shadow": "4-59/15 * * * *",
        "orders-monitor": "8-59/15 * * * *",
        "orders-reconcile": "*/5 * * * *",
        "orders-retrain": None,
        "orders-replay": None,
    }


def test_a_declared_rollout_is_reconciled_twice_a_minute() -> None:
    made = {one.name: one for one in deployments_for(replace(problem("orders"), rollout=Rollout()), "/orders.py")}
    deployment = made["orders-rollout"]
    assert (deployment.interval_s, deployment.cron, deployment.collision) == (30, None, "CANCEL_NEW")
    assert load_flow_from_entrypoint(deployment.entrypoint).name == "rollout"
    assert "orders-rollout" not in {one.name for one in deployments_for(problem("orders"), "/orders.py")}


def test_drift_starts_the_retrain_of_its_own_problem() -> None:
    (trigger,) = triggers_for(problem("orders"))
    named = {f"{one.flow_name}/{one.name}" for one in deployments_for(problem("orders"), "orders")}
    assert trigger.deployment in named
    assert (trigger.event, trigger.resource) == ("headrace.drift.retrain", "headrace.problem.orders")
    assert trigger.parameters == {"decision": "{{ event.payload.decision }}"}


def test_the_main_job_is_taken_over_after_more_than_one_lost_heartbeat() -> None:
    from prefect.settings import get_current_settings

    (takeover,) = takeovers_for(problem("orders"))
    named = {f"{one.flow_name}/{one.name}": one for one in deployments_for(problem("orders"), "orders")}
    assert named[takeover.deployment].collision == "ENQUEUE"
    assert takeover.silence.total_seconds() > 2 * (get_current_settings().flows.heartbeat_frequency or 0)


def test_prefect_yaml_is_in_step() -> None:
    assert (ROOT / "prefect.yaml").read_text() == as_yaml(for_references(sorted(CATALOGUE)))


def test_the_command_prints_what_it_would_write(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    assert capsys.readouterr().out == (ROOT / "prefect.yaml").read_text()


def test_prefect_reads_prefect_yaml() -> None:
    """The model that `prefect deploy` parses the file with."""
    parsed = PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    expected = for_references(sorted(CATALOGUE))
    assert [one.name for one in parsed.deployments] == [one.name for one in expected]
    for read, meant in zip(parsed.deployments, expected, strict=True):
        assert read.entrypoint == meant.entrypoint
        assert read.work_pool is not None
        assert read.work_pool.name == "headrace"
        assert [schedule.cron for schedule in read.schedules or []] == ([meant.cron] if meant.cron else [])
        assert read.concurrency_limit.collision_strategy == meant.collision


@pytest.mark.parametrize("deployment", for_references(sorted(CATALOGUE)), ids=lambda one: one.name)
def test_every_deployment_can_run(deployment: Deployment) -> None:
    """Its entrypoint is a flow of that name, which takes its parameters, on a schedule that Prefect accepts."""
    flow = load_flow_from_entrypoint(deployment.entrypoint, use_placeholder_flow=False)
    assert flow.name == deployment.flow_name
    flow.validate_parameters(dict(deployment.parameters))
    if deployment.cron is not None:
        CronSchedule(cron=deployment.cron, timezone="UTC")
