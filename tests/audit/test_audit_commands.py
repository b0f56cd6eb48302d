"""`headrace audit-skew` and `headrace trace` on the shop after a run and two days of its feed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.audit import checks
from headrace.core.fingerprint import file_digest
from headrace.pipeline.operations.advance import advance
from headrace.pipeline.operations.skew import SkewError, audit_artifact, audit_path, audit_window, require_clean
from headrace.pipeline.stages.promote import certificate_refusal
from headrace.prediction_log.log import PredictionLog
from headrace.registry.certificates import logged_model_id
from headrace.registry.client import connect
from tests.audit.test_certificate import Peeking
from tests.cli.command import Outcome, headrace
from tests.pipeline.shop import Shop
from tests.tiny_problem import write_tiny_problem

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A champion, and the predictions of two days. Read only."""
    folder = tmp_path_factory.mktemp("audited")
    shop = Shop(path=write_tiny_problem(folder / "problem", orders=400, replayed_days=1), home=folder / "home")
    shop.finish()
    advance(shop.run().context)
    return shop


def command(shop: Shop, name: str, *arguments: str) -> Outcome:
    return headrace(name, str(shop.path), *arguments, home=shop.home)


def facts(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outcome.out)
    return found


@pytest.fixture
def planted(shop: Shop) -> Iterator[str]:
    """The id of a prediction with one feature of another value, and without a checksum; taken out again."""
    with PredictionLog(shop.home, "shop") as log:
        one = log.read()[0]
        slug = next(name for name, value in one.features.items() if isinstance(value, float))
        log.append([replace(one, id="planted", features={**one.features, slug: float(one.features[slug]) + 1.0})])  # type: ignore[arg-type]
    yield slug
    with closing(sqlite3.connect(shop.home / "predictions" / "shop.db")) as connection, connection:
        connection.execute("DELETE FROM predictions WHERE id = 'planted'")


def test_a_clean_audit_ends_with_0(shop: Shop) -> None:
    outcome = command(shop, "audit-skew", "--json")
    report = facts(outcome)
    assert (outcome.code, report["clean"], report["different"]) == (0, True, 0), outcome.err
    assert report["values"] == report["predictions"] * len(PredictionLog(shop.home, "shop").read()[0].features)


def test_a_difference_ends_with_4_and_is_shown(shop: Shop, planted: str) -> None:
    outcome = command(shop, "audit-skew")
    assert outcome.code == 4
    assert "prediction planted of version 1" in outcome.out
    assert "1 differ" in outcome.out
    report = facts(command(shop, "audit-skew", "--json", "--version", "1"))
    (found,) = report["differences"]
    assert found["served"] == found["recomputed"] + 1.0
    assert found["entity"]
    assert found["tree"]["name"] == found["feature"]


def test_the_monitor_flow_stores_its_audit_and_fails_on_a_difference(shop: Shop, planted: str) -> None:
    context = shop.run().context
    report = audit_window(context, 0, 86_400_000_000)
    assert report is not None
    stored = json.loads(audit_path(shop.home, "shop", 86_400_000_000).read_text())
    assert (stored["different"], stored["clean"]) == (1, False)
    assert "recomputed" in str(audit_artifact(report).data)
    with pytest.raises(SkewError, match="served values differ from the history"):
        require_clean(report)


def test_a_window_without_predictions_is_not_audited(shop: Shop) -> None:
    assert audit_window(shop.run().context, 2**60, 2**61) is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("audit-skew", "--version", "77"), "no version 77"),
        (("audit-skew", "--since", "2031-01-01"), "no predictions are logged"),
        (("audit-skew", "--since", "soon"), "'soon' is no instant"),
        (("trace", "nothing"), "no prediction 'nothing'"),
        (("trace", ""), "no prediction ''"),
        (("certify", "77"), "no version 77"),
    ],
)
def test_wrong_input_is_one_line(shop: Shop, arguments: tuple[str, ...], says: str) -> None:
    outcome = command(shop, *arguments)
    assert outcome.code == 1
    assert says in outcome.err


def test_a_trace_leads_from_an_id_to_the_raw_rows(shop: Shop) -> None:
    one = PredictionLog(shop.home, "shop").read()[0]
    found = facts(command(shop, "trace", one.id[:12], "--json"))
    assert (found["id"], found["value"], found["row_key"]) == (one.id, one.probability, list(one.row_key))
    assert (found["version"]["version"], found["note"]) == ("1", "")
    assert len(found["version"]["sha256"]) == 64
    assert found["version"]["champion_since"]
    assert {item["same"] for item in found["features"]} == {True}
    assert len(found["features"]) == len(one.features)
    sizes = [abs(item["contribution"]) for item in found["features"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sum(item["tree"] is not None for item in found["features"]) == 3
    assert all(item["words"] for item in found["features"])


def test_a_trace_of_one_feature_shows_its_rows(shop: Shop) -> None:
    one = PredictionLog(shop.home, "shop").read()[0]
    slug = next(name for name in one.features if "orders" in name)
    outcome = command(shop, "trace", one.id, "--feature", slug)
    assert outcome.code == 0, outcome.err
    assert "equal" in outcome.out
    assert "rows counted" in " ".join(outcome.out.split())
    assert command(shop, "trace", one.id, "--feature", "no").err.count("no feature 'no'") == 1


def test_a_certificate_is_written_and_attached_to_the_version(shop: Shop) -> None:
    outcome = command(shop, "certify", "1", "--json")
    found = facts(outcome)
    assert (outcome.code, found["passed"], found["reason"]) == (0, True, ""), found
    assert {item["name"]: item["outcome"] for item in found["checks"]} == {
        "leak probe": "passed",
        "oracle": "passed",
        "online store": "passed",
        "reproduction": "passed",
        "skew audit": "passed",
    }
    assert found["ticks"]["distinct"] > 100
    assert len(found["hashes"]["bundle"]) == 64
    client = connect(shop.tracking_uri)
    version = client.get_model_version("shop", "1")
    assert version.tags["headrace.certificate"] == "passed"
    artifacts = {item.path for item in client.list_logged_model_artifacts(str(logged_model_id(version)), "certificate")}
    assert artifacts == {"certificate/1.json", "certificate/1.html"}
    assert version.tags["headrace.certificate_sha256"] == file_digest(shop.home / "certificates" / "shop" / "1.json")
    assert "passed" in (shop.home / "certificates" / "shop" / "1.html").read_text()


def test_the_gate_refuses_a_version_without_a_passing_certificate(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop.home, tmp_path / "home")
    context = Shop(path=shop.path, home=tmp_path / "home").run().context
    context = replace(context, problem=replace(context.problem, certificate=True))
    assert certificate_refusal(context, "1") == ""
    monkeypatch.setattr(checks, "engine_of", lambda problem: Peeking())
    assert certificate_refusal(context, "1").startswith("its certificate does not pass: leak probe")
