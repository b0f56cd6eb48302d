"""What starting the command loads: names and help, none of the libraries that work with data, models or services."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

#: Each of these costs a good part of the 300 ms that `headrace --help` may take, or more.
HEAVY = {
    *("numpy", "pandas", "pyarrow", "scipy", "sklearn", "lightgbm", "hyperopt", "shap", "skops", "matplotlib"),
    *("prefect", "mlflow", "feast", "evidently", "great_expectations", "apprise", "fastapi", "uvicorn", "httpx"),
    *("pydantic_settings", "sqlalchemy"),  # pydantic itself is tried by typer, for a command's own help
}
HELP = "import sys; sys.argv = ['headrace', *{arguments}]; from headrace.cli import main"
RUN = "\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
TELL = "\nimport json, sys\nsys.stderr.write(json.dumps(sorted(sys.modules)))"


def loaded(code: str) -> set[str]:
    """Top-level names of the modules that a new interpreter has loaded after some code."""
    done = subprocess.run([sys.executable, "-c", code + TELL], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(done.stderr)}


@pytest.mark.parametrize(
    "code",
    [
        "import headrace",
        "import headrace.schema",
        HELP.format(arguments=["--help"]) + RUN,
        HELP.format(arguments=["run", "--help"]) + RUN,
    ],
    ids=["headrace", "headrace.schema", "--help", "run --help"],
)
def test_names_and_help_load_nothing_heavy(code: str) -> None:
    modules = loaded(code)
    assert "headrace" in modules
    assert modules & HEAVY == set()


def test_windows_is_refused_in_one_line() -> None:
    code = "import sys, typer; sys.platform = 'win32'; import headrace.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("headrace: runs on Linux and macOS only. On Windows, install it inside WSL")
    assert done.stderr.count("\n") == 1
