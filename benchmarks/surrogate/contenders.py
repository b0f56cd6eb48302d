"""The searchers that are compared: ours by their catalogue, and the peers as they come out of their packages.

A contender is a function (table, seed, trials) -> Run. Peers get the same space in their own words, their own defaults
for everything else, and as many trials; what their objective costs is taken out of their time.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.surrogate.code_version import code_version
from benchmarks.surrogate.table import SurrogateTable
from headrace.models.space import Categorical, Choice, Config, Integer, Space
from headrace.search.searchers import SEARCHERS, get_searcher
from headrace.search.space import all_parameters
from headrace.search.trial import Trial


@dataclass(kw_only=True)
class Run:
    """losses: of each trial in order. asking_s: what each suggestion took, seconds."""

    losses: list[float] = field(default_factory=list)
    asking_s: list[float] = field(default_factory=list)


Contender = Callable[[SurrogateTable, int, int], Run]


def ours(name: str) -> Contender:
    """A searcher of the catalogue, asked for one config at a time as a study with one worker does."""

    def run(table: SurrogateTable, seed: int, trials: int) -> Run:
        searcher, made, history = get_searcher(name)(table.space), Run(), list[Trial]()
        for number in range(trials):
            started = time.perf_counter()
            (config,) = searcher.ask(history, 1, np.random.default_rng([seed, number]))
            made.asking_s.append(time.perf_counter() - started)
            history.append(told(table, number, config))
            made.losses.append(table.loss(config))
        return made

    return run


def told(table: SurrogateTable, number: int, config: Config) -> Trial:
    return Trial(number=number, config=config, status="ok", loss=table.loss(config), seconds=0.0)


def watched(table: SurrogateTable, made: Run) -> Callable[[Config], float]:
    """An objective that notes what it answers and how long it was not asked for anything."""
    idle_since = [time.perf_counter()]

    def objective(config: Config) -> float:
        made.asking_s.append(time.perf_counter() - idle_since[0])
        made.losses.append(table.loss(config))
        idle_since[0] = time.perf_counter()
        return made.losses[-1]

    return objective


def hyperopt(table: SurrogateTable, seed: int, trials: int) -> Run:
    """fmin with tpe.suggest: 20 random trials first, univariate."""
    from hyperopt import fmin, tpe

    made = Run()
    objective, space = watched(table, made), hyperopt_space(table.space)

    def flattened(nested: Mapping[str, Any]) -> float:
        return objective(_flat(nested))

    rng = np.random.default_rng(seed)
    fmin(flattened, space, algo=tpe.suggest, max_evals=trials, rstate=rng, show_progressbar=False, verbose=False)
    return made


def hyperopt_space(space: Space, prefix: str = "") -> dict[str, Any]:
    """The space as a user of Hyperopt writes it: nested, a choice as a dict with its option under the key itself."""
    from hyperopt import hp
    from hyperopt.pyll import scope

    built: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        key = prefix + name
        if isinstance(parameter, Choice):
            built[key] = hp.choice(
                key,
                [
                    {"is": option, **hyperopt_space(sub, f"{prefix}{option}.")}
                    for option, sub in parameter.options.items()
                ],
            )
        elif isinstance(parameter, Categorical):
            built[key] = hp.choice(key, list(parameter.options))
        elif parameter.log:
            low, high = math.log(parameter.low), math.log(parameter.high)
            whole = isinstance(parameter, Integer)
            built[key] = scope.int(hp.qloguniform(key, low, high, 1)) if whole else hp.loguniform(key, low, high)
        elif isinstance(parameter, Integer):
            built[key] = hp.uniformint(key, parameter.low, parameter.high)
        else:
            built[key] = hp.uniform(key, parameter.low, parameter.high)
    return built


def _flat(nested: Mapping[str, Any]) -> Config:
    config: Config = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            config[key] = value["is"]
            config.update(_flat({name: item for name, item in value.items() if name != "is"}))
        else:
            config[key] = value
    return config


def optuna(table: SurrogateTable, seed: int, trials: int, **options: Any) -> Run:
    """TPESampler at its defaults (multivariate), define by run."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = Run()
    objective = watched(table, made)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, **options))
    study.optimize(lambda trial: objective(suggested(table.space, trial)), n_trials=trials)
    return made


def optuna_group(table: SurrogateTable, seed: int, trials: int) -> Run:
    """The same with group=True: multivariate within each branch of a conditional space, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is experimental, says Optuna
        return optuna(table, seed, trials, multivariate=True, group=True)


def suggested(space: Space, trial: Any, prefix: str = "") -> Config:
    """A config from Optuna's suggest calls."""
    config: Config = {}
    for name, parameter in space.parameters.items():
        key = prefix + name
        if isinstance(parameter, Choice):
            option = config[key] = trial.suggest_categorical(key, list(parameter.options))
            config.update(suggested(parameter.options[option], trial, f"{prefix}{option}."))
        elif isinstance(parameter, Categorical):
            config[key] = trial.suggest_categorical(key, list(parameter.options))
        elif isinstance(parameter, Integer):
            config[key] = trial.suggest_int(key, parameter.low, parameter.high, log=parameter.log)
        else:
            config[key] = trial.suggest_float(key, parameter.low, parameter.high, log=parameter.log)
    return config


def smac3(table: SurrogateTable, seed: int, trials: int) -> Run:
    """The facade for hyperparameter optimisation, ask and tell, one seed per config."""
    from joblib import parallel_config
    from smac import HyperparameterOptimizationFacade, Scenario
    from smac.runhistory.dataclasses import TrialValue

    made = Run()
    # its forest would start a pool of threads for every prediction: ten times slower beside another process
    with parallel_config("sequential"), warnings.catch_warnings(), TemporaryDirectory() as folder:
        warnings.simplefilter("ignore", RuntimeWarning)  # means of leaves that no row reached
        scenario = Scenario(
            smac3_space(table.space, seed),
            deterministic=True,
            n_trials=trials,
            seed=seed,
            output_directory=Path(folder),
        )
        facade = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, logging_level=False, overwrite=True
        )
        for _ in range(trials):
            started = time.perf_counter()
            asked = facade.ask()
            asking = time.perf_counter() - started
            loss = table.loss(_from_smac3(table.space, dict(asked.config)))
            started = time.perf_counter()
            facade.tell(asked, TrialValue(cost=loss))
            made.asking_s.append(asking + time.perf_counter() - started)
            made.losses.append(loss)
    return made


def smac3_space(space: Space, seed: int) -> Any:
    """The space as a ConfigurationSpace, an option's parameters under an EqualsCondition."""
    from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, EqualsCondition, Float
    from ConfigSpace import Integer as Whole

    built = ConfigurationSpace(seed=seed)

    def add(space: Space, prefix: str, parent: Any, value: str) -> None:
        for name, parameter in space.parameters.items():
            key = prefix + name
            if isinstance(parameter, Choice | Categorical):
                made: Any = CategoricalHyperparameter(key, [str(option) for option in parameter.options])
            elif isinstance(parameter, Integer):
                made = Whole(key, (parameter.low, parameter.high), log=parameter.log)
            else:
                made = Float(key, (parameter.low, parameter.high), log=parameter.log)
            built.add(made)
            if parent is not None:
                built.add(EqualsCondition(made, parent, value))
            if isinstance(parameter, Choice):
                for option, sub in parameter.options.items():
                    add(sub, f"{prefix}{option}.", made, option)

    add(space, "", None, "")
    return built


def _from_smac3(space: Space, values: Mapping[str, Any]) -> Config:
    config: Config = {}
    for key, parameter in all_parameters(space):
        if key in values:
            value = values[key]
            if isinstance(parameter, Categorical):
                config[key] = next(option for option in parameter.options if str(option) == value)
            elif isinstance(parameter, Choice):
                config[key] = str(value)
            else:
                config[key] = int(value) if isinstance(parameter, Integer) else float(value)
    return config


PEERS: dict[str, tuple[Contender, str]] = {
    "Hyperopt TPE": (hyperopt, "hyperopt"),
    "Optuna 5 TPE": (optuna, "optuna"),
    "Optuna 5 TPE, group": (optuna_group, "optuna"),
    "SMAC3": (smac3, "smac"),
}


def contender_named(name: str) -> Contender:
    return PEERS[name][0] if name in PEERS else ours(name)


def version_of(name: str) -> str:
    """What a stored run depends on: a peer's package version, or the code of our searcher."""
    if name in PEERS:
        return importlib.metadata.version(PEERS[name][1])
    return code_version((*imported(SEARCHERS[name].module), "headrace.search.space"))[:12]


def imported(module: str) -> tuple[str, ...]:
    """A module of the searchers and those of them that it imports, and they: a searcher does not change with others."""
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        found.add(name)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        nodes = ast.walk(ast.parse(Path(spec.origin).read_text()))
        names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        waiting += [one for one in names - found if one.startswith("headrace.search.searchers.")]
    return tuple(sorted(found))
