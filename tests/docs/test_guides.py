"""The guides are executed: every block, in order, in a folder of its own. Their tables are compared with the code."""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize

from headrace.api.app import create_app
from headrace.api.server import production_clock
from headrace.core.settings import Settings, settings
from headrace.flows.deployments import deployments_for
from headrace.problems.catalogue import load_problem
from headrace.registry.ledger import Ledger
from headrace.schema import Monitoring, Policy, Problem, Table
from tests.cli.command import headrace
from tests.docs.blocks import ROOT, Reader, blocks

pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    # Starlette's client asks for another package by the name of httpx2; httpx is what we have locked.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

OWN, TIME, OPERATING = "docs/your-own-problem.md", "docs/time.md", "docs/operating.md"


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A reader's folder, current while the tests of this file run, with nothing of the environment's settings."""
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("reader")
        for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
            patch.delenv(name, raising=False)
        patch.setenv("HEADRACE_WORKERS", "1")
        patch.chdir(path)
        patch.syspath_prepend(str(path))
        settings.cache_clear()
        yield path
        sys.modules.pop("make_files", None)
    settings.cache_clear()


@pytest.fixture(scope="session")
def shop(folder: Path) -> Path:
    """The home folder after docs/your-own-problem.md was worked through from its first block to its last."""
    reader = Reader(folder / ".headrace", lambda path, body: ask(folder, path, body))
    for block in blocks(OWN):
        reader.execute(block)
    return folder


def ask(folder: Path, path: str, body: Any) -> Any:
    """What the API says, in this process: a GET where there is no body."""
    root, problem = folder / ".headrace", load_problem(folder / "shop.py")
    store = f"sqlite:///{root / 'mlflow' / 'mlflow.db'}"
    app = create_app(root, problem, store, production_clock(root, problem), poll_s=0.02)
    with TestClient(app, base_url="http://localhost") as client:
        until = time.monotonic() + 60
        while client.get("/readyz").status_code != 200:
            assert time.monotonic() < until, client.get("/readyz").json()
            time.sleep(0.02)
        return (client.get(path) if body is None else client.post(path, json=body)).json()


def test_a_problem_of_ones_own(shop: Path) -> None:
    root = shop / ".headrace"
    ledger = Ledger(root, "shop")
    champion = ledger.champion()
    assert champion is not None
    assert (champion.version, set(ledger.barred())) == ("1", {"2"})
    refused = list((root / "lake" / "shop" / "quarantine" / "customers").iterdir())
    assert len(refused) == 1
    said = re.search(r"^    quarantined customers: (.*)$", (ROOT / OWN).read_text(), re.MULTILINE)
    assert said is not None
    assert said.group(1) in (refused[0] / "reasons.json").read_text()
    assert list((root / "quality" / "shop").rglob("index.html"))


def test_operating_it(shop: Path) -> None:
    answers = []

    def recorded(path: str, body: Any) -> Any:
        answers.append(ask(shop, path, body))
        return answers[-1]

    reader = Reader(shop / ".headrace", recorded)
    for block in blocks(OPERATING):
        reader.execute(block)
    fresh, unknown = answers[1]["predictions"]
    assert fresh["features"]["shop__customer_id"]["status"] == "FRESH"
    assert unknown["features"]["shop__customer_id"]["status"] == "MISSING"
    assert answers[3]["ready"] is True
    # the folders that the page lists are the ones that there are
    there = {f"`{path.name}/`" for path in (shop / ".headrace").iterdir() if path.is_dir()}
    assert there <= set(first_cells(OPERATING, "folder"))


def test_time(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path, lambda path, body: None)
    for block in blocks(TIME):
        reader.execute(block)


def test_from_your_own_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    reader = Reader(tmp_path, lambda path, body: None)
    for block in blocks("docs/from-your-data.md"):
        reader.execute(block)
    sys.modules.pop("make_library", None)
    problem = load_problem("./library.py")
    assert problem.entity_set.table("loan").known_at["damaged"] == "returned_at"


def rows_of(page: str, head: str) -> list[list[str]]:
    """The cells of the tables of a page whose first column has that head."""
    found, inside = [], False
    for line in (ROOT / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if inside and cells and not cells[0].startswith("---"):
            found.append(cells)
        inside = bool(cells) and (inside or cells[0] == head)
    return found


def first_cells(page: str, head: str) -> list[str]:
    return [cells[0] for cells in rows_of(page, head)]


def replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return damage


def repeat_a_row(folder: Path) -> None:
    lines = (folder / "orders.csv").read_text().splitlines()
    (folder / "orders.csv").write_text("\n".join([*lines, lines[1]]) + "\n")


def spoil_an_amount(folder: Path) -> None:
    lines = (folder / "orders.csv").read_text().splitlines()
    values = lines[2].split(",")
    lines[2] = ",".join([*values[:3], "dear", *values[4:]])
    (folder / "orders.csv").write_text("\n".join(lines) + "\n")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a source that is not there": lambda folder: (folder / "orders.csv").unlink(),
    "a label column that does not exist": replace("shop.py", 'label="refunded > 0"', 'label="sent_back > 0"'),
    "times without a zone": replace("orders.csv", "+00:00", ""),
    "a text among numbers": spoil_an_amount,
    "the same key twice": repeat_a_row,
    "a label that is known at its cutoff": replace("shop.py", '"refunded": "settled"', ""),
    "a label that is always the same": replace("shop.py", "refunded > 0", "refunded > 1000000"),
    "a relationship to no table": replace("shop.py", '"customers.customer_id", ', '"clients.customer_id", '),
}


def test_every_fault_of_the_guide_is_tried() -> None:
    assert first_cells(OWN, "what is wrong") == list(DAMAGES)


@pytest.mark.parametrize("fault", DAMAGES)
def test_a_fault_is_told_as_the_guide_says(
    fault: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "make_files", raising=False)
    reader = Reader(tmp_path, lambda path, body: None)
    for block in [block for block in blocks(OWN) if block.language == "python"][:3]:
        reader.execute(block)
    DAMAGES[fault](tmp_path)
    outcome = headrace("check", "shop.py", home=tmp_path)
    assert outcome.code == 1
    (told,) = [cells[1] for cells in rows_of(OWN, "what is wrong") if cells[0] == fault]
    assert any(told.removesuffix(" ...").strip("`") in error for error in outcome.errors), outcome.errors


@pytest.mark.parametrize(
    ("declared", "head", "at"),
    [
        (Table, "field", 0),
        (Problem, "field", len(dataclasses.fields(Table)) - 1),
        (Monitoring, "field of Monitoring", 0),
        (Policy, "field of Policy", 0),
    ],
)
def test_every_field_of_a_declaration_is_explained(declared: type[Any], head: str, at: int) -> None:
    names = [field.name for field in dataclasses.fields(declared) if field.name not in ("path", "handed", "joined")]
    told = first_cells(OWN, head)[at : at + len(names)]
    assert sorted(told) == sorted(f"`{name}`" for name in names)


def test_the_settings_are_those_of_the_code() -> None:
    expected = {}
    for name, info in Settings.model_fields.items():
        alias = info.validation_alias
        variable = alias if isinstance(alias, str) else getattr(alias, "choices", [f"HEADRACE_{name.upper()}"])[0]
        default = f"{info.default / 10**9:g}GB" if isinstance(info.default, ByteSize) else info.default
        expected[f"`{variable}`"] = "none" if default is None else f"`{default}`"
    assert {cells[0]: cells[1] for cells in rows_of(OPERATING, "variable")} == expected


def test_the_schedules_are_those_of_the_code(shop: Path) -> None:
    with_feed, without = load_problem("flights"), load_problem(shop / "shop.py")
    expected = {f"`{one.name.removeprefix('flights-')}`": ["", ""] for one in deployments_for(with_feed, "flights")}
    for column, problem in enumerate((with_feed, without)):
        for one in deployments_for(problem, problem.name):
            cron = "by hand" if one.cron is None else f"`{one.cron}`"
            expected[f"`{one.name.removeprefix(f'{problem.name}-')}`"][column] = cron
    assert {cells[0]: cells[1:3] for cells in rows_of(OPERATING, "deployment")} == expected


def test_the_readme_declares_a_problem() -> None:
    (block,) = [block for block in blocks("README.md") if block.language == "python"]
    names: dict[str, Any] = {}
    exec(compile(block.text, block.place, "exec"), names)
    problem = names["problem"]
    assert isinstance(problem, Problem)
    assert [entity.name for entity in problem.all_entities] == ["tailnum"]


def test_the_readmes_request_is_answered_without_a_flag(shop: Path) -> None:
    (shown,) = re.findall(r"^    (curl .*localhost:8080/predict.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    example, predict = (shlex.split(command) for command in shown.split(" | "))
    assert example == ["curl", "-s", "localhost:8080/example"]
    assert {"localhost:8080/predict", "content-type: application/json", "-d", "@-"} <= set(predict)
    answer = ask(shop, "/predict", ask(shop, "/example", None))
    assert (answer["flags"], answer["reason"]) == ([], "")
