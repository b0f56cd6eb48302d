"""Two homes share a lake, with kills and races at every step: both read what one local lake would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from tests.lake.shared_lakes import no_fsync  # noqa: F401
from tests.lake.shared_world import DISTURBED, Advance, Append, actions, check, check_every_step
from tests.problems.s3 import s3

#: The fixture without fsync is the same for all examples.
_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The address of a bucket; examples use a folder of it each."""
    with s3("lakes"):
        yield "s3://lakes"


@pytest.mark.usefixtures("no_fsync")
@settings(max_examples=20, deadline=None, suppress_health_check=_SLOW)
@given(todo=st.lists(actions, min_size=1, max_size=6))
def test_both_homes_read_what_one_lake_would_have(
    tmp_path_factory: pytest.TempPathFactory, todo: list[Append | Advance]
) -> None:
    folder = tmp_path_factory.mktemp("example")
    check(f"file://{folder}", folder, todo)


@pytest.mark.usefixtures("no_fsync")
@settings(max_examples=3, deadline=None, suppress_health_check=_SLOW)
@given(todo=st.lists(actions, min_size=2, max_size=5))
def test_so_they_do_where_the_lake_is_in_s3(
    bucket: str, tmp_path_factory: pytest.TempPathFactory, todo: list[Append | Advance]
) -> None:
    check(bucket, tmp_path_factory.mktemp("example"), todo)


@pytest.mark.usefixtures("no_fsync")
@pytest.mark.parametrize("todo", DISTURBED, ids=lambda todo: todo.__name__)
def test_any_step_can_be_the_last_or_have_another_append_before_it(
    tmp_path_factory: pytest.TempPathFactory, todo: Callable[[int], list[Append | Advance]]
) -> None:
    check_every_step("", lambda: tmp_path_factory.mktemp("step"), todo)
