"""A change feed against its twin, which reads the whole table each time: the same versions, whatever is killed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.lake.store import Lake
from headrace.pipeline.production import intake
from tests.pipeline.changing_tables import FIRST, KINDS, Commit, World, ingest, shop, versions, with_kill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

COMMITS = st.dictionaries(st.integers(0, 8), st.one_of(st.none(), st.floats(0, 9, width=16)), min_size=1, max_size=5)
ROUNDS = st.lists(st.lists(COMMITS, max_size=3), min_size=1, max_size=4)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rounds=ROUNDS, kills=st.lists(st.integers(0, 3), max_size=4))
def test_a_feed_brings_what_reading_the_whole_table_brings(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[World],
    rounds: list[list[Commit]],
    kills: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("feeds")
    monkeypatch.setattr(intake, "validate_batch", lambda *_: SimpleNamespace(success=True, reasons=()))
    world = kind(folder / "world")
    by_feed, twin = shop(folder, world.feed, "feed"), shop(folder, world.whole, "twin")
    world.commit(FIRST)
    for number, commits in enumerate([[], *rounds]):
        for commit in commits:
            if any(points is not None for points in commit.values()) or world.rows:
                world.commit(commit)
        with_kill(by_feed, kills[number] if number < len(kills) else None)
        ingest(by_feed)
        ingest(by_feed)
        if world.rows:
            ingest(twin)
        assert versions(by_feed) == versions(twin)
    stored = list(Lake(by_feed.home, "shop").batches("results"))
    assert len({(batch.source, batch.digest) for batch in stored}) == len(stored)
