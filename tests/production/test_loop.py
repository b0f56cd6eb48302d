"""The whole loop on PostgreSQL, Redis and S3, all with passwords; each service is killed once, and nothing is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from headrace.app.context import wall_us
from headrace.lake.store import Lake
from headrace.services.processes import wait_until
from tests.production.installation import BUCKET, LAKE_BUCKET, S3_KEYS, Installation, finish
from tests.production.secrets_search import assert_no_secret_is_written

pytestmark = [pytest.mark.production, pytest.mark.server, pytest.mark.timeout(3000)]

REPLICAS = ("api", "api-2")
_DEPLOYMENT = ("headrace.access.launch", "prefect", "deployment", "run", "pipeline/shop-pipeline")

_DECISIONS = "SELECT token, holder, outcome FROM headrace_shop.decision WHERE kind = 'retrain'"
_CHAMPION = "SELECT version FROM headrace_shop.change ORDER BY sequence DESC LIMIT 1"


class Clients:
    """Clients of both replicas, who remember each prediction that was acknowledged.

    Attributes:
        key: Their API key.
        answered: Ids of predictions.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        created = installation.done("headrace.cli", "keys", "create", "clients", "--scopes", "read,predict")
        self.key = created.split()[0]
        self.answered: list[str] = []

    def versions(self) -> list[str]:
        """The version that each replica answers with; empty before there is one."""
        return [str(self._ask(name, "/model").json().get("version", "")) for name in REPLICAS]

    def predict(self, name: str) -> httpx.Response:
        """Ask a replica for a prediction of its example row."""
        response = self._ask(name, "/predict", "POST", json=self._ask(name, "/example").json())
        if response.status_code == 200:
            self.answered.append(response.json()["id"])
        return response

    def predict_until_it_fails(self, name: str) -> threading.Thread:
        """Ask a replica again and again until it no longer answers."""

        def ask() -> None:
            try:
                while self.predict(name).status_code == 200:
                    pass
            except httpx.TransportError:
                return

        thread = threading.Thread(target=ask)
        thread.start()
        return thread

    def _ask(self, name: str, path: str, method: str = "GET", **options: object) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        return self.installation.ask(name, path, method, headers=headers, **options)


def test_the_loop_loses_nothing_when_each_service_is_killed(installation: Installation) -> None:
    installation.ensure(*REPLICAS)
    clients = Clients(installation)
    _a_worker_dies_in_the_middle_of_its_run(installation)
    _postgresql_mlflow_and_s3_die_in_the_middle_of_the_next(installation)
    _all_state_is_in_the_services(installation)
    assert wait_until(lambda: clients.versions() == ["1", "1"], timeout_s=120), clients.versions()
    _a_retrain_is_killed(installation)
    _postgresql_dies_under_the_replicas(installation, clients)
    _redis_dies_under_the_replicas(installation, clients)
    _s3_dies_under_the_replicas(installation, clients)
    _a_replica_dies_under_load(installation, clients)
    _prefect_dies_and_the_worker_goes_on(installation)
    installation.done("headrace.cli", "monitor", installation.problem)
    # One promotion, nothing lost.
    assert installation.rows("headrace", "SELECT action, version FROM headrace_shop.change") == [("promote", "1")]
    assert installation.rows("mlflow", "SELECT name, version FROM model_versions") == [("shop", 1)]
    assert clients.versions() == ["1", "1"]
    assert "version 1" in installation.done("headrace.cli", "status", installation.problem)
    assert not set(clients.answered) - _logged(installation)
    _another_worker_takes_the_retrain_over(installation)
    champion = installation.rows("headrace", _CHAMPION)[0][0]
    assert wait_until(lambda: clients.versions() == [champion] * 2, timeout_s=120), (clients.versions(), champion)
    _a_second_home_reads_the_lake(installation)
    installation.done("headrace.cli", "audit-log", "verify")
    assert_no_secret_is_written(installation, clients.key)


def _a_worker_dies_in_the_middle_of_its_run(installation: Installation) -> None:
    """What its run finished stays; nobody reports its end."""
    installation.done("headrace.access.launch", "headrace.flows", "deploy", "--without-schedules", installation.problem)
    installation.ensure("worker")
    installation.done(*_DEPLOYMENT)
    done = _stage_done(installation, "training-set")
    assert wait_until(done, timeout_s=900), installation.servers["worker"].output()
    installation.servers["worker"].kill()
    assert installation.rows("mlflow", "SELECT count(*) FROM model_versions") == [(0,)]


def _postgresql_mlflow_and_s3_die_in_the_middle_of_the_next(installation: Installation) -> None:
    """A run either waits for them or names what is missing, and the next one finishes its work; Prefect lives on."""
    run = ("headrace.access.launch", "headrace.flows", "run", installation.problem)
    first = installation.command(*run)
    has_begun = lambda: installation.rows("mlflow", "SELECT count(*) FROM runs") > [(0,)]  # noqa: E731
    assert wait_until(lambda: has_begun() or first.poll() is not None, timeout_s=900)
    for name in ("mlflow", "s3", "postgres"):
        installation.servers[name].kill()
    assert first.poll() is None, finish(first)
    installation.begin("postgres", "s3")
    installation.begin("mlflow")
    code, output = finish(first)
    assert code == 0 or any(name in output.lower() for name in ("mlflow", "prefect", "database", "lake")), output
    if code != 0:
        output = installation.done(*run)
    assert "version 1 is champion" in output
    assert installation.servers["prefect"].runs


def _all_state_is_in_the_services(installation: Installation) -> None:
    stored = [item["Key"] for item in installation.bucket().list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert any(key.endswith("MLmodel") for key in stored)
    lake = [item["Key"] for item in installation.bucket().list_objects_v2(Bucket=LAKE_BUCKET)["Contents"]]
    assert "lake/shop/log/00000000.json" in lake
    services = "SELECT count(*) FROM feast_registry.feature_services"
    assert installation.rows("headrace", services) == [(1,)]
    with installation.redis() as client:
        assert any(client.hlen(key) for key in client.keys("headrace:rows:shop__*"))
    state = installation.folder / "state"
    files = ("mlflow/mlflow.db", "ledger/shop.db", "predictions/shop.db", "outbox/shop.db", "store/registry.db")
    assert not [name for name in (*files, "store/online.db", "prefect/prefect.db") if (state / name).exists()]


def _a_retrain_is_killed(installation: Installation) -> None:
    """Its claim stays in the outbox until the lease ends, two minutes later."""
    retrain = installation.command("headrace.cli", "retrain", installation.problem, start_new_session=True)
    claimed = lambda: [row for row in _retrains(installation) if row[1] is not None]  # noqa: E731
    assert wait_until(lambda: bool(claimed()) or retrain.poll() is not None, timeout_s=300)
    assert retrain.poll() is None, finish(retrain)
    os.killpg(retrain.pid, signal.SIGKILL)
    finish(retrain)
    assert [(token, outcome) for token, _, outcome in claimed()] == [(1, None)]


def _another_worker_takes_the_retrain_over(installation: Installation) -> None:
    """The same decision, under a second claim, gets one outcome."""
    lease = "SELECT until_us FROM headrace_shop.decision WHERE kind = 'retrain'"
    assert wait_until(lambda: installation.rows("headrace", lease)[0][0] < wall_us(), timeout_s=300)
    _, output = finish(installation.command("headrace.cli", "retrain", installation.problem))
    ((token, _, outcome),) = _retrains(installation)
    assert token == 2, output
    assert outcome in ("promoted", "refused", "not comparable"), output


def _retrains(installation: Installation) -> list[tuple[Any, ...]]:
    if installation.rows("headrace", "SELECT to_regclass('headrace_shop.decision')") == [(None,)]:
        return []
    return installation.rows("headrace", _DECISIONS)


def _postgresql_dies_under_the_replicas(installation: Installation, clients: Clients) -> None:
    """Both answer from what they hold; their predictions wait in journals and reach the log afterwards."""
    before = [clients.predict(name).status_code for name in REPLICAS]
    installation.servers["postgres"].kill()
    assert [*before, *(clients.predict(name).status_code for name in REPLICAS)] == [200] * 4
    installation.begin("postgres")
    assert wait_until(lambda: set(clients.answered) <= _logged(installation), timeout_s=120)


def _redis_dies_under_the_replicas(installation: Installation, clients: Clients) -> None:
    """Without features nothing is answered; back with its file, Redis serves the same rows."""
    with installation.redis() as client:
        rows = {key: client.hgetall(key) for key in client.keys("headrace:rows:*")}
    installation.servers["redis"].kill()
    assert clients.predict("api").status_code == 503
    installation.begin("redis")
    with installation.redis() as client:
        assert rows == {key: client.hgetall(key) for key in client.keys("headrace:rows:*")}
    assert wait_until(lambda: [clients.predict(name).status_code for name in REPLICAS] == [200, 200], timeout_s=60)


def _s3_dies_under_the_replicas(installation: Installation, clients: Clients) -> None:
    """Both answer from the copy of the lake in the home; a command that needs the bucket says so."""
    installation.servers["s3"].kill()
    assert [clients.predict(name).status_code for name in REPLICAS] == [200, 200]
    code, output = finish(installation.command("headrace.cli", "status", installation.problem))
    assert code != 0
    assert "the store of the lake does not answer" in output
    installation.begin("s3")
    installation.done("headrace.cli", "status", installation.problem)


def _a_second_home_reads_the_lake(installation: Installation) -> None:
    """A machine without a copy fetches all of it from the bucket."""
    objects = f"s3://{LAKE_BUCKET}/lake?endpoint_override={installation.s3_address}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), S3_KEYS, strict=True):
            patch.setenv(name, value)
        second = Lake(installation.folder / "second", "shop", store=objects)
        first = Lake(installation.folder / "state", "shop", store="")
        assert second.snapshot().fingerprint == first.snapshot().fingerprint
        assert second.clock() == first.clock() is not None


def _a_replica_dies_under_load(installation: Installation, clients: Clients) -> None:
    """What it acknowledged reaches the log, and the other one answers on."""
    sender = clients.predict_until_it_fails("api")
    enough = len(clients.answered) + 20
    assert wait_until(lambda: len(clients.answered) > enough, timeout_s=120)
    installation.servers["api"].kill()
    sender.join()
    assert clients.predict("api-2").status_code == 200
    installation.begin("api")
    assert wait_until(lambda: set(clients.answered) <= _logged(installation), timeout_s=120)


def _prefect_dies_and_the_worker_goes_on(installation: Installation) -> None:
    """The new server takes the run of the killed worker over when it misses its heartbeats, and the worker runs it."""
    installation.servers["prefect"].kill()
    assert installation.ask("api", "/healthz").status_code == 200
    installation.begin("prefect")
    installation.ensure("worker")
    query = "SELECT state_name FROM flow_run WHERE deployment_id IS NOT NULL ORDER BY created"
    states = lambda: [state for (state,) in installation.rows("prefect", query)]  # noqa: E731
    finished = wait_until(lambda: states() == ["Crashed", "Completed"], timeout_s=900)
    assert finished, (states(), installation.servers["worker"].output())


def _stage_done(installation: Installation, stage: str) -> Callable[[], bool]:
    folder = installation.folder / "state" / "stages" / "shop" / stage
    return lambda: folder.exists() and any(folder.iterdir())


def _logged(installation: Installation) -> set[str]:
    """Ids in the prediction log, whose tables the first row makes."""
    if installation.rows("headrace", "SELECT to_regclass('headrace_shop.predictions')") == [(None,)]:
        return set()
    return {str(row[0]) for row in installation.rows("headrace", "SELECT id FROM headrace_shop.predictions")}
