"""A registered model carries its code and names exactly what it needs; an installed Headrace is left alone."""

from __future__ import annotations

import ast
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from headrace.registry import packaged_code
from headrace.registry.packaged_code import model_code
from tests.registry.elsewhere import Saved, predict_elsewhere, save

pytestmark = pytest.mark.slow

_MODEL_PYTHON = Path(".venv-model/bin/python")


@pytest.fixture(scope="module")
def lightgbm(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return save(tmp_path_factory.mktemp("lightgbm"), "lightgbm")


def _requirements(saved: Saved) -> set[str]:
    return set((saved.folder / "requirements.txt").read_text().split())


def test_requirements_are_pinned_and_none_is_ours(lightgbm: Saved, tmp_path: Path) -> None:
    def pinned(*names: str) -> set[str]:
        return {f"{name}=={version(name)}" for name in names}

    assert _requirements(lightgbm) == pinned("mlflow", "lightgbm", "numpy", "pyarrow")
    linear = pinned("mlflow", "numpy", "pyarrow", "scikit-learn", "skops", "threadpoolctl")
    assert _requirements(save(tmp_path, "linear")) == linear
    for name in ("conda.yaml", "python_env.yaml"):
        assert "headrace" not in (lightgbm.folder / name).read_text()


def test_it_predicts_the_same_without_headrace_beside_a_version_with_other_code(
    lightgbm: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow puts each model's code folder in front of sys.path: names must not clash there."""
    real = packaged_code._source

    def changed(module: str) -> Path:
        if module != "headrace.models.bundle":
            return real(module)
        copy = tmp_path / "bundle.py"
        copy.write_text(real(module).read_text().replace("return self.fitted.predict(", "return [7.0] * len("))
        copy.write_text(copy.read_text().replace("self.encoder.encode(matrix), threads=threads)", "matrix)"))
        return copy

    monkeypatch.setattr(packaged_code, "_source", changed)
    other = save(tmp_path / "other", "lightgbm", seed=1)
    monkeypatch.undo()
    found = predict_elsewhere([lightgbm, other, lightgbm], "--no-headrace")
    first, second, third = found["answers"]
    assert first["predictions"] == third["predictions"] == lightgbm.predictions
    assert set(second["predictions"]) == {7.0}
    assert first["loader"] == third["loader"] == f"{model_code().name}.registry.pyfunc"
    assert second["loader"] not in (first["loader"], "headrace.registry.pyfunc")
    assert found["headrace"] == []


def test_the_code_is_named_for_what_it_holds(tmp_path: Path) -> None:
    code = model_code()
    assert code == model_code()
    package = code.write(tmp_path)
    text = "\n".join(path.read_text() for path in package.rglob("*.py"))
    running = [line for line in text.split("\n") if line.strip().startswith(("import headrace", "from headrace"))]
    assert running
    assert {line.split()[1].split(".")[0] for line in running if code.name in line} == {code.name}
    for path in package.rglob("*.py"):
        assert _imported_outside_type_checking(path) == set(), path.name


def _imported_outside_type_checking(path: Path) -> set[str]:
    """Modules of Headrace itself that a file imports when it runs."""
    module = ast.parse(path.read_text())
    checked = {
        id(child)
        for node in ast.walk(module)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    imports = [node for node in ast.walk(module) if isinstance(node, ast.ImportFrom) and id(node) not in checked]
    return {node.module for node in imports if node.module and node.module.split(".")[0] == "headrace"}


@pytest.mark.chaos
@pytest.mark.parametrize("family", ["lightgbm", "linear"])
def test_it_predicts_the_same_in_an_environment_with_mlflow_only(family: str, tmp_path: Path) -> None:
    """In .venv-model, which `make test-chaos` makes from a lock: MLflow and what the two families need."""
    assert _MODEL_PYTHON.exists(), "make .venv-model/.installed"
    saved = save(tmp_path, family)
    listing = "import importlib.metadata as m; [print(one.name, one.version) for one in m.distributions()]"
    listed = subprocess.check_output([_MODEL_PYTHON, "-I", "-c", listing], text=True)
    installed = dict(line.split() for line in listed.splitlines())
    assert "headrace" not in installed
    for requirement in _requirements(saved):
        name, _, wanted = requirement.partition("==")
        assert installed[name] == wanted
    found = predict_elsewhere([saved], python=str(_MODEL_PYTHON.absolute()))
    assert found["answers"][0]["predictions"] == saved.predictions
