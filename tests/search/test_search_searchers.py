"""The conformance suite: every entry of the catalogue passes it."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from headrace.core.errors import DeclarationError
from headrace.search.searchers import SEARCHERS, Searcher, searcher_named
from headrace.search.space import Categorical, Choice, Config, Float, Integer, Space, problems_of
from headrace.search.trial import Trial

SPACE = Space(
    {
        "family": Choice(
            {
                "trees": Space(
                    {
                        "rate": Float(1e-3, 1, log=True),
                        "leaves": Integer(2, 9),
                        "sampling": Choice({"all": Space({}), "some": Space({"share": Float(0.1, 1)})}),
                    }
                ),
                "line": Space({"scale": Categorical(("standard", "quantile", None, True))}),
            }
        ),
        "rows": Integer(1, 1000, log=True),
    }
)


def _loss(config: Config) -> float:
    base = abs(math.log(float(config["rows"]) / 100))  # type: ignore[arg-type]
    if config["family"] == "trees":
        return base + abs(math.log(float(config["trees.rate"]) / 0.1))  # type: ignore[arg-type]
    return base + 3


def _history(searcher: Searcher, n: int, *, failing: bool = False) -> list[Trial]:
    history: list[Trial] = []
    for number in range(n):
        (config,) = searcher.ask(history, 1, np.random.default_rng([7, number]))
        failed = failing and number % 2 == 0
        history.append(
            Trial(
                number=number,
                config=config,
                status="failed" if failed else "ok",
                loss=None if failed else _loss(config),
                seconds=0.1,
            )
        )
    return history


@pytest.fixture(params=sorted(SEARCHERS))
def searcher(request: pytest.FixtureRequest) -> Searcher:
    return SEARCHERS[request.param](SPACE)


def test_is_called_as_in_the_catalogue() -> None:
    assert {name: make(SPACE).name for name, make in SEARCHERS.items()} == {name: name for name in SEARCHERS}


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("length", [0, 1, 12])
def test_asks_for_n_configs_inside_the_space(searcher: Searcher, n: int, length: int) -> None:
    asked = searcher.ask(_history(searcher, length), n, np.random.default_rng(0))
    assert len(asked) == n
    # problems_of also refuses a parameter of an option that is not taken
    assert [problems_of(SPACE, config) for config in asked] == [[]] * n


def test_same_history_and_rng_same_configs(searcher: Searcher) -> None:
    history = _history(searcher, 10)
    first = searcher.ask(history, 3, np.random.default_rng(5))
    fresh = SEARCHERS[searcher.name](SPACE)
    assert fresh.ask(history, 3, np.random.default_rng(5)) == first
    assert searcher.ask(history, 3, np.random.default_rng(5)) == first
    assert searcher.ask(history, 3, np.random.default_rng(6)) != first


def test_seconds_do_not_matter(searcher: Searcher) -> None:
    history = _history(searcher, 10)
    slower = [Trial(**{**trial.to_json(), "seconds": 99.0}) for trial in history]
    assert searcher.ask(slower, 2, np.random.default_rng(5)) == searcher.ask(history, 2, np.random.default_rng(5))


def test_failed_trials_are_tolerated(searcher: Searcher) -> None:
    half = _history(searcher, 12, failing=True)
    none_left = [Trial(**{**trial.to_json(), "status": "failed", "loss": None}) for trial in half]
    for history in (half, none_left):
        (config,) = searcher.ask(history, 1, np.random.default_rng(0))
        assert problems_of(SPACE, config) == []


def test_configs_of_one_batch_differ(searcher: Searcher) -> None:
    asked = searcher.ask(_history(searcher, 15), 4, np.random.default_rng(1))
    assert len({tuple(sorted(config.items(), key=str)) for config in asked}) == 4


def test_equal_in_another_process_whatever_the_hash_seed(searcher: Searcher) -> None:
    code = (
        "import numpy as np\n"
        "from tests.search.test_search_searchers import SPACE, SEARCHERS, _history\n"
        f"s = SEARCHERS[{searcher.name!r}](SPACE)\n"
        "print(s.ask(_history(s, 10), 2, np.random.default_rng(3)))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert outputs == {f"{searcher.ask(_history(searcher, 10), 2, np.random.default_rng(3))}\n"}


def test_tpe_finds_more_than_random_does() -> None:
    """On average over seeds: the last ten of 40 trials are better than random ones."""

    def late_loss(name: str) -> float:
        searcher = SEARCHERS[name](SPACE)
        losses = []
        for seed in range(4):
            history: list[Trial] = []
            for number in range(40):
                (config,) = searcher.ask(history, 1, np.random.default_rng([seed, number]))
                history.append(Trial(number=number, config=config, status="ok", loss=_loss(config), seconds=0))
            losses += [trial.loss for trial in history[-10:] if trial.loss is not None]
        return float(np.mean(losses))

    assert late_loss("tpe") < 0.85 * late_loss("random")


def test_an_unknown_searcher_is_named_with_those_that_there_are() -> None:
    with pytest.raises(DeclarationError, match=r"no searcher 'gpx'.*random.*tpe"):
        searcher_named("gpx")
