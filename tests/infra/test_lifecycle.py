"""Services start together or not at all, and stop exactly; shown on tiny HTTP servers."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from headrace.core.errors import CorruptError, UnavailableError
from headrace.core.replicas import read_replicas, remove_replicas, write_replicas
from headrace.services import lifecycle, processes
from headrace.services.lifecycle import Service, read_record, running_services, start_services, stop_services
from tests.cli.command import headrace


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A home folder; whatever a test leaves running in it is stopped."""
    yield tmp_path
    stop_services(tmp_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def web(name: str, port: int | None = None, **more: object) -> Service:
    """A service that answers 200."""
    port = port or free_port()
    url = f"http://127.0.0.1:{port}"
    command = (sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1")
    fields = {"command": command, "url": url, "probe": url, "port": port, "setting": f"HEADRACE_{name.upper()}_PORT"}
    return Service(**{"name": name, **fields, **more})  # type: ignore[arg-type]


def python(name: str, code: str, **more: object) -> Service:
    return Service(**{"name": name, "command": (sys.executable, "-c", code), "ready": lambda: False, **more})  # type: ignore[arg-type]


def test_up_starts_and_down_stops(root: Path) -> None:
    services = (web("first"), web("second", after=("first",)))
    assert [(one.name, one.state) for one in start_services(root, services)] == [
        ("first", "started"),
        ("second", "started"),
    ]
    assert running_services(root) == {service.name: service.url for service in services}
    started = read_record(root)
    assert stop_services(root) == ["first", "second"]
    assert running_services(root) == {}
    assert not any(processes.is_alive(one) for one in started)


def test_up_again_starts_only_what_is_missing(root: Path) -> None:
    services = (web("first"), web("second"))
    start_services(root, services)
    before = {one.name: one.pid for one in read_record(root)}
    assert {one.state for one in start_services(root, services)} == {"running already"}
    processes.stop_processes([one for one in read_record(root) if one.name == "second"])
    states = {one.name: one.state for one in start_services(root, services)}
    after = {one.name: one.pid for one in read_record(root)}
    assert states == {"first": "running already", "second": "started"}
    assert after["first"] == before["first"]
    assert after["second"] != before["second"]


def test_down_with_nothing_up(root: Path) -> None:
    assert stop_services(root) == []


def test_a_taken_port_is_named_before_anything_starts(root: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"port {port} is taken by .*pid .*HEADRACE_SECOND_PORT"):
            start_services(root, (web("first"), web("second", port)))
    assert read_record(root) == []


def test_a_service_that_ends_takes_the_others_down_and_shows_its_log(root: Path) -> None:
    services = (web("first"), python("broken", "raise SystemExit('no such database')"))
    with pytest.raises(UnavailableError, match=r"broken: ended while starting\n.*no such database"):
        start_services(root, services)
    assert read_record(root) == []
    assert not processes.port_is_taken("127.0.0.1", services[0].port or 0)


def test_a_failure_leaves_what_ran_before(root: Path) -> None:
    first = web("first")
    start_services(root, (first,))
    with pytest.raises(UnavailableError, match="broken"):
        start_services(root, (first, python("broken", "raise SystemExit(1)")))
    assert running_services(root) == {"first": first.url}


def test_a_failed_preparation_stops_everything(root: Path) -> None:
    prepare = (sys.executable, "-c", "raise SystemExit('cannot register')")
    with pytest.raises(UnavailableError, match=r"second: could not be prepared\n.*cannot register"):
        start_services(root, (web("first"), web("second", prepare=prepare)))
    assert running_services(root) == {}


def test_a_service_that_never_answers_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "START_TIMEOUT_S", 0.5)
    with pytest.raises(UnavailableError, match="deaf: did not answer within"):
        start_services(root, (python("deaf", "import signal; signal.pause()"),))
    assert read_record(root) == []


def test_down_spares_a_process_that_was_given_the_pid(root: Path) -> None:
    """A record whose pid now belongs to somebody else: another start time, so not ours."""
    start_services(root, (web("first"),))
    path = root / "run" / "services.json"
    record = read_replicas(path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        forged = {**record["services"][0], "name": "forged", "pid": stranger.pid, "mark": "another"}
        write_replicas(path, {"services": [*record["services"], forged]})
        assert stop_services(root) == ["first"]
        assert stranger.poll() is None
        stranger.communicate(b"\n")


def test_down_reaches_children_that_left_the_session(root: Path) -> None:
    """As a worker's flow runs do: a grandchild in a session of its own, orphaned by a kill -9 of its parent."""
    code = (
        "import subprocess, sys, pathlib, signal\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import signal; signal.pause()'], start_new_session=True)\n"
        f"pathlib.Path({str(root / 'child')!r}).write_text(str(child.pid))\n"
        "signal.pause()"
    )
    start_services(root, (python("parent", code, ready=lambda: (root / "child").exists()),))
    assert processes.wait_until(lambda: (root / "child").read_text() != "", timeout_s=10)
    child = psutil.Process(int((root / "child").read_text()))
    psutil.Process(read_record(root)[0].pid).kill()
    assert child.is_running()
    stop_services(root)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def orphaned(root: Path) -> tuple[psutil.Process, int]:
    """A child that listens on a port, of a service that was killed; and the port."""
    port = free_port()
    child = f"subprocess.Popen([sys.executable, '-m', 'http.server', '{port}', '--bind', '127.0.0.1'])"
    code = (
        f"import subprocess, sys, pathlib, signal\nchild = {child}\n"
        f"pathlib.Path({str(root / 'child')!r}).write_text(str(child.pid))\nsignal.pause()"
    )
    start_services(root, (python("first", code, ready=lambda: processes.port_is_taken("127.0.0.1", port)),))
    process = psutil.Process(int((root / "child").read_text()))
    (record,) = read_record(root)
    psutil.Process(record.pid).kill()
    assert processes.wait_until(lambda: not processes.is_alive(record), timeout_s=10)
    return process, port


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "the record is lost"])
def test_up_takes_the_place_of_what_a_killed_service_left(root: Path, *, recorded: bool) -> None:
    child, port = orphaned(root)
    if not recorded:
        remove_replicas(root / "run" / "services.json")
    assert [one.state for one in start_services(root, (web("first", port),))] == ["started"]
    assert not child.is_running()


def test_up_in_another_home_spares_it(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    child, port = orphaned(root)
    other = tmp_path_factory.mktemp("other")
    with pytest.raises(UnavailableError, match=f"port {port} is taken"):
        start_services(other, (web("first", port),))
    assert child.is_running()


def test_down_reaches_it_without_a_record(root: Path) -> None:
    child, _ = orphaned(root)
    remove_replicas(root / "run" / "services.json")
    stop_services(root)
    assert not child.is_running()


def test_a_spoilt_record_is_named(root: Path) -> None:
    path = root / "run" / "services.json"
    write_replicas(path, {"services": [{"pid": 1}]})
    with pytest.raises(CorruptError, match=r"services\.json"):
        read_record(root)
    remove_replicas(path)


def test_a_service_is_known_by_its_mark_when_the_wall_clock_was_set(root: Path) -> None:
    """Start times are reckoned from the wall clock: an hour later they are all an hour off."""
    start_services(root, (web("first"),))
    path = root / "run" / "services.json"
    record = read_replicas(path)
    write_replicas(path, {"services": [{**one, "created": one["created"] - 3600} for one in record["services"]]})
    (moved,) = read_record(root)
    assert processes.is_alive(moved)
    assert stop_services(root) == ["first"]
    assert not processes.is_alive(moved)


@pytest.mark.parametrize("database", ["prefect/prefect.db", "mlflow/mlflow.db"])
@pytest.mark.parametrize(
    "content", [b"", b"{}", b"SQLite format 3\0" + b"\xff" * 4096], ids=["empty", "braces", "spoilt"]
)
def test_a_damaged_database_of_a_server_is_told_before_any_starts(
    tmp_path: Path, database: str, content: bytes
) -> None:
    path = tmp_path / database
    path.parent.mkdir()
    path.write_bytes(content)
    outcome = headrace("up", home=tmp_path)
    assert outcome.code == 1
    (line,) = outcome.errors
    assert str(path) in line
    assert "move it away" in line
    assert read_record(tmp_path) == []
