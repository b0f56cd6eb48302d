"""The Makefile explains itself, and no committed file ties the project to one machine or registry."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_help_lists_every_target() -> None:
    phony = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = {name for names in phony for name in names.replace("\\", " ").split()}
    assert "apply" in targets
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in shown.splitlines() if line.startswith("  ")} == targets


@pytest.mark.parametrize("name", ["core.lock", "dev.lock", "bench.lock", "security.lock", "uv.lock", "model-env.lock"])
def test_locks_are_hashed_and_name_no_host(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    pinned = re.findall(
        r"^[a-z0-9][a-z0-9._-]*(?:\[[a-z,]+\])?==\S+(?: ; .+)? \\\n(    --hash=sha256:[0-9a-f]{64})", text, re.MULTILINE
    )
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE))
    assert "://" not in text
    assert not re.search(r"^--|/tmp|/home|/root|/opt", text, re.MULTILINE)


def test_the_lock_holds_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    locks = {
        "core.lock": project["dependencies"],
        **{f"{name}.lock": extras[name] + extras["demo"] + extras["nafld"] for name in ("dev", "bench")},
    }
    for name, declared in locks.items():
        pinned = set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        assert {re.split(r"[\[<>=]", one)[0].lower() for one in declared} <= pinned


def test_the_developers_lock_agrees_with_the_core_one() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9]\S*==\S+", (ROOT / "requirements" / name).read_text(), re.MULTILINE))

    assert pins("core.lock") <= pins("dev.lock")


def test_every_setting_is_in_the_example() -> None:
    from headrace.core.settings import Settings

    example = (ROOT / ".env.example").read_text()
    for name, info in Settings.model_fields.items():
        own = f"HEADRACE_{name.upper()}"
        alias = info.validation_alias
        alias = alias if isinstance(alias, str) else getattr(alias, "choices", [own])[0]
        assert re.search(rf"^# {alias}=", example, re.MULTILINE), alias
