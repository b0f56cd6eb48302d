"""Token buckets against their obvious twin: no period has more requests than the bucket and its refill allow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.rates import Buckets, Rate
from headrace.core.errors import DeclarationError


@given(
    count=st.integers(1, 5),
    gaps_ms=st.lists(st.integers(0, 1500), min_size=1, max_size=40),
)
def test_requests_are_let_in_as_by_counting_drops(count: int, gaps_ms: list[int]) -> None:
    """The twin keeps tokens as whole thousandths of a token, and steps through every millisecond."""
    rate, buckets, level, now_ms = Rate(count=count, period_s=1), Buckets(), count * 1000, 0
    for gap in gaps_ms:
        for _ in range(gap):
            level = min(count * 1000, level + count)
        now_ms += gap
        let_in = level >= 1000
        waited = buckets.wait_s("a", rate, now_ms / 1000)
        if 1000 - count <= level < 1000 or level == 1000:  # the two may round the same instant differently
            let_in = waited == 0.0
        assert (waited == 0.0) == let_in
        level -= 1000 * let_in


def test_the_wait_is_the_time_until_a_token() -> None:
    buckets, rate = Buckets(), Rate.parse("2/min", where="rate")
    assert [buckets.wait_s("a", rate, 0.0) for _ in range(3)] == [0.0, 0.0, 30.0]
    assert buckets.wait_s("a", rate, 10.0) == pytest.approx(20.0)
    assert buckets.wait_s("a", rate, 30.0) == 0.0
    assert buckets.wait_s("b", rate, 30.0) == 0.0


def test_the_client_that_was_idle_longest_is_forgotten() -> None:
    buckets, rate = Buckets(max_buckets=2), Rate(count=1, period_s=3600)
    assert [buckets.wait_s(client, rate, 0.0) for client in "abab"] == [0.0, 0.0, 3600.0, 3600.0]
    assert buckets.wait_s("c", rate, 0.0) == 0.0
    assert buckets.wait_s("b", rate, 0.0) > 0.0
    assert buckets.wait_s("a", rate, 0.0) == 0.0


@pytest.mark.parametrize("text", ["", "10", "0/s", "-1/s", "1.5/s", "10/day", "10/s burst 3"])
def test_a_wrong_rate_is_named(text: str) -> None:
    with pytest.raises(DeclarationError, match="is no rate"):
        Rate.parse(text, where="HEADRACE_KEY_RATE")


def test_a_rate_is_written_as_it_is_read() -> None:
    assert [str(Rate.parse(text, where="-")) for text in ("100/s", "600/min", "5000/h")] == [
        "100/s",
        "600/min",
        "5000/h",
    ]
