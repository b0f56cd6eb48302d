"""Choose the members of an ensemble from the finished trials, and from a second level where that pays."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headrace.automl.ensemble.outliers import winsorised_loss
from headrace.automl.ensemble.selection import Costs, Loss, Selection, cheapest, select
from headrace.automl.ensemble.stacking import StackedConfig, better_in_most_folds, stack
from headrace.automl.options import Options
from headrace.automl.task.constant import constant_prediction
from headrace.automl.task.metrics import Weights, metric_of
from headrace.automl.task.task import Floats, Task
from headrace.automl.trials.data import SearchData, data_digest
from headrace.automl.trials.fitting import split_table_config
from headrace.core.errors import HeadraceError
from headrace.models.space import Config
from headrace.search.trial import Trial

#: Most trials that an ensemble is selected from; of one family at most that number over the number of families, or
#: `_OF_FAMILY` where this is more; most rows that it is selected on.
_LIBRARY, _OF_FAMILY, _ROWS = 40, 5, 20_000
#: Metrics of the order of the rows.
_RANKING = ("auc", "average_precision")
#: Share of the time left for one selection.
_SELECTION_SHARE = 0.3
#: Least difference between the losses of a constant and of an ensemble.
_LEAST_WIDTH = 1e-12
#: Numbers that selection compares, so that it stays within seconds.
_NUMBERS = 30_000_000


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A configuration that may become a member.

    Attributes:
        number: Number of its trial; for the second level a number after those of all trials.
        config: The configuration.
        predictions: Out-of-fold predictions [n, k], in the order of `SearchData.valid_rows`.
        seconds: Time of its fits, s.
        predict_us: Time of a prediction by one fold's model, microseconds a row.
        prepare_us: Time of the preparation before it, which members may share, microseconds a row.
        file: Name of its stored models; "" for the second level.
        weight: Its weight in the ensemble.
        stacked: Its fitted models, of the second level only.
    """

    number: int
    config: Config
    predictions: Floats
    seconds: float
    predict_us: float
    prepare_us: float
    file: str = ""
    weight: float = 0.0
    stacked: StackedConfig | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chosen members.

    Attributes:
        members: First level before second; those that only the second level needs have weight 0.
        trace: Out-of-fold loss after each step of the selection.
        notes: Lines for the user.
    """

    members: tuple[Candidate, ...]
    trace: tuple[float, ...]
    notes: tuple[str, ...] = ()


def choose(
    folder: Path, data: SearchData, trials: Sequence[Trial], options: Options, *, stack_until: float | None,
    deadline: float,
) -> Choice:  # fmt: skip
    """Choose members.

    Args:
        folder: Folder of the data and the results.
        data: The data of the search.
        trials: All trials.
        options: Of the search.
        stack_until: Instant of `time.monotonic` at which the second level ends; None for no second level.
        deadline: Instant of `time.monotonic` at which everything must be finished.

    Raises:
        HeadraceError: No trial finished.
    """
    complete = [trial for trial in trials if trial.status == "ok" and trial.loss is not None]
    if not complete:
        raise HeadraceError("no configuration was evaluated in full", where="automl", fix="give it more time")
    ranked = library(complete)
    first = [_of_trial(folder, trial) for trial in ranked]
    alone = _select(data, first, options, deadline)
    if stack_until is None or not options.ensemble:
        return _choice(first, alone)
    after = 1 + max(trial.number for trial in trials)
    second = _second_level(folder, data, ranked, first, options, stack_until, after)
    if not second:
        return _choice(first, alone)
    both = [*first, *second]
    stacked = _select(data, both, options, deadline)
    if not better_in_most_folds(data, _pooled(first, alone), _pooled(both, stacked)):
        return replace(_choice(first, alone), notes=("the second level is not better in most folds: left out",))
    return _choice(both, stacked)


def library(complete: Sequence[Trial]) -> list[Trial]:
    """Return the best trials, best first, of which an ensemble is selected; the number from each family is limited.

    Without the limit most of them could be near copies of one good configuration.
    """
    families = {str(trial.config["family"]) for trial in complete}
    most = max(_OF_FAMILY, math.ceil(_LIBRARY / len(families)))
    taken: dict[str, int] = dict.fromkeys(families, 0)
    chosen: list[Trial] = []
    for trial in sorted(complete, key=lambda trial: (trial.loss, trial.number)):
        family = str(trial.config["family"])
        if taken[family] < most and len(chosen) < _LIBRARY:
            taken[family] += 1
            chosen.append(trial)
    return chosen


def _of_trial(folder: Path, trial: Trial) -> Candidate:
    return Candidate(
        number=trial.number, config=trial.config, predictions=np.load(folder / f"{trial.info['file']}.npy"),
        seconds=trial.seconds, predict_us=float(trial.info["predict_us"]),
        prepare_us=float(trial.info["prepare_us"]), file=str(trial.info["file"]),
    )  # fmt: skip


def _second_level(
    folder: Path, data: SearchData, ranked: Sequence[Trial], first: Sequence[Candidate], options: Options, until: float,
    after: int,
) -> list[Candidate]:  # fmt: skip
    """Return the second level, numbered from `after`."""
    stored = {candidate.number: candidate.predictions for candidate in first}
    fitted = stack(
        folder, data_digest(folder), data, ranked, stored, seed=options.seed, threads=options.n_workers, deadline=until
    )
    return [
        Candidate(number=after + position, config=each.config, predictions=each.predictions, seconds=each.seconds,
                  predict_us=0.0, prepare_us=0.0, stacked=each)
        for position, each in enumerate(fitted)
    ]  # fmt: skip


def _pooled(candidates: Sequence[Candidate], selection: Selection) -> Floats:
    pooled = np.zeros(candidates[0].predictions.shape)
    for candidate, weight in zip(candidates, selection.weights, strict=True):
        if weight > 0:
            pooled += float(weight) * candidate.predictions
    return pooled


def _choice(candidates: Sequence[Candidate], selection: Selection) -> Choice:
    weighted = [
        replace(candidate, weight=float(weight))
        for candidate, weight in zip(candidates, selection.weights, strict=True)
    ]
    needed = {n for candidate in weighted if candidate.stacked and candidate.weight for n in candidate.stacked.inputs}
    members = [candidate for candidate in weighted if candidate.weight > 0 or candidate.number in needed]
    return Choice(members=tuple(members), trace=selection.trace)


def _select(data: SearchData, candidates: Sequence[Candidate], options: Options, deadline: float) -> Selection:
    rows, metric, weight = data.valid_rows, metric_of(data.task), data.valid_weights
    if not options.ensemble:
        first = np.zeros(len(candidates))
        first[0] = 1.0
        alone = metric.loss(data.label[rows], candidates[0].predictions.astype(np.float64), weight, data.task)
        return Selection(weights=first, loss=alone, trace=(alone,))
    limit = min(_ROWS, max(1_000, _NUMBERS // (len(candidates) * data.task.n_outputs)))
    sample = np.arange(len(rows))
    if len(rows) > limit:
        sample = np.sort(np.random.default_rng(options.seed).choice(len(rows), limit, replace=False))
    predictions = np.stack([candidate.predictions[sample] for candidate in candidates]).astype(np.float64)
    label, weights = data.label[rows[sample]], None if weight is None else weight[sample]

    def loss_of(p: Floats) -> float:
        return metric.loss(label, p, weights, data.task)

    plain = select(predictions, loss_of, deadline=_selection_end(deadline))
    second = _second_loss(label, weights, predictions, data.task)
    best = plain if second is None else _mean_selection(predictions, loss_of, plain, second, deadline)
    if options.cost_tolerance is None:
        return best
    constant = np.tile(constant_prediction(label, weights, data.task), (len(label), 1))
    losses = [loss_of] if second is None else [loss_of, second]
    excess = _excess(losses, np.tensordot(best.weights, predictions, 1), constant)
    return cheapest(
        predictions, _costs(candidates), excess, best=best, tolerance=options.cost_tolerance,
        deadline=_selection_end(deadline),
    )  # fmt: skip


def _second_loss(label: Floats, weights: Weights, predictions: Floats, task: Task) -> Loss | None:
    """Return a loss that depends less on a few rows than the metric does; None where none is needed.

    Of squared errors it is one with large errors cut (decision 80); beside ranking metrics, which the order of a few
    rows of the rarer class decides, it is the log loss (decision 82).
    """
    if task.kind == "binary" and task.metric in _RANKING:
        of_probabilities = replace(task, metric="log_loss")
        log_loss = metric_of(of_probabilities)
        return lambda p: log_loss.loss(label, p, weights, of_probabilities)
    return winsorised_loss(label, weights, predictions, task)


def _mean_selection(predictions: Floats, loss_of: Loss, plain: Selection, second: Loss, deadline: float) -> Selection:
    """Return the mean of a selection and of one by the second loss."""
    other = select(predictions, second, deadline=_selection_end(deadline))
    weights = (plain.weights + other.weights) / 2
    return replace(plain, weights=weights, loss=loss_of(np.tensordot(weights, predictions, 1)))


def _excess(losses: Sequence[Loss], best: Floats, constant: Floats) -> Loss:
    """Return a loss: how much worse a prediction is than the best one, by that of the losses by which it is most.

    Its unit is the difference between the losses of a constant and of the best prediction. A loss by which a constant
    is not worse (the log loss of models that are too sure) does not count, unless it is the first.
    """
    least = [loss(best) for loss in losses]
    widths = [loss(constant) - value for loss, value in zip(losses, least, strict=True)]
    measured = [
        (loss, value, max(width, _LEAST_WIDTH))
        for number, (loss, value, width) in enumerate(zip(losses, least, widths, strict=True))
        if number == 0 or width > _LEAST_WIDTH
    ]

    def excess(p: Floats) -> float:
        return max((loss(p) - value) / width for loss, value, width in measured)

    return excess


def _selection_end(deadline: float) -> float:
    """Return the instant at which a selection ends: after a part of the time, but not at once."""
    now = time.monotonic()
    return min(deadline, now + max(0.5, _SELECTION_SHARE * (deadline - now)))


def _costs(candidates: Sequence[Candidate]) -> Costs:
    """Return the costs of the candidates, of which those with equal preparations share one."""
    specs = [split_table_config(candidate.config)[2] for candidate in candidates]
    prepare_us = {spec: candidate.prepare_us for spec, candidate in zip(specs, candidates, strict=True)}
    position = {spec: number for number, spec in enumerate(prepare_us)}
    return Costs(
        models=np.array([candidate.predict_us for candidate in candidates]),
        preparations=np.array(list(prepare_us.values())),
        preparation_of=np.array([position[spec] for spec in specs]),
    )
