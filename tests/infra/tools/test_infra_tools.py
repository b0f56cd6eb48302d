"""The rest of infra/, read by the tools it is made for: hadolint, Compose's specification, promtool, Terraform."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.infra

INFRA = Path(__file__).parents[3] / "infra"
TERRAFORM = INFRA / "terraform"


def run(*command: str | Path) -> str:
    """Run a tool that has to succeed; skipped where it is not on PATH."""
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not on PATH")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_hadolint_finds_nothing() -> None:
    assert run("hadolint", INFRA / "docker" / "Dockerfile") == ""


def test_compose_is_of_the_compose_specification() -> None:
    import compose_spec
    import yaml

    # This parser knows no variables, no YAML merges, and no image with both a tag and a digest.
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (INFRA / "docker" / "compose.yaml").read_text())
    text = re.sub(r":[^:@\s]+@sha256", "@sha256", text)
    parsed = compose_spec.PyCompose.from_json(json.dumps(yaml.safe_load(text)))
    assert {"postgres", "prefect", "mlflow", "worker", "api", "prometheus", "grafana", "otel"} <= set(parsed.services)


def test_promtool_accepts_rules_and_configuration() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", INFRA / "prometheus" / "rules.yml")
    run("promtool", "check", "config", "--syntax-only", INFRA / "prometheus" / "prometheus.yml")


def test_rules_fire_when_they_should() -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", INFRA / "prometheus" / "rules_test.yml")


def test_every_alert_has_a_test() -> None:
    import yaml

    rules = yaml.safe_load((INFRA / "prometheus" / "rules.yml").read_text())["groups"]
    tests = yaml.safe_load((INFRA / "prometheus" / "rules_test.yml").read_text())["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert {rule["alert"] for group in rules for rule in group["rules"]} == fired


def test_dashboards_are_what_their_program_writes() -> None:
    path = INFRA / "grafana" / "dashboards.py"
    spec = importlib.util.spec_from_file_location("dashboards", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dashboards"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    for uid, (title, rows) in module.DASHBOARDS.items():
        assert (module.FOLDER / f"{uid}.json").read_text() == module.build(uid, title, rows), "make dashboards"


def test_values_that_terraform_gives_are_those_of_the_chart() -> None:
    """The keys of `helm_release.values`, which are no more than a text to Terraform."""
    schema = json.loads((INFRA / "helm" / "headrace" / "values.schema.json").read_text())["properties"]
    text = (TERRAFORM / "headrace.tf").read_text()
    values = text[text.index("yamlencode({") : text.index("})]")]
    given = re.findall(r"^    (\w+)\s+= ", values, re.MULTILINE)
    assert len(given) >= 8
    assert set(given) <= set(schema)
    assert set(re.findall(r"^      (\w+)\s+= ", values, re.MULTILINE)) <= {
        name for part in ("database", "ingress") for name in schema[part]["properties"]
    }


def test_terraform_is_formatted() -> None:
    run("terraform", "fmt", "-check", "-diff", "-recursive", TERRAFORM)


@pytest.mark.parametrize("path", sorted(TERRAFORM.glob("*.tf")), ids=lambda path: path.stem)
def test_terraform_parses(path: Path) -> None:
    import hcl2

    with path.open() as file:
        assert hcl2.load(file)
