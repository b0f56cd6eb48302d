"""The Helm chart, rendered by Helm's own engine: valid for Kubernetes, without root, without a secret in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.infra

CHART = Path(__file__).parents[3] / "infra" / "helm" / "headrace"
SMALLEST: Mapping[str, Any] = {"database": {"host": "db.example"}}
EVERYTHING: Mapping[str, Any] = {
    "image": {"digest": f"sha256:{'a' * 64}", "pullSecrets": ["registry"]},
    "database": {"host": "db.example", "sslMode": "verify-full"},
    "problem": {"claim": "problem"},
    "state": {"storageClass": "efs"},
    "artifacts": {"destination": "s3://bucket/artifacts", "credentialsSecret": "s3", "endpoint": "https://s3.example"},
    "lake": {"address": "s3://bucket/lake", "credentialsSecret": "s3", "endpoint": "https://s3.example"},
    "redis": {"urlSecret": {"name": "redis", "key": "url"}},
    "api": {"allowedHosts": ["predict.example"]},
    "ingress": {"enabled": True, "className": "nginx", "host": "predict.example", "tlsSecret": "tls",
                "annotations": {"nginx.ingress.kubernetes.io/ssl-redirect": "true"}},
    "observability": {
        "otlpEndpoint": "http://otel.observability:4318",
        "serviceMonitor": {"enabled": True, "keySecret": {"name": "metrics-key", "key": "key"}},
        "prometheusRule": {"enabled": True},
    },
    "networkPolicy": {"apiFrom": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/headrace"}},
    "podLabels": {"team": "forecasting"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "batch", "operator": "Exists"}],
}  # fmt: skip
WITHOUT: Mapping[str, Any] = {
    "database": {"host": "db.example", "headrace": ""},
    "api": {"autoscaling": {"enabled": False}},
    "state": {"claim": "home"},
    "networkPolicy": {"enabled": False},
}
VALUES = {"smallest": SMALLEST, "everything": EVERYTHING, "without": WITHOUT}
#: Parts of the names of variables that hold a secret.
SECRETS = ("PASSWORD", "SECRET", "ACCESS_KEY", "TOKEN", "REDIS_URL", "AUTH_STRING")
#: Kinds of operators, which Kubernetes' own schemas do not have.
CUSTOM = {"ServiceMonitor", "PrometheusRule"}


def render(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    import helm_python

    with helm_python.Chart.load(str(CHART)) as chart:
        rendered = chart.render(dict(values), name="rel", namespace="prod")
    return [one for text in rendered.values() for one in yaml.safe_load_all(text) if one]


@lru_cache
def rendered(name: str) -> list[dict[str, Any]]:
    return render(VALUES[name])


def pods(name: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(one["metadata"]["name"], one["spec"]["template"]["spec"]) for one in rendered(name)
             if one["kind"] in ("Deployment", "Job")]  # fmt: skip
    assert len(found) == 5
    return found


def containers(name: str) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{pod}/{one['name']}", one) for pod, spec in pods(name)
            for one in (*spec.get("initContainers", ()), *spec["containers"])]  # fmt: skip


def test_helm_finds_nothing_wrong() -> None:
    import helm_python

    found = helm_python.lint(str(CHART))
    assert found["errors"] == []
    assert [one["error"] for one in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", ["1.29.0", "1.33.0", "1.37.0"])
@pytest.mark.parametrize("name", VALUES)
def test_kubernetes_accepts_what_is_rendered(name: str, version: str) -> None:
    import kubernetes_validate

    for one in rendered(name):
        if one["kind"] not in CUSTOM:
            kubernetes_validate.validate(one, version, strict=True)


def test_values_add_what_they_should() -> None:
    kinds = {name: sorted(one["kind"] for one in rendered(name)) for name in VALUES}
    assert {"Ingress", "ServiceMonitor", "PrometheusRule"} <= set(kinds["everything"])
    assert not {"Ingress", "ServiceMonitor", "PrometheusRule"} & set(kinds["smallest"])
    assert {"HorizontalPodAutoscaler", "PersistentVolumeClaim", "NetworkPolicy"} <= set(kinds["smallest"])
    assert not {"HorizontalPodAutoscaler", "PersistentVolumeClaim", "NetworkPolicy"} & set(kinds["without"])


@pytest.mark.parametrize("name", VALUES)
def test_no_pod_is_root_or_has_a_token(name: str) -> None:
    for where, spec in pods(name):
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True, where
        assert security["runAsUser"] == security["fsGroup"] == 10001
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", VALUES)
def test_a_container_cannot_write_its_image_and_has_limits(name: str) -> None:
    for where, one in containers(name):
        assert one["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, where  # fmt: skip
        assert {"cpu", "memory"} <= set(one["resources"]["requests"])
        assert "memory" in one["resources"]["limits"]
        assert {mount["mountPath"] for mount in one["volumeMounts"]} >= {"/tmp", "/home/headrace"}


@pytest.mark.parametrize("name", VALUES)
def test_servers_have_probes_that_their_host_check_lets_through(name: str) -> None:
    for where, spec in pods(name):
        for one in spec["containers"]:
            if "migrations" in where:
                continue
            for kind in ("startupProbe", "livenessProbe"):
                assert "httpGet" in one[kind], where
            if not where.endswith("worker"):
                probe = one["readinessProbe"]["httpGet"]
                assert probe["httpHeaders"] == [{"name": "Host", "value": "localhost"}]
                assert probe["port"] in {port["name"] for port in one["ports"]}


def test_prometheus_may_ask_a_pod_by_its_address() -> None:
    (api,) = [one for where, one in containers("everything") if where == "rel-api/api"]
    names = [variable["name"] for variable in api["env"]]
    assert names.index("POD_IP") < names.index("HEADRACE_ALLOWED_HOSTS")  # a variable names only earlier ones
    hosts = next(variable["value"] for variable in api["env"] if variable["name"] == "HEADRACE_ALLOWED_HOSTS")
    assert hosts.split(",") == ["$(POD_IP)", "rel-api", "rel-api.prod.svc", "predict.example"]


@pytest.mark.parametrize("name", VALUES)
def test_secrets_are_referred_to_and_none_is_written(name: str) -> None:
    assert "Secret" not in {one["kind"] for one in rendered(name)}
    for where, one in containers(name):
        for variable in one.get("env", ()):
            secret = any(word in variable["name"] for word in SECRETS)
            assert secret == ("secretKeyRef" in variable.get("valueFrom", {})), f"{where}: {variable['name']}"
        names = [variable["name"] for variable in one.get("env", ())]
        assert len(names) == len(set(names)), where


@pytest.mark.parametrize("name", VALUES)
def test_selectors_find_their_pods_and_no_others(name: str) -> None:
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
              for one in rendered(name) if one["kind"] == "Deployment"}  # fmt: skip
    for one in rendered(name):
        selector = one.get("spec", {}).get("selector")
        if not isinstance(selector, dict):
            continue
        wanted = selector.get("matchLabels", selector)
        found = [pod for pod, own in labels.items() if wanted.items() <= own.items()]
        assert len(found) == 1, (one["kind"], one["metadata"]["name"], found)


def test_volumes_are_those_that_exist() -> None:
    for name in VALUES:
        made = {one["metadata"]["name"] for one in rendered(name) if one["kind"] == "PersistentVolumeClaim"}
        for where, spec in pods(name):
            volumes = {volume["name"] for volume in spec["volumes"]}
            claims = {volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"]
                      if "persistentVolumeClaim" in volume}  # fmt: skip
            assert claims <= made | {"home", "problem"}, where
            for one in spec["containers"]:
                assert {mount["name"] for mount in one["volumeMounts"]} <= volumes


def test_the_migrations_come_first() -> None:
    (job,) = [one for one in rendered("smallest") if one["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    commands = [one["args"] for one in job["spec"]["template"]["spec"]["containers"]]
    assert commands[0] == ["prefect", "server", "database", "upgrade", "--yes"]
    assert commands[1][:3] == ["mlflow", "db", "upgrade"]


def test_the_rules_of_the_chart_are_those_of_prometheus() -> None:
    (rule,) = [one for one in rendered("everything") if one["kind"] == "PrometheusRule"]
    own = yaml.safe_load((CHART.parents[1] / "prometheus" / "rules.yml").read_text())
    assert rule["spec"] == own


@pytest.mark.parametrize("wrong", [
    {"databse": {}},
    {"image": {"tag": "latest"}},
    {"image": {"digest": "sha256:short"}},
    {"api": {"replicas": 0}},
    {"api": {"port": 80}},
    {"observability": {"samplerRatio": "2"}},
    {"database": {"host": "db", "password": "hunter2"}},
])  # fmt: skip
def test_the_schema_refuses_wrong_values(wrong: dict[str, Any]) -> None:
    import helm_python

    values = {**wrong, "database": {**SMALLEST["database"], **wrong.get("database", {})}}
    with helm_python.Chart.load(str(CHART)) as chart, pytest.raises(helm_python.HelmError):
        chart.validate_schema(values)


@pytest.mark.parametrize("values", [{}, {**SMALLEST, "ingress": {"enabled": True, "host": "x.example"}}])
def test_what_has_to_be_given_is_asked_for(values: dict[str, Any]) -> None:
    import helm_python

    with pytest.raises(helm_python.HelmError, match="is needed"):
        render(values)
