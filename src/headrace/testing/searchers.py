"""The conformance suite of searchers.

class TestMySearcher(SearcherConformance):
    @pytest.fixture
    def make(self):
        return MySearcher  # the class, or a function of a space
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.search.searchers import SearcherFactory
from headrace.search.searchers.random import RandomSearcher
from headrace.search.space import Config, Space, config_errors
from headrace.testing.search_data import CONDITIONAL, ONE, OPTIONS, SPACES, foreign, loss_of, run, trial

#: Loads a searcher's class from its file, in another process, and prints what it asks for.
_ELSEWHERE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("searcher_under_test", sys.argv[1])
module = sys.modules["searcher_under_test"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from headrace.testing.searchers import configs_of
print(configs_of(getattr(module, sys.argv[2])))
"""


def identity(config: Config) -> tuple[tuple[str, str], ...]:
    """A hashable form of a config."""
    return tuple(sorted((key, repr(value)) for key, value in config.items()))


def configs_of(make: SearcherFactory) -> list[Config]:
    """What a searcher asks for, with a history, pending configs and a seed that are always the same."""
    history = foreign(CONDITIONAL, [0.5, 2.0, None, 1.5, *np.linspace(3, 4, 8).tolist()])
    pending = [one.config for one in foreign(CONDITIONAL, [0.0, 0.0], seed=2)]
    return make(CONDITIONAL).ask(history, 2, np.random.default_rng(3), pending)


class SearcherConformance:
    """What every `headrace.search.searchers.protocol.Searcher` must do. Override the fixture `make`.

    repeats: names of searchers that may ask for a config again while there are new ones. without_model: names of those
    that learn nothing from the history.
    """

    repeats: frozenset[str] = frozenset()
    without_model: frozenset[str] = frozenset()

    @pytest.fixture
    def make(self) -> SearcherFactory:
        """What makes the searcher under test."""
        raise NotImplementedError("give a fixture `make` that returns your searcher's class")

    def skip_for(self, make: SearcherFactory, names: frozenset[str]) -> None:
        if make(ONE).name in names:
            pytest.skip("declared not to")

    def test_equal_in_another_process_whatever_the_hash_seed(self, make: SearcherFactory) -> None:
        target = make if inspect.isclass(make) or inspect.isfunction(make) else type(make(ONE))
        command = [sys.executable, "-c", _ELSEWHERE, str(inspect.getsourcefile(target)), target.__qualname__]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}
        other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert other.stdout == f"{configs_of(make)}\n"

    @pytest.mark.parametrize("space", sorted(SPACES))
    @pytest.mark.parametrize("length", [0, 1, 2, 13])
    def test_asks_for_n_configs_inside_any_space(self, make: SearcherFactory, space: str, length: int) -> None:
        searcher = make(SPACES[space])
        history = foreign(SPACES[space], np.random.default_rng(4).random(length).tolist())
        for n in (0, 1, 3):
            configs = searcher.ask(history, n, np.random.default_rng(0))
            # config_errors also refuses a parameter of an option that is not taken
            assert [config_errors(SPACES[space], config) for config in configs] == [[]] * n

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
    def test_copes_with_any_losses(self, make: SearcherFactory, losses: list[float | None]) -> None:
        searcher = make(CONDITIONAL)
        configs = searcher.ask(foreign(CONDITIONAL, losses), 2, np.random.default_rng(0))
        assert [config_errors(CONDITIONAL, config) for config in configs] == [[], []]

    def test_failed_and_stopped_trials_are_tolerated(self, make: SearcherFactory) -> None:
        searcher = make(CONDITIONAL)
        statuses = ["ok", "stopped", "failed"] * 5
        for history in (
            foreign(CONDITIONAL, [0.5, 2.0, None] * 5, statuses),
            foreign(CONDITIONAL, [2.0] * 12, ["stopped"] * 12),
        ):
            (config,) = searcher.ask(history, 1, np.random.default_rng(0))
            assert config_errors(CONDITIONAL, config) == []

    def test_same_history_and_rng_same_configs(self, make: SearcherFactory) -> None:
        searcher = make(CONDITIONAL)
        history = run(searcher, 12)
        first = searcher.ask(history, 3, np.random.default_rng(5))
        fresh = make(CONDITIONAL)
        assert fresh.ask(history, 3, np.random.default_rng(5)) == first
        assert searcher.ask(history, 3, np.random.default_rng(5)) == first
        assert searcher.ask(history, 3, np.random.default_rng(6)) != first

    def test_what_was_asked_before_does_not_matter(self, make: SearcherFactory) -> None:
        """A searcher that went through another study asks for the same configs."""
        searcher = make(CONDITIONAL)
        history = run(searcher, 12)
        used = make(CONDITIONAL)
        run(used, 15, seed=99, loss=lambda config: -loss_of(config))
        assert used.ask(history, 2, np.random.default_rng(5)) == searcher.ask(history, 2, np.random.default_rng(5))

    def test_seconds_do_not_matter(self, make: SearcherFactory) -> None:
        searcher = make(CONDITIONAL)
        history = run(searcher, 12)
        slower = [replace(trial, seconds=99.0) for trial in history]
        assert searcher.ask(slower, 2, np.random.default_rng(5)) == searcher.ask(history, 2, np.random.default_rng(5))

    @pytest.mark.parametrize("length", [0, 15])
    def test_a_batch_of_eight_and_what_is_pending_all_differ(self, make: SearcherFactory, length: int) -> None:
        searcher = make(ONE)
        history = foreign(ONE, np.random.default_rng(4).random(length).tolist())
        batch = searcher.ask(history, 8, np.random.default_rng(11))
        more = searcher.ask(history, 4, np.random.default_rng(2), pending=batch)
        assert (
            len({identity(config) for config in [*batch, *more, *(trial.config for trial in history)]}) == 12 + length
        )

    def test_no_config_is_asked_twice_while_there_are_others(self, make: SearcherFactory) -> None:
        """Nine configs in all: eight in a batch, the ninth while they are pending; then there is nothing new to ask."""
        self.skip_for(make, self.repeats)
        searcher = make(OPTIONS)
        batch = searcher.ask([], 8, np.random.default_rng(1))
        (last,) = searcher.ask([], 1, np.random.default_rng(2), pending=batch)
        assert len({identity(config) for config in [*batch, last]}) == 9
        history = [trial(number, config, 0.1 * number) for number, config in enumerate([*batch, last])]
        (again,) = searcher.ask(history, 1, np.random.default_rng(3))
        assert config_errors(OPTIONS, again) == []

    def test_a_pending_config_sends_the_next_elsewhere(self, make: SearcherFactory) -> None:
        """Eight workers do not all go to the one place that the model likes best."""
        self.skip_for(make, self.without_model)
        searcher = make(ONE)
        history = [trial(n, {"x": x}, (x - 1) ** 2) for n, x in enumerate(np.linspace(-2, 5, 15).tolist())]
        batch = [float(config["x"]) for config in searcher.ask(history, 8, np.random.default_rng(1))]  # type: ignore[arg-type]
        assert np.ptp(batch) > 0.05

    def test_known_configurations_are_learnt_from(self, make: SearcherFactory) -> None:
        """A warm start is a history like any other: the first configs after it are near its best ones."""
        self.skip_for(make, self.without_model)
        searcher = make(ONE)
        history = [trial(n, {"x": x}, abs(x - 4)) for n, x in enumerate(np.linspace(-2, 5, 29).tolist())]
        configs = [searcher.ask(history, 1, np.random.default_rng(seed))[0]["x"] for seed in range(9)]
        assert abs(float(np.median(configs)) - 4) < 1  # type: ignore[arg-type]

    def test_a_model_finds_more_than_random_does(self, make: SearcherFactory) -> None:
        """On average over seeds: the last ten of 40 trials are better than random ones."""
        self.skip_for(make, self.without_model)

        def late_loss(make: SearcherFactory) -> float:
            searcher = make(CONDITIONAL)
            return float(np.mean([trial.loss for seed in range(3) for trial in run(searcher, 40, seed)[-10:]]))

        assert late_loss(make) < 0.85 * late_loss(RandomSearcher)

    def test_a_space_without_parameters_is_refused(self, make: SearcherFactory) -> None:
        with pytest.raises(DeclarationError, match="space is empty"):
            make(Space({}))
