"""Spaces and histories that the conformance suite of searchers uses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from headrace.search.searchers.protocol import Searcher
from headrace.search.space import Categorical, Choice, Config, Float, Integer, Space, sample
from headrace.search.trial import Trial

CONDITIONAL = Space(
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
ONE = Space({"x": Float(-2, 5)})
WIDE = Space({f"x{i}": Float(0, 1) for i in range(30)})
OPTIONS = Space({"a": Categorical((1, 2, 3)), "b": Categorical(("u", "v", None)), "c": Choice({"p": Space({})})})
SPACES = {"conditional": CONDITIONAL, "one": ONE, "wide": WIDE, "options": OPTIONS}


def loss_of(config: Config) -> float:
    """Of a config of CONDITIONAL; least for trees, a rate of .1 and 100 rows."""
    base = abs(math.log(float(config["rows"]) / 100))  # type: ignore[arg-type]
    if config["family"] == "trees":
        return base + abs(math.log(float(config["trees.rate"]) / 0.1))  # type: ignore[arg-type]
    return base + 3


def trial(number: int, config: Config, loss: float | None, status: str = "ok") -> Trial:
    return Trial(number=number, config=config, status=status, loss=loss, seconds=0.1)  # type: ignore[arg-type]


def foreign(space: Space, losses: Sequence[float | None], statuses: Sequence[str] = (), seed: int = 1) -> list[Trial]:
    """A history that no searcher proposed: random configs, one for each loss; None is a failed one."""
    rng = np.random.default_rng(seed)
    statuses = statuses or ["failed" if loss is None else "ok" for loss in losses]
    return [
        trial(number, sample(space, rng), loss, status)
        for number, (loss, status) in enumerate(zip(losses, statuses, strict=True))
    ]


def run(searcher: Searcher, n: int, seed: int = 7, loss: Callable[[Config], float] = loss_of) -> list[Trial]:
    """n trials one by one, as a study asks for them."""
    history: list[Trial] = []
    for number in range(n):
        (config,) = searcher.ask(history, 1, np.random.default_rng([seed, number]))
        history.append(trial(number, config, loss(config)))
    return history
