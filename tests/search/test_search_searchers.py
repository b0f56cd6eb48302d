"""Every built-in searcher passes the conformance suite; and what is particular to some."""

from __future__ import annotations

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.search.searchers import SEARCHERS, SearcherFactory, get_searcher
from headrace.search.searchers.cube import Cube
from headrace.search.searchers.history import HistoryEncoder
from headrace.testing.search_data import CONDITIONAL, ONE, foreign
from headrace.testing.searchers import SearcherConformance

pytestmark = pytest.mark.slow


class TestBuiltInSearchers(SearcherConformance):
    repeats = frozenset({"hyperopt"})
    without_model = frozenset({"random"})

    @pytest.fixture(params=sorted(SEARCHERS.built_in))
    def make(self, request: pytest.FixtureRequest) -> SearcherFactory:
        return SEARCHERS[request.param]


def test_is_called_as_in_the_catalogue() -> None:
    assert {name: make(CONDITIONAL).name for name, make in SEARCHERS.items()} == {name: name for name in SEARCHERS}


def test_auto_asks_tpe_for_the_first_thirty_and_gp_after_whoever_is_still_waited_for() -> None:
    searcher, rng = SEARCHERS["auto"](ONE), np.random.default_rng
    history = foreign(ONE, rng(4).random(29).tolist())
    first = searcher.ask(history, 3, rng(1))
    shared = rng(1)
    expected = SEARCHERS["tpe"](ONE).ask(history, 1, shared)
    assert first == [*expected, *SEARCHERS["gp"](ONE).ask(history, 2, shared, expected)]
    assert searcher.ask(history, 2, rng(2), first) == SEARCHERS["gp"](ONE).ask(history, 2, rng(2), first)
    assert searcher.ask(history[:9], 2, rng(3), first) == SEARCHERS["tpe"](ONE).ask(history[:9], 2, rng(3), first)


def test_a_history_that_is_not_the_last_one_grown_is_read_anew() -> None:
    """Evidence keeps the rows of the last history; another one of the same length shares none of them."""
    cube = Cube(ONE)
    encoder = HistoryEncoder(cube)
    long = foreign(ONE, [1.0, 2.0, 3.0, 4.0, 5.0], seed=8)
    for history in (foreign(ONE, [1.0, 2.0, 3.0]), long[:3], long, long[:2]):
        assert encoder.encode_history(history).X.tolist() == cube.encode(one.config for one in history).tolist()
        assert encoder.proposed_identities(history, cube.encode([])) == set(
            cube.identities(encoder.encode_history(history).X)
        )


def test_an_unknown_searcher_is_named_with_those_that_there_are() -> None:
    with pytest.raises(DeclarationError, match=r"no searcher 'grid'.*random.*tpe"):
        get_searcher("grid")
