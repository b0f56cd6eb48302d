"""The conformance suite: every entry of the catalogue passes it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.search.searchers import SEARCHERS, get_searcher
from headrace.search.searchers.cube import Cube
from headrace.search.searchers.history import HistoryEncoder
from headrace.search.searchers.protocol import Searcher
from headrace.search.space import Config, Space, config_errors
from tests.search.searcher_cases import CONDITIONAL, ONE, OPTIONS, SPACES, asked_by_all, foreign, loss_of, run, trial

MODELS = sorted(set(SEARCHERS) - {"random"})


def identity(config: Config) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, repr(value)) for key, value in config.items()))


@pytest.fixture(params=sorted(SEARCHERS))
def searcher(request: pytest.FixtureRequest) -> Searcher:
    return SEARCHERS[request.param](CONDITIONAL)


def test_is_called_as_in_the_catalogue() -> None:
    assert {name: make(CONDITIONAL).name for name, make in SEARCHERS.items()} == {name: name for name in SEARCHERS}


@pytest.mark.parametrize("space", sorted(SPACES))
@pytest.mark.parametrize("length", [0, 1, 2, 13])
def test_asks_for_n_configs_inside_any_space(searcher: Searcher, space: str, length: int) -> None:
    searcher = SEARCHERS[searcher.name](SPACES[space])
    history = foreign(SPACES[space], np.random.default_rng(4).random(length).tolist())
    for n in (0, 1, 3):
        asked = searcher.ask(history, n, np.random.default_rng(0))
        # problems_of also refuses a parameter of an option that is not taken
        assert [config_errors(SPACES[space], config) for config in asked] == [[]] * n


@pytest.mark.parametrize(
    "losses",
    [
        [1.0] * 14,
        [0.0] * 14,
        (np.arange(14) * 1e300).tolist(),
        (np.arange(14) * -1e-300).tolist(),
        [*np.linspace(0, 1, 13), 1.7e308],
        [-1.7e308, *np.linspace(0, 1, 12), 1.7e308],
        [None] * 14,
        [None] * 13 + [0.5],
    ],
    ids=["equal", "zero", "huge", "tiny", "outlier", "both ends", "all failed", "one left"],
)
def test_copes_with_any_losses(searcher: Searcher, losses: list[float | None]) -> None:
    asked = searcher.ask(foreign(CONDITIONAL, losses), 2, np.random.default_rng(0))
    assert [config_errors(CONDITIONAL, config) for config in asked] == [[], []]


def test_failed_and_stopped_trials_are_tolerated(searcher: Searcher) -> None:
    statuses = ["ok", "stopped", "failed"] * 5
    for history in (
        foreign(CONDITIONAL, [0.5, 2.0, None] * 5, statuses),
        foreign(CONDITIONAL, [2.0] * 12, ["stopped"] * 12),
    ):
        (config,) = searcher.ask(history, 1, np.random.default_rng(0))
        assert config_errors(CONDITIONAL, config) == []


def test_same_history_and_rng_same_configs(searcher: Searcher) -> None:
    history = run(searcher, 12)
    first = searcher.ask(history, 3, np.random.default_rng(5))
    fresh = SEARCHERS[searcher.name](CONDITIONAL)
    assert fresh.ask(history, 3, np.random.default_rng(5)) == first
    assert searcher.ask(history, 3, np.random.default_rng(5)) == first
    assert searcher.ask(history, 3, np.random.default_rng(6)) != first


def test_what_was_asked_before_does_not_matter(searcher: Searcher) -> None:
    """Nothing is remembered but what would be worked out again: one that lived through another study asks the same."""
    history = run(searcher, 12)
    used = SEARCHERS[searcher.name](CONDITIONAL)
    run(used, 15, seed=99, loss=lambda config: -loss_of(config))
    assert used.ask(history, 2, np.random.default_rng(5)) == searcher.ask(history, 2, np.random.default_rng(5))


def test_seconds_do_not_matter(searcher: Searcher) -> None:
    history = run(searcher, 12)
    slower = [replace(trial, seconds=99.0) for trial in history]
    assert searcher.ask(slower, 2, np.random.default_rng(5)) == searcher.ask(history, 2, np.random.default_rng(5))


def test_equal_in_another_process_whatever_the_hash_seed() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "tests.search.searcher_cases"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert outputs == {f"{asked_by_all()}\n"}


@pytest.mark.parametrize("length", [0, 15])
def test_a_batch_of_eight_and_what_is_pending_all_differ(searcher: Searcher, length: int) -> None:
    searcher = SEARCHERS[searcher.name](ONE)
    history = foreign(ONE, np.random.default_rng(4).random(length).tolist())
    batch = searcher.ask(history, 8, np.random.default_rng(11))
    more = searcher.ask(history, 4, np.random.default_rng(2), pending=batch)
    assert len({identity(config) for config in [*batch, *more, *(trial.config for trial in history)]}) == 12 + length


@pytest.mark.parametrize("name", sorted(set(SEARCHERS) - {"hyperopt"}))
def test_no_config_is_asked_twice_while_there_are_others(name: str) -> None:
    """Nine configs in all: eight in a batch, the ninth while they are pending; then there is nothing new to ask."""
    searcher = SEARCHERS[name](OPTIONS)
    batch = searcher.ask([], 8, np.random.default_rng(1))
    (last,) = searcher.ask([], 1, np.random.default_rng(2), pending=batch)
    assert len({identity(config) for config in [*batch, last]}) == 9
    history = [trial(number, config, 0.1 * number) for number, config in enumerate([*batch, last])]
    (again,) = searcher.ask(history, 1, np.random.default_rng(3))
    assert config_errors(OPTIONS, again) == []


@pytest.mark.parametrize("name", MODELS)
def test_a_pending_config_sends_the_next_elsewhere(name: str) -> None:
    """Eight workers do not all go to the one place that the model likes best."""
    searcher = SEARCHERS[name](ONE)
    history = [trial(n, {"x": x}, (x - 1) ** 2) for n, x in enumerate(np.linspace(-2, 5, 15).tolist())]
    batch = [float(config["x"]) for config in searcher.ask(history, 8, np.random.default_rng(1))]  # type: ignore[arg-type]
    assert np.ptp(batch) > 0.05


@pytest.mark.parametrize("name", MODELS)
def test_known_configurations_are_learnt_from(name: str) -> None:
    """A warm start is a history like any other: the first configs asked after it are near its best ones."""
    searcher = SEARCHERS[name](ONE)
    history = [trial(n, {"x": x}, abs(x - 4)) for n, x in enumerate(np.linspace(-2, 5, 29).tolist())]
    asked = [searcher.ask(history, 1, np.random.default_rng(seed))[0]["x"] for seed in range(9)]
    assert abs(float(np.median(asked)) - 4) < 1  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_finds_more_than_random_does(name: str) -> None:
    """On average over seeds: the last ten of 40 trials are better than random ones."""

    def late_loss(name: str) -> float:
        searcher = SEARCHERS[name](CONDITIONAL)
        return float(np.mean([trial.loss for seed in range(3) for trial in run(searcher, 40, seed)[-10:]]))

    assert late_loss(name) < 0.85 * late_loss("random")


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
    """The encoder caches the rows of the last history; another one of the same length shares none of them."""
    cube = Cube(ONE)
    encoder = HistoryEncoder(cube)
    long = foreign(ONE, [1.0, 2.0, 3.0, 4.0, 5.0], seed=8)
    for history in (foreign(ONE, [1.0, 2.0, 3.0]), long[:3], long, long[:2]):
        assert encoder.encode_history(history).X.tolist() == cube.encode(one.config for one in history).tolist()
        assert encoder.proposed_identities(history, cube.encode([])) == set(
            cube.identities(encoder.encode_history(history).X)
        )


@pytest.mark.parametrize("name", sorted(SEARCHERS))
def test_a_space_without_parameters_is_refused(name: str) -> None:
    with pytest.raises(DeclarationError, match="space is empty"):
        SEARCHERS[name](Space({}))


def test_an_unknown_searcher_is_named_with_those_that_there_are() -> None:
    with pytest.raises(DeclarationError, match=r"no searcher 'grid'.*random.*tpe"):
        get_searcher("grid")
