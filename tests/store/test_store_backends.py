"""Online stores that a user chooses: they pass the suite, and get at each refresh what the embedded file gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import DeclarationError
from headrace.store.backends import chosen_backends
from headrace.store.materialise import materialise, online_rows
from headrace.store.publish import publish
from headrace.store.repo import open_store
from headrace.testing.online_stores import OnlineStoreConformance
from tests.store.world import START, World, features

TICK = START + 5 * 24 * 3_600_000_000


class TestOnlineStores(OnlineStoreConformance):
    @pytest.fixture(params=["headrace.store.embedded.HeadraceOnlineStore", "sqlite"])
    def online_store(self, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
        return {"type": request.param, "path": str(tmp_path / "online.db")}


def test_a_chosen_store_gets_the_rows_of_each_refresh(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(world.root, world.problem, features(), "all")  # before there is a choice
    monkeypatch.setenv("TEST_ROWS", str(world.root / "chosen.db"))
    (world.root / "feature_store.yaml").write_text("online_store:\n  type: sqlite\n  path: ${TEST_ROWS}\n")
    counts = materialise(world.root, world.problem, TICK)
    slugs = [item.slug for item in features() if getattr(item, "entity", "") == "boat"]
    asked = [{"boat": "anna"}, {"boat": "bert"}]
    chosen = _through_feast(world, slugs, asked)
    (world.root / "feature_store.yaml").unlink()
    assert (world.root / "chosen.db").exists()
    assert chosen == _through_feast(world, slugs, asked)
    assert any(value is not None for values in chosen.values() for value in values)
    assert counts["harbour__boat"] == online_rows(world.root).count("harbour__boat") > 0


def _through_feast(world: World, slugs: list[str], rows: list[dict[str, str]]) -> dict[str, list[Any]]:
    store = open_store(world.root)
    found: dict[str, list[Any]] = store.get_online_features([f"harbour__boat:{slug}" for slug in slugs], rows).to_dict()
    return found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registry: x\n", "sets more than the stores. found: registry. write online_store and offline_store only"),
        ("online_store: redis\n", "online_store has no type. write type: redis"),
        ("online_store: {\n", "cannot be read"),
        ("- a\n", "sets more than the stores"),
        (
            "online_store:\n  type: redis\n  connection_string: ${NOT_SET_1}\n  # password: ${NOT_SET_2}\n",
            "environment variables that are not set: NOT_SET_1. set them",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "feature_store.yaml").write_text(text)
    with pytest.raises(DeclarationError, match=message):
        chosen_backends(tmp_path)


def test_without_a_file_the_stores_are_ours(tmp_path: Path) -> None:
    assert chosen_backends(tmp_path) == {}
