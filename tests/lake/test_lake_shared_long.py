"""As test_lake_shared_property.py, with more examples, and each step of an append in S3 too."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from headrace.lake.object_store.objects import open_objects
from tests.lake.shared_lakes import no_fsync  # noqa: F401
from tests.lake.shared_world import DISTURBED, Advance, Append, actions, check, check_every_step
from tests.problems.s3 import s3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

#: The fixture without fsync is the same for all examples.
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module", params=["folder", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a bucket, or empty for a folder of each example."""
    if request.param == "folder":
        yield ""
        return
    with s3("lakes"):
        yield "s3://lakes"


@pytest.mark.usefixtures("no_fsync")
@settings(max_examples=100, deadline=None, suppress_health_check=_SLOW)
@given(todo=st.lists(actions, min_size=1, max_size=8))
def test_both_homes_read_what_one_lake_would_have(
    store: str, tmp_path_factory: pytest.TempPathFactory, todo: list[Append | Advance]
) -> None:
    folder = tmp_path_factory.mktemp("example")
    check(store or f"file://{folder}", folder, todo)


@pytest.mark.usefixtures("no_fsync")
@pytest.mark.parametrize("todo", DISTURBED, ids=lambda todo: todo.__name__)
def test_any_step_can_be_the_last_or_have_another_append_before_it(
    store: str, tmp_path_factory: pytest.TempPathFactory, todo: Callable[[int], list[Append | Advance]]
) -> None:
    check_every_step(store, lambda: tmp_path_factory.mktemp("step"), todo)


def test_a_folder_with_more_names_than_a_page() -> None:
    """S3 lists a thousand names at a time."""
    import boto3

    with s3("pages"):
        client = boto3.client("s3")
        for number in range(1005):
            client.put_object(Bucket="pages", Key=f"lake/p/log/{number:08d}.json", Body=b"{}")
        names = open_objects("s3://pages/lake").names("p/log", "p/log/00000001.json")
    assert names == [f"p/log/{number:08d}.json" for number in range(2, 1005)]
