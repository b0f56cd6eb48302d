"""Known vulnerabilities of the packages that Headrace is locked to, by pip-audit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.security, pytest.mark.timeout(300)]

LOCK = Path(__file__).parents[2] / "requirements" / "core.lock"
NOT_AUDITED = "no advisory database reachable: not audited"


@pytest.mark.long
@pytest.mark.attack("a published vulnerability of a locked package", target="requirements/core.lock")
def test_no_known_vulnerability(security_tools: Path, record_property: Any) -> None:
    """What pip-audit cannot look up it skips, and then says that no vulnerabilities are known, and ends with 0."""
    command = [security_tools / "pip-audit", "-r", LOCK, "--disable-pip", "--require-hashes", "-f", "json"]
    try:
        done = subprocess.run([*command, "--timeout", "10"], capture_output=True, text=True, timeout=240, check=False)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        pytest.skip(NOT_AUDITED)
    audited = [one for one in packages if "skip_reason" not in one]
    if not audited:
        pytest.skip(NOT_AUDITED)
    record_property("observed", f"{len(audited)} of {len(packages)} packages audited")
    found = {
        f"{one['name']} {one['version']}": [vuln["id"] for vuln in one["vulns"]] for one in audited if one["vulns"]
    }
    assert not found
    assert len(audited) == len(packages), [one["name"] for one in packages if "skip_reason" in one]
