"""The memory of the engine's results is freed with the last reference: no cycle waits for the garbage collector."""

from __future__ import annotations

import gc

import pytest

from headrace.synthesis.engines import LocalEngine
from headrace.testing.random_world import random_queries, random_world
from headrace.testing.shop_definitions import EVERYTHING
from headrace.testing.shop_world import problem

pytestmark = pytest.mark.slow


def test_nothing_waits_for_the_collector() -> None:
    snapshot, keys = random_world(7), random_queries(7)
    LocalEngine().compute(problem, EVERYTHING, keys, snapshot)
    gc.collect()
    gc.disable()
    try:
        LocalEngine().compute(problem, EVERYTHING, keys, snapshot)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        # other tests' threads leave garbage of their own
        assert [one for one in gc.garbage if type(one).__module__.startswith("headrace.synthesis")] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
