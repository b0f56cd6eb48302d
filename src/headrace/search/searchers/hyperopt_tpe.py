"""Searcher `hyperopt`: univariate Tree-structured Parzen Estimator (Bergstra et al., 2011) of the package Hyperopt.

Hyperopt's own loop holds its state in a Trials object in memory, and repeats its seeds when it is resumed. Headrace
uses the model only: it rebuilds Trials from the history at each call (milliseconds) and seeds from its own generator.
Pending configs, and those proposed earlier in the same call, are trials without a loss: Hyperopt counts them as bad,
as it does failed ones, so that proposals differ.
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
    active_parameters,
    all_parameters,
    clip,
    continuous_bounds,
    require_searchable,
)
from headrace.search.trial import Trial


class HyperoptSearcher:
    """Hyperopt's TPE after `startup` random trials.

    Args:
        space: What to search.
        startup: Random trials before the first model. Small, because a study here has tens of trials and Hyperopt's
            default of 20 would make most of them random.
        candidates: Samples of which the one with the largest expected improvement is proposed.
    """

    name = "hyperopt"

    def __init__(self, space: Space, *, startup: int = 6, candidates: int = 32) -> None:
        require_searchable(space)
        self.space = space
        self.startup = startup
        self.candidates = candidates
        self._parameters = dict(all_parameters(space))
        self._domain: Any = None

    def ask(
        self, history: Sequence[Trial], n: int, rng: np.random.Generator, pending: Sequence[Config] = ()
    ) -> list[Config]:
        from hyperopt import Trials, tpe

        trials = Trials()
        observed = [(trial.config, trial.loss) for trial in history] + [(config, None) for config in pending]
        trials.insert_trial_docs([self._document(i, config, loss) for i, (config, loss) in enumerate(observed)])
        trials.refresh()
        configs: list[Config] = []
        for offset in range(n):
            number = len(observed) + offset
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
            configs.append(config)
            trials.insert_trial_docs([self._document(number, config, None)])
            trials.refresh()
        return configs

    def _hyperopt_domain(self) -> Any:
        if self._domain is None:
            from hyperopt.base import Domain

            self._domain = Domain(None, _expression(self.space, ""))
        return self._domain

    def _document(self, number: int, config: Config, loss: float | None) -> dict[str, Any]:
        """Build a trial document as Hyperopt stores it: values in Hyperopt's encoding, [] where inactive."""
        present = dict(active_parameters(self.space, config))
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
    """Build the space as a Hyperopt expression. Integers are rounded here, so that the end values are as likely."""
    from hyperopt import hp

    expression: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        key = prefix + name
        if isinstance(parameter, Choice):
            options = [_expression(sub, f"{prefix}{option}.") for option, sub in parameter.options.items()]
            expression[key] = hp.choice(key, options)
        elif isinstance(parameter, Categorical):
            expression[key] = hp.choice(key, list(range(len(parameter.options))))
        else:
            low, high = continuous_bounds(parameter)
            if parameter.log:
                expression[key] = hp.loguniform(key, math.log(low), math.log(high))
            else:
                expression[key] = hp.uniform(key, low, high)
    return expression


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
