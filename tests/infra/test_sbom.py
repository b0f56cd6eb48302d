"""The bill of materials: valid CycloneDX, with every locked package, its version and its hashes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

pytestmark = pytest.mark.slow  # the schema has many parts, and the bill thousands of hashes

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "production.lock"


def test_the_bill_of_materials_names_every_locked_package(tmp_path: Path) -> None:
    """The command of `make sbom`, without the network."""
    recipe = (ROOT / "Makefile").read_text().partition("\nsbom:")[2].partition("\n\n")[0].replace("\\\n", " ")
    command = next(line for line in recipe.splitlines() if "cyclonedx-py" in line).split()[1:]
    assert command[-1] == "build/sbom.json"
    command[-1] = str(tmp_path / "sbom.json")
    program = str(Path(sys.executable).with_name("cyclonedx-py"))
    command.remove("--validate")  # done below
    subprocess.run([program, *command, "--no-validate"], cwd=ROOT, check=True, capture_output=True, timeout=280)
    text = (tmp_path / "sbom.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == "headrace"
    locked = dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ \\\\;]+)", LOCK.read_text(), re.MULTILINE))
    assert {one["name"].lower(): one["version"] for one in bill["components"]} == locked
    assert len(locked) > 100
    assert all(one["purl"].startswith("pkg:pypi/") for one in bill["components"])
    hashed = [one for one in bill["components"] if any("hashes" in ref for ref in one.get("externalReferences", ()))]
    assert len(hashed) == len(locked)
