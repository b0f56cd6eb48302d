"""The services of infra/docker, run without containers: none of them answers anybody without credentials."""

from __future__ import annotations

import psycopg
import pytest
import redis
from botocore.exceptions import ClientError

from headrace.services.processes import wait_until
from tests.production.installation import BUCKET, PLANTED, USERS, Installation
from tests.production.secrets_search import assert_no_secret_is_written

pytestmark = [pytest.mark.production, pytest.mark.server, pytest.mark.timeout(3000)]


def test_prefect_and_mlflow_answer_nobody_without_credentials(installation: Installation) -> None:
    search = {"path": "/api/2.0/mlflow/experiments/search", "params": {"max_results": 1}}
    for wrong in (None, (USERS["prefect"][0], "wrong"), ("admin", "password1234"), (USERS["prefect"][0], "")):
        flows = installation.ask("prefect", "/api/flows/filter", "POST", json={}, auth=wrong)
        assert flows.status_code in (401, 403)  # 403: no CSRF token
        assert installation.ask("prefect", "/api/csrf-token?client=a", auth=wrong).status_code == 401
        assert installation.ask("mlflow", **search, auth=wrong).status_code == 401
        artifacts = "/api/2.0/mlflow-artifacts/artifacts?path="
        assert installation.ask("mlflow", artifacts, auth=wrong).status_code == 401
    assert installation.ask("prefect", "/api/csrf-token?client=a", auth=USERS["prefect"]).status_code == 200
    assert installation.ask("mlflow", **search, auth=USERS["mlflow"]).status_code == 200


def test_postgresql_redis_and_s3_answer_nobody_without_credentials(installation: Installation) -> None:
    address = f"postgresql://headrace@127.0.0.1:{installation.ports['postgres']}/headrace"
    for options in ({"passfile": "/nowhere"}, {"password": "wrong"}, {"user": "postgres", "password": "wrong"}):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(address, **options)
    for password in (None, "wrong"):
        with installation.redis(password) as client, pytest.raises(redis.exceptions.AuthenticationError):
            client.ping()
    for keys in (("AKIAHEADRACE00000000", "wrong"), ("AKIANOBODY0000000000", "wrong")):
        with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidAccessKeyId"):
            installation.bucket(keys).list_objects_v2(Bucket=BUCKET)
    assert installation.ask("s3", f"/{BUCKET}?list-type=2").status_code == 403
    assert installation.rows("headrace", "SELECT 1") == [(1,)]
    with installation.redis() as client:
        assert client.ping()
    installation.bucket().list_objects_v2(Bucket=BUCKET)


def test_the_api_answers_keys_of_the_right_scope_until_they_are_revoked(installation: Installation) -> None:
    installation.ensure("api")
    for wrong in (None, USERS["prefect"], ("headrace", "")):
        assert installation.ask("api", "/predict", "POST", json={}, auth=wrong).status_code == 401
        assert installation.ask("api", "/model", auth=wrong).status_code == 401
    made = installation.done("headrace.cli", "keys", "create", "test", "--scopes", "read,predict").split()[0]
    key = {"authorization": f"Bearer {made}"}

    def status(path: str) -> int:
        return installation.ask("api", path, headers=key).status_code

    assert wait_until(lambda: status("/model") in (200, 503), timeout_s=30)
    assert status("/metrics") == 403
    installation.done("headrace.cli", "keys", "revoke", "test")
    assert wait_until(lambda: status("/model") == 401, timeout_s=30)
    installation.done("headrace.cli", "audit-log", "verify")
    assert_no_secret_is_written(installation, made)


def test_a_secret_in_a_log_is_found(installation: Installation) -> None:
    leak = installation.folder / "leak.log"
    leak.write_text(f"postgresql://headrace:{PLANTED}-password@127.0.0.1/headrace\n")
    try:
        with pytest.raises(AssertionError, match=r"leak\.log"):
            assert_no_secret_is_written(installation)
    finally:
        leak.unlink()
