"""Two homes append to one lake in S3 while the server is killed and started again: no acknowledged batch is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.core.errors import UnavailableError
from headrace.lake.store import Lake
from headrace.services.processes import wait_until
from tests.lake.shared_lakes import THINGS, lake_at, state, things
from tests.production.installation import S3_KEYS
from tests.production.servers import Server, free_ports, s3

pytestmark = [pytest.mark.production, pytest.mark.timeout(1200)]

BATCHES = 25
#: Appends batches, each again and again until it is acknowledged, and prints their ids.
WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from headrace.core.errors import UnavailableError
from headrace.lake.store import Lake
from headrace.schema import Table
home, address, first, count = sys.argv[1:]
lake = Lake(Path(home), "p", store=address)
for number in range(int(count)):
    rows = pa.table({"id": [int(first) + number], "value": [1.0]})
    while True:
        try:
            batch = lake.append(Table(name="things", key="id", source="-"), rows, arrival_us=number)
            print(batch.id, lake.advance_clock(number + 1), flush=True)
            break
        except UnavailableError as error:
            print(error, file=sys.stderr)
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, str]]:
    """An S3 API that checks signatures and keeps its objects, and the address of a lake in it."""
    import boto3

    (port,) = free_ports(1)
    for name, content in zip(("s3_access_key", "s3_secret_key"), S3_KEYS, strict=True):
        (tmp_path / name).write_text(content)
    (tmp_path / "s3").mkdir()
    server = s3(tmp_path / "s3", port, tmp_path)
    for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), S3_KEYS, strict=True):
        monkeypatch.setenv(name, value)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        server.start()
        boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="lakes")
        yield server, f"s3://lakes/shared?endpoint_override={endpoint}&region=us-east-1"
    finally:
        server.kill()


def test_no_acknowledged_batch_is_lost_when_the_server_is_killed(tmp_path: Path, server: tuple[Server, str]) -> None:
    process, address = server
    printed = [tmp_path / "one.txt", tmp_path / "two.txt"]
    writers = []
    for place, path in enumerate(printed):
        arguments = [str(tmp_path / path.stem), address, str(1000 * place), str(BATCHES)]
        with path.open("wb") as out, path.with_suffix(".err").open("wb") as err:
            writers.append(subprocess.Popen([sys.executable, "-c", WRITER, *arguments], stdout=out, stderr=err))
    try:
        for enough in (8, 20):
            assert wait_until(lambda: _acknowledged(printed) >= enough, timeout_s=300)  # noqa: B023
            process.kill()
            process.start()
        assert [writer.wait(600) for writer in writers] == [0, 0], printed[0].with_suffix(".err").read_text()
    finally:
        for writer in writers:
            writer.kill()
    first, second = (state(lake_at(tmp_path / path.stem, address)) for path in printed)
    assert first == second == state(lake_at(tmp_path / "third", address))
    acknowledged = {line.split()[0] for path in printed for line in path.read_text().splitlines()}
    assert len(acknowledged) == 2 * BATCHES
    assert acknowledged == {batch["id"] for batch in first["batches"]["things"]}
    assert [int(name.split("-")[0]) for name in sorted(acknowledged)] == list(range(2 * BATCHES))
    assert first["clock"] == BATCHES


def test_refused_credentials_are_named_and_the_secret_is_not_shown(
    tmp_path: Path, server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = server
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-wrong-key")
    lake = Lake(tmp_path / "home", "p", store=f"{address}&other=1")
    for act in (lake.refresh, lambda: lake.append(THINGS, things({1: 1.0}), arrival_us=1)):
        with pytest.raises(UnavailableError, match=r"refuses the credentials.*AWS_ACCESS_KEY_ID") as raised:
            act()
        assert "planted" not in str(raised.value)
    assert not list((tmp_path / "home").rglob("*.parquet"))
    assert os.environ["AWS_SECRET_ACCESS_KEY"].startswith("planted")


def test_keys_may_be_in_the_files_of_aws(
    tmp_path: Path, server: tuple[Server, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, address = server
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    keys = tmp_path / "credentials"
    keys.write_text("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n".format(*S3_KEYS))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    lake = Lake(tmp_path / "home", "p", store=f"{address}&files=1")
    assert lake.append(THINGS, things({1: 1.0}), arrival_us=1).new


def _acknowledged(printed: list[Path]) -> int:
    return sum(len(path.read_text().splitlines()) for path in printed)
