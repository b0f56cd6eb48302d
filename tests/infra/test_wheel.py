"""The wheel works without a checkout: what it contains, and (make test-wheel) every command in an empty folder."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.tiny_problem import write_tiny_problem

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
LANGUAGES = ("python", "text")
SERVICES = ("PREFECT", "MLFLOW", "API", "EVIDENTLY", "FEAST")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive, built from a copy of the checkout: setuptools leaves folders where it builds."""
    source = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE", "src", "flows"):
        subprocess.run(["cp", "-a", ROOT / name, source], check=True)
    return source / "dist" / build("sdist", source)


@pytest.fixture(scope="module")
def wheel(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive as an installer builds it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source / "dist" / build("wheel", source)


def build(kind: str, source: Path) -> str:
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}('dist'))"
    built = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True)
    return built.stdout.splitlines()[-1]


def sources(folder: Path) -> set[str]:
    """Files below a folder by their relative paths, without what Python compiled."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.*") if "__pycache__" not in path.parts}


def test_the_archive_holds_flows_as_files(archive: Path) -> None:
    with tarfile.open(archive) as members:
        found = {name.partition("/")[2]: members.getmember(name) for name in members.getnames()}
    assert {f"src/headrace/flows/{name}" for name in sources(ROOT / "flows")} <= set(found)
    assert [name for name, member in found.items() if not (member.isfile() or member.isdir())] == []


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as members:
        names = set(members.namelist())
        (licence,) = (name for name in names if name.endswith("LICENSE"))
        assert members.read(licence) == (ROOT / "LICENSE").read_bytes()
    package = {f"headrace/{name}" for name in sources(ROOT / "src" / "headrace") if not name.startswith("flows/")}
    flows = {f"headrace/flows/{name}" for name in sources(ROOT / "flows")}
    assert {name for name in names if ".dist-info/" not in name} == package | flows


@pytest.mark.wheel
@pytest.mark.timeout(900)
def test_every_command_runs_from_the_wheel_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    venv, folder = tmp_path / "venv", tmp_path / "empty"
    problem = write_tiny_problem(tmp_path / "shop")
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    lock = ROOT / "requirements" / "core.lock"
    uv("sync", "--require-hashes", "--python", venv, lock)
    uv("install", "--no-deps", "--python", venv, wheel)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW", "HEADRACE"))},
        **{f"HEADRACE_{name}_PORT": str(free_port()) for name in SERVICES},
    }

    def command(name: str, *arguments: str, **more: str) -> str:
        called = [str(venv / "bin" / name), *arguments]
        done = subprocess.run(
            called, cwd=folder, env={**environment, **more}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{called}: {done.stdout}\n{done.stderr}"
        return done.stdout

    origin = command("python", "-c", "import headrace.flows; print(headrace.flows.__file__)").strip()
    assert Path(origin).is_relative_to(venv)
    shown = {kind: "".join(one.text for one in blocks("docs/parts.md") if one.language == kind) for kind in LANGUAGES}
    assert command("python", "-c", shown["python"]) == shown["text"]
    assert "version 1" in command("headrace", "run", str(problem))
    try:
        assert "started" in command("headrace", "up", str(problem))
        assert "version 1" in command("headrace", "run", "--prefect", str(problem))
        api = f"http://127.0.0.1:{environment['HEADRACE_PREFECT_PORT']}/api"
        # The worker starts the flow by the module that its deployment names.
        started = command(
            "prefect", "deployment", "run", "score/shop-score", "--watch",
            PREFECT_API_URL=api, PREFECT_HOME=str(folder / ".headrace" / "prefect"),
        )  # fmt: skip
        assert "finished successfully" in started
        assert "shop" in command("headrace", "status", str(problem))
        model = f"import headrace; print(headrace.champion({str(problem)!r}).columns)"
        assert "'customer_id', 'placed'" in command("python", "-c", model)
        assert "retrain/shop-retrain" in command("headrace", "deploy", str(problem))
    finally:
        stopped = command("headrace", "down")
    assert all(name in stopped for name in ("Prefect", "MLflow", "Evidently", "Feast", "API", "worker"))
    assert [path.name for path in folder.iterdir()] == [".headrace"]


def uv(*arguments: object) -> None:
    subprocess.run([BIN / "uv", "pip", arguments[0], "--quiet", *map(str, arguments[1:])], cwd=ROOT, check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
