"""Studies in MLflow: what is logged, and that nothing is logged twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.registry.client import KEY, connect, experiment_id
from headrace.registry.tracking import TRIAL, attach, experiment_of, log_study, run_exists
from headrace.search.trial import Trial

TRIALS = (
    Trial(number=0, config={"family": "lightgbm", "rate": 0.1}, status="ok", loss=0.4, seconds=2.5, info={"auc": 0.75}),
    Trial(number=1, config={"family": "linear"}, status="failed", loss=None, seconds=0.5, error="did not converge"),
    Trial(number=2, config={"family": "lightgbm", "rate": 0.3}, status="ok", loss=0.3, seconds=1.0, info={"note": "x"}),
)


def _children(uri: str, problem: str, parent: str) -> list:  # type: ignore[type-arg]
    client = connect(uri)
    experiment = client.get_experiment_by_name(problem)
    assert experiment is not None
    condition = f"tags.`mlflow.parentRunId` = '{parent}'"
    runs = client.search_runs([experiment.experiment_id], filter_string=condition)
    return sorted(runs, key=lambda run: int(run.data.tags[TRIAL]))


def test_a_study_is_one_parent_and_a_child_per_trial(tracking_uri: str, problem_name: str, tmp_path: Path) -> None:
    figure = tmp_path / "history.png"
    figure.write_bytes(b"png")
    parent = log_study(
        tracking_uri,
        problem_name,
        key="k",
        study_name="tpe, 3 trials",
        trials=TRIALS,
        params={"searcher": "tpe"},
        metrics={"best_loss": 0.3},
        artifacts=[figure],
    )
    client = connect(tracking_uri)
    run = client.get_run(parent)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "tpe, 3 trials")
    assert run.data.params == {"searcher": "tpe"}
    assert run.data.metrics == {"best_loss": 0.3}
    assert [item.path for item in client.list_artifacts(parent)] == ["history.png"]
    first, failed, last = _children(tracking_uri, problem_name, parent)
    assert first.data.params == {"family": "lightgbm", "rate": "0.1"}
    assert first.data.metrics == {"loss": 0.4, "seconds": 2.5, "auc": 0.75}
    assert first.info.end_time - first.info.start_time == 2500
    assert failed.info.status == "FAILED"
    assert failed.data.tags["headrace.error"] == "did not converge"
    assert "loss" not in failed.data.metrics
    assert last.data.metrics == {"loss": 0.3, "seconds": 1.0}


def test_the_parent_run_is_as_long_as_the_search(tracking_uri: str, problem_name: str) -> None:
    parent = log_study(
        tracking_uri, problem_name, key="long", study_name="s", trials=(), seconds=90.5, metrics={"tune_auc": 0.8}
    )
    attach(tracking_uri, parent, [], metrics={"gate_auc": 0.75})
    run = connect(tracking_uri).get_run(parent)
    assert run.info.end_time - run.info.start_time == 90_500
    assert run.data.metrics == {"tune_auc": 0.8, "gate_auc": 0.75}


def test_the_same_study_again_changes_nothing(tracking_uri: str, problem_name: str) -> None:
    first = log_study(tracking_uri, problem_name, key="k", study_name="s", trials=TRIALS)
    before = [run.to_dictionary() for run in _children(tracking_uri, problem_name, first)]
    assert log_study(tracking_uri, problem_name, key="k", study_name="s", trials=TRIALS) == first
    assert [run.to_dictionary() for run in _children(tracking_uri, problem_name, first)] == before
    assert log_study(tracking_uri, problem_name, key="other", study_name="s", trials=()) != first


def test_a_killed_logging_is_finished_by_the_next(tracking_uri: str, problem_name: str) -> None:
    def cut_off() -> Iterator[Trial]:
        yield TRIALS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log_study(tracking_uri, problem_name, key="k", study_name="s", trials=cut_off())
    client = connect(tracking_uri)
    experiment = experiment_of(tracking_uri, problem_name)
    (half_parent,) = client.search_runs([experiment], filter_string=f"tags.`{KEY}` = 'k'")
    parent = half_parent.info.run_id
    assert not run_exists(tracking_uri, parent)
    # ... and trial 1 was cut off between the creation of its run and its values.
    half = client.create_run(experiment, tags={"mlflow.parentRunId": parent, TRIAL: "1"}).info.run_id
    assert log_study(tracking_uri, problem_name, key="k", study_name="s", trials=TRIALS) == parent
    children = _children(tracking_uri, problem_name, parent)
    assert [run.data.tags[TRIAL] for run in children] == ["0", "1", "2"]
    assert children[1].info.run_id == half
    assert [run.info.status for run in children] == ["FINISHED", "FAILED", "FINISHED"]
    assert len(client.get_metric_history(children[0].info.run_id, "loss")) == 1
    assert run_exists(tracking_uri, parent)


def test_a_deleted_study_is_logged_anew(tracking_uri: str, problem_name: str) -> None:
    first = log_study(tracking_uri, problem_name, key="k", study_name="s", trials=())
    assert run_exists(tracking_uri, first)
    connect(tracking_uri).delete_run(first)
    assert not run_exists(tracking_uri, first)
    assert not run_exists(tracking_uri, "0" * 32)
    assert log_study(tracking_uri, problem_name, key="k", study_name="s", trials=()) != first


def test_racing_for_a_new_experiment_gives_one(tracking_uri: str, problem_name: str) -> None:
    barrier, found = threading.Barrier(4), []

    def ask() -> None:
        client = connect(tracking_uri)
        barrier.wait()
        found.append(experiment_id(client, tracking_uri, problem_name))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_a_deleted_experiment_is_restored(tracking_uri: str, problem_name: str) -> None:
    client = connect(tracking_uri)
    first = experiment_id(client, tracking_uri, problem_name)
    client.delete_experiment(first)
    assert experiment_id(client, tracking_uri, problem_name) == first
    assert client.get_experiment(first).lifecycle_stage == "active"


def test_ambient_state_is_left_alone(tracking_uri: str, problem_name: str) -> None:
    import mlflow

    before = mlflow.get_tracking_uri()
    run_id = log_study(tracking_uri, problem_name, key="k", study_name="s", trials=TRIALS[:1])
    assert mlflow.get_tracking_uri() == before
    assert mlflow.active_run() is None
    assert connect(tracking_uri).get_run(run_id).data.tags[KEY] == "k"


def test_a_stopped_trial_shows_as_killed_with_its_rungs(tracking_uri: str, problem_name: str) -> None:
    stopped = Trial(
        number=0, config={"rate": 0.1}, status="stopped", loss=0.5, seconds=1.0, cpu_seconds=0.5,
        info={"rungs": {"25% of the rows": 0.6, "progress 1.6": 0.55}},
        error="stopped by racing at rung 'progress 1.6'",
    )  # fmt: skip
    parent = log_study(tracking_uri, problem_name, key="stopped", study_name="s", trials=[stopped])
    (run,) = _children(tracking_uri, problem_name, parent)
    assert run.info.status == "KILLED"
    assert run.data.metrics == {"loss": 0.5, "seconds": 1.0, "cpu_seconds": 0.5, "rung 1": 0.6, "rung 2": 0.55}
    assert run.data.tags["headrace.error"] == "stopped by racing at rung 'progress 1.6'"
