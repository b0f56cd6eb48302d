"""The replay's flow on a tiny shop: what Prefect shows of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from headrace.core.settings import Settings
from headrace.flows.replay import replay
from tests.tiny_problem import write_tiny_problem

pytestmark = [pytest.mark.server, pytest.mark.timeout(180), pytest.mark.slow]


def test_the_flow_publishes_the_policies(tmp_path: Path, own_home: Path, prefect_server: Settings) -> None:
    shop = write_tiny_problem(tmp_path / "shop", orders=1_500, replayed_days=1)
    result = replay(str(shop), every="3d")
    with get_client(sync_client=True) as client:
        shown = client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(like_="shop-replay%")))
    described = {one.key: one.description for one in shown}
    assert set(described) == {"shop-replay", "shop-replay-policies"}
    assert described["shop-replay"] == f"Recommended: {result.recommendation.name}"
