"""Tree-structured Parzen estimator (Bergstra et al., 2011), by Hyperopt.

Hyperopt's own loop keeps its state in a Trials object that a kill destroys and that repeats its seeds when resumed. We
use its model only: Trials is rebuilt from our history at every ask (milliseconds), the seed comes from our rng, and our
journal is the memory. Within a batch, configs already asked are shown to the model as pending: Hyperopt counts a trial
without a loss as bad, which pushes the next one elsewhere. Failed trials are counted the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from headrace.search.space import (
    Categorical,
    Choice,
    Config,
    Parameter,
    Space,
    Value,
    active,
    clip,
    edges,
    every_parameter,
    require_searchable,
)
from headrace.search.trial import Trial


class HyperoptSearcher:
    """Hyperopt's TPE after `startup` random trials.

    startup is small: a study here has tens of trials, and Hyperopt's default of 20 would make most of them random.
    """

    name = "hyperopt"

    def __init__(self, space: Space, *, startup: int = 6, candidates: int = 32) -> None:
        require_searchable(space)
        self.space = space
        self.startup = startup
        self.candidates = candidates
        self._parameters = dict(every_parameter(space))
        self._domain: Any = None

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        from hyperopt import Trials, tpe

        trials = Trials()
        seen = [(trial.config, trial.loss) for trial in history] + [(config, None) for config in pending]
        trials.insert_trial_docs([self._document(i, config, loss) for i, (config, loss) in enumerate(seen)])
        trials.refresh()
        asked: list[Config] = []
        for offset in range(n):
            number = len(seen) + offset
            (proposal,) = tpe.suggest(
                [number],
                self._hyperopt_domain(),
                trials,
                int(rng.integers(2**31 - 1)),
                n_startup_jobs=self.startup,
                n_EI_candidates=self.candidates,
                verbose=False,
            )
            config = self._config(proposal["misc"]["vals"])
            asked.append(config)
            trials.insert_trial_docs([self._document(number, config, None)])
            trials.refresh()
        return asked

    def _hyperopt_domain(self) -> Any:
        if self._domain is None:
            from hyperopt.base import Domain

            self._domain = Domain(None, _expression(self.space, ""))
        return self._domain

    def _document(self, number: int, config: Config, loss: float | None) -> dict[str, Any]:
        """A trial as Hyperopt stores it: every parameter's value in its own coordinates, [] where inactive."""
        present = dict(active(self.space, config))
        values = {key: [_encode(present[key], config[key])] if key in present else [] for key in self._parameters}
        return {
            "state": 2,  # done; a loss of None still counts as bad
            "tid": number,
            "spec": None,
            "result": {"status": "fail"} if loss is None else {"status": "ok", "loss": loss},
            "misc": {
                "tid": number,
                "cmd": None,
                "idxs": {key: [number] if value else [] for key, value in values.items()},
                "vals": values,
            },
            "exp_key": None,
            "owner": None,
            "version": 0,
            "book_time": None,
            "refresh_time": None,
        }

    def _config(self, values: Mapping[str, Sequence[float]]) -> Config:
        config: Config = {}

        def fill(space: Space, prefix: str) -> None:
            for name, parameter in space.parameters.items():
                value = _decode(parameter, values[prefix + name][0])
                config[prefix + name] = value
                if isinstance(parameter, Choice):
                    fill(parameter.options[str(value)], f"{prefix}{value}.")

        fill(self.space, "")
        return config


def _expression(space: Space, prefix: str) -> dict[str, Any]:
    """The space in Hyperopt's words. Rounding of integers is ours, so that both ends are as likely as the middle."""
    from hyperopt import hp

    built: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        key = prefix + name
        if isinstance(parameter, Choice):
            options = [_expression(sub, f"{prefix}{option}.") for option, sub in parameter.options.items()]
            built[key] = hp.choice(key, options)
        elif isinstance(parameter, Categorical):
            built[key] = hp.choice(key, list(range(len(parameter.options))))
        else:
            low, high = edges(parameter)
            if parameter.log:
                built[key] = hp.loguniform(key, math.log(low), math.log(high))
            else:
                built[key] = hp.uniform(key, low, high)
    return built


def _encode(parameter: Parameter, value: Value) -> float | int:
    if isinstance(parameter, Choice):
        return list(parameter.options).index(str(value))
    if isinstance(parameter, Categorical):
        return parameter.options.index(value)
    assert isinstance(value, int | float)
    return value


def _decode(parameter: Parameter, value: float) -> Value:
    if isinstance(parameter, Choice):
        return list(parameter.options)[int(value)]
    if isinstance(parameter, Categorical):
        return parameter.options[int(value)]
    return clip(parameter, value)
