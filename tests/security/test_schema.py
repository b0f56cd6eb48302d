"""Requests that schemathesis makes from the API's own schema: examples, their edges, and random ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.security.target import Target

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]


@pytest.mark.parametrize("seconds", [10, pytest.param(40, marks=pytest.mark.long)])
@pytest.mark.attack(
    "requests from the schema for {seconds} s, to be answered with 500 or in an unknown form", target="prediction API"
)
def test_no_request_breaks_the_schema(
    target: Target, security_tools: Path, tmp_path: Path, record_property: Any, seconds: int
) -> None:
    command = [
        str(security_tools / "st"), "run", target.url("api", "/openapi.json"), "--phases", "examples,coverage,fuzzing",
        "--checks", "not_a_server_error,response_schema_conformance", "--max-examples", "100",
        "--max-time", str(seconds), "--seed", "7", "--request-timeout", "30", "--suppress-health-check", "all",
        "--max-failures", "5", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=seconds * 5 + 60, check=False)
    counted = re.search(r"(\d[\d,]*) generated", done.stdout)
    record_property("observed", f"{counted.group(1)} requests" if counted else done.stdout[-200:])
    assert done.returncode == 0, done.stdout[-4000:]
